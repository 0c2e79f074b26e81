"""AdaQuant's quantiser: values, gradients of x, R and m, initial range, projection."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from oracle_tests.exact_lists import fractions_of
from oracle_tests.gradcheck import check_gradient
from refquant import numerics as nx
from refquant.oracle.exact import adaquant as twin
from refquant.quantizers.adaquant import (
    adaquant_backward,
    adaquant_forward,
    adaquant_init,
    adaquant_project_span,
)
from refquant.quantizers.fake_quant import fake_quant_backward, fake_quant_forward
from refquant.quantizers.grid import Grid, make_qparams

DTYPES = [np.float64, np.float32]
MODES = ["fast", "pinned"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_by_hand(dtype):
    """R = 3/2, m = -1/2 at 2 bits: s = 1/2, Z = 1, levels -1/2, 0, 1/2, 1."""
    x = np.array([-2.0, -0.5, -0.25, 0.125, 0.25, 1.0, 1.125], dtype=dtype)
    # u + Z = -3, 0, 0.5, 1.25, 1.5, 3, 3.25: clamp, then half to even
    y, cache = adaquant_forward(x, np.array(1.5, dtype), np.array(-0.5, dtype), 2)
    np.testing.assert_array_equal(y, [-0.5, -0.5, -0.5, 0.0, 0.5, 1.0, 1.0])
    grads = adaquant_backward(np.array([1, 2, 4, 8, 16, 32, 64], dtype), cache)
    np.testing.assert_array_equal(grads.x, [0, 2, 4, 8, 16, 32, 0])
    # outside: 1 and 64; sum d_y (q - Z - M u): -1 + 0 - 4/2 - 8/4 + 16/2 + 0 + 64 * 2 = 131
    # and m / s = -1 times the clipped 65 is taken off
    assert grads.minimum == 65
    assert grads.span == dtype(131 + 65) / 3
    assert {y.dtype, grads.x.dtype, grads.span.dtype, grads.minimum.dtype} == {np.dtype(dtype)}


@st.composite
def dyadic_cases(draw):
    """R is Lv powers of two, so that s is one; m and x on eighths of a step, x about the range."""
    bits, step = draw(st.integers(2, 4)), 2.0 ** draw(st.integers(-3, 3))
    top = 2**bits - 1
    minimum = (
        step * draw(st.integers(-8 * (top + 2), 16) | st.sampled_from([4, -4, -8 * top - 4])) / 8
    )
    eighths = st.integers(-8 * (top + 3), 8 * (top + 3)) | st.just(0)
    size = draw(st.integers(1, 6))
    x = [step * draw(eighths) / 8 for _ in range(size)]
    d_y = [draw(st.integers(-16, 16)) / 4 for _ in range(size)]
    return bits, step * top, minimum, x, d_y


@given(case=dyadic_cases())
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
def test_equal_to_exact_rationals(mode, dtype, case):
    """Golden op 7: forward and all three gradients, zero point clipped or not."""
    bits, span, minimum, x, d_y = case
    arrays = [np.array(v, dtype) for v in (x, span, minimum)]
    with nx.arithmetic(mode):
        y, cache = adaquant_forward(*arrays, bits)
        grads = adaquant_backward(np.array(d_y, dtype), cache)
    place = Fraction(span), Fraction(minimum), bits
    event(f"zero point clipped: {not cache.zero_inside}")
    assert fractions_of(y) == [twin.forward(Fraction(v), *place) for v in x]
    exact = twin.backward(*map(fractions_of, (x, d_y)), *place)
    assert fractions_of(grads.x) == exact[0]
    assert grads.span == dtype(exact[1].numerator) / dtype(exact[1].denominator)
    assert Fraction(float(grads.minimum)) == exact[2]


@given(case=dyadic_cases(), span=st.sampled_from([2.0**-20, 2.0**-21, 2.0**17, 2.0**16, -1.0, 0.0]))
def test_a_clipped_range_gets_no_gradient(case, span):
    """Convention 12: GR and Gm are 0 where R is outside [1e-6, 1e5]; x keeps its gradient."""
    bits, _, minimum, x, d_y = case
    y, cache = adaquant_forward(np.array(x), np.array(span), np.array(minimum), bits)
    grads = adaquant_backward(np.array(d_y), cache)
    inside = 1e-6 <= span <= 1e5
    clipped = adaquant_project_span(np.array(span))
    expected = adaquant_forward(np.array(x), clipped, np.array(minimum), bits)
    np.testing.assert_array_equal(y, expected[0])
    other = adaquant_backward(np.array(d_y), expected[1])
    np.testing.assert_array_equal(grads.x, other.x)
    assert grads.span == (other.span if inside else 0.0)
    assert grads.minimum == (other.minimum if inside else 0.0)


@pytest.mark.parametrize("span", [1e-6, 1e5])
def test_the_bounds_of_the_range_are_inside(span):
    """Convention 12, the edge: an element above the range moves R and m there too."""
    _, cache = adaquant_forward(np.array([3.0 * span]), np.array(span), np.array(-span / 4), 4)
    grads = adaquant_backward(np.array([1.0]), cache)
    assert grads.minimum == 1.0
    # q - Z = 15 - 4 and m / s = -15 / 4; the sum over Lv
    np.testing.assert_allclose(grads.span, (11 + 15 / 4) / 15, rtol=1e-14)


@pytest.mark.parametrize("shape", [(), (4, 1)])
@pytest.mark.parametrize("zero", ["inside", "below", "above"])
def test_gradients_match_central_differences(shape, zero):
    """P55: rounding residuals (of t and of -m / s) and all masks frozen, methods 23."""
    rng = np.random.default_rng(3)
    x, d_y = rng.normal(0, 2, (4, 9)), rng.normal(size=(4, 9))
    span = rng.uniform(3, 4, shape)
    low, high = {"inside": (-1.5, -0.5), "below": (0.5, 1.0), "above": (-6.0, -5.0)}[zero]
    minimum = rng.uniform(low, high, shape)
    y, cache = adaquant_forward(x, span, minimum, 3)
    grads = adaquant_backward(d_y, cache)
    assert np.all(cache.zero_inside == (zero == "inside"))
    assert 0 < cache.inside.sum() < x.size
    raw = -minimum / (span / 7)
    whole = np.clip(np.rint(raw), 0, 7)
    t = x / (span / 7) + whole
    moved = np.rint(np.clip(t, 0, 7)) - np.clip(t, 0, 7)
    frozen = (x, span, minimum)

    def surrogate(x, span, minimum):
        step = span / 7
        z = -minimum / step + (np.rint(raw) - raw) if zero == "inside" else whole
        return step * (np.where(cache.inside, x / step + z, np.clip(t, 0, 7)) + moved - z)

    np.testing.assert_allclose(surrogate(*frozen), y, rtol=0, atol=1e-14)
    for i, grad in enumerate(grads):

        def loss(v, i=i):
            return (d_y * surrogate(*frozen[:i], v, *frozen[i + 1 :])).sum()

        check_gradient(loss, np.asarray(frozen[i]), grad, name=grads._fields[i])


@given(case=dyadic_cases())
def test_it_is_the_affine_quantiser_where_the_range_is_one(case):
    """With s and Z given, forward and d_x are those of the unrounded mask, away from ties."""
    bits, span, minimum, x, d_y = case
    step = span / (2**bits - 1)
    x = np.array([v + step / 64 for v in x])  # off the ties, where Z inside rint matters
    y, cache = adaquant_forward(x, np.array(span), np.array(minimum), bits)
    zero = int(np.clip(np.rint(-minimum / step), 0, 2**bits - 1))
    qparams = make_qparams(step, zero, Grid("affine", bits))
    expected, plain = fake_quant_forward(x, qparams, mask="unrounded")
    np.testing.assert_array_equal(y, expected)
    grads = adaquant_backward(np.array(d_y), cache)
    np.testing.assert_array_equal(grads.x, fake_quant_backward(np.array(d_y), plain).x)


def test_a_tie_goes_to_the_even_code():
    """x = s/2 with Z = 1: t = 1.5 gives code 2 and y = s, where rint(1/2) + 1 gives y = 0."""
    y, _ = adaquant_forward(np.array([0.5]), np.array(3.0), np.array(-1.0), 2)
    assert y.tolist() == [1.0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values(dtype):
    """NaN gives 0 and no gradient, the infinities and overflow the ends; no -0.0."""
    x = np.array([np.nan, np.inf, -np.inf, np.finfo(dtype).max, -0.0], dtype=dtype)
    y, cache = adaquant_forward(x, np.array(0.9375, dtype), np.array(-0.25, dtype), 4)
    np.testing.assert_array_equal(y, [0.0, 0.6875, -0.25, 0.6875, 0.0])
    assert not np.signbit(y[[0, 4]]).any()
    grads = adaquant_backward(np.ones_like(x), cache)
    np.testing.assert_array_equal(grads.x, [0, 0, 0, 0, 1])
    assert np.isfinite(grads.span)
    assert grads.minimum == 4


def test_init():
    """m = min(x, 0), R = max(x, 0) - m, R = 0 replaced by 1; per tensor and per channel."""
    x = np.array([[1.0, 3.0], [-2.0, -1.0], [-1.0, 4.0], [0.0, 0.0]], dtype=np.float32)
    span, minimum = adaquant_init(x)
    assert (span.shape, span.item(), minimum.item()) == ((), 6.0, -2.0)
    span, minimum = adaquant_init(x, axis=0)
    assert span.tolist() == [[3.0], [2.0], [5.0], [1.0]]
    assert minimum.tolist() == [[0.0], [-2.0], [-1.0], [0.0]]
    assert span.dtype == minimum.dtype == np.float32
    adaquant_forward(x, span, minimum, 4)
    assert adaquant_init(x, axis=1)[1].tolist() == [[-2.0, -1.0]]
    assert adaquant_init(np.zeros(3))[0] == 1.0


def test_projection():
    span = np.array([1e-7, 1e-6, 2.0, 1e5, 1e6, -3.0])
    assert adaquant_project_span(span).tolist() == [1e-6, 1e-6, 2.0, 1e5, 1e5, 1e-6]


def test_nothing_is_mutated_and_bad_input_is_refused():
    x, one = np.ones((2, 3)), np.array(1.0)
    for array in (x, one):
        array.flags.writeable = False
    _, cache = adaquant_forward(x, one, one, 4)
    adaquant_backward(x, cache)
    with pytest.raises(TypeError, match="float64 like the rest"):
        adaquant_forward(x, one.astype(np.float32), one, 4)
    with pytest.raises(ValueError, match="minimum is of shape"):
        adaquant_forward(x, one, np.ones((2, 1)), 4)
    with pytest.raises(ValueError, match="broadcasts"):
        adaquant_forward(x, np.ones(2), np.ones(2), 4)
    with pytest.raises(ValueError, match="span is nan"):
        adaquant_forward(x, np.array(np.nan), one, 4)
    with pytest.raises(ValueError, match="minimum is inf"):
        adaquant_forward(x, one, np.array(np.inf), 4)
    with pytest.raises(ValueError, match=r"2\.\.16"):
        adaquant_forward(x, one, one, 17)
    with pytest.raises(ValueError, match="d_y"):
        adaquant_backward(np.ones(3), cache)
    with pytest.raises(ValueError, match="elements"):
        adaquant_init(np.ones((0, 2)))
    with pytest.raises(ValueError, match="finite"):
        adaquant_init(np.array([np.nan]))
    with pytest.raises(ValueError, match="axis"):
        adaquant_init(x, axis=2)
