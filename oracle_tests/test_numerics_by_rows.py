"""Sums of what is made a few rows at a time: the bits of the whole, no more rows than asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.reproducibility.operands import decades
from refquant import _pieces
from refquant import numerics as nx

AXES = ((0,), (0, 1), (0, 2), (0, 1, 2))


@given(st.integers(1, 70), st.integers(1, 20), st.sampled_from(AXES), st.integers(0, 99))
def test_pinned_sums_have_the_bits_of_the_whole(n, most, axis, seed):
    """Any number of rows, any slices; over 24 decades, where any other order would show."""
    x = decades(f"by rows {seed}", n * 6).reshape(n, 2, 3)
    asked = []

    def part(rows):
        asked.append(rows.stop - rows.start)
        return x[rows]

    with nx.arithmetic("pinned"):
        expected = nx.sum(x, axis, keepdims=True)
        np.testing.assert_array_equal(nx.sum_by_rows(part, x.shape, axis, most), expected)
        mean = nx.mean_by_rows(x.__getitem__, x.shape, axis)
        np.testing.assert_array_equal(mean, nx.mean(x, axis, keepdims=True))
    assert max(asked) <= most and sum(asked) == n


@pytest.mark.parametrize("mode", ["fast", "pinned"])
@pytest.mark.parametrize("axis", AXES)
def test_means_and_ranges_of_many_slices(mode, axis, monkeypatch):
    """Dyadic numbers, whose sums are exact in any order; three rows at once."""
    monkeypatch.setattr(_pieces, "BYTES", 3 * 8 * 6)
    x = nx.counter.integers(("by rows",), 200, (29, 2, 3)) * 0.125 - 11.0
    with nx.arithmetic(mode):
        total = nx.sum_by_rows(x.__getitem__, x.shape, axis)
        low, high = nx.range_by_rows(x.__getitem__, x.shape, axis)
        mean = nx.mean_by_rows(x.__getitem__, x.shape, axis)
    np.testing.assert_array_equal(total, x.sum(axis=axis, keepdims=True))
    np.testing.assert_array_equal(mean, x.mean(axis=axis, keepdims=True))
    np.testing.assert_array_equal(low, x.min(axis=axis, keepdims=True))
    np.testing.assert_array_equal(high, x.max(axis=axis, keepdims=True))


def test_pinned_sums_of_float32_are_not_rounded():
    """Nobody rounds twice: the caller does it once."""
    x = np.array([1.0, 2.0**-30, 2.0**-30], np.float32)
    with nx.arithmetic("pinned"):
        total = nx.sum_by_rows(x.__getitem__, x.shape, (0,), 2)
    assert total.dtype == np.float64 and total[0] == 1.0 + 2.0**-29


@pytest.mark.parametrize("mode", ["fast", "pinned"])
def test_nothing_that_was_made_is_changed(mode):
    """The rows may be views of what others read."""
    x = np.ones((9, 2))
    x.flags.writeable = False
    with nx.arithmetic(mode):
        assert nx.sum_by_rows(x.__getitem__, x.shape, (0, 1), 2).item() == 18.0
