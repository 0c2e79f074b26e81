"""Sigmoid: 1 / (1 + exp(-x)), smooth, with values in [0, 1].

    paper    here   shape      meaning
    x        x      any        input
    sigma    y      like x     1 / (1 + exp(-x))

dy/dx = y (1 - y). methods.md 1.4 (evaluated stably, split by sign, in `nx.sigmoid`).
No kink. Edge cases: x = 0 gives exactly 1/2; -inf gives 0, +inf gives 1, NaN stays NaN; for large
x, 1 - y is a multiple of the unit roundoff, so the gradient there is accurate absolutely, not
relatively, and it is 0 where y has rounded to 1. Every framework computes it this way.
"""

from typing import NamedTuple

from refquant import numerics as nx
from refquant._checks import check_array, check_operand
from refquant._types import Array


class SigmoidCache(NamedTuple):
    """What `sigmoid_forward` leaves for `sigmoid_backward`."""

    y: Array  # the output


def sigmoid_forward(x: Array) -> tuple[Array, SigmoidCache]:
    """Return 1 / (1 + exp(-x)).

    Parameters
    ----------
    x : float32 or float64 array
        Any shape.

    Returns
    -------
    y : array
        Shape and dtype of `x`.
    cache : SigmoidCache
        For `sigmoid_backward`.
    """
    y = nx.sigmoid(check_array("sigmoid_forward", "x", x))
    return y, SigmoidCache(y)


def sigmoid_backward(d_y: Array, cache: SigmoidCache) -> Array:
    """Return d_x = d_y * y * (1 - y), the last product first.

    Parameters
    ----------
    d_y : array
        dL/dy, shape of x.
    cache : SigmoidCache
        From `sigmoid_forward`.

    Returns
    -------
    array
        dL/dx.
    """
    y = cache.y
    check_operand("sigmoid_backward", "d_y", d_y, y.shape, y.dtype)
    return d_y * (y * (1.0 - y))
