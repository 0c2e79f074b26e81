"""Clip-range quantiser: values and gradients of x and both ends."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.exact_lists import fractions_of
from oracle_tests.gradcheck import check_gradient
from refquant import numerics as nx
from refquant.quantizers.clip_range import (
    clip_range_backward,
    clip_range_forward,
    symmetric_gradient,
)

DTYPES = [np.float64, np.float32]
MODES = ["fast", "pinned"]


def exact(x, low, high, bits):
    """(y, dy/dx, dy/dl, dy/dr) of one number in rationals, from methods 2.7."""
    levels = 2**bits - 1
    clipped = min(high, max(low, x))
    v = levels * (clipped - low) / (high - low)
    y = low + (high - low) * round(v) / levels
    inside, residual = low <= x <= high, (round(v) - v) / levels
    return y, int(inside), (x < low) - inside * residual, (x > high) + inside * residual


@pytest.mark.parametrize("dtype", DTYPES)
def test_by_hand(dtype):
    """l = -1/4, r = 1/2 at 2 bits: levels -1/4, 0, 1/4, 1/2; v = 4 (x - l)."""
    x = np.array([-1.0, -0.25, -0.0625, 0.125, 0.5, 0.75], dtype=dtype)
    # v = 0, 0, 0.75, 1.5, 3, 3; delta = 0, 0, 1/4, 1/2, 0, 0
    y, cache = clip_range_forward(x, np.array(-0.25, dtype), np.array(0.5, dtype), 2)
    np.testing.assert_array_equal(y, [-0.25, -0.25, 0.0, 0.25, 0.5, 0.5])
    grads = clip_range_backward(np.array([1, 2, 4, 8, 16, 32], dtype), cache)
    np.testing.assert_array_equal(grads.x, [0, 2, 4, 8, 16, 0])
    # (4/4 + 8/2) / 3 = 5/3
    assert grads.low == dtype(3 * 1 - 5) / 3
    assert grads.high == dtype(3 * 32 + 5) / 3
    np.testing.assert_allclose(symmetric_gradient(grads), 31 + 10 / 3, rtol=1e-6)
    assert {y.dtype, grads.x.dtype, grads.low.dtype, grads.high.dtype} == {np.dtype(dtype)}


@st.composite
def dyadic_cases(draw):
    """A range of Lv powers of two; x on eighths of a step, on and around both ends."""
    bits, step = draw(st.integers(2, 4)), 2.0 ** draw(st.integers(-3, 3))
    top = 2**bits - 1
    start = draw(st.integers(-8 * top, 16))
    eighths = st.integers(start - 16, start + 8 * top + 16)
    ends = st.sampled_from([start, start + 8 * top, start + 4])
    size = draw(st.integers(1, 6))
    x = [step * draw(eighths | ends) / 8 for _ in range(size)]
    d_y = [draw(st.integers(-16, 16)) / 4 for _ in range(size)]
    low = step * start / 8
    return bits, low, low + step * top, x, d_y


@given(case=dyadic_cases())
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
def test_equal_to_exact_rationals(mode, dtype, case):
    bits, low, high, x, d_y = case
    arrays = [np.array(v, dtype) for v in (x, low, high)]
    with nx.arithmetic(mode):
        y, cache = clip_range_forward(*arrays, bits)
        grads = clip_range_backward(np.array(d_y, dtype), cache)
    rows = [exact(Fraction(v), Fraction(low), Fraction(high), bits) for v in x]
    assert fractions_of(y) == [row[0] for row in rows]
    assert grads.x.tolist() == [g * row[1] for g, row in zip(d_y, rows, strict=True)]
    for got, column in ((grads.low, 2), (grads.high, 3)):
        total = sum(Fraction(g) * row[column] for g, row in zip(d_y, rows, strict=True))
        assert got == dtype(total.numerator) / dtype(total.denominator)


@pytest.mark.parametrize("shape", [(), (3, 1)])
def test_gradients_match_central_differences(shape):
    """P55: residual and masks frozen, methods 23; the symmetric end as well."""
    rng = np.random.default_rng(8)
    x, d_y = rng.normal(0, 2, (3, 14)), rng.normal(size=(3, 14))
    high = rng.uniform(1.0, 2.0, shape)
    high, free = np.asarray(high), np.asarray(-rng.uniform(0.5, 1.5, shape))
    for low, name in ((free, "free"), (np.asarray(-high), "symmetric")):
        y, cache = clip_range_forward(x, low, high, 3)
        grads = clip_range_backward(d_y, cache)
        assert cache.below.any()
        assert cache.above.any()

        def surrogate(x, low, high, cache=cache):
            inside = x + (high - low) * cache.residual / 7
            return np.where(cache.inside, inside, np.where(cache.below, low, high))

        frozen = (x, low, high)
        np.testing.assert_allclose(surrogate(*frozen), y, rtol=0, atol=1e-14)
        for i, grad in enumerate(grads):

            def loss(v, i=i, frozen=frozen, f=surrogate):
                return (d_y * f(*frozen[:i], v, *frozen[i + 1 :])).sum()

            check_gradient(loss, frozen[i], grad, name=f"{name} {grads._fields[i]}")

        def shared(r, f=surrogate):
            return (d_y * f(x, -r, r)).sum()

        if name == "symmetric":
            check_gradient(shared, frozen[2], symmetric_gradient(grads), name="symmetric")


def test_zero_need_not_be_a_level():
    """l = -1/4, r = 5/4 at 2 bits: levels -1/4, 1/4, 3/4, 5/4, and 0 rounds to the even code."""
    y, _ = clip_range_forward(np.array([0.0]), np.array(-0.25), np.array(1.25), 2)
    assert y.tolist() == [-0.25]


@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values(dtype):
    """NaN is quantised like 0 and passes nothing; the infinities take the ends."""
    x = np.array([np.nan, np.inf, -np.inf, np.finfo(dtype).max], dtype=dtype)
    y, cache = clip_range_forward(x, np.array(-1.25, dtype), np.array(6.25, dtype), 4)
    np.testing.assert_array_equal(y, [-0.25, 6.25, -1.25, 6.25])
    grads = clip_range_backward(np.array([1, 2, 4, 8], dtype), cache)
    np.testing.assert_array_equal(grads.x, np.zeros(4))
    assert (grads.low, grads.high) == (4.0, 10.0)


def test_nothing_is_mutated_and_bad_input_is_refused():
    x, low, high = np.ones((2, 3)), np.array(-1.0), np.array(1.0)
    for array in (x, low, high):
        array.flags.writeable = False
    _, cache = clip_range_forward(x, low, high, 4)
    clip_range_backward(x, cache)
    with pytest.raises(ValueError, match="high - low"):
        clip_range_forward(x, high, high, 4)
    with pytest.raises(ValueError, match="high - low"):
        clip_range_forward(x, high, low, 4)
    with pytest.raises(ValueError, match="high - low"):
        clip_range_forward(x, np.array(-1e308), np.array(1e308), 4)
    with pytest.raises(ValueError, match="2\\^bits"):
        clip_range_forward(x, np.array(0.0), np.array(1e308), 4)
    with pytest.raises(ValueError, match="high is of shape"):
        clip_range_forward(x, low, np.ones((2, 1)), 4)
    with pytest.raises(ValueError, match="broadcasts"):
        clip_range_forward(x, -np.ones(2), np.ones(2), 4)
    with pytest.raises(TypeError, match="low is float32"):
        clip_range_forward(x, low.astype(np.float32), high, 4)
    with pytest.raises(ValueError, match=r"2\.\.16"):
        clip_range_forward(x, low, high, 0)
    with pytest.raises(ValueError, match="d_y"):
        clip_range_backward(np.ones(3), cache)
