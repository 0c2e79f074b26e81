"""Bias correction: empirical against exact means, analytic against numerical integration."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.exact_lists import dyadic
from refquant.layers.conv2d import conv2d_forward
from refquant.layers.geometry import Geometry
from refquant.optimal.bias_correction import (
    correct_bias,
    correct_bias_analytic,
    expected_input,
    normal_distribution,
)
from refquant.optimal.least_squares import nested_losses

SEEDS = st.integers(0, 2**32 - 1)
DTYPES = [np.float64, np.float32]


@given(seed=SEEDS, dtype=st.sampled_from(DTYPES), shape=st.sampled_from([(4, 3), (2, 3, 2, 4)]))
def test_mean_error_is_zero_afterwards(seed, dtype, shape):
    """P50, exactly: dyadic outputs, a power of two of them per channel."""
    rng = np.random.default_rng(seed)
    y, y_hat, bias = dyadic(rng, shape, dtype), dyadic(rng, shape, dtype), dyadic(rng, 3, dtype)
    new = correct_bias(y, y_hat, bias)
    assert new.dtype == dtype
    for c in range(3):
        shift = Fraction(float(new[c])) - Fraction(float(bias[c]))
        pairs = zip(y[:, c].flat, y_hat[:, c].flat, strict=True)
        assert sum(Fraction(float(a)) - Fraction(float(b)) - shift for a, b in pairs) == 0


def test_mean_error_of_real_values_is_rounding():
    """P50 and the chain of P48: the shift leaves the loss that nested_losses calls shift."""
    rng = np.random.default_rng(1)
    y, y_hat, bias = rng.normal(size=(7, 3, 5)), rng.normal(size=(7, 3, 5)), rng.normal(size=3)
    shift = correct_bias(y, y_hat, bias) - bias
    rest = y - y_hat - shift[:, None]
    np.testing.assert_allclose(rest.mean(axis=(0, 2)), 0.0, atol=1e-15)
    losses = nested_losses(y, y_hat - bias[:, None], bias)
    assert losses.shift == pytest.approx(np.square(rest).mean(), rel=1e-13)
    assert losses.shift < losses.none == pytest.approx(np.square(y - y_hat).mean(), rel=1e-13)


def integral(beta, gamma, top=np.inf):
    """E min(max(N(beta, gamma^2), 0), top) by quadrature."""
    with mpmath.workdps(30):
        b, g, t = mpmath.mpf(beta), mpmath.mpf(gamma), mpmath.mpf(top)
        low = max(mpmath.mpf(0), b - 12 * g)
        last = max(low, b) + 12 * g
        ends = sorted({low, max(low, b), last, *([t] if low < t < last else [])})
        return float(mpmath.quad(lambda v: min(v, t) * mpmath.npdf(v, b, g), ends))


@pytest.mark.parametrize("gamma", [0.3, 2.0])
@pytest.mark.parametrize(("kind", "top"), [("relu", np.inf), ("relu6", 6.0)])
def test_expected_input_is_the_mean_of_a_rectified_normal(kind, top, gamma):
    """Section 8, from the definition as an integral; bound as for the distribution function."""
    beta = np.array([-3.0, -1.0, -0.2, 0.0, 0.5, 1.7, 4.0, 6.0, 7.5])
    got = expected_input(beta, np.full(9, gamma), kind)
    expected = [integral(b, gamma, top) for b in beta]
    size = np.abs(beta) + gamma
    assert np.all(np.abs(got - expected) <= 3e-15 * (size if kind == "relu" else 2 * size + 6.0))
    np.testing.assert_array_equal(expected_input(beta, np.full(9, -gamma), kind), got)


def test_normal_distribution_against_many_digits():
    """Below 3e-15: rounding t^2/2 <= 40.5 costs 40.5 u of at most 1/2, the series a few u."""
    t = np.concatenate([np.linspace(-9.5, 9.5, 400), [0.0, 1e-300, -1e-9, 40.0, -40.0]])
    got = normal_distribution(t)
    with mpmath.workdps(30):
        expected = np.array([float(mpmath.ncdf(float(v))) for v in t])
    assert np.abs(got - expected).max() <= 3e-15
    assert got.min() >= 0.0
    assert got.max() <= 1.0


def test_expected_input_at_the_ends():
    """gamma = 0 is a constant input; far from 0 the ReLU does nothing or everything."""
    beta = np.array([1.5, -1.5, 0.0, 50.0, -50.0, 1e-3, 5.0])
    gamma = np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1e-320, 1e-320])
    np.testing.assert_array_equal(
        expected_input(beta, gamma), [1.5, 0.0, 0.0, 50.0, 0.0, 1e-3, 5.0]
    )
    np.testing.assert_array_equal(expected_input(beta, gamma, "linear"), beta)
    narrow = expected_input(beta[:3].astype(np.float32), np.ones(3, np.float32))
    assert narrow.dtype == np.float32
    np.testing.assert_array_equal(narrow, expected_input(beta[:3], np.ones(3)).astype(np.float32))


@given(seed=SEEDS, groups=st.sampled_from([1, 2]), dtype=st.sampled_from(DTYPES))
def test_analytic_correction_equals_exact_sums(seed, groups, dtype):
    """b - sum (What - W) E over inputs of the group and kernel, in Fractions."""
    rng = np.random.default_rng(seed)
    w, w_hat = (dyadic(rng, (4, 3, 2, 1), dtype) for _ in range(2))
    mean, bias = dyadic(rng, 3 * groups, dtype), dyadic(rng, 4, dtype)
    got = correct_bias_analytic(bias, w, w_hat, mean, groups)
    assert got.dtype == dtype
    for o in range(4):
        total = Fraction(float(bias[o]))
        for i, a, b in np.ndindex(3, 2, 1):
            error = Fraction(float(w_hat[o, i, a, b])) - Fraction(float(w[o, i, a, b]))
            total -= error * Fraction(float(mean[(o // (4 // groups)) * 3 + i]))
        assert Fraction(float(got[o])) == total


def test_analytic_correction_repairs_a_constant_input():
    """An input that is E everywhere, no padding: the corrected output has no error at all."""
    rng = np.random.default_rng(5)
    w, w_hat, mean, bias = (dyadic(rng, s) for s in [(2, 3, 2, 2), (2, 3, 2, 2), 3, 2])
    x = np.broadcast_to(mean[None, :, None, None], (1, 3, 4, 4)).copy()
    geometry = Geometry(kernel=(2, 2))
    fixed = correct_bias_analytic(bias, w, w_hat, mean)
    wanted, _ = conv2d_forward(x, w, bias, geometry)
    got, _ = conv2d_forward(x, w_hat, fixed, geometry)
    np.testing.assert_array_equal(got, wanted)


def test_bad_input_is_refused():
    y, one = np.ones((2, 3)), np.ones(3)
    with pytest.raises(ValueError, match="y_hat is of shape"):
        correct_bias(y, np.ones((3, 2)), one)
    with pytest.raises(ValueError, match="bias is of shape"):
        correct_bias(y, y, np.ones(2))
    for bad in (np.ones((0, 3)), one):
        with pytest.raises(ValueError, match="y is of shape"):
            correct_bias(bad, bad, one)
    with pytest.raises(ValueError, match="y_hat is nan"):
        correct_bias(y, y * np.nan, one)
    with pytest.raises(ValueError, match="kind is 'gelu'"):
        expected_input(one, one, "gelu")
    with pytest.raises(ValueError, match="gamma is inf"):
        expected_input(one, one * np.inf)
    with pytest.raises(ValueError, match="gamma is of shape"):
        expected_input(one, np.ones(2))
    with pytest.raises(ValueError, match="in 2 groups"):
        correct_bias_analytic(one, np.ones((3, 2)), np.ones((3, 2)), np.ones(4), 2)
    with pytest.raises(ValueError, match="mean is of shape"):
        correct_bias_analytic(one, np.ones((3, 2)), np.ones((3, 2)), one)
    with pytest.raises(ValueError, match="w_hat is nan"):
        correct_bias_analytic(one, np.ones((3, 2)), np.full((3, 2), np.nan), np.ones(2))
