"""Convolution (cross-correlation) as patches, product, bias.

y[n, o, p, q] = bias[o] + sum_{c, i, j} w[o, c, i, j] * x[n, group(o) * c_in/g + c, row, column],
zero outside the map. methods.md 4.1; im2col as in Chellapilla, Puri, Simard 2006.

    paper   here   shape                       meaning
    x       x      (n, c_in, h, w)             input
    W4      w      (c_out, c_in/g, k_h, k_w)   filter, not flipped
    b       bias   (c_out,) or None            added last
    Y       y      (n, c_out, h_o, w_o)        output
    Gb      d_bias (c_out,)                    sum of GY over n, h_o, w_o

Edge cases: windows that see padding only give the bias. NaN and infinity follow
`numerics.matmul`: a zero weight does not hide them.
"""

from typing import NamedTuple

from refquant import numerics as nx
from refquant._checks import check_array, check_dtype, check_operand, complaint
from refquant._types import Array
from refquant.layers.geometry import Geometry
from refquant.layers.im2col import col2im, im2col
from refquant.layers.product import ProductCache, product_backward, product_forward


class Conv2dCache(NamedTuple):
    """What `conv2d_forward` leaves for `conv2d_backward`."""

    x_shape: tuple[int, int, int, int]
    geometry: Geometry
    has_bias: bool
    product: ProductCache


class Conv2dGrads(NamedTuple):
    """dL/dx, dL/dw, dL/d bias; `.bias` is None where there was none."""

    x: Array
    w: Array
    bias: Array | None


def conv2d_forward(
    x: Array, w: Array, bias: Array | None, geometry: Geometry
) -> tuple[Array, Conv2dCache]:
    """Convolve, methods.md 4.1.

    Parameters
    ----------
    x : (n, c_in, h, w) array, float32 or float64
    w : (c_out, c_in / g, k_h, k_w) array of the same dtype
    bias : (c_out,) array of the same dtype, or None
    geometry : Geometry
        Its kernel must be that of w.

    Returns
    -------
    y : (n, c_out, h_o, w_o) array of the dtype of x
    cache : Conv2dCache

    Raises
    ------
    TypeError, ValueError
        If the shapes, the dtypes or the groups do not fit, or the output would be empty.
    """
    _check(x, w, bias, geometry)
    n, c_in, height, width = x.shape
    y, product = product_forward(im2col(x, geometry), w, geometry.groups)
    if bias is not None:
        y = y + bias[:, None]
    y = y.reshape(n, w.shape[0], *geometry.output_size(height, width))
    return y, Conv2dCache((n, c_in, height, width), geometry, bias is not None, product)


def conv2d_backward(d_y: Array, cache: Conv2dCache) -> Conv2dGrads:
    """Gx = col2im(GXc), GWm and Gb, methods.md 4.1.

    Parameters
    ----------
    d_y : (n, c_out, h_o, w_o) array
    cache : Conv2dCache

    Returns
    -------
    Conv2dGrads
        Shaped like x, w and bias.
    """
    n, _, height, width = cache.x_shape
    h_o, w_o = cache.geometry.output_size(height, width)
    c_out = cache.product.w.shape[0]
    check_operand("conv2d_backward", "d_y", d_y, (n, c_out, h_o, w_o), cache.product.w.dtype)
    d_cols, d_w = product_backward(d_y.reshape(n, c_out, h_o * w_o), cache.product)
    d_x = col2im(d_cols, cache.x_shape, cache.geometry)
    return Conv2dGrads(d_x, d_w, nx.sum(d_y, axis=(0, 2, 3)) if cache.has_bias else None)


def _check(x: Array, w: Array, bias: Array | None, geometry: Geometry) -> None:
    """Refuse operands that do not fit together."""
    function, groups = "conv2d_forward", geometry.groups
    check_array(function, "x", x, ndim=4)
    check_array(function, "w", w, ndim=4)
    geometry.check_channels(function, "x", x.shape[1])
    geometry.check_channels(function, "w", w.shape[0])
    per_group = x.shape[1] // groups
    if w.shape[1:] != (per_group, *geometry.kernel):
        got = f"of shape {w.shape}"
        expected = f"(c_out, {per_group}, {geometry.kernel[0]}, {geometry.kernel[1]})"
        fix = f"x has {x.shape[1]} channels, the geometry {groups} groups."
        raise ValueError(complaint(function, "w", got, expected, fix))
    check_dtype(function, "w", w, x.dtype)
    if bias is not None:
        check_operand(function, "bias", bias, (w.shape[0],), x.dtype)
