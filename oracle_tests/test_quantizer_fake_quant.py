"""Uniform quantisation: values, codes, both clip masks, gradients and special values."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.quantizer_cases import arrays, dyadic_cases, fractions
from refquant.oracle.exact import fake_quant as twin
from refquant.quantizers.fake_quant import (
    dequantize,
    fake_quant_backward,
    fake_quant_forward,
    quantize,
)
from refquant.quantizers.grid import KINDS, Grid, make_qparams
from refquant.quantizers.rounding import ROUNDINGS, round_to

DTYPES = [np.float64, np.float32]
MASKS = ["rounded", "unrounded"]


# hand-derived: signed 3 bits (n, p = -4, 3), s = 1/2; u = x / s is in the comment
HAND_X = np.array([-3.0, -2.25, -2.0, -0.25, 0.25, 0.75, 1.5, 1.625, 1.75, 5.0])
#            u =   -6    -4.5   -4    -0.5   0.5   1.5   3    3.25   3.5   10
HAND_Q = [-4, -4, -4, 0, 0, 2, 3, 3, 3, 3]
HAND_INSIDE = {
    "rounded": [0, 1, 1, 1, 1, 1, 1, 1, 0, 0],  # rint(-4.5) = -4 is inside, rint(3.5) = 4 not
    "unrounded": [0, 0, 1, 1, 1, 1, 1, 0, 0, 0],
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mask", MASKS)
def test_hand_derived_forward_and_backward(mask, dtype):
    qparams = make_qparams(0.5, 0, Grid("signed", 3))
    y, cache = fake_quant_forward(HAND_X.astype(dtype), qparams, mask=mask)
    assert y.dtype == cache.u.dtype == dtype
    np.testing.assert_array_equal(y, np.array(HAND_Q) / 2)
    np.testing.assert_array_equal(quantize(HAND_X.astype(dtype), qparams), HAND_Q)
    inside = np.array(HAND_INSIDE[mask])
    d_y = np.arange(1.0, 11.0).astype(dtype)
    grads = fake_quant_backward(d_y, cache)
    np.testing.assert_array_equal(grads.x, d_y * inside)
    u = HAND_X / 0.5
    expected = sum(
        int(g) * Fraction(q - m * v) for g, q, m, v in zip(d_y, HAND_Q, inside, u, strict=True)
    )
    assert grads.s == float(expected)
    assert grads.x.dtype == grads.s.dtype == dtype


@given(
    case=dyadic_cases(),
    rounding=st.sampled_from(sorted(ROUNDINGS)),
    mask=st.sampled_from(MASKS),
    dtype=st.sampled_from(DTYPES),
)
def test_equal_to_exact_rationals_on_dyadic_inputs(case, rounding, mask, dtype):
    grid, zero, steps, rows, d_rows = case
    step, x = arrays(steps, rows, dtype)
    qparams = make_qparams(step, zero, grid)
    limits = (grid.code_min, grid.code_max)
    exact = [Fraction(s) for s in steps]
    y, codes = twin.forward(fractions(rows), exact, zero, limits, rounding)
    d_x, d_s = twin.backward(
        fractions(rows), fractions(d_rows), exact, zero, limits, (rounding, mask)
    )
    got, cache = fake_quant_forward(x, qparams, rounding, mask)
    grads = fake_quant_backward(np.array(d_rows, dtype=dtype), cache)
    assert quantize(x, qparams, rounding).tolist() == codes
    assert fractions(got.tolist()) == y
    assert fractions(grads.x.tolist()) == d_x
    assert fractions(grads.s.tolist()) == [[v] for v in d_s]


@given(seed=st.integers(0, 2**32 - 1), rounding=st.sampled_from(sorted(ROUNDINGS)))
def test_equal_to_the_twin_in_float64(seed, rounding):
    """Real values: the same quotient, then exact rounding, so the same codes and values."""
    rng = np.random.default_rng(seed)
    x, s = rng.normal(size=(1, 20)), float(rng.uniform(0.01, 0.5))
    qparams = make_qparams(s, 5, Grid("affine", 4))
    y, codes = twin.forward(x.tolist(), [s], 5, (0, 15), rounding)
    assert quantize(x, qparams, rounding).tolist() == codes
    assert fake_quant_forward(x, qparams, rounding)[0].tolist() == y
    assert dequantize(np.array(codes), qparams).tolist() == y


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bits", [2, 3, 4, 8, 16])
def test_every_code_comes_back(kind, bits):
    grid = Grid(kind, bits)
    qparams = make_qparams(0.1, 1 if kind == "affine" else 0, grid)
    codes = np.arange(grid.code_min, grid.code_max + 1)
    assert codes.dtype == np.int64
    np.testing.assert_array_equal(quantize(dequantize(codes, qparams), qparams), codes)


@given(
    seed=st.integers(0, 2**32 - 1),
    dtype=st.sampled_from(DTYPES),
    rounding=st.sampled_from(["rint", "half_up", "half_down", "half_away"]),
)
def test_idempotent(seed, dtype, rounding):
    """P05: quantising a quantised value changes nothing, whatever the step."""
    rng = np.random.default_rng(seed)
    qparams = make_qparams(rng.uniform(0.01, 1.0, (4, 1)).astype(dtype), 3, Grid("affine", 4))
    once, _ = fake_quant_forward(rng.normal(size=(4, 9)).astype(dtype), qparams, rounding)
    twice, _ = fake_quant_forward(once, qparams, rounding)
    np.testing.assert_array_equal(once, twice)


@given(case=dyadic_cases(), rounding=st.sampled_from(["rint", "half_up", "half_away"]))
def test_error_is_at_most_half_a_step(case, rounding):
    """P06: at most s/2 inside [n s, p s], the distance to the nearest end outside (exact here)."""
    grid, zero, steps, rows, _ = case
    step, x = arrays(steps, rows, np.float64)
    y, _ = fake_quant_forward(x, make_qparams(step, zero, grid), rounding)
    n, p = grid.limits(zero)
    outside = np.maximum(x - p * step, n * step - x)
    error = np.abs(y - x)
    assert np.all(np.where(outside > 0, error == outside, error <= step / 2))


@given(case=dyadic_cases(kinds=["affine"]))
def test_affine_is_the_shifted_unsigned_grid(case):
    """P07: with half_up (which commutes with shifts) codes are those of x + z s, unsigned."""
    grid, zero, steps, rows, _ = case
    step, x = arrays(steps, rows, np.float64)
    affine = make_qparams(step, zero, grid)
    unsigned = make_qparams(step, 0, Grid("unsigned", grid.bits))
    shifted = x + zero * step
    codes = quantize(x, affine, "half_up")
    np.testing.assert_array_equal(codes, quantize(shifted, unsigned, "half_up"))
    y, _ = fake_quant_forward(x, affine, "half_up")
    np.testing.assert_array_equal(y, dequantize(codes, unsigned) - zero * step)
    u_space = np.clip(round_to(x / step, "rint"), -zero, grid.code_max - zero)
    np.testing.assert_array_equal(quantize(x, affine) - zero, u_space)


def test_the_zero_point_is_added_after_rounding():
    """Methods 1.2: at a tie with odd z, rint(u) + z = 1 but rint(u + z) = 2."""
    qparams = make_qparams(1.0, 1, Grid("affine", 4))
    assert quantize(np.array([0.5]), qparams)[0] == 1


@given(case=dyadic_cases(), dtype=st.sampled_from(DTYPES))
def test_forward_is_dequantised_codes_bit_for_bit(case, dtype):
    grid, zero, steps, rows, _ = case
    step, x = arrays(steps, rows, dtype)
    qparams = make_qparams(step, zero, grid)
    y, _ = fake_quant_forward(-x, qparams)
    assert y.tobytes() == dequantize(quantize(-x, qparams), qparams).tobytes()


SPECIAL = [np.nan, np.inf, -np.inf, 1e38, -1e38, 3e9, -0.0, -1e-30]


@pytest.mark.parametrize("rounding", sorted(set(ROUNDINGS) - {"floor"}))
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values(dtype, mask, rounding):
    """NaN takes the zero point and the infinities the ends; none has a gradient to x."""
    x = np.array(SPECIAL, dtype=dtype)
    qparams = make_qparams(2.0**-20, 5, Grid("affine", 4))
    codes = [5, 15, 0, 15, 0, 15, 5, 5]
    np.testing.assert_array_equal(quantize(x, qparams, rounding), codes)
    assert twin.forward([x.tolist()], [2.0**-20], 5, (0, 15), rounding)[1] == [codes]
    y, cache = fake_quant_forward(x, qparams, rounding, mask)
    np.testing.assert_array_equal(y, (np.array(codes) - 5) * 2.0**-20)
    assert not np.signbit(y[[0, 6, 7]]).any()
    grads = fake_quant_backward(np.ones_like(x), cache)
    np.testing.assert_array_equal(grads.x, [0, 0, 0, 0, 0, 0, 1, 1])
    u = float(x[7]) * 2.0**20
    assert grads.s == dtype(10 - 5 + 10 - 5 + 10 - u)  # NaN contributes nothing


def test_overflowing_quotient_takes_the_end_of_the_range():
    qparams = make_qparams(2.0**-1000, 0, Grid("signed", 4))
    np.testing.assert_array_equal(quantize(np.array([1e300, -1e300]), qparams), [7, -8])
    y, cache = fake_quant_forward(np.array([1e300]), qparams)
    assert y[0] == 7 * 2.0**-1000
    assert fake_quant_backward(np.ones(1), cache).x[0] == 0.0


def test_scalar_tensor_and_empty_channel():
    y, cache = fake_quant_forward(np.array(0.7), make_qparams(0.5, 0, Grid("signed", 4)))
    assert (y, y.shape) == (0.5, ())
    assert fake_quant_backward(np.array(2.0), cache).s == 2.0 * (1 - 1.4)
    empty = np.zeros((2, 0))
    qparams = make_qparams(np.array([[0.5], [1.0]]), 0, Grid("signed", 4))
    y, cache = fake_quant_forward(empty, qparams)
    assert y.shape == (2, 0)
    np.testing.assert_array_equal(fake_quant_backward(empty, cache).s, [[0.0], [0.0]])


def test_arguments_are_not_changed():
    x, d_y = np.linspace(-2, 2, 6), np.ones(6)
    before = x.tobytes() + d_y.tobytes()
    _, cache = fake_quant_forward(x, make_qparams(0.3, 0, Grid("signed", 3)))
    fake_quant_backward(d_y, cache)
    assert x.tobytes() + d_y.tobytes() == before


def test_bad_input_is_refused():
    qparams = make_qparams(np.full((3, 1), 0.5), 0, Grid("signed", 4))
    x = np.zeros((3, 2))
    with pytest.raises(TypeError, match=r"quantize\(\): x is int64"):
        quantize(np.zeros((3, 2), dtype=np.int64), qparams)
    for shape in [(2, 2), (3,), (2, 3, 2, 2)]:
        with pytest.raises(ValueError, match="step is of shape"):
            fake_quant_forward(np.zeros(shape), qparams)
    with pytest.raises(ValueError, match="'rint'"):
        fake_quant_forward(x, qparams, rounding="rin")
    with pytest.raises(ValueError, match="mask"):
        fake_quant_forward(x, qparams, mask="strict")
    with pytest.raises(ValueError, match="grad_scale"):
        fake_quant_forward(x, qparams, grad_scale=np.nan)
    with pytest.raises(ValueError, match="positive normal"):
        quantize(x.astype(np.float32), make_qparams(1e-40, 0, Grid("signed", 4)))
    with pytest.raises(ValueError, match="d_y"):
        fake_quant_backward(np.zeros((2, 3)), fake_quant_forward(x, qparams)[1])
    with pytest.raises(ValueError, match=r"codes is in 0\.\.8"):
        dequantize(np.array([[0], [8], [0]]), qparams)
    with pytest.raises(TypeError, match="codes"):
        dequantize(x, qparams)
    with pytest.raises(ValueError, match="broadcasts"):
        dequantize(np.array([1, 2]), qparams)
