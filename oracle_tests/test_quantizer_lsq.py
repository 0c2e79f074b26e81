"""LSQ's gradient scales, and LSQ+ in both parametrisations."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.gradcheck import check_gradient
from refquant.oracle.exact import lsq_plus as twin
from refquant.quantizers.fake_quant import fake_quant_backward, fake_quant_forward
from refquant.quantizers.grid import Grid, make_qparams
from refquant.quantizers.lsq import lsq_grad_scale
from refquant.quantizers.lsq_plus import (
    lsq_plus_integer_backward,
    lsq_plus_integer_forward,
    lsq_plus_real_backward,
    lsq_plus_real_forward,
)

DTYPES = [np.float64, np.float32]
WEIGHT, INPUT = (8, 4, 3, 3), (32, 6, 5, 5)
FORMS = {
    "integer": (lsq_plus_integer_forward, lsq_plus_integer_backward),
    "real": (lsq_plus_real_forward, lsq_plus_real_backward),
}

SCALES = [  # 1 / c^2 = N p, by hand
    ("lsq_weight", WEIGHT, Grid("signed", 4), 1, 288 * 7),
    ("lsq_weight", WEIGHT, Grid("signed", 4), 8, 36 * 7),
    ("lsq_activation", INPUT, Grid("unsigned", 4), 1, 150 * 15),
    ("lsq_activation", INPUT, Grid("affine", 8), 1, 150 * 255),
    ("qdrop", INPUT, Grid("affine", 4), 1, 4800 * 15),
    ("qdrop", INPUT, Grid("narrow", 4), 6, 800 * 7),
    ("qdrop", (7,), Grid("affine", 2), 1, 7 * 3),
]


@pytest.mark.parametrize(("kind", "shape", "grid", "channels", "n_p"), SCALES)
def test_grad_scale_follows_the_table(kind, shape, grid, channels, n_p):
    assert lsq_grad_scale(kind, shape, grid, channels) == 1.0 / math.sqrt(n_p)


def test_grad_scale_none_is_one():
    assert lsq_grad_scale("none", INPUT, Grid("affine", 4), 6) == 1.0


@pytest.mark.parametrize("dtype", DTYPES)
def test_integer_form_by_hand(dtype):
    """s = 1/2, z = 2.4 so Z = 2, 2 bits: codes 0..3 are -1, -1/2, 0, 1/2; u = x / s."""
    x = np.array([-2.0, -0.75, 0.1875, 0.5, 1.0], dtype=dtype)  # u = -4, -1.5, 0.375, 1, 2
    step, zero = np.array(0.5, dtype=dtype), np.array(2.4, dtype=dtype)
    y, cache = lsq_plus_integer_forward(x, step, zero, Grid("affine", 2))
    np.testing.assert_array_equal(y, [-1.0, -1.0, 0.0, 0.5, 0.5])
    grads = lsq_plus_integer_backward(np.array([1, 2, 4, 8, 16], dtype=dtype), cache)
    np.testing.assert_array_equal(grads.x, [0, 2, 4, 8, 0])
    # 1*(-2) + 2*(-2+1.5) + 4*(0-0.375) + 8*(1-1) + 16*1
    assert grads.s == -2 - 1 - 1.5 + 0 + 16
    assert grads.zero_point == -0.5 * (1 + 16)
    assert y.dtype == grads.x.dtype == grads.s.dtype == grads.zero_point.dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
def test_real_form_by_hand(dtype):
    """s = 1/2, o = -3/4, unsigned 2 bits: levels -3/4, -1/4, 1/4, 3/4; v = (x - o) / s."""
    x = np.array([-2.0, -0.5, 0.125, 0.75, 1.0], dtype=dtype)  # v = -2.5, 0.5, 1.75, 3, 3.5
    step, offset = np.array(0.5, dtype=dtype), np.array(-0.75, dtype=dtype)
    y, cache = lsq_plus_real_forward(x, step, offset, Grid("unsigned", 2))
    np.testing.assert_array_equal(y, [-0.75, -0.75, 0.25, 0.75, 0.75])
    grads = lsq_plus_real_backward(np.array([1, 2, 4, 8, 16], dtype=dtype), cache)
    np.testing.assert_array_equal(grads.x, [0, 2, 4, 8, 0])
    # 1*0 + 2*(0-0.5) + 4*(2-1.75) + 8*0 + 16*3
    assert grads.s == 0 - 1 + 1 + 0 + 48
    assert grads.offset == 1 + 16
    assert y.dtype == grads.x.dtype == grads.s.dtype == grads.offset.dtype == dtype


@st.composite
def dyadic_cases(draw):
    """One row in quarters of a step, about the code range moved by a zero point or offset."""
    bits, exponent = draw(st.integers(2, 4)), draw(st.integers(-2, 2))
    step = 2.0**exponent
    shift = draw(st.integers(-4, 4 * 2**bits)) / 4
    quarters = st.integers(-4 * 2**bits - 8, 4 * 2**bits + 8)
    size = draw(st.integers(1, 8))
    x = [step * draw(quarters) / 4 for _ in range(size)]
    d_y = [draw(st.integers(-8, 8)) / 2 for _ in range(size)]
    return Grid("affine", bits), step, shift, x, d_y


@given(case=dyadic_cases(), form=st.sampled_from(sorted(FORMS)), dtype=st.sampled_from(DTYPES))
def test_equal_to_exact_rationals_on_dyadic_inputs(case, form, dtype):
    grid, step, shift, x, d_y = case
    forward, backward = FORMS[form]
    other = shift if form == "integer" else -step * shift
    arrays = [np.array(v, dtype=dtype) for v in (x, step, other)]
    y, cache = forward(*arrays, grid)
    grads = backward(np.array(d_y, dtype=dtype), cache)
    place, ends = (Fraction(step), Fraction(other)), (grid.code_min, grid.code_max)
    exact = [twin.FORMS[form](Fraction(v), *place, *ends)[0] for v in x]
    assert [Fraction(v) for v in y.tolist()] == exact
    row, d_row = ([Fraction(v) for v in values] for values in (x, d_y))
    d_x, d_s, d_other = twin.row_backward(form, row, d_row, place, ends)
    assert grads.x.tolist() == d_x
    assert [Fraction(float(got)) for got in grads[1:]] == [d_s, d_other]


@given(case=dyadic_cases())
def test_integer_form_with_a_whole_zero_point_is_the_affine_quantiser(case):
    grid, step, shift, x, d_y = case
    zero = int(np.clip(np.rint(shift), 0, grid.code_max))
    x, d_y, s = np.array(x), np.array(d_y), np.array(step)
    y, cache = lsq_plus_integer_forward(x, s, np.array(float(zero)), grid)
    expected, plain = fake_quant_forward(x, make_qparams(s, zero, grid))
    np.testing.assert_array_equal(y, expected)
    grads, reference = lsq_plus_integer_backward(d_y, cache), fake_quant_backward(d_y, plain)
    np.testing.assert_array_equal(grads.x, reference.x)
    assert grads.s == reference.s


@given(case=dyadic_cases())
def test_zero_point_and_offset_gradients_differ_by_minus_the_step(case):
    """Methods 2.2: z = -o / s, so G_z = -s G_o; half-integer v would break ties differently."""
    grid, step, shift, x, d_y = case
    zero = 2.0 * round(shift / 2)  # even, so that adding it does not change a half-even tie
    a = lsq_plus_integer_forward(np.array(x), np.array(step), np.array(zero), grid)
    b = lsq_plus_real_forward(np.array(x), np.array(step), np.array(-step * zero), grid)
    np.testing.assert_array_equal(a[0], b[0])
    g_a = lsq_plus_integer_backward(np.array(d_y), a[1])
    g_b = lsq_plus_real_backward(np.array(d_y), b[1])
    np.testing.assert_array_equal(g_a.x, g_b.x)
    assert g_a.zero_point == -step * g_b.offset
    assert g_a.s == g_b.s + zero * -g_b.offset  # at fixed z instead of fixed o: do/ds = -z


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", [(), (3, 1)])
def test_gradients_match_central_differences(form, shape):
    """P55: rounding residuals (of v and of z) and mask frozen, methods 23."""
    rng = np.random.default_rng(11)
    x, d_y = rng.normal(0, 2, (3, 12)), rng.normal(size=(3, 12))
    step = rng.uniform(0.3, 0.5, shape)
    other = rng.uniform(3.0, 4.4, shape) if form == "integer" else rng.uniform(-2, -1, shape)
    forward, backward = FORMS[form]
    y, cache = forward(x, step, other, Grid("affine", 3), grad_scale=0.5)
    grads = backward(d_y, cache)
    clipped = np.clip(cache.level, 0, 7) if form == "real" else cache.level + np.rint(other)

    def surrogate(x, step, other):
        if form == "integer":
            whole = other + (np.rint(frozen[2]) - frozen[2])
            inside = x / step + (np.rint(cache.v) - cache.v)
            return step * np.where(cache.inside, inside, clipped - whole)
        v = (x - other) / step
        return step * np.where(cache.inside, v + (np.rint(cache.v) - cache.v), clipped) + other

    frozen = (x, step, other)
    np.testing.assert_allclose(surrogate(*frozen), y, rtol=1e-14, atol=1e-14)
    assert 0 < cache.inside.sum() < x.size
    for i, (grad, scale) in enumerate(zip(grads, (1.0, 0.5, 0.5), strict=True)):
        value = np.asarray(frozen[i])

        def loss(v, i=i, scale=scale):
            arguments = [v if k == i else frozen[k] for k in range(3)]
            return scale * (d_y * surrogate(*arguments)).sum()

        check_gradient(loss, value, grad, name=grads._fields[i])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", FORMS)
def test_special_values(form, dtype):
    """NaN is quantised like 0, the infinities take the ends; no gradient to x."""
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0], dtype=dtype)
    step = np.array(0.5, dtype=dtype)
    other = np.array(5.0 if form == "integer" else -2.5, dtype=dtype)
    forward, backward = FORMS[form]
    y, cache = forward(x, step, other, Grid("affine", 4))
    np.testing.assert_array_equal(y, [0.0, 5.0, -2.5, 0.0, 0.0])
    assert not np.signbit(y[3:]).any()
    grads = backward(np.ones_like(x), cache)
    np.testing.assert_array_equal(grads.x, [0, 0, 0, 1, 1])
    # integer: level 0, 10, -5, then q - v = 0 twice; real: level 5, 15, 0, then 5 - 5 twice
    assert grads.s == (5.0 if form == "integer" else 20.0)
    assert grads[2] == (-1.5 if form == "integer" else 3.0)


def test_overflowing_quotient_takes_the_end():
    x = np.array([1e300, -1.7e308])
    step, offset = np.array(2.0**-1000), np.array(1.7e308)
    y, _ = lsq_plus_real_forward(x, step, offset, Grid("unsigned", 4))
    np.testing.assert_array_equal(y, [1.7e308, 1.7e308])
    y, _ = lsq_plus_integer_forward(x, step, np.array(3.0), Grid("unsigned", 4))
    np.testing.assert_array_equal(y, [12 * 2.0**-1000, -3 * 2.0**-1000])


def test_zero_point_outside_the_codes_clips_zero_too():
    """Z = 20 on 4 bits: x = 0 has r = 20, which is clipped to 15, so y = -5 s."""
    x = np.array([0.0])
    y, cache = lsq_plus_integer_forward(x, np.array(1.0), np.array(20.0), Grid("affine", 4))
    assert (y[0], cache.inside[0]) == (-5.0, False)


def test_bad_input_is_refused():
    grid, one = Grid("affine", 4), np.array(1.0)
    with pytest.raises(ValueError, match="'qdrop'"):
        lsq_grad_scale("qdropp", WEIGHT, grid)
    with pytest.raises(ValueError, match="3 steps"):
        lsq_grad_scale("lsq_weight", (4, 5), grid, 3)
    with pytest.raises(ValueError, match="shape"):
        lsq_grad_scale("lsq_activation", (4, 0), grid)
    with pytest.raises(ValueError, match="channels"):
        lsq_grad_scale("qdrop", WEIGHT, grid, 0)
    with pytest.raises(ValueError, match="codes that start at 0"):
        lsq_plus_integer_forward(np.ones(2), one, one, Grid("signed", 4))
    for forward, _ in FORMS.values():
        with pytest.raises(ValueError, match="positive normal"):
            forward(np.ones(2), np.array(0.0), one, grid)
        with pytest.raises(ValueError, match="of shape"):
            forward(np.ones(2), one, np.ones(2), grid)
        with pytest.raises(ValueError, match="finite"):
            forward(np.ones(2), one, np.array(np.nan), grid)
        with pytest.raises(TypeError, match="step"):
            forward(np.ones(2), 1.0, one, grid)
        with pytest.raises(ValueError, match="grad_scale"):
            forward(np.ones(2), one, one, grid, grad_scale=np.inf)
    _, cache = lsq_plus_real_forward(np.ones(2), one, one, grid)
    with pytest.raises(ValueError, match="d_y"):
        lsq_plus_real_backward(np.ones(3), cache)
