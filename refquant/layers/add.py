"""Add: the sum of two or more arrays of one shape, the join of a residual block.

    here   shape           meaning
    xs     equal shapes    inputs, added from left to right
    y      the same        xs[0] + xs[1] + ...

methods.md 4.3 ("add copies"): every input receives the whole gradient. No kink. Shapes are never
broadcast and dtypes never mixed: either would hide a wiring mistake. NaN and infinities follow
IEEE 754. The order is part of the definition, since float addition is not associative.
"""

from typing import NamedTuple

from refquant._checks import check_array, check_operand, check_shape, complaint
from refquant._types import Array


class AddCache(NamedTuple):
    """What `add_forward` leaves for `add_backward`."""

    inputs: int  # how many arrays were added
    shape: tuple[int, ...]


def add_forward(*xs: Array) -> tuple[Array, AddCache]:
    """Return xs[0] + xs[1] + ..., from left to right.

    Parameters
    ----------
    *xs : float32 or float64 arrays
        Two or more, of one shape and one dtype.

    Returns
    -------
    y : array
        Their sum.
    cache : AddCache
        For `add_backward`.

    Raises
    ------
    ValueError
        Fewer than two inputs, or unequal shapes.
    TypeError
        Unequal dtypes.
    """
    name = "add_forward"
    if len(xs) < 2:
        raise ValueError(complaint(name, "xs", f"{len(xs)} array(s)", "two or more"))
    y = check_array(name, "xs[0]", xs[0])
    for i, x in enumerate(xs[1:], start=1):
        y = y + check_operand(name, f"xs[{i}]", x, y.shape, y.dtype)
    return y, AddCache(len(xs), y.shape)


def add_backward(d_y: Array, cache: AddCache) -> tuple[Array, ...]:
    """Return `d_y` once for every input.

    Parameters
    ----------
    d_y : array
        dL/dy, shape of y.
    cache : AddCache
        From `add_forward`.

    Returns
    -------
    tuple of arrays
        dL/dx of every input: the same array object, which nothing in refquant writes into.
    """
    check_shape("add_backward", "d_y", check_array("add_backward", "d_y", d_y), cache.shape)
    return (d_y,) * cache.inputs
