"""The rectified sigmoid and the rounding regulariser: values, edges, gradients."""

import math
from decimal import Decimal
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.gradcheck import check_gradient
from refquant.oracle.exact import adaround as twin
from refquant.quantizers.adaround import (
    LN11,
    rectified_sigmoid_backward,
    rectified_sigmoid_forward,
    rounding_regularizer_backward,
    rounding_regularizer_forward,
)

DTYPES = [np.float64, np.float32]
EDGES = ["inclusive", "strict"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_float_edge_lies_just_above_ln_11(dtype):
    """So h is 0 or 1 from LN11 on, and nowhere below it, in exact arithmetic too."""
    edge = dtype(LN11)
    below = np.nextafter(edge, dtype(0))
    assert Decimal(float(below)) < Decimal(11).ln() < Decimal(float(edge))


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_by_hand(dtype):
    """sigma(0) = 1/2; sigma(ln 3) = 3/4, so h = 0.8; h(-ln 3) = 0.2."""
    alpha = np.array([0.0, -0.0, LN11, -LN11, 50.0, -50.0, math.log(3), -math.log(3)], dtype=dtype)
    h, cache = rectified_sigmoid_forward(alpha)
    np.testing.assert_array_equal(h[:6], [0.5, 0.5, 1.0, 0.0, 1.0, 0.0])
    np.testing.assert_allclose(h[6:], [0.8, 0.2], rtol=0, atol=2 * np.finfo(dtype).eps)
    d_alpha = rectified_sigmoid_backward(np.full_like(alpha, 2.0), cache)
    # 1.2 sigma (1 - sigma): 0.3, 1.2 * 11/144, 0.225
    expected = 2 * np.array([0.3, 0.3, 1.2 * 11 / 144, 1.2 * 11 / 144, 0, 0, 0.225, 0.225])
    np.testing.assert_allclose(d_alpha, expected, rtol=8 * np.finfo(dtype).eps)
    assert h.dtype == d_alpha.dtype == dtype


def sigmoid_with_errors(x, towards):
    """A sigmoid three floats away from a good one, as a poor exp might leave it."""
    sigma = 1 / (1 + np.exp(-x))
    for _ in range(3):
        sigma = np.nextafter(sigma, x.dtype.type(towards))
    return sigma


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("towards", [0.0, None, 1.0])
def test_edges_of_the_gradient(towards, sign, dtype, monkeypatch):
    """D37: only |alpha| = LN11 tells "inclusive" from "strict", however the sigmoid rounds."""
    if towards is not None:
        sigmoid = partial(sigmoid_with_errors, towards=towards)
        monkeypatch.setattr("refquant.quantizers.rectified_sigmoid.nx.sigmoid", sigmoid)
    edge = dtype(sign * LN11)
    inside, outside = np.nextafter(edge, dtype(0)), np.nextafter(edge, dtype(9 * sign))
    alpha = np.array([inside, edge, outside])
    for name, live in (("inclusive", [1, 1, 0]), ("strict", [1, 0, 0])):
        h, cache = rectified_sigmoid_forward(alpha, name)
        np.testing.assert_array_equal(cache.slope != 0, live)
        np.testing.assert_array_equal(h[1:], [sign > 0, sign > 0])
        assert 0.0 <= h[0] <= 1.0


@given(seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from(DTYPES))
def test_monotone_and_symmetric(seed, dtype):
    """P21, up to the rounding of the last two operations (2 ulp of 1)."""
    alpha = np.sort(np.random.default_rng(seed).uniform(-3, 3, 200)).astype(dtype)
    h, _ = rectified_sigmoid_forward(alpha)
    slack = 2 * np.finfo(dtype).eps
    assert np.all(np.diff(h) >= -slack)
    mirrored, _ = rectified_sigmoid_forward(-alpha)
    np.testing.assert_allclose(h + mirrored, 1.0, rtol=0, atol=slack)
    saturated = np.abs(alpha) >= dtype(LN11)
    np.testing.assert_array_equal(h[saturated], alpha[saturated] > 0)
    assert np.all((h[~saturated] > 0) & (h[~saturated] < 1))


@given(seed=st.integers(0, 2**32 - 1), edge=st.sampled_from(EDGES))
def test_equal_to_the_twin(seed, edge):
    alpha = np.append(np.random.default_rng(seed).normal(0, 2, 30), [LN11, -LN11])
    h, cache = rectified_sigmoid_forward(alpha, edge)
    expected = [twin.rectified_sigmoid(a) for a in alpha.tolist()]
    np.testing.assert_allclose(h, expected, rtol=0, atol=4e-16)
    slopes = [twin.rectified_slope(a, edge) for a in alpha.tolist()]
    np.testing.assert_allclose(cache.slope, slopes, rtol=2e-15)


def test_gradient_matches_central_differences():
    rng = np.random.default_rng(5)
    alpha = np.append(rng.uniform(-2.3, 2.3, 20), [2.5, -2.5, 9.0])
    d_h = rng.normal(size=alpha.shape)
    _, cache = rectified_sigmoid_forward(alpha)
    d_alpha = rectified_sigmoid_backward(d_h, cache)
    check_gradient(lambda a: (d_h * rectified_sigmoid_forward(a)[0]).sum(), alpha, d_alpha)


def test_regularizer_by_hand():
    """alpha = ln 3: h = 0.8, t = 0.6: R = 1 - 0.36, dR/dh = -2.4, h' = 0.225, so -0.54."""
    alpha = np.array([math.log(3), -math.log(3), 0.0, LN11, -50.0])
    value, cache = rounding_regularizer_forward(alpha, 2.0)
    assert math.isclose(value, 0.64 + 0.64 + 1.0, rel_tol=1e-15)
    d_alpha = rounding_regularizer_backward(1.0, cache)
    expected = [-0.54, 0.54, 0.0, -4 * 1.2 * 11 / 144, 0.0]
    np.testing.assert_allclose(d_alpha, expected, rtol=1e-14)
    value, cache = rounding_regularizer_forward(alpha, 2.0, 0.5, "strict")
    assert math.isclose(value, 1.14, rel_tol=1e-15)
    d_alpha = rounding_regularizer_backward(np.float64(4.0), cache)
    np.testing.assert_allclose(d_alpha, [-1.08, 1.08, 0.0, 0.0, 0.0], rtol=1e-14)


@given(
    seed=st.integers(0, 2**32 - 1),
    beta=st.sampled_from([1.0, 2.0, 2.5, 16.0, 20.0]),
    edge=st.sampled_from(EDGES),
)
def test_regularizer_equals_the_twin(seed, beta, edge):
    """beta roundings of |2h - 1| add up; 50 summands."""
    alpha = np.random.default_rng(seed).normal(0, 1.5, 50)
    value, cache = rounding_regularizer_forward(alpha, beta, 0.25, edge)
    h = [twin.rectified_sigmoid(a) for a in alpha.tolist()]
    total = math.fsum(twin.regularizer(v, beta) for v in h)
    assert math.isclose(value, 0.25 * total, rel_tol=1e-13, abs_tol=1e-14)
    expected = [
        0.25 * twin.regularizer_slope(v, beta) * twin.rectified_slope(a, edge)
        for v, a in zip(h, alpha.tolist(), strict=True)
    ]
    # |2h - 1| is absolutely accurate; a power of a tiny one is not relatively so
    got = rounding_regularizer_backward(1.0, cache)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("beta", [1.0, 2.0, 20.0])
def test_regularizer_is_zero_when_decided_and_lambda_each_when_open(beta, dtype):
    """P20: R = 0 for binary h; lam per weight, with zero slope, at h = 1/2."""
    decided = np.array([LN11, -LN11, 9.0, -9.0], dtype=dtype)
    assert rounding_regularizer_forward(decided, beta, 3.0)[0] == 0.0
    value, cache = rounding_regularizer_forward(np.zeros((2, 3), dtype=dtype), beta, 0.5)
    assert value == 6 * 0.5
    d_alpha = rounding_regularizer_backward(1.0, cache)
    np.testing.assert_array_equal(d_alpha, np.zeros((2, 3)))
    assert d_alpha.dtype == dtype


@given(seed=st.integers(0, 2**32 - 1), beta=st.floats(1.5, 30))
def test_regularizer_bounds(seed, beta):
    """P20: 0 < R < lam numel when some decision is open and some h is not 1/2."""
    alpha = np.random.default_rng(seed).uniform(0.5, 2.3, 20)
    value, _ = rounding_regularizer_forward(alpha, beta, 2.0)
    assert 0.0 < value < 40.0


@pytest.mark.parametrize("beta", [2.0, 3.3, 20.0])
def test_regularizer_gradient_matches_central_differences(beta):
    """P22."""
    alpha = np.append(np.random.default_rng(9).uniform(-2.2, 2.2, 20), [0.0, 3.0])
    _, cache = rounding_regularizer_forward(alpha, beta, 0.7)
    d_alpha = rounding_regularizer_backward(1.0, cache)
    check_gradient(lambda a: rounding_regularizer_forward(a, beta, 0.7)[0], alpha, d_alpha)


def test_large_beta_is_flat_in_the_middle_and_steep_at_the_ends():
    """P23: the slopes at beta 20 and 2 cross at |2h - 1| = 0.1^(1/18); R grows with beta."""
    threshold = 0.1 ** (1 / 18)
    alpha = np.linspace(-2.39, 2.39, 401)
    t = np.abs(2 * rectified_sigmoid_forward(alpha)[0] - 1)
    flat = np.abs(rounding_regularizer_forward(alpha, 20.0)[1].d_alpha)
    sharp = np.abs(rounding_regularizer_forward(alpha, 2.0)[1].d_alpha)
    inner, outer = (t > 1e-9) & (t < threshold - 1e-9), t > threshold + 1e-9
    assert inner.sum() > 100
    assert outer.sum() > 20
    assert np.all(flat[inner] < sharp[inner])
    assert np.all(flat[outer] > sharp[outer])
    values = [rounding_regularizer_forward(alpha, b)[0] for b in (1.0, 2.0, 5.0, 20.0)]
    assert values == sorted(set(values))


def test_bad_input_is_refused():
    alpha = np.zeros(3)
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match=r"alpha is .* finite"):
            rectified_sigmoid_forward(np.array([0.0, bad]))
    with pytest.raises(TypeError, match="alpha is int64"):
        rectified_sigmoid_forward(np.arange(3))
    with pytest.raises(ValueError, match="'inclusive'"):
        rectified_sigmoid_forward(alpha, "open")
    with pytest.raises(ValueError, match="d_h"):
        rectified_sigmoid_backward(np.zeros(2), rectified_sigmoid_forward(alpha)[1])
    for beta in (0.99, -1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="beta"):
            rounding_regularizer_forward(alpha, beta)
    with pytest.raises(ValueError, match="lam"):
        rounding_regularizer_forward(alpha, 2.0, np.nan)
