"""A tensor as rows, one row for every step: the shape all calibrators work in.

Reference: methods, section 1 ("shapes") and section 3.

    here     shape                        meaning
    x        any                          the tensor to be quantised
    axis     None or int                  None: one step for all of x; else one for each index
    rows     (r, m)                       r = 1 or x.shape[axis]; m numbers share one step
    value    (r,), (r, 1)                 one number for each row, before `per_row`
    output   () or (1, .., c, .., 1)      the same numbers, broadcasting against x

Edge cases: a tensor with no element, with NaN or with an infinity is refused, since no step fits
it. A one-element tensor is an ordinary tensor.
"""

from types import UnionType
from typing import Any

import numpy as np

from refquant._checks import check_array, check_finite, check_int, complaint
from refquant._types import Array


def check_tensor(function: str, argument: str, x: Array, axis: int | None) -> Array:
    """Return `x` if it can be calibrated on.

    Parameters
    ----------
    function, argument : str
        Named in the message.
    x : Array
        float32 or float64, any shape.
    axis : int or None
        Axis with one step for each index; None for a single step.

    Returns
    -------
    Array
        `x` itself.

    Raises
    ------
    TypeError
        If `x` is not a float32 or float64 array, or `axis` not an integer.
    ValueError
        If `x` is empty or not finite, or has no such axis.
    """
    check_array(function, argument, x)
    if axis is not None:
        check_int(function, "axis", axis, 0, max(x.ndim - 1, 0))
    if x.size == 0 or (axis is not None and x.ndim == 0):
        got = f"of shape {x.shape}"
        expected = "an array with at least one element, and with the given axis"
        raise ValueError(complaint(function, argument, got, expected))
    return check_finite(function, argument, x)


def check_kind(function: str, argument: str, value: Any, kind: type) -> None:
    """TypeError unless `value` is an instance of `kind`: a Grid, a QParams or a rule."""
    if not isinstance(value, kind):
        got = f"{value!r} ({type(value).__name__})"
        raise TypeError(complaint(function, argument, got, f"a {kind.__name__}"))


def check_rule(function: str, argument: str, rule: Any, allowed: UnionType) -> None:
    """TypeError unless `rule` is one of the kinds of rules that are `allowed`."""
    if not isinstance(rule, allowed):
        names = ", ".join(kind.__name__ for kind in allowed.__args__)
        raise TypeError(complaint(function, argument, type(rule).__name__, f"one of {names}"))


def to_rows(x: Array, axis: int | None) -> Array:
    """`x` as an (r, m) array whose rows each share a step; a view where NumPy can make one."""
    if axis is None:
        return x.reshape(1, -1)
    return np.moveaxis(x, axis, 0).reshape(x.shape[axis], -1)


def per_row(value: Array, shape: tuple[int, ...], axis: int | None) -> Array:
    """One number a row, (r,) or (r, 1), in the shape that broadcasts against the tensor.

    Parameters
    ----------
    value : Array
        (r,) or (r, 1).
    shape : tuple of int
        Shape of the tensor.
    axis : int or None
        As in `to_rows`.

    Returns
    -------
    Array
        () for axis None, else ones with ``shape[axis]`` at `axis`.
    """
    if axis is None:
        return value.reshape(())
    return value.reshape(tuple(n if i == axis else 1 for i, n in enumerate(shape)))
