"""Ranges: from their ends to a step, and the observers that find the ends (methods 3, 3.1)."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from oracle_tests.exact_lists import dyadic, fractions_of
from refquant.calibrate.percentile import Percentile, percentile, percentile_range
from refquant.calibrate.qparams import DIVISORS, EPS, range_to_qparams
from refquant.calibrate.ranges import MinMax, average, ema, minmax
from refquant.oracle.exact import calibrate as twin
from refquant.quantizers.grid import KINDS, Grid

SEEDS = st.integers(0, 2**32 - 1)
BATCHES = np.array(
    [[[1.0, -2.0], [4.0, 5.0]], [[3.0, 0.0], [-8.0, 1.0]], [[-1.0, 1.0], [2.0, 2.0]]]
)


@pytest.mark.parametrize(
    ("kind", "divisor", "lo", "hi", "step", "zero"),
    [
        ("affine", "half_span", -3.0, 4.5, 0.5, 6),  # 7.5 / 15
        ("affine", "half_span", 1.0, 3.75, 0.25, 0),  # 0 is forced in: 3.75 / 15
        ("affine", "half_span", -3.75, -1.0, 0.25, 15),
        ("affine", "p", -3.0, 4.5, 0.5, 6),  # the divisor is for symmetric grids
        ("affine", "p", -3.75, 3.75, 0.5, 8),  # rint(7.5): to even
        ("signed", "half_span", -3.75, 3.0, 0.5, 0),  # 3.75 / 7.5
        ("signed", "p", -3.5, 3.0, 0.5, 0),  # 3.5 / 7
        ("signed", "amct", -8.0, 3.5, 1.0, 0),  # max(3.5 / 7, 8 / 8)
        ("signed", "amct", -2.0, 3.5, 0.5, 0),
        ("signed", "amct", 1.0, 3.5, 0.5, 0),
        ("narrow", "half_span", -3.5, 1.0, 0.5, 0),  # 3.5 / ((7 + 7) / 2)
        ("narrow", "p", -3.5, 1.0, 0.5, 0),
        ("narrow", "amct", -3.5, 1.0, 0.5, 0),
        ("unsigned", "half_span", -9.0, 7.5, 0.5, 0),  # what is below 0 is lost anyway
        ("unsigned", "p", 0.0, 7.5, 0.5, 0),
        ("unsigned", "amct", -9.0, 7.5, 0.5, 0),
        ("unsigned", "p", -9.0, -1.0, EPS, 0),
        ("signed", "half_span", 0.0, 0.0, EPS, 0),
        ("affine", "half_span", 0.0, 0.0, EPS, 0),
    ],
)
def test_range_to_qparams_at_values_derived_by_hand(kind, divisor, lo, hi, step, zero):
    """4 bits; the divisions come out even."""
    for dtype in (np.float64, np.float32):
        ends = np.array(lo, dtype), np.array(hi, dtype)
        found = range_to_qparams(*ends, Grid(kind, 4), divisor)
        assert found.step.dtype == dtype and found.step == dtype(step)
        assert found.zero_point == zero and found.zero_point.dtype == np.int64
        assert found.step.shape == found.zero_point.shape == ()


@given(SEEDS, st.sampled_from(KINDS), st.integers(2, 16), st.sampled_from(DIVISORS))
def test_range_to_qparams_equals_the_exact_twin(seed, kind, bits, divisor):
    """Of dyadic ends the step is one correctly rounded division."""
    rng = np.random.default_rng(seed)
    ends = np.sort(dyadic(rng, (2, 3, 1), reach=2000), axis=0)
    found = range_to_qparams(ends[0], ends[1], Grid(kind, bits), divisor)
    for i in range(3):
        lo, hi = fractions_of(ends[:, i, 0])
        step, zero = twin.range_to_qparams(lo, hi, kind, bits, divisor)
        tie = kind == "affine" and (min(lo, 0) / step).denominator == 2
        assert found.step[i, 0] == float(step)
        assert tie or found.zero_point[i, 0] == zero


def test_range_to_qparams_takes_numbers_and_another_floor():
    """Python and NumPy numbers are ranges too; `eps` replaces 1e-8."""
    assert range_to_qparams(-3.0, 4.5, Grid("affine", 4)).zero_point == 6
    single = range_to_qparams(np.float32(0.0), np.float32(0.0), Grid("signed", 4), eps=0.25)
    assert single.step == np.float32(0.25) and single.step.dtype == np.float32


@pytest.mark.parametrize(
    ("lo", "hi", "options", "error", "words"),
    [
        (1.0, 0.0, {}, ValueError, "lo <= hi"),
        (np.zeros(2), np.zeros(3), {}, ValueError, "one shape"),
        (float("nan"), 1.0, {}, ValueError, "finite"),
        (0.0, float("inf"), {}, ValueError, "finite"),
        ("0", 1.0, {}, TypeError, "numpy array"),
        (0.0, 1.0, {"divisor": "halfspan"}, ValueError, "half_span"),
        (0.0, 1.0, {"eps": 0.0}, ValueError, "positive"),
        (0.0, 1.0, {"grid": 4}, TypeError, "Grid"),
    ],
)
def test_range_to_qparams_refuses_what_is_no_range(lo, hi, options, error, words):
    """The message names the argument and what was expected."""
    with pytest.raises(error, match=words):
        range_to_qparams(lo, hi, **{"grid": Grid("signed", 4), **options})


def test_observers_at_values_derived_by_hand():
    """Ranges of the three batches: [-2, 5], [-8, 3], [-1, 2]; 3/4 of the past is kept."""
    assert minmax(BATCHES) == (-8.0, 5.0)
    assert ema(BATCHES, 0.75) == (-2.875, 3.875)  # lo: -2, -3.5, -2.875; hi: 5, 4.5, 3.875
    assert average(BATCHES[:2]) == (-5.0, 4.0)
    lo, hi = minmax(BATCHES, axis=0)
    np.testing.assert_array_equal(lo, [[-2.0], [-8.0]])
    np.testing.assert_array_equal(hi, [[3.0], [5.0]])
    lo, hi = ema(BATCHES[:2], 0.75, axis=0)
    np.testing.assert_array_equal(lo, [[-1.5], [1.0]])  # 3/4 * -2 + 1/4 * 0, 3/4 * 4 - 1/4 * 8
    np.testing.assert_array_equal(hi, [[1.5], [4.0]])
    lo, hi = average(BATCHES[:2], axis=1)
    np.testing.assert_array_equal(lo, [[-3.5, -1.0]])  # (1 - 8) / 2, (-2 + 0) / 2
    np.testing.assert_array_equal(hi, [[3.5, 3.0]])


@given(SEEDS)
def test_one_batch_is_its_own_average(seed):
    """The first batch starts the moving average; it is not mixed with itself."""
    batch = np.random.default_rng(seed).normal(size=(1, 5))
    assert ema(batch, 0.9) == minmax(batch) == average(batch)


@given(SEEDS, st.integers(1, 4), st.sampled_from([np.float32, np.float64]))
def test_observers_equal_the_exact_twin(seed, t, dtype):
    """Dyadic batches and momentum: nothing is rounded but the division of `average`."""
    rng = np.random.default_rng(seed)
    batches = dyadic(rng, (t, 2, 3), dtype)
    for axis in (None, 0):
        for row in range(1 if axis is None else 2):
            part = batches.reshape(t, 6) if axis is None else batches[:, row]
            nested = fractions_of(part)
            for found, exact in (
                (minmax(batches, axis), twin.minmax(nested)),
                (ema(batches, 0.75, axis), twin.ema(nested, Fraction(3, 4))),
                (average(batches, axis), twin.average(nested)),
            ):
                shape = () if axis is None else (2, 1)
                assert all(end.shape == shape and end.dtype == dtype for end in found)
                values = [end.reshape(-1)[row] for end in found]
                np.testing.assert_array_max_ulp(values, np.array(exact, float).astype(dtype), 1)


def test_percentile_indices_are_computed_in_binary64():
    """int(10000 (1 - 0.9999)) is 0 because the product is 0.99999..; int(10 * 0.9) is 9."""
    x = np.random.default_rng(0).permutation(10000).astype(np.float64)
    assert percentile_range(x, 0.9999) == (0.0, 9999.0)
    assert percentile_range(x[x < 10], 0.9) == (0.0, 9.0)
    assert percentile_range(np.arange(8.0), 0.75) == (2.0, 6.0)
    assert percentile_range(np.arange(8.0), 1.0) == (0.0, 7.0)
    assert percentile_range(np.array([3.0]), 0.9999) == (3.0, 3.0)


def test_interpolated_percentile_at_values_derived_by_hand():
    """Four values: positions 3/4 and 9/4 of 0, 10, 20, 40."""
    x = np.array([[20.0, 0.0, 40.0, 10.0]])
    assert percentile_range(x, 0.75, "interpolated") == (7.5, 25.0)
    assert percentile_range(x, 1.0, "interpolated") == (0.0, 40.0)
    assert percentile_range(x[:, :1], 0.75, "interpolated", axis=0) == (20.0, 20.0)


@given(SEEDS, st.integers(1, 40), st.sampled_from([0.5, 0.75, 0.9, 0.999, 1.0]))
def test_percentiles_equal_the_exact_twin(seed, n, q):
    """Order statistics exactly; interpolation within two roundings of the data's magnitude."""
    x = dyadic(np.random.default_rng(seed), (2, n))
    for rule, slack in (("ppq", 0.0), ("interpolated", 2.0**-50)):
        lo, hi = percentile_range(x, q, rule, axis=0)
        for row in range(2):
            exact = twin.percentile_range(fractions_of(x[row]), q, rule)
            assert lo.shape == hi.shape == (2, 1)
            assert abs(lo[row, 0] - exact[0]) <= slack * 4
            assert abs(hi[row, 0] - exact[1]) <= slack * 4
        assume(q > 0.5)
        assert np.all(lo <= hi)


def test_percentile_averages_over_batches():
    """Ranges [2, 6] and [12, 16] of two batches average to [7, 11]."""
    batches = np.stack([np.arange(8.0), np.arange(10.0, 18.0)])
    assert percentile(batches, 0.75) == (7.0, 11.0)
    lo, hi = percentile(batches[:, :, np.newaxis], 0.75, axis=0)
    np.testing.assert_array_equal(lo, np.arange(5.0, 13.0)[:, np.newaxis])
    np.testing.assert_array_equal(hi, lo)
    assert percentile(np.array([1.0, 3.0]), 1.0) == (2.0, 2.0)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: minmax(np.zeros((2, 0))), ValueError, "at least one element"),
        (lambda: minmax(np.array([1.0, np.nan])), ValueError, "finite"),
        (lambda: minmax(np.array(1.0)), ValueError, "leading axis"),
        (lambda: minmax(np.zeros((2, 3)), axis=1), ValueError, "axis"),
        (lambda: minmax(np.zeros((2, 3)), axis=-1), ValueError, "axis"),
        (lambda: average([1.0]), TypeError, "numpy array"),
        (lambda: ema(np.zeros((2, 3)), 1.5), ValueError, r"\[0, 1\]"),
        (lambda: percentile_range(np.zeros(3), 0.3), ValueError, "share"),
        (lambda: percentile_range(np.zeros(3), 0.9, "pqp"), ValueError, "ppq"),
        (lambda: percentile_range(np.zeros(3, int), 0.9), TypeError, "float32 or float64"),
        (lambda: percentile(np.array(1.0)), ValueError, "leading axis"),
        (lambda: Percentile(q=2.0), ValueError, "share"),
        (lambda: Percentile(rule="linear"), ValueError, "interpolated"),
        (lambda: MinMax("q"), ValueError, "half_span"),
    ],
)
def test_observers_refuse_bad_input(call, error, words):
    """One voice: function, argument, got, expected."""
    with pytest.raises(error, match=words):
        call()
