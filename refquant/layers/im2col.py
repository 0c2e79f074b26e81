"""Unfold a map into the matrix of its patches, and fold such a matrix back.

cols[n, c * k_h * k_w + i * k_w + j, p * w_o + q] = x[n, c, row(p, i), column(q, j)], zero outside
the map, with row and column of `refquant.layers.geometry`. A convolution is then one matrix
product. Reference: K. Chellapilla, S. Puri, P. Simard, "High Performance Convolutional Neural
Networks for Document Processing", 2006; methods.md 4.1.

    paper   here      shape                  meaning
    X       x         (n, c, h, w)           the map
    Xc      cols      (n, c * k_h * k_w, l)  one column per window, l = h_o * w_o row-major
    K       taps      k_h * k_w              positions per channel, row-major within a channel

Both functions are linear and col2im is the adjoint: <im2col(x), y> == <x, col2im(y)> (P02).
col2im(im2col(x)) is x times the number of windows that contain each entry.

Edge cases: nothing is computed, so NaN and infinity pass unharmed; col2im adds the taps in
row-major order of the kernel, plain additions, hence the same bits everywhere.
"""

from typing import cast

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from refquant._checks import check_array, check_shape, complaint
from refquant._types import Array
from refquant.layers.geometry import Geometry


def im2col(x: Array, geometry: Geometry) -> Array:
    """The patches under every window, methods.md 4.1.

    Parameters
    ----------
    x : (n, c, h, w) array, float32 or float64
    geometry : Geometry
        `groups` is not used: channels are unfolded one by one.

    Returns
    -------
    (n, c * k_h * k_w, l) array of the dtype of x
        Channel-major in memory (axis 1 outermost), which lets `product` read it as one matrix
        without a copy. It may share memory with x and is then read-only.

    Raises
    ------
    TypeError, ValueError
        If x is not such an array, or no window fits.
    """
    n, c, h, w = check_array("im2col", "x", x, ndim=4).shape
    h_o, w_o = geometry.output_size(h, w)
    (t_h, t_w), (d_h, d_w) = geometry.stride, geometry.dilation
    view = sliding_window_view(_pad(x, geometry), geometry.span, axis=(2, 3))
    windows = view[:, :, ::t_h, ::t_w, ::d_h, ::d_w]  # (n, c, h_o, w_o, k_h, k_w)
    matrix = windows.transpose(1, 4, 5, 0, 2, 3).reshape(c * geometry.taps, n, h_o * w_o)
    return cast(Array, matrix.transpose(1, 0, 2))


def col2im(cols: Array, x_shape: tuple[int, ...], geometry: Geometry) -> Array:
    """Add every patch back to where it was read: the adjoint of `im2col`.

    Parameters
    ----------
    cols : (n, c * k_h * k_w, l) array, float32 or float64
    x_shape : tuple
        (n, c, h, w) of the map.
    geometry : Geometry

    Returns
    -------
    (n, c, h, w) array of the dtype of cols
        What fell on the padding is dropped.

    Raises
    ------
    TypeError, ValueError
        If cols is not such an array, or no window fits.
    """
    if len(x_shape) != 4:
        raise ValueError(complaint("col2im", "x_shape", x_shape, "(n, c, h, w)"))
    n, c, h, w = x_shape
    h_o, w_o = geometry.output_size(h, w)
    check_array("col2im", "cols", cols, ndim=3)
    check_shape("col2im", "cols", cols, (n, c * geometry.taps, h_o * w_o))
    (k_h, k_w), (t_h, t_w), (d_h, d_w) = geometry.kernel, geometry.stride, geometry.dilation
    patches = cols.transpose(1, 0, 2).reshape(c, k_h, k_w, n, h_o, w_o)
    padded = np.zeros((c, n, *geometry.padded_size(h, w)), dtype=cols.dtype)
    for i in range(k_h):
        for j in range(k_w):
            rows = slice(i * d_h, i * d_h + t_h * (h_o - 1) + 1, t_h)
            columns = slice(j * d_w, j * d_w + t_w * (w_o - 1) + 1, t_w)
            padded[:, :, rows, columns] += patches[:, i, j]
    top, left, _, _ = geometry.padding
    return np.ascontiguousarray(padded[:, :, top : top + h, left : left + w].transpose(1, 0, 2, 3))


def _pad(x: Array, geometry: Geometry) -> Array:
    """x inside a frame of zeros; x itself if the frame has no width. (np.pad is slower.)"""
    if not any(geometry.padding):
        return x
    n, c, h, w = x.shape
    top, left, _, _ = geometry.padding
    padded = np.zeros((n, c, *geometry.padded_size(h, w)), dtype=x.dtype)
    padded[:, :, top : top + h, left : left + w] = x
    return padded
