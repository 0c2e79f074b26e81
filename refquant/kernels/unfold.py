"""The patches of a map in long copies: whole images, shifted, instead of row by row.

Definition: `refquant.layers.im2col`. Where windows move by one column, and there are as many of
them in a row as the map has columns, or more (a padding that keeps the width), lay the rows of an
image end to end, each in a frame of W = w_o columns:

    cols[c, i, j, n, p W + q] = flat[c, n H W + (p + i d_h) W + q + j d_w]

Every tap is the map, shifted. Where a shift moves past an end of a row, the next row or the one
before stands in place of the padding; there zeros are put. Nothing is computed: these are the
definition's bits, in either arithmetic.

    here    shape                  meaning
    x       (n, c, h, w)           the map
    flat    (c, left + n H W + ..) H rows an image, padding included, behind `left` zeros
    cols    (c, k_h, k_w, n, l)    one column per window, l = h_o W
"""

import numpy as np

from refquant._types import Array
from refquant.layers.geometry import Geometry
from refquant.layers.im2col import im2col


def covers(geometry: Geometry) -> bool:
    """Return whether the kernel unfolds maps with this geometry."""
    _, left, _, right = geometry.padding
    return geometry.stride == (1, 1) and left + right >= geometry.span[1] - 1


def unfold(x: Array, geometry: Geometry) -> Array:
    """Return ``im2col(x, geometry)``, by shifts where the kernel `covers` the geometry."""
    return _shifted(x, geometry) if covers(geometry) else im2col(x, geometry)


def _shifted(x: Array, geometry: Geometry) -> Array:
    (n, c, _, w), (k_h, k_w), (d_h, d_w) = x.shape, geometry.kernel, geometry.dilation
    rows, columns = geometry.output_size(*x.shape[2:])
    flat, left = _flat(x, geometry, columns), geometry.padding[1]
    image = geometry.padded_size(*x.shape[2:])[0] * columns
    shape = (c, k_h, k_w, n, rows * columns)
    steps = (flat.shape[1], d_h * columns, d_w, image, 1)
    shifted = np.ndarray(shape, x.dtype, flat, strides=[x.itemsize * step for step in steps])
    cols = np.ascontiguousarray(shifted)
    by_row = cols.reshape(*shape[:4], rows, columns)
    for j in range(k_w):
        by_row[:, :, j, ..., : max(left - j * d_w, 0)] = 0.0
        by_row[:, :, j, ..., max(w + left - j * d_w, 0) :] = 0.0
    return cols.reshape(c * geometry.taps, n, rows * columns).swapaxes(0, 1)


def _flat(x: Array, geometry: Geometry, columns: int) -> Array:
    """Return the rows of the map end to end, with zeros for what shifts read beyond either end."""
    n, c, h, w = x.shape
    (top, left, _, _), span = geometry.padding, geometry.span[1]
    rows = geometry.padded_size(h, w)[0]
    flat = np.zeros((c, left + n * rows * columns + span - 1), x.dtype)
    frame = flat[:, left : left + n * rows * columns].reshape(c, n, rows, columns)
    frame[:, :, top : top + h, :w] = x.swapaxes(0, 1)
    return flat
