"""relu, relu6, leaky relu, sigmoid: values, gradients, kinks, special values, refusals."""

import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.exact_lists import assert_rounded_once, dyadic, fractions_of
from oracle_tests.gradcheck import check_gradient
from refquant import numerics as nx
from refquant.layers.leaky_relu import leaky_relu_backward, leaky_relu_forward
from refquant.layers.relu import relu_backward, relu_forward
from refquant.layers.relu6 import relu6_backward, relu6_forward
from refquant.layers.sigmoid import sigmoid_backward, sigmoid_forward
from refquant.oracle.exact import activations as twin

DTYPES = [np.float64, np.float32]
MODES = ["fast", "pinned"]
SLOPE = 0.25  # dyadic, so that slope * x is exact
OPS = {
    "relu": (relu_forward, relu_backward, twin.relu, twin.relu_backward),
    "relu6": (relu6_forward, relu6_backward, twin.relu6, twin.relu6_backward),
    "leaky_relu": (
        partial(leaky_relu_forward, slope=SLOPE),
        leaky_relu_backward,
        partial(twin.leaky_relu, slope=SLOPE),
        partial(twin.leaky_relu_backward, slope=SLOPE),
    ),
    "sigmoid": (sigmoid_forward, sigmoid_backward, twin.sigmoid, twin.sigmoid_backward),
}
RATIONAL = ["relu", "relu6", "leaky_relu"]
SHAPES = st.lists(st.integers(1, 4), min_size=0, max_size=4).map(tuple)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", RATIONAL)
@given(seed=st.integers(0, 2**32 - 1), shape=SHAPES)
def test_equals_the_twin_exactly_on_dyadic_inputs(op, dtype, seed, shape):
    forward, backward, twin_forward, twin_backward = OPS[op]
    rng = np.random.default_rng(seed)
    x, d_y = dyadic(rng, shape, dtype, reach=64), dyadic(rng, shape, dtype)
    y, cache = forward(x)
    assert_rounded_once(y, twin_forward(fractions_of(x)), dtype)
    expected = twin_backward(fractions_of(d_y), fractions_of(x))
    assert_rounded_once(backward(d_y, cache), expected, dtype)


# The kinks 0 and 6 themselves, their neighbours on both sides, and points far away.
BELOW_6, ABOVE_0 = 6.0 - 2.0**-20, 2.0**-120
X = [-8.0, -ABOVE_0, -0.0, 0.0, ABOVE_0, 1.0, BELOW_6, 6.0, 7.0]
Y_AND_SLOPES = {
    "relu": ([0, 0, 0, 0, ABOVE_0, 1, BELOW_6, 6, 7], [0, 0, 0, 0, 1, 1, 1, 1, 1]),
    "relu6": ([0, 0, 0, 0, ABOVE_0, 1, BELOW_6, 6, 6], [0, 0, 0, 0, 1, 1, 1, 0, 0]),
    "leaky_relu": (
        [-2, -ABOVE_0 / 4, 0, 0, ABOVE_0, 1, BELOW_6, 6, 7],
        [0.25, 0.25, 0.25, 0.25, 1, 1, 1, 1, 1],
    ),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", RATIONAL)
def test_values_and_gradients_on_the_kinks_and_beside_them(op, dtype):
    forward, backward, _, _ = OPS[op]
    y, cache = forward(np.array(X, dtype=dtype))
    expected, slopes = Y_AND_SLOPES[op]
    assert_rounded_once(y, expected, dtype)
    d_y = np.arange(1.0, 10.0).astype(dtype)
    assert_rounded_once(backward(d_y, cache), d_y * np.array(slopes), dtype)


@pytest.mark.parametrize("op", ["relu", "relu6"])
def test_both_zeros_become_plus_zero(op):
    y, _ = OPS[op][0](np.array([-0.0, 0.0, -3.0]))
    np.testing.assert_array_equal(np.signbit(y), [False, False, False])


SPECIAL = np.array([np.nan, np.inf, -np.inf])
SPECIAL_VALUES = {
    "relu": ([np.nan, np.inf, 0.0], [0.0, 1.0, 0.0]),
    "relu6": ([np.nan, 6.0, 0.0], [0.0, 0.0, 0.0]),
    "leaky_relu": ([np.nan, np.inf, -np.inf], [0.25, 1.0, 0.25]),
    "sigmoid": ([np.nan, 1.0, 0.0], [np.nan, 0.0, 0.0]),
}


@pytest.mark.parametrize("op", OPS)
def test_nan_and_infinities(op):
    forward, backward, _, _ = OPS[op]
    y, cache = forward(SPECIAL)
    np.testing.assert_array_equal(y, SPECIAL_VALUES[op][0])
    np.testing.assert_array_equal(backward(np.ones(3), cache), SPECIAL_VALUES[op][1])


@pytest.mark.parametrize("op", ["relu", "relu6"])
def test_an_infinite_gradient_in_the_flat_part_is_zero_not_nan(op):
    forward, backward, _, _ = OPS[op]
    _, cache = forward(np.array([-1.0, 0.0]))
    np.testing.assert_array_equal(backward(np.array([np.inf, np.nan]), cache), [0.0, 0.0])


@pytest.mark.parametrize("op", OPS)
@given(seed=st.integers(0, 2**32 - 1))
def test_backward_matches_central_differences_off_the_kinks(op, seed):
    forward, backward, _, _ = OPS[op]
    rng = np.random.default_rng(seed)
    middles = rng.choice([-3.0, 3.0, 9.0], (2, 3, 4))  # kinks at 0 and 6 are at least 1 away
    x, d_y = middles + rng.uniform(-2.0, 2.0, (2, 3, 4)), rng.standard_normal((2, 3, 4))
    _, cache = forward(x)

    def loss(at):
        return float((d_y * forward(at)[0]).sum())

    check_gradient(loss, x, backward(d_y, cache), name=op)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_sigmoid_at_points_with_rational_values(mode, dtype):
    """sigma(ln r) = r / (1 + r), and the slope is r / (1 + r)^2: r = 1, 3, 1/3, 7."""
    x = np.log(np.array([1.0, 3.0, 1.0 / 3.0, 7.0])).astype(dtype)
    with nx.arithmetic(mode):
        y, cache = sigmoid_forward(x)
    eps = np.finfo(dtype).eps  # x itself is rounded: slope <= 1/4 times |x| eps / 2, and more
    np.testing.assert_allclose(y, [1 / 2, 3 / 4, 1 / 4, 7 / 8], rtol=4 * eps, atol=0)
    slopes = sigmoid_backward(np.ones(4, dtype=dtype), cache)
    np.testing.assert_allclose(slopes, [1 / 4, 3 / 16, 3 / 16, 7 / 64], rtol=16 * eps, atol=0)
    assert (y.dtype, slopes.dtype) == (dtype, dtype)
    assert (y[0], slopes[0]) == (0.5, 0.25)


@given(seed=st.integers(0, 2**32 - 1))
def test_sigmoid_is_the_twin_up_to_a_few_roundings(seed):
    rng = np.random.default_rng(seed)
    x, d_y = rng.uniform(-40.0, 40.0, (3, 5)), rng.standard_normal((3, 5))
    y, cache = sigmoid_forward(x)
    eps = np.finfo(np.float64).eps  # exp, a sum and a quotient, in each of the two computations
    np.testing.assert_allclose(y, twin.sigmoid(x.tolist()), rtol=8 * eps, atol=0)
    expected = twin.sigmoid_backward(d_y.tolist(), x.tolist())
    # The twin has sigma(-x) to full relative accuracy, 1 - y only to an absolute one.
    error = np.abs(sigmoid_backward(d_y, cache) - expected)
    assert np.all(error <= 8 * eps * np.abs(d_y))


def test_sigmoid_is_stable_far_out():
    """sigma(-700) = exp(-700) / (1 + exp(-700)); 1 / (1 + exp(700)) would be as good, 800 not."""
    y, _ = sigmoid_forward(np.array([-700.0, -800.0, 800.0]))
    np.testing.assert_allclose(y[0], math.exp(-700.0), rtol=1e-12)
    np.testing.assert_array_equal(y[1:], [0.0, 1.0])


@pytest.mark.parametrize("op", OPS)
def test_nothing_is_mutated_and_dtypes_are_kept(op):
    forward, backward, _, _ = OPS[op]
    x, d_y = np.array([-1.5, 0.0, 7.0], dtype=np.float32), np.ones(3, dtype=np.float32)
    x.setflags(write=False)
    d_y.setflags(write=False)
    y, cache = forward(x)
    assert y.dtype == np.float32
    assert backward(d_y, cache).dtype == np.float32


def test_a_wide_slope_does_not_widen_float32():
    y, cache = leaky_relu_forward(np.array([-1.0], dtype=np.float32), np.float64(0.1))
    assert y.dtype == np.float32
    assert y[0] == -np.float32(0.1)
    assert leaky_relu_backward(np.ones(1, dtype=np.float32), cache)[0] == np.float32(0.1)


def test_the_default_slope_is_a_hundredth():
    y, _ = leaky_relu_forward(np.array([-1.0]))
    assert y[0] == -0.01


@pytest.mark.parametrize("op", OPS)
def test_bad_arrays_are_refused_by_name(op):
    forward, backward, _, _ = OPS[op]
    with pytest.raises(TypeError, match=rf"{op}_forward\(\): x is list"):
        forward([1.0])
    with pytest.raises(TypeError, match=rf"{op}_forward\(\): x is int64"):
        forward(np.array([1]))
    _, cache = forward(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=rf"{op}_backward\(\): d_y is of shape \(3, 2\)"):
        backward(np.zeros((3, 2)), cache)
    with pytest.raises(TypeError, match=rf"{op}_backward\(\): d_y is list"):
        backward([1.0], cache)


@pytest.mark.parametrize("slope", [math.nan, math.inf, -math.inf])
def test_a_slope_that_is_not_finite_is_refused(slope):
    with pytest.raises(ValueError, match="slope"):
        leaky_relu_forward(np.zeros(2), slope)
