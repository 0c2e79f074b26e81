"""AdaQTransform's output transform: a scale xi and a shift eta of the output of a layer.

References: AdaQTransform, equation 8; methods, sections 15.1, 15.2 and 15.6.

    paper    here   shape           meaning
    y0       y0     (n, c, ...)     product of the quantised weight and input, before the bias
    b        bias   (c,) or None    bias of the layer; NOT scaled by xi
    xi       xi     see below       scale of the output; neutral value 1
    eta      eta    see below       shift, units of y; neutral value 0
    y_hat    y      (n, c, ...)     xi y0 + b + eta

Forward   y = (xi y0 + b) + eta, in this order
Backward  d_y0 = xi d_y;   d_xi = sum d_y y0;   d_eta = sum d_y;   d_bias = sum d_y

A sum runs over the elements that share its parameter. The shape of a parameter says which:

    granularity   shape       shared over                    where
    channel       (c,)        samples and positions          every layer; the usual one
    layer         ()          everything                     every layer
    pixel         (c, ...)    samples                        every layer; cannot be folded into a
                                                             requantisation per channel
    network       (c,)        samples and positions          the last fully connected layer only

xi and eta may differ in granularity. On y0 of shape (n, c), channel and pixel are the same.

Edge cases: xi = 1 and eta = 0 give y0 + b bit for bit (P47): eta is not added where it is 0,
since -0.0 + 0.0 would lose a sign. xi may have either sign (decision D33). NaN and the
infinities follow IEEE 754.
"""

from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_in, check_shape, complaint
from refquant._types import Array

GRANULARITIES = ("channel", "layer", "pixel", "network")


class OutputTransformCache(NamedTuple):
    """y0; xi in the dtype of y0, broadcasting to it; shapes of xi and eta; was there a bias."""

    y0: Array
    xi: Array
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    has_bias: bool


class OutputTransformGrads(NamedTuple):
    """dL/dy0 like y0, the others like their parameter; bias is None if there was none."""

    y0: Array
    bias: Array | None
    xi: Array
    eta: Array


def transform_shape(granularity: str, y0_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of xi and eta for an output of shape (n, c, ...), methods 15.6.

    Parameters
    ----------
    granularity : {"channel", "layer", "pixel", "network"}
        "network" is "channel" at the only layer that has a transform, the last one.
    y0_shape : tuple of int
        Shape of the layer's output, at least two axes.

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        If the granularity is unknown or the output has no channel axis.
    """
    check_in("transform_shape", "granularity", granularity, GRANULARITIES)
    if len(y0_shape) < 2:
        raise ValueError(complaint("transform_shape", "y0_shape", y0_shape, "(n, c, ...)"))
    return {"layer": (), "pixel": tuple(y0_shape[1:])}.get(granularity, (y0_shape[1],))


def output_transform_forward(
    y0: Array, bias: Array | None, xi: Array, eta: Array
) -> tuple[Array, OutputTransformCache]:
    """y = xi y0 + bias + eta, AdaQTransform eq. 8.

    Parameters
    ----------
    y0 : Array
        (n, c, ...), float32 or float64.
    bias : Array or None
        (c,); None stands for no bias at all.
    xi, eta : Array
        Of a shape `transform_shape` gives. All parameters are taken in the dtype of `y0`.

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
        of another shape.
    """
    check_array("output_transform_forward", "y0", y0)
    if y0.ndim < 2:
        got = f"of shape {y0.shape}"
        raise ValueError(complaint("output_transform_forward", "y0", got, "(n, c, ...)"))
    scale = _spread("xi", xi, y0)
    shift = _spread("eta", eta, y0)
    y = scale * y0
    if bias is not None:
        check_array("output_transform_forward", "bias", bias)
        check_shape("output_transform_forward", "bias", bias, y0.shape[1:2])
        y = y + _spread("bias", bias, y0)
    y = np.where(shift == 0.0, y, y + shift)
    return y, OutputTransformCache(y0, scale, (xi.shape, eta.shape), bias is not None)


def output_transform_backward(d_y: Array, cache: OutputTransformCache) -> OutputTransformGrads:
    """Gradients of y = xi y0 + bias + eta, methods 15.2; `d_y` like y0."""
    check_array("output_transform_backward", "d_y", d_y)
    check_shape("output_transform_backward", "d_y", d_y, cache.y0.shape)
    xi_shape, eta_shape = cache.shapes
    d_eta = sum_to_parameter(d_y, eta_shape)
    d_xi = sum_to_parameter(d_y * cache.y0, xi_shape)
    d_bias = sum_to_parameter(d_y, d_y.shape[1:2]) if cache.has_bias else None
    return OutputTransformGrads(np.asarray(cache.xi * d_y), d_bias, d_xi, d_eta)


def shared_axes(shape: tuple[int, ...], ndim: int) -> tuple[int, ...]:
    """The axes of an (n, c, ...) array of `ndim` axes that share a parameter of this shape."""
    if not shape:
        return tuple(range(ndim))
    return (0, *range(1 + len(shape), ndim))


def sum_to_parameter(t: Array, shape: tuple[int, ...]) -> Array:
    """Sum an (n, c, ...) array over the elements that share a parameter of this shape."""
    return np.asarray(nx.sum(t, axis=shared_axes(shape, t.ndim)))


def spread_parameter(value: Array, ndim: int) -> Array:
    """A parameter reshaped to broadcast against an (n, c, ...) array of `ndim` axes."""
    return value.reshape(1, *value.shape, *(1,) * (ndim - 1 - value.ndim))


def _spread(name: str, value: Array, y0: Array) -> Array:
    """A checked parameter that broadcasts to y0, in the dtype of y0."""
    check_array("output_transform_forward", name, value)
    allowed = ((), y0.shape[1:2], y0.shape[1:])
    if value.shape not in allowed:
        got = f"of shape {value.shape}"
        expected = "of shape " + " or ".join(str(s) for s in dict.fromkeys(allowed))
        raise ValueError(complaint("output_transform_forward", name, got, expected))
    return spread_parameter(value.astype(y0.dtype, copy=False), y0.ndim)


def fold_output(
    s_w: Array, s_x: float, bias: Array | None, xi: Array | None, eta: Array | None
) -> tuple[Array, Array]:
    """Fold everything that follows a product of levels into a scale and an offset, AT eq. 9.

    Unchecked: `refquant.optimal.fold` and `refquant.deploy` check what they are given.

    Parameters
    ----------
    s_w : (c_out,) array
        Dequantization step per output channel.
    s_x : float
        Step of the input's codes; 1 for an input in real numbers.
    bias : (c_out,) array or None
    xi, eta : (), (c_out,) or (c_out, h, w) array or None

    Returns
    -------
    scale, offset : float64 arrays
        ``xi * s_w * s_x`` and ``bias + eta``, (c_out,), or (c_out, h, w) where xi or eta is.
    """
    steps = np.asarray(s_w, dtype=np.float64)
    zero = np.zeros(steps.shape)
    scaled = steps if xi is None else xi.astype(np.float64) * lined_up(steps, xi)
    offset = zero if bias is None else bias.astype(np.float64)
    shift = zero if eta is None else eta.astype(np.float64)
    return scaled * s_x, lined_up(offset, shift) + shift


def lined_up(channels: Array, beside: Array) -> Array:
    """Return a (c_out,) array with as many axes as the one beside it, at least one."""
    return channels.reshape(-1, *(1,) * (beside.ndim - 1))
