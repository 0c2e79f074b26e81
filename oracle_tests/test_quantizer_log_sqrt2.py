"""Log-sqrt2 quantiser: codes, values, the mask of zeros, and the choice of the scale."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from refquant import numerics as nx
from refquant.oracle.exact import log_sqrt2 as twin
from refquant.quantizers.log_sqrt2 import SHARES, choose_scale, decode, log_sqrt2

DTYPES = [np.float64, np.float32]
MODES = ["fast", "pinned"]
ONE = np.array(1.0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
def test_by_hand(mode, dtype):
    """2 bits, d = 1/2: levels 1/2, 1/sqrt(8), 1/4, 1/sqrt(32); borders at d 2^-((2k+1)/4)."""
    x = np.array([1.0, 0.5, 0.43, 0.36, 0.26, 0.17, 0.145, 0.0, -0.0], dtype)
    # -2 log2(x / d): -2, 0, .435, .948, 1.887, 3.11, 3.57 (rounds to 4 = 2^b: zero)
    with nx.arithmetic(mode):
        y, codes, zero = log_sqrt2(x, np.array(0.5, dtype), 2)
    assert codes.tolist() == [0, 0, 0, 1, 2, 3, 3, 3, 3]
    assert zero.tolist() == [False] * 6 + [True] * 3
    expected = [0.5, 0.5, 0.5, math.sqrt(1 / 8), 0.25, math.sqrt(1 / 32), 0.0, 0.0, 0.0]
    np.testing.assert_allclose(y, expected, rtol=2 * np.finfo(dtype).eps, atol=0)
    assert (y.dtype, codes.dtype, zero.dtype) == (np.dtype(dtype), np.int64, np.bool_)
    assert y[[0, 4]].tolist() == [0.5, 0.25]  # even codes are exact


@st.composite
def cases(draw, dtype=np.float64):
    """x as whole powers of two, near borders 2^-((2k+1)/4), or anything down to subnormals."""
    d = dtype(draw(st.sampled_from([1.0, 0.75, 1e-3, 0.5])))
    k, shift = draw(st.integers(-3, 40)), draw(st.integers(-1000, 1000))
    near = dtype(float(d) * 2.0 ** (-(2 * k + 1) / 4) * (1 + shift / 2**18))
    whole = dtype(float(d) * 2.0**-k)
    any_x = dtype(draw(st.floats(0, 1, width=32 if dtype is np.float32 else 64)))
    return draw(st.sampled_from([near, whole, any_x, dtype(0)])), d


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
@given(data=st.data(), bits=st.integers(2, 6))
def test_codes_are_those_of_exact_rationals(mode, dtype, data, bits):
    """P64: the true -2 log2(x / d) is rounded, except within a few ulp of a border."""
    x, d = data.draw(cases(dtype))
    assume(twin.border_margin(float(x), float(d)) > 64 * np.finfo(dtype).eps)
    with nx.arithmetic(mode):
        y, codes, zero = log_sqrt2(np.array([x]), np.array(d), bits)
    assert (codes.item(), zero.item()) == twin.quantize(float(x), float(d), bits)
    exact = twin.squared_value(float(x), float(d), bits)
    # sqrt2 is off by half an ulp at most, and so is the product; squared: twice that
    got = Fraction(float(y.item())) ** 2
    assert abs(got - exact) <= 4 * Fraction(float(np.finfo(dtype).eps)) * exact


@given(codes=st.lists(st.integers(0, 200), min_size=1), scale=st.floats(1e-3, 4.0))
def test_the_released_form_is_the_same_number(codes, scale):
    """P64: 2^-ceil(q/2) (1 + (q mod 2) (sqrt2 - 1)) d."""
    q = np.array(codes)
    released = 2.0 ** -np.ceil(q / 2) * ((q % 2) * (math.sqrt(2.0) - 1.0) + 1.0) * scale
    np.testing.assert_allclose(decode(q, np.array(scale)), released, rtol=1e-15, atol=0)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_every_level_is_a_fixed_point(bits):
    """Codes of decoded levels come back, and none of them is taken for zero."""
    q = np.arange(2**bits)
    y, codes, zero = log_sqrt2(decode(q, np.array(0.75)), np.array(0.75), bits)
    assert codes.tolist() == q.tolist()
    assert not zero.any()
    np.testing.assert_array_equal(y, decode(q, np.array(0.75)))


def test_the_mask_tells_zeros_from_the_smallest_level():
    """Convention 8: code 2^b - 1 both for -2 log2 x = 14.9 and for 15.6; only the second is 0."""
    x = np.array([2.0 ** (-14.9 / 2), 2.0 ** (-15.6 / 2)])
    y, codes, zero = log_sqrt2(x, ONE, 4)
    assert codes.tolist() == [15, 15]
    assert zero.tolist() == [False, True]
    assert y[0] > 0.0
    assert y[1] == 0.0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
def test_special_values(mode, dtype):
    """NaN is taken for 0, +inf and overflow for the largest level; subnormals are not 0."""
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.array([np.nan, np.inf, np.finfo(dtype).max, tiny], dtype)
    with nx.arithmetic(mode):
        y, codes, zero = log_sqrt2(x, np.array(0.25, dtype), 16)
    power = {np.float64: 1074, np.float32: 149}[dtype]
    assert codes.tolist() == [65535, 0, 0, 2 * power - 4]
    assert zero.tolist() == [True, False, False, False]
    np.testing.assert_array_equal(y, np.array([0, 0.25, 0.25, tiny], dtype))


def test_codes_beyond_the_smallest_float_underflow_quietly():
    assert decode(np.array([65535, 3000]), ONE).tolist() == [0.0, 0.0]


def test_choose_scale_by_hand():
    """Shares 0, 1/2 and 1 of 1/8, 1/4, 1 are these values: d = 1 has levels for all three."""
    x = np.array([0.25, 1.0, 0.125])
    assert choose_scale(x, 3, (0.0, 0.5, 1.0)) == 1.0
    # at 2 bits 1 ... 2^-1.5 lose 1/8 and 1/4 rounds to 2^-1.5 (q = 3 is kept, 1/8 has q = 6)
    assert choose_scale(np.array([0.0, 1.0]), 4, (0.25, 0.75)).item() == 0.75
    # equal errors: the first share wins
    assert choose_scale(np.array([0.5, 0.5]), 4, (0.1, 0.9)).item() == 0.5


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
def test_choose_scale_takes_the_quantile_of_least_squared_error(mode, dtype):
    rng = np.random.default_rng(4)
    winners = set()
    for seed in range(12):
        x = (rng.random((40, 50)) ** rng.integers(1, 12)).astype(dtype)
        x[0, : seed % 3] *= 3
        with nx.arithmetic(mode):
            chosen = choose_scale(x, 4)
        tried = [np.quantile(x, share) for share in SHARES]
        errors = [
            ((x - log_sqrt2(x, np.asarray(d, dtype), 4).y).astype(np.float64) ** 2).sum()
            for d in tried
        ]
        np.testing.assert_allclose(chosen, tried[int(np.argmin(errors))], rtol=1e-6)
        winners.add(int(np.argmin(errors)))
        assert (chosen.shape, chosen.dtype) == ((), dtype)
    assert len(winners) > 1


def test_shares_without_a_positive_quantile_are_skipped():
    x = np.array([0.0, 0.0, 0.0, 0.5])
    assert choose_scale(x, 4, (0.5, 1.0)) == 0.5
    with pytest.raises(ValueError, match="tensor of zeros"):
        choose_scale(np.zeros(3), 4)


def test_bad_input_is_refused():
    x = np.array([0.5])
    x.flags.writeable = False
    log_sqrt2(x, ONE, 4)
    with pytest.raises(ValueError, match=r"-0\.25"):
        log_sqrt2(np.array([0.5, -0.25]), ONE, 4)
    with pytest.raises(ValueError, match="positive normal"):
        log_sqrt2(x, np.array(0.0), 4)
    with pytest.raises(ValueError, match="0 axes"):
        log_sqrt2(x, np.ones(1), 4)
    with pytest.raises(TypeError, match="like x"):
        log_sqrt2(x, np.array(1.0, np.float32), 4)
    with pytest.raises(ValueError, match=r"2\.\.16"):
        log_sqrt2(x, ONE, 1)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        choose_scale(x, 4, (1.5,))
    with pytest.raises(ValueError, match="finite"):
        choose_scale(np.array([np.inf]), 4)
    with pytest.raises(ValueError, match="0 at every share"):
        choose_scale(np.zeros(0), 4)
