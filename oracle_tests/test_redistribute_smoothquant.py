"""Scales of SmoothQuant (P61), and their rounding to powers of two."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from refquant import numerics as nx
from refquant.oracle.exact import redistribute as twin
from refquant.redistribute.power_of_two import nearest_power_of_two
from refquant.redistribute.smoothquant import FLOOR, smoothquant_scale

DTYPES = [np.float64, np.float32]
MODES = ["fast", "pinned"]
MAXIMA = st.floats(0.0, 1e6, width=32).map(lambda v: 0.0 if v < 1e-30 else v)
SEEDS = st.integers(0, 2**32 - 1)


def both(dtype, *values):
    return [np.array(v, dtype) for v in values]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
def test_smoothquant_by_hand(mode, dtype):
    """sqrt(16/4) = 2; alpha = 1/4 of (16, 81): 2 / 27; alpha 0 and 1: 1 / w and x."""
    x_max, w_max = both(dtype, [16.0, 4.0, 9.0], [4.0, 16.0, 0.25])
    with nx.arithmetic(mode):
        half = smoothquant_scale(x_max, w_max)
        low = smoothquant_scale(x_max, w_max, 0.0)
        high = smoothquant_scale(x_max, w_max, 1.0)
        quarter = smoothquant_scale(*both(dtype, [16.0], [81.0]), 0.25)
    assert half.tolist() == [2.0, 0.5, 6.0]
    assert low.tolist() == [0.25, 0.0625, 4.0]
    assert high.tolist() == [16.0, 4.0, 9.0]
    np.testing.assert_allclose(quarter, [2.0 / 27.0], rtol=2 * np.finfo(dtype).eps)
    assert half.dtype == low.dtype == quarter.dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
def test_smoothquant_floors(dtype):
    """w_max below 1e-5 counts as 1e-5; no scale is below 1e-5, a dead channel's included."""
    x_max, w_max = both(dtype, [4.0, 0.0, 1e-12, 0.0], [0.0, 1.0, 1.0, 0.0])
    scale = smoothquant_scale(x_max, w_max)
    floor = dtype(FLOOR)
    expected = np.array([2.0 / math.sqrt(1e-5), floor, floor, floor])
    np.testing.assert_allclose(scale, expected, rtol=2 * np.finfo(dtype).eps)
    assert scale[1:].tolist() == [float(floor)] * 3
    assert smoothquant_scale(x_max, w_max, 0.0)[1] == 1.0  # 0^0


@pytest.mark.parametrize("mode", MODES)
@given(x=MAXIMA, w=MAXIMA, part=st.sampled_from([(1, 2), (1, 4), (3, 4), (1, 5), (0, 1), (1, 1)]))
def test_smoothquant_against_exact_rationals(mode, x, w, part):
    """sc^whole is rational for alpha = part / whole."""
    with nx.arithmetic(mode):
        scale = smoothquant_scale(np.array([x]), np.array([w]), part[0] / part[1])
    exact = twin.smoothquant_power(Fraction(x), Fraction(w), *part, Fraction(FLOOR))
    error = abs(Fraction(float(scale[0])) ** part[1] / exact - 1)
    # 0.2 and 0.8 are not 1/5 and 4/5: an error d of the exponent moves the power by d ln(x)
    assert error <= 80 * Fraction(2) ** -52


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS)
def test_smoothquant_balances_maxima(dtype, seed):
    """P61: at alpha = 1/2 both maxima become sqrt(x_max w_max); 5 roundings each way."""
    rng = np.random.default_rng(seed)
    x_max, w_max = both(dtype, rng.uniform(0.01, 100.0, 6), rng.uniform(0.01, 100.0, 6))
    scale = smoothquant_scale(x_max, w_max)
    wanted = np.sqrt(x_max.astype(np.float64) * w_max)
    np.testing.assert_allclose(x_max / scale, wanted, rtol=5 * np.finfo(dtype).eps)
    np.testing.assert_allclose(w_max * scale, wanted, rtol=5 * np.finfo(dtype).eps)


def test_smoothquant_refuses_bad_input():
    one = np.ones(2)
    for bad in ([1.0, -0.5], [1.0, np.nan], [1.0, np.inf]):
        with pytest.raises(ValueError, match="x_max"):
            smoothquant_scale(np.array(bad), one)
        with pytest.raises(ValueError, match="w_max"):
            smoothquant_scale(one, np.array(bad))
    for alpha in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="alpha"):
            smoothquant_scale(one, one, alpha)
    with pytest.raises(ValueError, match="w_max"):
        smoothquant_scale(one, np.ones(3))
    with pytest.raises(TypeError, match="w_max"):
        smoothquant_scale(one, np.ones(2, np.float32))
    with pytest.raises(TypeError, match="x_max"):
        smoothquant_scale([1.0], one)


def test_smoothquant_never_overflows():
    """x^al (1e5)^(1 - al) lies between x and 1e5."""
    for dtype in DTYPES:
        x_max, w_max = both(dtype, [np.finfo(dtype).max], [0.0])
        for alpha in (0.001, 0.5, 0.999, 1.0):
            assert smoothquant_scale(x_max, w_max, alpha)[0] <= x_max[0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_powers_of_two_by_hand(dtype):
    """Borders are sqrt(2) 2^k: 1.41 goes to 1, 1.42 to 2."""
    scale = np.array([1.0, 1.41, 1.42, 0.75, 0.7, 3.0, 1e-5], dtype)
    found = nearest_power_of_two(scale)
    assert found.tolist() == [1.0, 1.0, 2.0, 1.0, 0.5, 4.0, 2.0**-17]
    assert found.dtype == dtype
    top = np.array([np.finfo(dtype).max], dtype)
    assert nearest_power_of_two(top).tolist() == [2.0 ** (np.finfo(dtype).maxexp - 1)]
    with pytest.raises(ValueError, match="scale"):
        nearest_power_of_two(np.array([0.0]))


@given(value=st.floats(1e-300, 1e300))
def test_powers_of_two_are_the_nearest(value):
    """2^k with 2^(2k-1) < v^2 <= 2^(2k+1), in exact arithmetic."""
    assume(math.isfinite(value))
    found = Fraction(float(nearest_power_of_two(np.array([value]))[0]))
    assert found.numerator == 1 or found.denominator == 1
    assert math.frexp(float(found))[0] == 0.5
    assert found**2 / 2 < Fraction(value) ** 2 < found**2 * 2
