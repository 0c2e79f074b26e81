"""The product of a filter with patches: block-diagonal over groups, summed over the batch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.layers.product import product_backward, product_forward


def dyadic(seed, shape, dtype=np.float64):
    return (np.random.default_rng(seed).integers(-16, 17, shape) / 8).astype(dtype)


def block_diagonal(w, groups):
    """The dense filter with zeros between the groups."""
    rows, columns = w.shape[0] // groups, w[0].size
    dense = np.zeros((w.shape[0], groups * columns))
    for o in range(w.shape[0]):
        start = o // rows * columns
        dense[o, start : start + columns] = w[o].ravel()
    return dense


@given(
    n=st.integers(1, 3),
    groups=st.integers(1, 3),
    outputs=st.integers(1, 3),
    features=st.integers(1, 4),
    blocks=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_the_block_diagonal_product_image_by_image(
    n, groups, outputs, features, blocks, seed
):
    cols = dyadic(seed, (n, groups * features, blocks))
    w = dyadic(seed + 1, (groups * outputs, features))
    d_y = dyadic(seed + 2, (n, groups * outputs, blocks))
    dense = block_diagonal(w, groups)
    y, cache = product_forward(cols, w, groups)
    grads = product_backward(d_y, cache)
    d_dense = np.zeros(dense.shape)
    for i in range(n):
        np.testing.assert_array_equal(y[i], dense @ cols[i])
        np.testing.assert_array_equal(grads.cols[i], dense.T @ d_y[i])
        d_dense += d_y[i] @ cols[i].T
    mask = block_diagonal(np.ones(w.shape), groups) == 1.0
    np.testing.assert_array_equal(grads.w, d_dense[mask].reshape(w.shape))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_filter_of_four_axes_is_flattened_row_major(dtype):
    cols, w = dyadic(1, (2, 24, 5), dtype), dyadic(2, (4, 3, 2, 2), dtype)
    d_y = dyadic(3, (2, 4, 5), dtype)
    y, cache = product_forward(cols, w, 2)
    flat, flat_cache = product_forward(cols, w.reshape(4, 12), 2)
    np.testing.assert_array_equal(y, flat)
    grads, flat_grads = product_backward(d_y, cache), product_backward(d_y, flat_cache)
    np.testing.assert_array_equal(grads.w, flat_grads.w.reshape(4, 3, 2, 2))
    np.testing.assert_array_equal(grads.cols, flat_grads.cols)
    assert {a.dtype for a in (y, *grads)} == {np.dtype(dtype)} and y.flags.c_contiguous


def test_by_hand():
    """Two images of one column each; the filter gradient adds over both."""
    cols = np.array([[[1.0], [2.0]], [[3.0], [4.0]]])
    w = np.array([[10.0, 1.0]])
    y, cache = product_forward(cols, w)
    np.testing.assert_array_equal(y, [[[12.0]], [[34.0]]])
    grads = product_backward(np.array([[[1.0]], [[100.0]]]), cache)
    np.testing.assert_array_equal(grads.w, [[301.0, 402.0]])
    np.testing.assert_array_equal(grads.cols, [[[10.0], [1.0]], [[1000.0], [100.0]]])


COLS, W = np.zeros((2, 6, 5)), np.zeros((4, 3))


@pytest.mark.parametrize(
    "cols, w, groups, error, words",
    [
        (COLS[0], W, 2, ValueError, "cols is .*3 axes"),
        (COLS, W[0], 2, ValueError, "w is of shape"),
        (COLS, W, 1, ValueError, r"3 features.*expected 6"),
        (COLS, W, 4, ValueError, "groups is 4 for 6 features"),
        (COLS, W[:3], 2, ValueError, "groups is 2 for 6 features and 3 output channels"),
        (COLS, W, 0, ValueError, "groups"),
        (COLS, W, 2.0, TypeError, "groups"),
        (COLS, W.astype(np.float32), 2, TypeError, "w is float32"),
        (COLS.astype(np.int64), W, 2, TypeError, "cols is int64"),
    ],
)
def test_refuses(cols, w, groups, error, words):
    with pytest.raises(error, match=words):
        product_forward(cols, w, groups)


def test_backward_refuses():
    _, cache = product_forward(COLS, W, 2)
    with pytest.raises(ValueError, match=r"d_y is of shape.*\(2, 4, 5\)"):
        product_backward(np.zeros((2, 4, 4)), cache)
    with pytest.raises(TypeError, match="d_y is float32"):
        product_backward(np.zeros((2, 4, 5), np.float32), cache)
