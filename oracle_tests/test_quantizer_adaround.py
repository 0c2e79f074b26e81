"""AdaRound's weight quantiser: initial alpha, soft and hard weights, gradient."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.gradcheck import check_gradient
from refquant.oracle.exact import adaround as twin
from refquant.oracle.exact import rounding as exact_rounding
from refquant.quantizers.adaround import (
    adaround_backward,
    adaround_codes,
    adaround_forward,
    init_alpha,
    rectified_sigmoid_forward,
)
from refquant.quantizers.fake_quant import dequantize, quantize
from refquant.quantizers.grid import Grid, make_qparams
from refquant.quantizers.rectified_sigmoid import LN11

DTYPES = [np.float64, np.float32]
# h is exactly 0, 0, 1/2, 1, 1 there.
DECIDED = [-50.0, -LN11, 0.0, LN11, 50.0]
H_OF = dict(zip(DECIDED, [Fraction(0), Fraction(0), Fraction(1, 2), 1, 1], strict=True))


@st.composite
def dyadic_cases(draw):
    """Weights in eighths of a power-of-two step, past both ends, with decided or open alphas."""
    kind = draw(st.sampled_from(["signed", "narrow", "affine"]))
    grid = Grid(kind, draw(st.integers(2, 4)))
    zero = draw(st.integers(0, grid.code_max)) if kind == "affine" else 0
    n, p = grid.limits(zero)
    step = 2.0 ** draw(st.integers(-3, 2))
    size = draw(st.integers(1, 8))
    w = [step * draw(st.integers(8 * (n - 2), 8 * (p + 2))) / 8 for _ in range(size)]
    alpha = [draw(st.sampled_from(DECIDED)) for _ in range(size)]
    return grid, zero, step, w, alpha


def random_case(seed, dtype=np.float64):
    rng = np.random.default_rng(seed)
    step = rng.uniform(0.05, 0.2, (3, 1)).astype(dtype)
    w = (step * rng.uniform(-10.0, 9.5, (3, 8))).astype(dtype)
    return rng, w, make_qparams(step, 0, Grid("signed", 4))


@given(case=dyadic_cases(), dtype=st.sampled_from(DTYPES))
def test_equal_to_exact_rationals_on_dyadic_inputs(case, dtype):
    grid, zero, step, w, alpha = case
    n, p = grid.limits(zero)
    qparams = make_qparams(dtype(step), zero, grid)
    arrays = np.array(w, dtype=dtype), np.array(alpha, dtype=dtype)
    w_hat, cache = adaround_forward(*arrays, qparams)
    s = Fraction(step)
    levels = [twin.soft_level(Fraction(v), s, H_OF[a], n, p) for v, a in zip(w, alpha, strict=True)]
    assert [Fraction(v) for v in w_hat.tolist()] == [s * q for q in levels]
    assert [Fraction(v) for v in cache.levels.tolist()] == levels
    codes = [twin.hard_code(Fraction(v), s, a, zero, n, p) for v, a in zip(w, alpha, strict=True)]
    assert adaround_codes(*arrays, qparams).tolist() == codes
    slopes = [twin.soft_slope(Fraction(v), s, H_OF[a], n, p) for v, a in zip(w, alpha, strict=True)]
    d_alpha = adaround_backward(np.full_like(arrays[0], -2.0), cache)
    expected = [-2.0 * float(q) for q in slopes] * cache.slope
    np.testing.assert_array_equal(d_alpha, expected)
    assert w_hat.dtype == d_alpha.dtype == dtype


@given(seed=st.integers(0, 2**32 - 1))
def test_equal_to_the_twin_on_real_values(seed):
    """sigma, of both, is within 2 ulp; h' <= 0.3 and the levels are below 16."""
    rng, w, qparams = random_case(seed)
    alpha = rng.normal(0, 2, w.shape)
    w_hat, cache = adaround_forward(w, alpha, qparams)
    d_w_hat = rng.normal(size=w.shape)
    d_alpha = adaround_backward(d_w_hat, cache)
    codes = adaround_codes(w, alpha, qparams)
    for i, j in np.ndindex(*w.shape):
        s, a = float(qparams.step[i, 0]), float(alpha[i, j])
        h = twin.rectified_sigmoid(a)
        level = twin.soft_level(float(w[i, j]), s, h, -8, 7)
        assert math.isclose(w_hat[i, j], s * level, rel_tol=1e-15, abs_tol=4e-15 * s)
        slope = twin.soft_slope(float(w[i, j]), s, h, -8, 7) * twin.rectified_slope(a)
        assert math.isclose(d_alpha[i, j], d_w_hat[i, j] * slope, rel_tol=4e-15)
        assert codes[i, j] == twin.hard_code(float(w[i, j]), s, a, 0, -8, 7)


def test_initial_alpha_by_hand():
    """f = 0, 1/4, 1/2, 3/4 give -ln 11, ln(7/17), 0, ln(17/7)."""
    qparams = make_qparams(0.5, 0, Grid("signed", 4))
    alpha = init_alpha(np.array([-0.5, 0.0, 0.125, -0.25, 0.375]), qparams)
    assert alpha[0] == alpha[1] == -LN11
    assert alpha[3] == 0.0
    expected = [math.log(7 / 17), math.log(17 / 7)]
    np.testing.assert_allclose(alpha[[2, 4]], expected, rtol=4e-16)


@given(seed=st.integers(0, 2**32 - 1))
def test_initial_alpha_equals_the_twin(seed):
    """Two logarithms, each within 1 ulp, of arguments that agree to 3 roundings."""
    _, w, qparams = random_case(seed)
    alpha = init_alpha(w, qparams)
    expected = [
        [twin.init_alpha(v, s) for v in row]
        for row, s in zip(w.tolist(), qparams.step[:, 0].tolist(), strict=True)
    ]
    np.testing.assert_allclose(alpha, expected, rtol=4e-16, atol=1e-15)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("towards", [-9.0, None, 9.0])
def test_initial_alpha_stays_in_the_closed_interval(towards, dtype, monkeypatch):
    """A gradient must be able to pass at the first step, however the logarithm rounds."""
    if towards is not None:
        off = lambda x: np.nextafter(np.log(x), x.dtype.type(towards))  # noqa: E731
        monkeypatch.setattr("refquant.quantizers.adaround.nx.log", off)
    info = np.finfo(dtype)
    tiny = np.array([info.tiny, info.eps, info.eps / 2, 1e-3, 0.0], dtype=dtype)
    u = np.concatenate([tiny, -tiny, 1 - tiny, 3 + tiny])
    alpha = init_alpha(u, make_qparams(1.0, 0, Grid("signed", 4)))
    assert np.all(np.abs(alpha) <= dtype(LN11))
    assert np.all(rectified_sigmoid_forward(alpha)[1].slope > 0.09)
    on_grid = u == np.floor(u)
    np.testing.assert_array_equal(alpha[on_grid], -dtype(LN11))
    assert alpha[5] == dtype(LN11)  # f of the tiniest negative number is 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_soft_weight_starts_at_the_weight(dtype):
    """P18: h(alpha0) = f within 4e-16 (1.8 ulp of 1; float32 alike), and so w_hat = w."""
    tolerance = 4e-16 if dtype == np.float64 else 1.8 * 2.0**-23
    rng = np.random.default_rng(3)
    f = rng.uniform(0, 1, 4000).astype(dtype)
    qparams = make_qparams(dtype(1.0), 0, Grid("signed", 4))
    h, _ = rectified_sigmoid_forward(init_alpha(f, qparams))
    assert np.abs(h - f).max() <= tolerance
    w = (rng.uniform(-8, 7, 4000) * 0.3).astype(dtype)
    qparams = make_qparams(dtype(0.3), 0, Grid("signed", 4))
    w_hat, _ = adaround_forward(w, init_alpha(w, qparams), qparams)
    # one more rounding each in w / s, F + h and the product, of numbers up to 8
    assert np.abs(w_hat - w).max() <= 0.3 * (tolerance + 3 * 4 * np.finfo(dtype).eps)


def near_ties(dtype, reach=2000):
    """Ties k + 1/2 in [-4, 4] and `reach` floats on either side of each."""
    ties = np.arange(-4, 4).astype(dtype) + dtype(0.5)
    steps = np.arange(-reach, reach + 1)
    bits = np.int64 if dtype == np.float64 else np.int32
    return (ties.view(bits)[:, None] + steps.astype(bits)).view(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_hard_codes_at_the_start_are_half_up(dtype):
    """P19: exactly, at the ties (which go up) and at the 2000 floats on both sides of them."""
    w = near_ties(dtype)
    qparams = make_qparams(dtype(1.0), 0, Grid("signed", 3))
    codes = adaround_codes(w, init_alpha(w, qparams), qparams)
    expected = [[min(3, v) for v in exact_rounding.round_to(row, "half_up")] for row in w.tolist()]
    assert codes.tolist() == expected


@given(seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from(DTYPES))
def test_hard_codes_at_the_start_are_the_nearest(seed, dtype):
    """P19: away from ties, whatever the step."""
    _, w, qparams = random_case(seed, dtype)
    codes = adaround_codes(w, init_alpha(w, qparams), qparams)
    np.testing.assert_array_equal(codes, quantize(w, qparams, "half_up"))
    np.testing.assert_array_equal(codes, quantize(w, qparams, "rint"))


def test_quotient_dialect_rounds_the_float64_tie_down():
    """Methods 6.3 and 6.5: -4.4e-16 in float64, -0.0 in float32; else the same function."""
    for dtype, code in ((np.float64, 0), (np.float32, 1)):
        w = np.array([0.5], dtype=dtype)
        qparams = make_qparams(dtype(1.0), 0, Grid("signed", 4))
        alpha = init_alpha(w, qparams, "quotient")
        assert alpha.dtype == dtype
        assert adaround_codes(w, alpha, qparams)[0] == code
    f = np.linspace(0.0, 0.99, 100)
    qparams = make_qparams(1.0, 0, Grid("signed", 4))
    ratio, quotient = init_alpha(f, qparams), init_alpha(f, qparams, "quotient")
    np.testing.assert_allclose(ratio, quotient, rtol=1e-13, atol=1e-15)


@given(case=dyadic_cases())
def test_decided_soft_weights_are_the_hard_ones(case):
    """P20: with binary h, soft == dequantised hard codes."""
    grid, zero, step, w, alpha = case
    qparams = make_qparams(step, zero, grid)
    w, alpha = np.array(w), np.array([a or LN11 for a in alpha])
    w_hat, _ = adaround_forward(w, alpha, qparams)
    np.testing.assert_array_equal(w_hat, dequantize(adaround_codes(w, alpha, qparams), qparams))


@given(seed=st.integers(0, 2**32 - 1))
def test_backward_matches_central_differences(seed):
    """P22, and P29: clipped coordinates included; 0 < h < 1 keeps F + h off the level ends."""
    rng, w, qparams = random_case(seed)
    alpha = rng.uniform(-2.3, 2.3, w.shape)
    d_w_hat = rng.normal(size=w.shape)
    _, cache = adaround_forward(w, alpha, qparams)
    check_gradient(
        lambda a: (d_w_hat * adaround_forward(w, a, qparams)[0]).sum(),
        alpha,
        adaround_backward(d_w_hat, cache),
        name="adaround",
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradient_is_zero_exactly_outside_the_levels(dtype):
    """P29 on the edges: n = -2, p = 1; h = 0, 1/2, 1 at F = -4, -3, -2, 0, 1, 2."""
    base = np.repeat(np.array([-4, -3, -2, 0, 1, 2], dtype=dtype), 3)
    alpha = np.tile(np.array([-LN11, 0.0, LN11], dtype=dtype), 6)
    qparams = make_qparams(dtype(1.0), 0, Grid("signed", 2))
    w_hat, cache = adaround_forward(base, alpha, qparams)
    live = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]
    np.testing.assert_array_equal(adaround_backward(np.ones_like(base), cache) != 0, live)
    soft = [-2, -2, -2, -2, -2, -2, -2, -1.5, -1, 0, 0.5, 1, 1, 1, 1, 1, 1, 1]
    np.testing.assert_array_equal(w_hat, soft)


def test_edge_decides_whether_zero_weights_can_move():
    """D37: a pruned weight starts at -LN11; "strict" freezes it, "inclusive" does not."""
    w = np.zeros(2)
    qparams = make_qparams(0.5, 0, Grid("signed", 4))
    alpha = init_alpha(w, qparams)
    for edge, slope in (("inclusive", 1.2 * 11 / 144), ("strict", 0.0)):
        w_hat, cache = adaround_forward(w, alpha, qparams, edge)
        np.testing.assert_array_equal(w_hat, [0.0, 0.0])
        np.testing.assert_allclose(adaround_backward(np.ones(2), cache), 0.5 * slope, rtol=1e-15)


@given(seed=st.integers(0, 2**32 - 1), exponent=st.integers(-20, 20))
def test_scaling_weights_and_steps_together(seed, exponent):
    """P28: by a power of two, the same alpha0 and codes, the output scaled."""
    rng, w, qparams = random_case(seed)
    c = 2.0**exponent
    scaled = make_qparams(qparams.step * c, 0, qparams.grid)
    alpha = rng.normal(0, 2, w.shape)
    np.testing.assert_array_equal(init_alpha(w * c, scaled), init_alpha(w, qparams))
    codes = adaround_codes(w, alpha, qparams)
    np.testing.assert_array_equal(adaround_codes(w * c, alpha, scaled), codes)
    w_hat = adaround_forward(w, alpha, qparams)[0]
    np.testing.assert_array_equal(adaround_forward(w * c, alpha, scaled)[0], w_hat * c)


@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values(dtype):
    """NaN takes the zero point, the infinities the ends; alpha0 finite; no gradient."""
    w = np.array([np.nan, np.inf, -np.inf, 3e38, -0.0], dtype=dtype)
    qparams = make_qparams(dtype(2.0**-100), 6, Grid("affine", 4))
    alpha = init_alpha(w, qparams)
    np.testing.assert_array_equal(alpha[[0, 1, 2, 4]], -dtype(LN11))
    codes = adaround_codes(w, alpha, qparams)
    np.testing.assert_array_equal(codes, [6, 15, 0, 15, 6])
    w_hat, cache = adaround_forward(w, alpha, qparams)
    np.testing.assert_array_equal(w_hat, (codes - 6) * 2.0**-100)
    assert not np.signbit(w_hat[[0, 4]]).any()
    assert adaround_backward(np.ones_like(w), cache)[:4].tolist() == [0.0] * 4


def test_bad_input_is_refused():
    qparams = make_qparams(np.full((3, 1), 0.5), 0, Grid("signed", 4))
    w, alpha = np.zeros((3, 2)), np.zeros((3, 2))
    with pytest.raises(ValueError, match="'quotient'"):
        init_alpha(w, qparams, "quotients")
    with pytest.raises(ValueError, match="step is of shape"):
        init_alpha(np.zeros((2, 2)), qparams)
    for call in (adaround_forward, adaround_codes):
        with pytest.raises(TypeError, match="w is int64"):
            call(w.astype(np.int64), alpha, qparams)
        with pytest.raises(ValueError, match="alpha is of shape"):
            call(w, alpha[:, :1], qparams)
        with pytest.raises(ValueError, match="finite"):
            call(w, np.full((3, 2), np.nan), qparams)
    with pytest.raises(ValueError, match="'strict'"):
        adaround_forward(w, alpha, qparams, edge="strickt")
    with pytest.raises(ValueError, match="d_w_hat"):
        adaround_backward(np.zeros(2), adaround_forward(w, alpha, qparams)[1])
