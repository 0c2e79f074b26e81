"""Convolutions 3x3 of stride 1 with 4 multiplications an output instead of 9.

Definition: `refquant.layers.conv2d`. Reference: A. Lavin, S. Gray, "Fast Algorithms for
Convolutional Neural Networks", CVPR 2016, arXiv:1509.09308, F(2x2, 3x3). The map is cut into tiles
d of 4x4 that overlap by two; each gives 2x2 outputs,

    y = A^T [ sum_c (G w G^T) * (B^T d B) ] A          * element by element

so that a convolution is sixteen matrix products, one for each place of a tile, and sums of four
numbers before and behind. The gradients are the same again:

    d_x   the convolution of d_y with the filter turned by 180 degrees
    d_w = G^T [ sum_tiles (A d_y A^T) * (B^T d B) ] G

    paper     here     shape                 meaning
    B^T d B   tiles    (16, c, t)            t tiles: rows times columns times images
    G w G^T   filters  (16, o, c)
    m = 2     phases   (2, 2, c, r, q, n)    rows and columns of the map, even ones and odd ones

Images are innermost in memory, which makes every sum one pass over long rows.

Everything is summed tile by tile, so that the error is relative to the entries of whole tiles and
not to an output's own terms. With u the unit roundoff, c the channels that are summed, t the tiles
of all images, and to first order in u, it is at most

    y    (c + 14) u  |A|^T [ sum_c |G| |w| |G|^T * |B|^T |d| |B| ] |A|          d_x alike
    d_w  (t + 19) u  |G|^T [ sum_tiles |A| |d_y| |A|^T * |B|^T |d| |B| ] |G|

u times the roundings that a term meets: G w G^T 8 (sums of nine), B^T d B 2, the product 1, the sum
c - 1, A^T () A 4; for d_w A d_y A^T 2, B^T d B 2, 1, t - 1 and G^T () G 15 (sums of sixteen). The
tests hold the root mean square of the errors below three times the definition's, on six channels;
where a sum has few terms, as on one channel, it can be larger. Where no sum rounds the result is
exact: for small integers, w in fours. An entry that is not finite spoils all outputs of its tiles.
"""

from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.layers.geometry import Geometry

G = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]])  # section 4.1
BOTH_WAYS = np.kron(G, G)  # along rows and columns at once, (16, 9)
# The tiles take 4 maps, but count as 2 when samples are put into portions: with images innermost,
# rows of few samples would cost more than what does not fit the cache.
WEIGHT = 2
Pair = tuple[int, int]


class WinogradCache(NamedTuple):
    """What `convolve` leaves for the gradients."""

    x_shape: tuple[int, ...]
    w: Array
    geometry: Geometry
    tiles: Array


def covers(geometry: Geometry) -> bool:
    """Return whether the kernel computes convolutions of this geometry."""
    plain = geometry.stride == geometry.dilation == (1, 1) and geometry.groups == 1
    return plain and geometry.kernel == (3, 3) and max(geometry.padding) <= 2


def convolve(x: Array, w: Array, geometry: Geometry) -> tuple[Array, WinogradCache]:
    """Return the convolution without bias, images innermost in memory, and a cache.

    Parameters
    ----------
    x : (n, c, h, w) array, float32 or float64
        Finite; read fastest with images innermost in memory.
    w : (o, c, 3, 3) array of the same dtype
    geometry : Geometry
        One that the kernel `covers`.
    """
    top, left, _, _ = geometry.padding
    y, tiles = _correlated(x, _filters(w), (top, left), geometry.output_size(*x.shape[2:]))
    return y, WinogradCache(x.shape, w, geometry, tiles)


def pull_x(d_y: Array, cache: WinogradCache) -> Array:
    """Return dL/dx."""
    top, left, _, _ = cache.geometry.padding
    turned = cache.w[:, :, ::-1, ::-1].swapaxes(0, 1)
    d_x, _ = _correlated(d_y, _filters(turned), (2 - top, 2 - left), cache.x_shape[2:])
    return d_x


def pull_w(d_y: Array, cache: WinogradCache) -> Array:
    """Return dL/dw."""
    o, (rows, columns) = d_y.shape[1], _halves(d_y.shape[2:])
    phases = _phases(d_y, (0, 0), (rows, columns))
    spread = np.empty((4, 2, *phases.shape[2:]), d_y.dtype)
    _spread(phases, spread)
    both = np.empty((4, 4, *phases.shape[2:]), d_y.dtype)
    _spread(spread.swapaxes(0, 1), both.swapaxes(0, 1))
    d_filters = nx.matmul(both.reshape(16, o, -1), cache.tiles.mT)
    d_w = nx.matmul(BOTH_WAYS.T.astype(d_y.dtype), d_filters.reshape(16, -1))
    return np.ascontiguousarray(d_w.T).reshape(cache.w.shape)


def _correlated(
    x: Array, filters: Array, start: Pair, size: tuple[int, ...]
) -> tuple[Array, Array]:
    """Return outputs of `size` of the map, which begins at `start` in its frame, and its tiles."""
    n, c = x.shape[:2]
    rows, columns = _halves(size)
    tiles = _tiles(_phases(x, start, (rows + 1, columns + 1)))
    sums = nx.matmul(filters, tiles.reshape(16, c, -1))
    half = np.empty((2, 4, *sums.shape[1:]), x.dtype)
    _gathered(sums.reshape(4, 4, *sums.shape[1:]), half)
    y = np.empty((sums.shape[1], rows, 2, columns, 2, n), x.dtype)
    half = half.reshape(2, 4, -1, rows, columns, n)
    _gathered(half.swapaxes(0, 1), y.transpose(4, 2, 0, 1, 3, 5))
    whole = y.reshape(-1, 2 * rows, 2 * columns, n)[:, : size[0], : size[1]]
    return whole.transpose(3, 0, 1, 2), tiles.reshape(16, c, -1)


def _halves(size: tuple[int, ...]) -> Pair:
    """Return how many tiles cover `size`, each way."""
    return -(-size[0] // 2), -(-size[1] // 2)


def _phases(x: Array, start: Pair, halves: Pair) -> Array:
    """Return even and odd rows and columns, (2, 2, c, *halves, n), of the map in a frame of 0."""
    n, c, h, w = x.shape
    (top, left), (rows, columns) = start, halves
    frame = np.zeros((c, 2 * rows, 2 * columns, n), x.dtype)
    frame[:, top : top + h, left : left + w] = x.transpose(1, 2, 3, 0)
    split = frame.reshape(c, rows, 2, columns, 2, n)
    return np.ascontiguousarray(split.transpose(2, 4, 0, 1, 3, 5))


def _tiles(phases: Array) -> Array:
    """Return B^T d B of all tiles, (4, 4, c, rows, columns, n)."""
    _, _, c, rows, columns, n = phases.shape
    tall = np.empty((4, 2, c, rows - 1, columns, n), phases.dtype)
    _overlapped(phases[:, :, :, :-1], phases[:, :, :, 1:], tall)
    tiles = np.empty((4, 4, c, rows - 1, columns - 1, n), phases.dtype)
    wide = tall.swapaxes(0, 1)
    _overlapped(wide[..., :-1, :], wide[..., 1:, :], tiles.swapaxes(0, 1))
    return tiles


def _overlapped(near: Array, far: Array, out: Array) -> None:
    """B^T along the first axis: of the even and odd entry here, and of those of the next tile."""
    np.subtract(near[0], far[0], out=out[0])
    np.add(near[1], far[0], out=out[1])
    np.subtract(far[0], near[1], out=out[2])
    np.subtract(near[1], far[1], out=out[3])


def _gathered(four: Array, out: Array) -> None:
    """A^T along the first axis."""
    np.add(four[0], four[1], out=out[0])
    np.add(out[0], four[2], out=out[0])
    np.subtract(four[1], four[2], out=out[1])
    np.subtract(out[1], four[3], out=out[1])


def _spread(two: Array, out: Array) -> None:
    """A along the first axis, the adjoint of `_gathered`."""
    out[0] = two[0]
    np.add(two[0], two[1], out=out[1])
    np.subtract(two[0], two[1], out=out[2])
    np.negative(two[1], out=out[3])


def _filters(w: Array) -> Array:
    """Return G w G^T, (16, o, c)."""
    o, c = w.shape[:2]
    flat = w.reshape(o * c, 9)
    return nx.matmul(BOTH_WAYS.astype(w.dtype), flat.T).reshape(16, o, c)
