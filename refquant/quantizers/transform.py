"""AdaQTransform's output transform: scale xi and shift eta of each output channel.

References: AdaQTransform, equation 8; methods, sections 15.1 and 15.2.

    paper    here   shape           meaning
    y0       y0     (n, c, ...)     product of the quantised weight and input, before the bias
    b        bias   (c,) or None    bias of the layer; NOT scaled by xi
    xi       xi     (c,)            scale of the output; neutral value 1
    eta      eta    (c,)            shift, units of y; neutral value 0
    y_hat    y      (n, c, ...)     xi y0 + b + eta

Forward   y = (xi y0 + b) + eta, in this order
Backward  d_y0 = xi d_y;   d_xi = sum d_y y0;   d_bias = d_eta = sum d_y

The sums run over all axes but the channel axis 1, which any number of axes may follow.

Edge cases: xi = 1 and eta = 0 give y0 + b bit for bit (P47): eta is not added where it is 0,
since -0.0 + 0.0 would lose a sign. xi may have either sign (decision D33). NaN and the
infinities follow IEEE 754.

Not modelled: (1) granularities other than per channel; (2) folding into a requantisation.
"""

from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_shape, complaint
from refquant._types import Array


class OutputTransformCache(NamedTuple):
    """y0 and xi as they came in, xi in the dtype of y0, and whether there was a bias."""

    y0: Array
    xi: Array
    has_bias: bool


class OutputTransformGrads(NamedTuple):
    """dL/dy0 like y0; the others (c,); bias is None if there was none."""

    y0: Array
    bias: Array | None
    xi: Array
    eta: Array


def output_transform_forward(
    y0: Array, bias: Array | None, xi: Array, eta: Array
) -> tuple[Array, OutputTransformCache]:
    """y = xi y0 + bias + eta per channel, AdaQTransform eq. 8.

    Parameters
    ----------
    y0 : Array
        (n, c, ...), float32 or float64.
    bias : Array or None
        (c,); None stands for no bias at all.
    xi, eta : Array
        (c,). All parameters are taken in the dtype of `y0`.

    Returns
    -------
    y : Array
        Like `y0`.
    cache : OutputTransformCache
        For `output_transform_backward`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a floating array, `y0` has no channel axis, or a parameter is
        not of shape (c,).
    """
    check_array("output_transform_forward", "y0", y0)
    if y0.ndim < 2:
        got = f"of shape {y0.shape}"
        raise ValueError(complaint("output_transform_forward", "y0", got, "(n, c, ...)"))
    scale = _per_channel("xi", xi, y0)
    shift = _per_channel("eta", eta, y0)
    y = scale * y0
    if bias is not None:
        y = y + _per_channel("bias", bias, y0)
    y = np.where(shift == 0.0, y, y + shift)
    return y, OutputTransformCache(y0, scale, bias is not None)


def output_transform_backward(d_y: Array, cache: OutputTransformCache) -> OutputTransformGrads:
    """Gradients of y = xi y0 + bias + eta, methods 15.2; `d_y` like y0."""
    check_array("output_transform_backward", "d_y", d_y)
    check_shape("output_transform_backward", "d_y", d_y, cache.y0.shape)
    axes = (0, *range(2, d_y.ndim))
    d_eta = nx.sum(d_y, axis=axes)
    d_xi = nx.sum(d_y * cache.y0, axis=axes)
    d_bias = d_eta.copy() if cache.has_bias else None
    return OutputTransformGrads(np.asarray(cache.xi * d_y), d_bias, d_xi, d_eta)


def _per_channel(name: str, value: Array, y0: Array) -> Array:
    """A (c,) parameter as (1, c, 1, ...) in the dtype of y0, checked."""
    check_array("output_transform_forward", name, value)
    check_shape("output_transform_forward", name, value, (y0.shape[1],))
    return value.astype(y0.dtype, copy=False).reshape(1, -1, *(1,) * (y0.ndim - 2))
