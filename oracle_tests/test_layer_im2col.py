"""im2col and col2im: equal to loops, and adjoint to each other, exactly."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.layers.geometry import Geometry
from refquant.layers.im2col import col2im, im2col
from refquant.oracle.exact import im2col as exact

SHAPE = (2, 3, 5, 6)
GEOMETRIES = [
    Geometry(*fields)
    for fields in product(
        [(1, 1), (3, 2), (1, 4)],
        [(1, 1), (2, 1), (1, 3), (3, 2)],
        [(1, 1), (2, 1), (1, 2)],
        [(0, 0, 0, 0), (1, 1, 1, 1), (0, 2, 1, 0), (3, 0, 0, 5)],
    )
    if exact.taps(SHAPE[2], SHAPE[3], Geometry(*fields))
]


def dyadic(seed, shape, dtype=np.float64):
    """Multiples of 1/8: sums and products of a few thousand are exact in float32 already."""
    return (np.random.default_rng(seed).integers(-16, 17, shape) / 8).astype(dtype)


@st.composite
def cases(draw):
    """(x shape, geometry) with a map the window fits in."""
    k, t, d = (
        (draw(st.integers(1, 4), label=f"{name} h"), draw(st.integers(1, 3), label=f"{name} w"))
        for name in ("kernel", "stride", "dilation")
    )
    padding = tuple(draw(st.integers(0, 3), label=f"padding {side}") for side in "tlbr")
    geometry = Geometry(k, t, d, padding)
    h = max(1, geometry.span[0] - padding[0] - padding[2]) + draw(st.integers(0, 4), label="h")
    w = max(1, geometry.span[1] - padding[1] - padding[3]) + draw(st.integers(0, 4), label="w")
    return (draw(st.integers(1, 2), label="n"), draw(st.integers(1, 3), label="c"), h, w), geometry


def test_the_exhaustive_list_is_not_empty():
    assert len(GEOMETRIES) > 120


def test_both_equal_the_twin_for_every_stride_dilation_and_padding():
    """methods 4.1: values are copied or added, so equal means equal, whatever the numbers."""
    x = np.random.default_rng(1).normal(size=SHAPE)
    for geometry in GEOMETRIES:
        expected = np.array(exact.im2col(x.tolist(), geometry), dtype=np.float64)
        np.testing.assert_array_equal(im2col(x, geometry), expected, err_msg=str(geometry))
        cols = dyadic(2, expected.shape)
        folded = np.array(exact.col2im(cols.tolist(), SHAPE, geometry), dtype=np.float64)
        np.testing.assert_array_equal(col2im(cols, SHAPE, geometry), folded, str(geometry))


@given(case=cases(), seed=st.integers(0, 2**32 - 1))
def test_both_equal_the_twin_for_any_geometry(case, seed):
    shape, geometry = case
    x = dyadic(seed, shape)
    cols = np.array(exact.im2col(x.tolist(), geometry), dtype=np.float64)
    np.testing.assert_array_equal(im2col(x, geometry), cols)
    folded = np.array(exact.col2im(cols.tolist(), shape, geometry), dtype=np.float64)
    np.testing.assert_array_equal(col2im(cols, shape, geometry), folded)


@given(case=cases(), seed=st.integers(0, 2**32 - 1))
def test_col2im_is_the_adjoint_of_im2col(case, seed):
    """P02: <im2col(x), y> == <x, col2im(y)>, exactly on dyadic data."""
    shape, geometry = case
    x = dyadic(seed, shape)
    cols = im2col(x, geometry)
    y = dyadic(seed + 1, cols.shape)
    assert (cols * y).sum() == (x * col2im(y, shape, geometry)).sum()


@pytest.mark.parametrize("geometry", GEOMETRIES[::7], ids=str)
def test_folding_ones_counts_window_memberships(geometry):
    """P02: col2im(im2col(x)) == x * multiplicity; the count is made by visiting every window."""
    h, w = SHAPE[2:]
    count = np.zeros((h, w))
    for window in exact.taps(h, w, geometry):
        for row, column in window:
            if 0 <= row < h and 0 <= column < w:
                count[row, column] += 1
    ones = np.ones(SHAPE)
    np.testing.assert_array_equal(
        col2im(im2col(ones, geometry), SHAPE, geometry), np.broadcast_to(count, SHAPE)
    )
    x = dyadic(3, SHAPE)
    np.testing.assert_array_equal(col2im(im2col(x, geometry), SHAPE, geometry), x * count)


def test_im2col_by_hand():
    """A 2x3 map, kernel 2x2, padding one row above: two rows of two windows."""
    x = np.array([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]])
    geometry = Geometry((2, 2), padding=(1, 0, 0, 0))
    expected = [  # windows: (above, left) (above, right) (below, left) (below, right)
        [0.0, 0.0, 1.0, 2.0],  # upper left tap
        [0.0, 0.0, 2.0, 3.0],  # upper right
        [1.0, 2.0, 4.0, 5.0],  # lower left
        [2.0, 3.0, 5.0, 6.0],  # lower right
    ]
    np.testing.assert_array_equal(im2col(x, geometry)[0], expected)


def test_col2im_by_hand():
    """Kernel 1x2 over three columns: the middle one is under both windows."""
    cols = np.array([[[1.0, 2.0], [10.0, 20.0]]])
    np.testing.assert_array_equal(
        col2im(cols, (1, 1, 1, 3), Geometry((1, 2))), [[[[1.0, 12.0, 20.0]]]]
    )


def test_the_twin_works_on_fractions():
    x = [[[[Fraction(1, 3), Fraction(2, 7)]]]]
    cols = exact.im2col(x, Geometry((1, 2), padding=(0, 1, 0, 0)))
    assert cols == [[[0, Fraction(1, 3)], [Fraction(1, 3), Fraction(2, 7)]]]
    assert exact.col2im(cols, (1, 1, 1, 2), Geometry((1, 2), padding=(0, 1, 0, 0))) == [
        [[[Fraction(2, 3), Fraction(2, 7)]]]
    ]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("padding", [(0, 0, 0, 0), (1, 0, 2, 1)])
def test_dtype_kept_and_arguments_unchanged(dtype, padding):
    geometry = Geometry((2, 3), padding=padding)
    x = dyadic(5, SHAPE, dtype)
    kept = x.copy()
    cols = im2col(x, geometry)
    assert cols.dtype == dtype
    kept_cols = cols.copy()
    folded = col2im(cols, SHAPE, geometry)
    assert folded.dtype == dtype and folded.flags.c_contiguous and folded.flags.writeable
    np.testing.assert_array_equal(x, kept)
    np.testing.assert_array_equal(cols, kept_cols)


def test_memory_is_channel_major():
    """The product relies on it to spare a copy of the largest array of a layer."""
    assert im2col(dyadic(6, SHAPE), Geometry((3, 3))).swapaxes(0, 1).flags.c_contiguous


def test_a_shared_result_cannot_be_written():
    x = dyadic(7, (1, 3, 4, 4))
    cols = im2col(x, Geometry((1, 1)))
    assert not cols.flags.writeable or not np.shares_memory(cols, x)


def test_special_values_pass():
    x = np.array([[[[np.nan, np.inf, -np.inf, -0.0]]]])
    cols = im2col(x, Geometry((1, 1), padding=(0, 0, 0, 1)))
    np.testing.assert_array_equal(cols, [[[np.nan, np.inf, -np.inf, -0.0, 0.0]]])
    assert np.signbit(cols[0, 0, 3])


def test_an_empty_batch():
    geometry = Geometry((2, 2))
    cols = im2col(np.zeros((0, 3, 4, 5)), geometry)
    assert cols.shape == (0, 12, 12)
    assert col2im(cols, (0, 3, 4, 5), geometry).shape == (0, 3, 4, 5)


@pytest.mark.parametrize(
    "x, error, words",
    [
        (np.zeros((3, 4, 4)), ValueError, "4 axes"),
        (np.zeros((1, 3, 4, 4), dtype=np.int64), TypeError, "int64"),
        ([[[[1.0]]]], TypeError, "list"),
        (np.zeros((1, 1, 2, 9)), ValueError, "empty"),
    ],
)
def test_im2col_refuses(x, error, words):
    with pytest.raises(error, match=words):
        im2col(x, Geometry((3, 3)))


@pytest.mark.parametrize(
    "cols, x_shape, error, words",
    [
        (np.zeros((2, 27, 11)), SHAPE, ValueError, r"\(2, 27, 12\)"),
        (np.zeros((2, 26, 12)), SHAPE, ValueError, r"\(2, 27, 12\)"),
        (np.zeros((1, 27, 12)), SHAPE, ValueError, r"\(2, 27, 12\)"),
        (np.zeros((27, 12)), SHAPE, ValueError, "3 axes"),
        (np.zeros((2, 27, 12), np.int32), SHAPE, TypeError, "int32"),
        (np.zeros((2, 27, 12)), SHAPE[1:], ValueError, "x_shape"),
    ],
)
def test_col2im_refuses(cols, x_shape, error, words):
    with pytest.raises(error, match=words):
        col2im(cols, x_shape, Geometry((3, 3)))
