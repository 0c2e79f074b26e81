"""Max pooling: the largest value of every window; its gradient goes to the first maximum.

    here     shape             meaning
    x        (n, c, h, w)      input, without NaN
    y        (n, c, h_o, w_o)  max over the window's taps that are not padding
    first    (n, c, 1, l)      number of the tap that won, in row-major window order

methods.md 4.3. Padding never wins (as if it were -inf), even where all values are negative.
Kink: where several taps are equal, the first one in row-major order (row, then column) receives
the whole gradient; -0.0 and 0.0 are equal. Overlapping windows add their gradients.
Edge cases: infinities are ordinary values (a window of -inf gives -inf, to its first element);
NaN is refused; a window that sees only padding is refused.
Differs from: kernels that leave the choice at a tie open, and automatic differentiation of a plain
maximum, which may split ties evenly. PyTorch on CPU takes the first, as here.
Not modelled: ceil mode (see windows.py).
"""

from typing import NamedTuple

import numpy as np

from refquant._checks import check_array, check_shape
from refquant._types import Array
from refquant.layers.geometry import Geometry
from refquant.layers.windows import pooling_windows, scatter_windows


class MaxPoolCache(NamedTuple):
    """What `max_pool_forward` leaves for `max_pool_backward`."""

    first: Array  # int64 (n, c, 1, l): the winning tap
    x_shape: tuple[int, int, int, int]
    y_shape: tuple[int, int, int, int]
    geometry: Geometry


def max_pool_forward(x: Array, geometry: Geometry) -> tuple[Array, MaxPoolCache]:
    """Return the maximum of every window.

    Parameters
    ----------
    x : (n, c, h, w) float32 or float64 array
        Without NaN.
    geometry : Geometry
        Kernel, stride, dilation and four-sided padding; groups must be 1.

    Returns
    -------
    y : (n, c, h_o, w_o) array
        Dtype of `x`.
    cache : MaxPoolCache
        For `max_pool_backward`.

    Raises
    ------
    ValueError
        NaN in `x`, groups other than 1, or a window that sees only padding.
    """
    values, inside = pooling_windows("max_pool_forward", x, geometry)
    best = np.where(inside, values, x.dtype.type(-np.inf)).max(axis=2, keepdims=True)
    # `inside` again: in a window of -inf the padding, -inf too, must not be taken for the winner.
    first = np.argmax(inside & (values == best), axis=2, keepdims=True)
    n, c, h, w = x.shape
    y_shape = (n, c, *geometry.output_size(h, w))
    y = np.take_along_axis(values, first, axis=2).reshape(y_shape)
    return y, MaxPoolCache(first, (n, c, h, w), y_shape, geometry)


def max_pool_backward(d_y: Array, cache: MaxPoolCache) -> Array:
    """Return d_x: every entry of `d_y` added to the first maximum of its window.

    Parameters
    ----------
    d_y : (n, c, h_o, w_o) array
        dL/dy.
    cache : MaxPoolCache
        From `max_pool_forward`.

    Returns
    -------
    (n, c, h, w) array
        dL/dx.
    """
    name = "max_pool_backward"
    check_shape(name, "d_y", check_array(name, "d_y", d_y), cache.y_shape)
    winner = np.arange(cache.geometry.taps)[:, np.newaxis] == cache.first
    d_values = np.where(winner, d_y.reshape(cache.first.shape), d_y.dtype.type(0.0))
    return scatter_windows(d_values, cache.x_shape, cache.geometry)
