"""Average pooling: the mean of every window; its gradient is spread evenly.

    here     shape             meaning
    x        (n, c, h, w)      input, without NaN
    y        (n, c, h_o, w_o)  sum over the window / divisor
    divisor  (l,)              what the sum is divided by, one number a window position

methods.md 4.3. Linear, so no kink. Overlapping windows add their gradients.
Differs from: frameworks disagree on what padding counts. ``count_include_pad=False`` (default
here and in ONNX) divides by the taps on the input; ``True`` (default in PyTorch, as zeros that
take part) divides by k_h * k_w. Without padding they are equal.
Edge cases: NaN is refused; a window that sees only padding is refused under both conventions;
the sum follows IEEE 754 for infinities.
Not modelled: ceil mode (see windows.py) and PyTorch's divisor_override.
"""

from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_operand
from refquant._types import Array
from refquant.layers.geometry import Geometry
from refquant.layers.windows import pooling_windows, scatter_windows


class AveragePoolCache(NamedTuple):
    """What `average_pool_forward` leaves for `average_pool_backward`."""

    divisor: Array  # (l,), of the dtype of x
    x_shape: tuple[int, int, int, int]
    y_shape: tuple[int, int, int, int]
    geometry: Geometry


def average_pool_forward(
    x: Array, geometry: Geometry, count_include_pad: bool = False
) -> tuple[Array, AveragePoolCache]:
    """Return the mean of every window.

    Parameters
    ----------
    x : (n, c, h, w) float32 or float64 array
        Without NaN.
    geometry : Geometry
        Kernel, stride, dilation and four-sided padding; groups must be 1.
    count_include_pad : bool
        Whether the padding's zeros are counted.

    Returns
    -------
    y : (n, c, h_o, w_o) array
        Dtype of `x`.
    cache : AveragePoolCache
        For `average_pool_backward`.

    Raises
    ------
    ValueError
        NaN in `x`, groups other than 1, or a window that sees only padding.
    """
    values, inside = pooling_windows("average_pool_forward", x, geometry)
    counted = np.ones_like(inside) if count_include_pad else inside
    divisor = counted.sum(axis=0).astype(x.dtype)
    n, c, h, w = x.shape
    y_shape = (n, c, *geometry.output_size(h, w))
    y = (nx.sum(values, axis=2) / divisor).reshape(y_shape)
    return y, AveragePoolCache(divisor, (n, c, h, w), y_shape, geometry)


def average_pool_backward(d_y: Array, cache: AveragePoolCache) -> Array:
    """Return d_x: every entry of `d_y`, divided by its divisor, added to each tap on the input.

    Parameters
    ----------
    d_y : (n, c, h_o, w_o) array
        dL/dy.
    cache : AveragePoolCache
        From `average_pool_forward`.

    Returns
    -------
    (n, c, h, w) array
        dL/dx.
    """
    check_operand("average_pool_backward", "d_y", d_y, cache.y_shape, cache.divisor.dtype)
    n, c = cache.y_shape[:2]
    share = d_y.reshape(n, c, 1, cache.divisor.size) / cache.divisor
    d_values = np.broadcast_to(share, (n, c, cache.geometry.taps, cache.divisor.size))
    return scatter_windows(d_values, cache.x_shape, cache.geometry)
