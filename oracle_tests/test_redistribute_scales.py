"""Scales of SmoothQuant (P61), CLE (P65) and RepQ (P62, P63); powers of two."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from oracle_tests.exact_lists import assert_rounded_once, dyadic, fractions_of
from refquant import numerics as nx
from refquant.oracle.exact import redistribute as twin
from refquant.quantizers.fake_quant import quantize
from refquant.quantizers.grid import Grid, make_qparams
from refquant.redistribute.absorb import absorb_in_reader, absorb_in_writer
from refquant.redistribute.cle import PPQ_CLIP, cle_apply, cle_scale
from refquant.redistribute.power_of_two import nearest_power_of_two
from refquant.redistribute.repq import repq_reparam
from refquant.redistribute.smoothquant import FLOOR, smoothquant_scale

DTYPES = [np.float64, np.float32]
MODES = ["fast", "pinned"]
MAXIMA = st.floats(0.0, 1e6, width=32).map(lambda v: 0.0 if v < 1e-30 else v)
SEEDS = st.integers(0, 2**32 - 1)


def both(dtype, *values):
    return [np.array(v, dtype) for v in values]


# SmoothQuant


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


# CLE


@pytest.mark.parametrize("dtype", DTYPES)
def test_cle_by_hand(dtype):
    """sqrt(16/4) = 2, sqrt(2/18) = 1/3; convention 10: a zero range keeps 1."""
    r1, r2 = both(dtype, [4.0, 18.0, 0.0, 2.0, 0.0], [16.0, 2.0, 3.0, 0.0, 0.0])
    scale = cle_scale(r1, r2)
    assert scale.tolist() == [2.0, float(dtype(1.0) / dtype(3.0)), 1.0, 1.0, 1.0]
    assert scale.dtype == dtype
    clipped = cle_scale(*both(dtype, [1.0, 900.0, 0.0], [900.0, 1.0, 1.0]), PPQ_CLIP)
    assert clipped.tolist() == [10.0, float(dtype(0.1)), 1.0]
    assert cle_scale(*both(dtype, [0.0], [1.0]), (2.0, 3.0)).tolist() == [2.0]
    assert cle_scale(np.zeros(0, dtype), np.zeros(0, dtype)).shape == (0,)


@given(r1=MAXIMA, r2=MAXIMA, clip=st.sampled_from([None, (0.125, 8.0), (1.0, 1.0)]))
def test_cle_against_exact_rationals(r1, r2, clip):
    scale = cle_scale(np.array([r1]), np.array([r2]), clip)
    bounds = None if clip is None else (Fraction(clip[0]), Fraction(clip[1]))
    exact = twin.cle_square(Fraction(r1), Fraction(r2), bounds)
    assert abs(Fraction(float(scale[0])) ** 2 / exact - 1) <= 4 * Fraction(2) ** -52


@pytest.mark.parametrize(
    ("dtype", "small", "large"), [(np.float64, 1e-250, 1e250), (np.float32, 1e-30, 1e30)]
)
def test_cle_with_a_ratio_beyond_the_dtype(dtype, small, large):
    """The ratio overflows or is subnormal, its root is neither."""
    r1, r2 = both(dtype, [small, large], [large, small])
    ratio = math.sqrt(float(r1[1])) / math.sqrt(float(r1[0]))
    expected = np.array([ratio, 1.0 / ratio])
    np.testing.assert_allclose(cle_scale(r1, r2), expected, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS, data=st.data())
def test_cle_equalizes_ranges(dtype, seed, data):
    """P65: rows of the first and columns of the second layer both reach sqrt(r1 r2)."""
    rng = np.random.default_rng(seed)
    w1, w2 = both(dtype, rng.standard_normal((4, 3)), rng.standard_normal((5, 4)))
    dead = data.draw(st.integers(0, 4), label="dead channel")
    w1[dead : dead + 1] = 0.0  # 4: none
    bias = both(dtype, rng.standard_normal(4))[0]
    r1, r2 = np.abs(w1).max(axis=1), np.abs(w2).max(axis=0)
    after1, bias1, after2 = cle_apply(w1, bias, w2, cle_scale(r1, r2))
    live = r1 > 0
    wanted = np.sqrt(r1.astype(np.float64) * r2)[live]
    tolerance = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(np.abs(after1).max(axis=1)[live], wanted, rtol=tolerance)
    np.testing.assert_allclose(np.abs(after2).max(axis=0)[live], wanted, rtol=tolerance)
    np.testing.assert_array_equal(after2[:, ~live], w2[:, ~live])
    np.testing.assert_array_equal(bias1[~live], bias[~live])
    assert after1.dtype == after2.dtype == bias1.dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS)
def test_cle_apply_is_that_of_exact_rationals(dtype, seed):
    """P65: every entry rounded once; exactly the same function with ReLU between in rationals."""
    rng = np.random.default_rng(seed)
    w1, w2 = dyadic(rng, (3, 2), dtype), dyadic(rng, (2, 3), dtype)
    bias, x = dyadic(rng, (3,), dtype), dyadic(rng, (4, 2))
    scale = np.array(rng.integers(1, 9, 3) / 4.0, dtype)
    lists = [fractions_of(v) for v in (w1, bias, w2, scale)]
    exact = twin.cle_apply(*lists)
    for got, wanted in zip(cle_apply(w1, bias, w2, scale), exact, strict=True):
        assert_rounded_once(got, wanted, dtype)
    zero = [Fraction(0)] * 2
    outputs = []
    for first, b, second in (lists[:3], exact):
        hidden = twin.linear(fractions_of(x), first, b)
        outputs.append(twin.linear([[max(v, 0) for v in row] for row in hidden], second, zero))
    assert outputs[0] == outputs[1]


def test_cle_apply_in_groups():
    """Two groups, the second layer reads channels (0, 1) by two rows and (2, 3) by two others."""
    w2 = np.arange(1.0, 9.0).reshape(4, 2)
    scale = np.array([1.0, 2.0, 4.0, 8.0])
    w1, bias, after = cle_apply(np.ones((4, 1)), None, w2, scale, groups=2)
    assert after.tolist() == [[1.0, 1.0], [3.0, 2.0], [1.25, 0.75], [1.75, 1.0]]
    assert bias is None
    assert w1.tolist() == [[1.0], [2.0], [4.0], [8.0]]
    depthwise = cle_apply(np.ones((4, 1)), None, np.ones((4, 1, 1, 1)), scale, groups=4)[2]
    assert depthwise.ravel().tolist() == [1.0, 0.5, 0.25, 0.125]


def test_cle_refuses_bad_input():
    one = np.ones(2)
    with pytest.raises(ValueError, match="r1"):
        cle_scale(np.array([1.0, -1.0]), one)
    with pytest.raises(ValueError, match="r2"):
        cle_scale(one, np.array([1.0, np.nan]))
    with pytest.raises(TypeError, match="r2"):
        cle_scale(one, np.ones(2, np.float32))
    for clip in ((0.0, 1.0), (2.0, 1.0), (1.0, math.inf), (1.0,), (math.nan, 1.0)):
        with pytest.raises(ValueError, match="clip"):
            cle_scale(one, one, clip)
    with pytest.raises(ValueError, match="the scale"):
        cle_scale(np.array([5e-324]), np.array([1.7e308]))
    with pytest.raises(ValueError, match="the scale"):
        cle_scale(np.array([1.7e308]), np.array([5e-324]))
    with pytest.raises(ValueError, match="scale"):
        cle_apply(np.ones((2, 2)), None, np.ones((2, 2)), np.ones(3))
    with pytest.raises(ValueError, match="scale"):
        cle_apply(np.ones((2, 2)), None, np.ones((2, 2)), np.array([1.0, 0.0]))
    with pytest.raises(ValueError, match="2 channels"):
        cle_apply(np.ones((2, 2)), None, np.ones((2, 3)), one)
    with pytest.raises(ValueError, match="bias1"):
        cle_apply(np.ones((2, 2)), np.ones(3), np.ones((2, 2)), one)
    with pytest.raises(TypeError, match="w2"):
        cle_apply(np.ones((2, 2)), None, np.ones((2, 2), np.float32), one)


# RepQ


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
def test_repq_by_hand(mode, dtype):
    """Steps 1, 2, 3 and zero points 0, 1, 4: s~ = 2, z~ = rint(5/3) = 2."""
    with nx.arithmetic(mode):
        found = repq_reparam(np.array([1.0, 2.0, 3.0], dtype), np.array([0, 1, 4]))
    assert found.step == 2.0 and found.zero_point == 2
    assert found.ratio.tolist() == [0.5, 1.0, 1.5]
    assert found.offset.tolist() == [4.0, 2.0, -4.0]
    assert found.shift.tolist() == [2.0, 2.0, -6.0]
    assert found.step.dtype == found.ratio.dtype == found.offset.dtype == dtype
    assert found.zero_point.dtype == np.int64 and found.step.shape == ()


@pytest.mark.parametrize(("zeros", "mean"), [([0, 1], 0), ([1, 2], 2), ([4, 5], 4), ([7, 7], 7)])
def test_repq_rounds_the_mean_zero_point_half_to_even(zeros, mean):
    """D21."""
    assert repq_reparam(np.ones(2), np.array(zeros)).zero_point == mean


@given(steps=st.lists(st.integers(1, 64), min_size=1, max_size=6), data=st.data())
def test_repq_against_exact_rationals(steps, data):
    """The twin computes bb from the other formula, -z_c s_c / r + z~ s~."""
    zeros = [data.draw(st.integers(0, 255)) for _ in steps]
    found = repq_reparam(np.array(steps) / 16.0, np.array(zeros))
    exact = twin.repq_reparam([Fraction(s, 16) for s in steps], zeros)
    assert found.zero_point == exact[1]
    eps = np.finfo(np.float64).eps
    pairs = ((found.step, exact[0]), (found.ratio, exact[2]), (found.offset, exact[3]))
    for got, wanted in pairs:
        np.testing.assert_allclose(got, np.array(wanted, np.float64), rtol=2 * eps)


@given(data=st.data(), size=st.integers(1, 5), bits=st.integers(2, 8))
def test_repq_keeps_every_code_in_exact_arithmetic(data, size, bits):
    """P63: codes of x' under (s~, z~) are those of x under (s_c, z_c), away from ties."""
    top = 2**bits - 1
    ratios = st.fractions(Fraction(1, 50), 5, max_denominator=50)
    steps = [data.draw(ratios, label="step") for _ in range(size)]
    zeros = [data.draw(st.integers(0, top), label="zero") for _ in range(size)]
    x = [data.draw(st.fractions(-9, 9, max_denominator=70), label="x") for _ in range(size)]
    common, whole, ratio, offset = twin.repq_reparam(steps, zeros)
    for s, z, v, r, b in zip(steps, zeros, x, ratio, offset, strict=True):
        moved = (v / r - b) / common
        assert moved == v / s - (whole - z)
        if (v / s * 2).denominator != 1 or (v / s).denominator == 1:
            before = min(max(round(v / s) + z, 0), top)
            assert min(max(round(moved) + whole, 0), top) == before


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS, bits=st.sampled_from([4, 8]))
def test_repq_keeps_every_code_in_floats(dtype, seed, bits):
    """P62 and P63 through `absorb`: a writer's outputs, quantized per channel and in common."""
    rng = np.random.default_rng(seed)
    gamma, beta, normed = both(
        dtype, rng.uniform(0.1, 3.0, 5), rng.uniform(-2, 2, 5), rng.standard_normal((20, 5))
    )
    w = both(dtype, rng.standard_normal((3, 5)))[0]
    x = normed * gamma + beta
    low, high = np.minimum(x.min(axis=0), 0), np.maximum(x.max(axis=0), 0)
    grid = Grid("affine", bits)
    step = np.asarray((high - low) / grid.code_max, dtype)
    zero = -np.rint(low / step).astype(np.int64)
    found = repq_reparam(step, zero)
    new_gamma, new_beta = absorb_in_writer(gamma, beta, found.ratio, found.shift)
    moved = normed * new_gamma + new_beta
    u = x.astype(np.float64) / step
    clear = np.abs(np.abs(u - np.floor(u)) - 0.5) > 2**bits * 8 * np.finfo(dtype).eps
    per_channel = quantize(x, make_qparams(step[None], zero[None], grid))
    in_common = quantize(moved, make_qparams(found.step, found.zero_point, grid))
    np.testing.assert_array_equal(in_common[clear], per_channel[clear])
    assert clear.mean() > 0.9
    new_w, bias = absorb_in_reader(w, None, found.ratio, found.shift)
    size = np.abs(x) @ np.abs(w.T) + np.abs(found.shift) @ np.abs(w.T)
    error = np.abs((moved @ new_w.T + bias) - x @ w.T)
    assert np.all(error <= 30 * np.finfo(dtype).eps * (size + np.abs(beta) @ np.abs(w.T)))


def test_repq_differs_at_a_tie_where_the_zero_points_differ_by_an_odd_number():
    """u = 1/2 rounds to 0, and 1/2 - 1 to -0, which is one code above."""
    step, zero = np.ones(2), np.array([0, 2])  # z~ = 1
    found = repq_reparam(step, zero)
    x = np.array([0.5, 0.5])
    moved = x / found.ratio - found.offset
    grid = Grid("affine", 4)
    before = quantize(x[None], make_qparams(step[None], zero[None], grid))
    after = quantize(moved[None], make_qparams(found.step, found.zero_point, grid))
    assert before.tolist() == [[0, 2]] and after.tolist() == [[1, 3]]


def test_repq_refuses_bad_input():
    for bad in (np.array([1.0, 0.0]), np.array([1.0, np.nan]), np.ones(0)):
        with pytest.raises(ValueError, match="step"):
            repq_reparam(bad, np.zeros(len(bad), np.int64))
    with pytest.raises(TypeError, match="zero_point"):
        repq_reparam(np.ones(2), np.zeros(2))
    with pytest.raises(TypeError, match="zero_point"):
        repq_reparam(np.ones(2), [0, 0])
    with pytest.raises(ValueError, match="zero_point"):
        repq_reparam(np.ones(2), np.zeros(3, np.int64))


# Powers of two


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
