"""Fully connected layer: y = x Wm^T + bias, a convolution with K = L = 1 (methods.md 4.1).

    paper   here   shape               meaning
    x       x      (n, features)       input
    Wm      w      (c_out, features)   weight
    b       bias   (c_out,) or None    added last
    Y       y      (n, c_out)          output

P03: equals a 1x1 convolution of a 1x1 map. Edge cases: an empty batch gives an empty y; NaN and
infinity follow `numerics.matmul`.
"""

from typing import NamedTuple

from refquant import numerics as nx
from refquant._checks import check_array, check_operand
from refquant._types import Array


class LinearCache(NamedTuple):
    """What `linear_forward` leaves for `linear_backward`."""

    x: Array
    w: Array
    has_bias: bool


class LinearGrads(NamedTuple):
    """dL/dx, dL/dw, dL/d bias; `.bias` is None where there was none."""

    x: Array
    w: Array
    bias: Array | None


def linear_forward(x: Array, w: Array, bias: Array | None) -> tuple[Array, LinearCache]:
    """Y = x Wm^T + b.

    Parameters
    ----------
    x : (n, features) array, float32 or float64
    w : (c_out, features) array of the same dtype
    bias : (c_out,) array of the same dtype, or None

    Returns
    -------
    y : (n, c_out) array of the dtype of x
    cache : LinearCache

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not fit.
    """
    check_array("linear_forward", "x", x, ndim=2)
    check_array("linear_forward", "w", w, ndim=2)
    check_operand("linear_forward", "w", w, (w.shape[0], x.shape[1]), x.dtype)
    if bias is not None:
        check_operand("linear_forward", "bias", bias, (w.shape[0],), x.dtype)
    y = nx.matmul(x, w.T)
    if bias is not None:
        y = y + bias
    return y, LinearCache(x, w, bias is not None)


def linear_backward(d_y: Array, cache: LinearCache) -> LinearGrads:
    """Gx = GY Wm, GWm = GY^T x, Gb = sum_n GY.

    Parameters
    ----------
    d_y : (n, c_out) array
    cache : LinearCache

    Returns
    -------
    LinearGrads
        Shaped like x, w and bias.
    """
    x, w, has_bias = cache
    check_operand("linear_backward", "d_y", d_y, (x.shape[0], w.shape[0]), x.dtype)
    d_bias = nx.sum(d_y, axis=0) if has_bias else None
    return LinearGrads(nx.matmul(d_y, w), nx.matmul(d_y.T, x), d_bias)
