"""ReLU: negative values become zero.

    paper    here   shape      meaning
    x        x      any        input
    y        y      like x     max(x, 0)
    --       mask   like x     x > 0, where the gradient passes

methods.md 4.3. Kink: at x = 0 the gradient is 0 (the mask is strict), as in every framework.
Edge cases: both zeros give +0; NaN stays NaN and gets gradient 0; +inf stays.
"""

from typing import NamedTuple

from refquant import numerics as nx
from refquant._checks import check_array, check_shape
from refquant._types import Array


class ReluCache(NamedTuple):
    """What `relu_forward` leaves for `relu_backward`."""

    mask: Array  # bool, x > 0


def relu_forward(x: Array) -> tuple[Array, ReluCache]:
    """Return max(x, 0).

    Parameters
    ----------
    x : float32 or float64 array
        Any shape.

    Returns
    -------
    y : array
        Shape and dtype of `x`.
    cache : ReluCache
        For `relu_backward`.
    """
    check_array("relu_forward", "x", x)
    # Not np.maximum: which zero it returns for (-0.0, 0.0) depends on the instruction set.
    return nx.masked(x, ~(x <= 0.0)), ReluCache(x > 0.0)


def relu_backward(d_y: Array, cache: ReluCache) -> Array:
    """Return d_x: `d_y` where x > 0, else 0.

    Parameters
    ----------
    d_y : array
        dL/dy, shape of x.
    cache : ReluCache
        From `relu_forward`.

    Returns
    -------
    array
        dL/dx.
    """
    check_shape("relu_backward", "d_y", check_array("relu_backward", "d_y", d_y), cache.mask.shape)
    # Not d_y * mask: an infinite d_y in the flat part would become NaN.
    return nx.masked(d_y, cache.mask)
