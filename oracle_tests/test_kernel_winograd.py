"""The convolution kernel: the definition's bits on integers, else a bound from exact sums."""

import itertools
from fractions import Fraction

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


def exact(x, w, d_y, padding):
    """Return (y, d_x, d_w) of whole numbers in Python's integers, tap by tap."""
    x, w, d_y = (np.vectorize(int, otypes=[object])(a) for a in (x, w, d_y))
    top, left = padding[:2]
    rows, columns = d_y.shape[2:]
    inside = np.s_[:, :, top : top + x.shape[2], left : left + x.shape[3]]
    y, d_w = np.zeros(d_y.shape, object), np.zeros(w.shape, object)
    frame, d_frame = np.zeros((2, *x.shape[:2], rows + 2, columns + 2), object)
    frame[inside] = x
    for i, j in itertools.product(range(3), range(3)):
        seen = np.s_[:, :, i : i + rows, j : j + columns]
        y += np.tensordot(w[:, :, i, j], frame[seen], (1, 1)).swapaxes(0, 1)
        d_frame[seen] += np.tensordot(w[:, :, i, j], d_y, (0, 1)).swapaxes(0, 1)
        d_w[:, :, i, j] = np.tensordot(d_y, frame[seen], ((0, 2, 3), (0, 2, 3)))
    return y, d_frame[inside], d_w


def deviation(found, want):
    """Return |found - want| for floats and Python's integers, rounded once."""
    return np.vectorize(lambda a, b: float(abs(Fraction(float(a)) - b)))(found, want)


def tiled(x, size, start):
    """Yield (place of 2x2 outputs, |B|^T |d| |B|) of every tile, by the paper's formula."""
    tall, wide = -(-size[0] // 2), -(-size[1] // 2)
    frame = np.zeros((*x.shape[:2], 2 * tall + 2, 2 * wide + 2))
    top, left = start
    frame[:, :, top : top + x.shape[2], left : left + x.shape[3]] = np.abs(x)
    for i, j in itertools.product(range(0, 2 * tall, 2), range(0, 2 * wide, 2)):
        tile = np.abs(B).T @ frame[:, :, i : i + 4, j : j + 4] @ np.abs(B)
        yield np.s_[:, :, i : i + 2, j : j + 2], tile


def terms_of_y(x, w, size, start):
    """Return |A|^T (sum_c |G| |w| |G|^T * |B|^T |d| |B|) |A|, tile by tile."""
    filters = np.abs(G) @ np.abs(w) @ np.abs(G).T
    y = np.zeros((len(x), len(w), size[0] + size[0] % 2, size[1] + size[1] % 2))
    for place, tile in tiled(x, size, start):
        y[place] = np.abs(A).T @ np.einsum("ocuv,ncuv->nouv", filters, tile) @ np.abs(A)
    return y[:, :, : size[0], : size[1]]


def terms_of_w(x, d_y, start):
    """Return |G|^T (sum_tiles |A| |d_y| |A|^T * |B|^T |d| |B|) |G|."""
    rows, columns = size = d_y.shape[2:]
    whole = np.pad(np.abs(d_y), ((0, 0), (0, 0), (0, rows % 2), (0, columns % 2)))
    both = 0.0
    for place, tile in tiled(x, size, start):
        spread = np.abs(A) @ whole[place] @ np.abs(A).T
        both = both + np.einsum("nouv,ncuv->ocuv", spread, tile)
    return np.abs(G).T @ both @ np.abs(G)


@KINDS
@pytest.mark.parametrize("padding", PADDINGS)
def test_errors_stay_within_the_bound(padding, dtype):
    """By the counts that the kernel states, and one for the second order, off sums of integers.

    And over all elements less than three times as far from them as the definition.
    """
    rng, top = np.random.default_rng(5), 2 ** (np.finfo(dtype).nmant + 1)
    x, w, geometry, d_y = case(
        (3, 6, 5, 7, 6), padding, lambda shape: rng.integers(-top, top, shape), dtype
    )
    (n, c, *size), o, start = x.shape, len(w), padding[:2]
    tiles = n * -(-d_y.shape[2] // 2) * -(-d_y.shape[3] // 2)
    turned, back = w[:, :, ::-1, ::-1].swapaxes(0, 1), (2 - start[0], 2 - start[1])
    bounds = (
        (c + 15) * terms_of_y(x, w, d_y.shape[2:], start),
        (o + 15) * terms_of_y(d_y, turned, size, back),
        (tiles + 20) * terms_of_w(x, d_y, start),
    )
    found, theirs = both(x, w, geometry, d_y)
    for mine, other, want, bound in zip(
        found, theirs, exact(x, w, d_y, padding), bounds, strict=True
    ):
        error, usual = deviation(mine, want), deviation(other, want)
        assert np.all(error <= np.finfo(dtype).eps / 2 * bound)
        assert 0.0 < np.linalg.norm(error) < 3.0 * np.linalg.norm(usual)


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
