"""Outlier Suppression+: shift, scale, thresholds, the search and its first minimum (P60)."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.exact_lists import assert_rounded_once, dyadic, fractions_of
from refquant import numerics as nx
from refquant.oracle.exact import redistribute as twin
from refquant.redistribute.os_plus import (
    osplus_scale,
    osplus_search,
    osplus_shift,
    osplus_thresholds,
    output_error,
)

DTYPES = [np.float64, np.float32]
MODES = ["fast", "pinned"]
SEEDS = st.integers(0, 2**32 - 1)


def ranges(*pairs, dtype=np.float64):
    low, high = zip(*pairs, strict=True)
    return np.array(low, dtype), np.array(high, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_shift_by_hand(dtype):
    """Middles of [-2, 6], [1, 3], [-5, -5] and [0, largest]."""
    largest = np.finfo(dtype).max
    shift = osplus_shift(*ranges((-2, 6), (1, 3), (-5, -5), (largest, largest), dtype=dtype))
    assert shift.tolist() == [2.0, 2.0, -5.0, float(largest)]
    assert shift.dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
def test_scale_by_hand(dtype):
    """t = 2: 8/2, -6/-2, inside, exactly on the threshold."""
    low, high = ranges((-2, 8), (-6, 1), (-1, 1), (-2, 2), (3, 5), dtype=dtype)
    assert osplus_scale(low, high, 2.0).tolist() == [4.0, 3.0, 1.0, 1.0, 2.5]
    assert osplus_scale(low, high, 2.0).dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS, threshold=st.sampled_from([0.125, 0.75, 1.0, 3.0]))
def test_shift_and_scale_are_exact_and_rounded_once(dtype, seed, threshold):
    """Also: no channel exceeds the threshold afterwards, and none inside it is touched."""
    rng = np.random.default_rng(seed)
    x = dyadic(rng, (7, 5), dtype, reach=90)
    low, high = x.min(axis=0), x.max(axis=0)
    pairs = list(zip(fractions_of(low), fractions_of(high), strict=True))
    assert_rounded_once(osplus_shift(low, high), [twin.osplus_shift(*p) for p in pairs], dtype)
    exact = [twin.osplus_scale(*p, Fraction(threshold)) for p in pairs]
    assert_rounded_once(osplus_scale(low, high, threshold), exact, dtype)
    for (a, b), scale in zip(pairs, exact, strict=True):
        top = max(abs(a), abs(b))
        assert top / scale == min(top, Fraction(threshold))


def test_thresholds_by_hand():
    """101 to 1: int(202) steps; 3 to 1: a hundred; the last is the smallest to the bit."""
    many = osplus_thresholds(101.0)
    assert many.shape == (203,) and many[0] == 101.0 and many[-1] == 1.0
    few = osplus_thresholds(3.0)
    assert few.shape == (101,) and few[50] == 2.0
    assert osplus_thresholds(50.25)[1:].shape == (100,)
    assert osplus_thresholds(50.5)[1:].shape == (101,)
    assert osplus_thresholds(0.3, 0.1)[-1] == 0.1
    assert np.all(np.diff(many) < 0.0)
    for peak in (0.0, 0.5, 1.0):
        assert osplus_thresholds(peak).tolist() == [1.0]


@given(steps=st.integers(1, 40), smallest=st.sampled_from([0.25, 1.0]))
def test_thresholds_against_exact_rationals(steps, smallest):
    """Peaks whose hundredth is dyadic make every threshold exact."""
    peak = smallest + 100 * steps / 128
    exact = twin.osplus_thresholds(Fraction(peak), Fraction(smallest))
    assert osplus_thresholds(peak, smallest).tolist() == [float(t) for t in exact]


def test_the_first_minimum_wins():
    """Convention of section 16: the largest t on ties. Losses 0 at t_3 and t_7 of range [-2, 9]."""
    low, high = ranges((-2.0, 9.0), (-1.0, 1.0))
    thresholds = osplus_thresholds(9.0)
    tried = []

    def loss(scale):
        tried.append(scale)
        return 0.0 if len(tried) in (4, 8) else 1.0

    found = osplus_search(low, high, loss)
    assert found.threshold == thresholds[3]
    np.testing.assert_array_equal(found.scale, [9.0 / thresholds[3], 1.0])
    np.testing.assert_array_equal(found.thresholds, thresholds)
    assert np.flatnonzero(found.losses == 0.0).tolist() == [3, 7]
    assert tried[0].tolist() == [1.0, 1.0] and tried[-1].tolist() == [9.0, 1.0]
    assert osplus_search(low, high, lambda scale: 1.0).threshold == 9.0


def test_the_peak_is_the_largest_magnitude_on_either_side():
    assert osplus_search(*ranges((-9.0, 2.0)), lambda scale: 0.0).threshold == 9.0


@given(seed=SEEDS, steps=st.integers(1, 40))
def test_search_against_exact_rationals(seed, steps):
    """Op 63: few different losses, so that ties abound; the peak makes the thresholds dyadic."""
    rng = np.random.default_rng(seed)
    peak = 1.0 + steps / 1.28
    low, high = -rng.integers(0, 65, 4) / 64 * peak, rng.integers(0, 65, 4) / 64 * peak
    high[rng.integers(4)] = peak
    drawn = rng.integers(0, 9, 101).tolist()
    mine, his = iter(drawn), iter(drawn)
    found = osplus_search(low, high, lambda scale: float(next(mine)))
    lists = fractions_of(low), fractions_of(high)
    threshold, scale = twin.osplus_search(*lists, lambda scale: next(his), Fraction(1))
    assert abs(Fraction(found.threshold) / threshold - 1) <= Fraction(4, 2**52)
    np.testing.assert_allclose(found.scale, np.array(scale, np.float64), rtol=2**-49)
    assert found.losses.tolist() == drawn


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
def test_output_error_by_hand(mode, dtype):
    """Sums over outputs, means over samples and positions: (1 + 4 + 0 + 9) / 2 and / 4."""
    out = np.zeros((2, 2), dtype)
    got = np.array([[1.0, -2.0], [0.0, 3.0]], dtype)
    with nx.arithmetic(mode):
        assert output_error(got, out) == 7.0
        assert output_error(got.reshape(1, 2, 1, 2), out.reshape(1, 2, 1, 2)) == 7.0
        assert output_error(got.reshape(2, 1, 2), out.reshape(2, 1, 2)) == 3.5
    big = np.full((1, 1), 1e30, dtype)
    assert output_error(big, np.zeros((1, 1), dtype)) == pytest.approx(1e60)


def test_bad_input_is_refused():
    low, high = ranges((-1.0, 2.0))
    with pytest.raises(ValueError, match="low"):
        osplus_shift(high, low)
    with pytest.raises(ValueError, match="low"):
        osplus_search(np.ones(0), np.ones(0), lambda scale: 0.0)
    with pytest.raises(ValueError, match="high"):
        osplus_scale(low, np.array([np.nan]), 1.0)
    with pytest.raises(TypeError, match="high"):
        osplus_scale(low, high.astype(np.float32), 1.0)
    for threshold in (0.0, -1.0, np.nan):
        with pytest.raises(ValueError, match="threshold"):
            osplus_scale(low, high, threshold)
        with pytest.raises(ValueError, match="smallest"):
            osplus_thresholds(2.0, threshold)
    for peak in (-1.0, np.nan, np.inf, 50_001.0):
        with pytest.raises(ValueError, match="peak"):
            osplus_thresholds(peak)
    with pytest.raises(ValueError, match="a loss"):
        osplus_search(low, high, lambda scale: np.nan)
    with pytest.raises(ValueError, match="the scale"):
        osplus_scale(*ranges((0.0, 3e38), dtype=np.float32), 0.5)
    with pytest.raises(ValueError, match="out_q"):
        output_error(np.zeros((1, 2)), np.zeros((2, 2)))
