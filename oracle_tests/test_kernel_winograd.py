"""The convolution kernel against its definition: equal on integers, within a bound elsewhere."""

import itertools

import numpy as np
import pytest

from refquant.kernels.winograd import convolve, covers, pull_w, pull_x
from refquant.layers.conv2d import conv2d_backward, conv2d_forward
from refquant.layers.geometry import Geometry

PADDINGS = [(1, 1, 1, 1), (0, 0, 0, 0), (2, 2, 2, 2), (0, 1, 2, 0), (2, 0, 1, 1)]
SIZES = [(2, 3, 4, 5, 7), (3, 1, 2, 8, 8), (1, 2, 1, 3, 3), (5, 4, 3, 6, 5)]  # n, c, o, h, w
KINDS = pytest.mark.parametrize("dtype", [np.float32, np.float64])
# The transforms of the paper, spelt out: A^T, B^T and G of F(2x2, 3x3), section 4.1.
A = np.array([[1, 0], [1, 1], [1, -1], [0, -1]])
B = np.array([[1, 0, 0, 0], [0, 1, -1, 1], [-1, 1, 1, 0], [0, 0, 0, -1]])
G = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]]) / 2


def case(size, padding, draw, dtype):
    """Return x, w, geometry and a cotangent."""
    n, c, o, h, w = size
    geometry = Geometry((3, 3), padding=padding)
    x, filters = draw((n, c, h, w)), draw((o, c, 3, 3))
    d_y = draw((n, o, *geometry.output_size(h, w)))
    return x.astype(dtype), filters.astype(dtype), geometry, d_y.astype(dtype)


def gaussian(rng):
    """Return a draw of normal numbers by shape."""
    return lambda shape: rng.normal(size=shape)


def both(x, w, geometry, d_y):
    """Return (y, d_x, d_w) of the kernel and of the definition."""
    y, cache = convolve(x, w, geometry)
    want, known = conv2d_forward(x, w, None, geometry)
    grads = conv2d_backward(d_y, known)
    return (y, pull_x(d_y, cache), pull_w(d_y, cache)), (want, grads.x, grads.w)


@KINDS
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("size", SIZES)
def test_integers_stay_exact(size, padding, dtype):
    """Every sum is of integers below 2^24: w in fours, so that G w G^T is whole."""
    rng = np.random.default_rng(3)
    x, w, geometry, d_y = case(size, padding, lambda shape: rng.integers(-9, 10, shape), dtype)
    found, want = both(x, 4 * w, geometry, d_y)
    for mine, theirs in zip(found, want, strict=True):
        assert mine.dtype == dtype and np.array_equal(mine, theirs)


def bound(x, w, d_y, padding):
    """Return the sums of absolute terms of y and d_w, tile by tile, by the paper's formulas.

    y: |A|^T (sum_c |G||w||G|^T * |B|^T|d||B|) |A|; d_w: |G|^T (sum |A||d_y||A|^T * ...) |G|.
    """
    (n, c, h, width), (_, o, rows, columns) = x.shape, d_y.shape
    tall, wide = -(-rows // 2), -(-columns // 2)
    frame = np.zeros((n, c, 2 * tall + 2, 2 * wide + 2))
    top, left = padding[:2]
    frame[:, :, top : top + h, left : left + width] = np.abs(x)
    pull = np.zeros((n, o, 2 * tall, 2 * wide))
    pull[:, :, :rows, :columns] = np.abs(d_y)
    a, b, g = np.abs(A), np.abs(B), np.abs(G)
    filters = g @ np.abs(w) @ g.T
    y, d_w = np.zeros(pull.shape), np.zeros(w.shape)
    for i, j in itertools.product(range(tall), range(wide)):
        tile = b.T @ frame[:, :, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4] @ b
        place = np.s_[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        y[place] = a.T @ np.einsum("ocuv,ncuv->nouv", filters, tile) @ a
        spread = a @ pull[place] @ a.T
        d_w += g.T @ np.einsum("nouv,ncuv->ocuv", spread, tile) @ g
    return y[:, :, :rows, :columns], d_w


@KINDS
@pytest.mark.parametrize("padding", PADDINGS)
def test_real_numbers_stay_within_the_bound(padding, dtype):
    """Roundings of one term, kernel and definition together; eps is two of them.

    y: G w G^T 9, B^T d B 2, the product 1, c - 1 sums, A 4; the definition's 9 c.
    d_w: A d_y A^T 2, B^T d B 2, the product 1, at most as many sums as windows, G 16; the
    definition's one a window.
    """
    rng = np.random.default_rng(5)
    x, w, geometry, d_y = case((3, 6, 5, 7, 6), padding, gaussian(rng), dtype)
    (y, _, d_w), (want, _, known) = both(x, w, geometry, d_y)
    of_y, of_w = bound(x, w, d_y, padding)
    unit, windows = float(np.finfo(dtype).eps), d_y[:, 0].size
    assert np.all(np.abs(y - want) <= (10 * x.shape[1] + 20) * unit * of_y)
    assert np.all(np.abs(d_w - known) <= (2 * windows + 20) * unit * of_w)


def test_the_gradient_of_x_is_the_adjoint():
    """<convolve(x), g> = <x, pull_x(g)>, exactly on integers."""
    rng = np.random.default_rng(6)
    for size, padding in itertools.product(SIZES, PADDINGS):
        x, w, geometry, g = case(size, padding, lambda s: rng.integers(-5, 6, s), np.float64)
        y, cache = convolve(x, 4 * w, geometry)
        assert np.vdot(y, g) == np.vdot(x, pull_x(g, cache))


@pytest.mark.parametrize(
    "other",
    [
        Geometry((3, 3), stride=(2, 1)),
        Geometry((3, 3), dilation=(1, 2)),
        Geometry((3, 3), groups=2),
        Geometry((3, 3), padding=(3, 0, 0, 0)),
        Geometry((5, 5)),
        Geometry((1, 1)),
        Geometry((3, 1)),
    ],
    ids=repr,
)
def test_other_geometries_are_left_to_the_definition(other):
    assert covers(Geometry((3, 3), padding=(0, 2, 1, 2)))
    assert not covers(other)


def test_layouts_make_no_difference():
    """Images outermost or innermost, strided, reversed: the same bits."""
    rng = np.random.default_rng(8)
    x, w, geometry, d_y = case((4, 3, 2, 6, 7), (1, 1, 1, 1), gaussian(rng), np.float64)
    want = both(x, w, geometry, d_y)[0]
    inner = np.ascontiguousarray(x.transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2)
    strided = np.repeat(x, 2, axis=3)[:, :, :, ::2]
    for same in (inner, strided, x[::-1][::-1]):
        for mine, theirs in zip(both(same, w, geometry, d_y)[0], want, strict=True):
            assert np.array_equal(mine, theirs)
