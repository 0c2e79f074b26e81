"""Choices on bits are those of np.where, special values included."""

import numpy as np
import pytest

from refquant import numerics as nx

SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, -1.5, 3e38, 1e-45]
KINDS = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def cases(dtype):
    """Every special value beside every other one, as a and b, under both masks."""
    values = np.array(SPECIAL, dtype)
    a, b, mask = np.meshgrid(values, values, [False, True], indexing="ij")
    return a.astype(dtype), b.astype(dtype), mask.astype(bool)


def same_bits(found, want):
    integer = {4: np.int32, 8: np.int64}[want.dtype.itemsize]
    assert found.dtype == want.dtype and found.shape == want.shape
    return np.array_equal(found.view(integer), want.view(integer))


@KINDS
def test_masked_is_where_with_zero(dtype):
    a, _, mask = cases(dtype)
    assert same_bits(nx.masked(a, mask), np.where(mask, a, dtype(0.0)))


@KINDS
def test_either_is_where(dtype):
    a, b, mask = cases(dtype)
    assert same_bits(nx.either(mask, a, b), np.where(mask, a, b))


@KINDS
def test_any_layout_and_no_axes(dtype):
    a, b, mask = cases(dtype)
    turned = [np.asfortranarray(v)[:, ::-2].swapaxes(0, 2) for v in (a, b, mask)]
    assert same_bits(nx.either(turned[2], *turned[:2]), np.where(turned[2], *turned[:2]))
    for x in (np.asarray(dtype(2.5)), np.zeros((0, 3), dtype)):
        for value in (False, True):
            mask = np.full(x.shape, value)
            assert same_bits(nx.masked(x, mask), np.where(mask, x, dtype(0.0)))
            assert same_bits(nx.masked(x, mask[()]), np.where(mask, x, dtype(0.0)))
            assert isinstance(nx.either(mask, x, x), np.ndarray)


@KINDS
def test_a_mask_broadcasts(dtype):
    x = np.arange(6, dtype=dtype).reshape(2, 3)
    assert nx.masked(x, np.array([[True], [False]])).tolist() == [[0, 1, 2], [0, 0, 0]]
