"""Softmax over the channels: exp(x_c) / sum over c of exp(x_c), values in [0, 1] that sum to 1.

    paper   here    shape              meaning
    x       x       (n, c, ...)        input
    p       y       (n, c, ...)        probabilities, over axis 1

d_x = y (d_y - sum over c of d_y y). C. Bishop, "Pattern Recognition and Machine Learning", 2006,
equation 4.106. The largest entry is taken out first (`nx.softmax`), so that nothing overflows.
No kink. Edge cases: one channel gives 1 and no gradient; -inf is a channel that cannot occur and
gives 0; a place with NaN or +inf, or nothing but -inf, is NaN in every channel.
"""

from typing import NamedTuple

from refquant import numerics as nx
from refquant._checks import check_array, check_operand, complaint
from refquant._types import Array


class SoftmaxCache(NamedTuple):
    """What `softmax_forward` leaves for `softmax_backward`."""

    y: Array  # the output


def softmax_forward(x: Array) -> tuple[Array, SoftmaxCache]:
    """Return the softmax over axis 1.

    Parameters
    ----------
    x : float32 or float64 array
        (n, c, ...), c at least 1.

    Returns
    -------
    y : array
        Shape and dtype of `x`.
    cache : SoftmaxCache
        For `softmax_backward`.

    Raises
    ------
    TypeError, ValueError
        If `x` is no such array.
    """
    check_array("softmax_forward", "x", x)
    if x.ndim < 2 or not x.shape[1]:
        got = f"of shape {x.shape}"
        raise ValueError(complaint("softmax_forward", "x", got, "(n, c, ...) with c >= 1"))
    y = nx.softmax(x, axis=1)
    return y, SoftmaxCache(y)


def softmax_backward(d_y: Array, cache: SoftmaxCache) -> Array:
    """Return d_x = y (d_y - sum of d_y y over the channels).

    Parameters
    ----------
    d_y : array
        dL/dy, shape of x.
    cache : SoftmaxCache
        From `softmax_forward`.

    Returns
    -------
    array
        dL/dx; its sum over the channels is 0.
    """
    y = cache.y
    check_operand("softmax_backward", "d_y", d_y, y.shape, y.dtype)
    d_x: Array = y * (d_y - nx.sum(d_y * y, axis=1, keepdims=True))
    return d_x
