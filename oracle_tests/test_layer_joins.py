"""add, concat, flatten: values, gradients, refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.exact_lists import assert_rounded_once, dyadic, fractions_of
from oracle_tests.gradcheck import check_gradient
from refquant.layers.add import add_backward, add_forward
from refquant.layers.concat import concat_backward, concat_forward
from refquant.layers.flatten import flatten_backward, flatten_forward
from refquant.oracle.exact import joins as twin

DTYPES = [np.float64, np.float32]
SEEDS = st.integers(0, 2**32 - 1)
SIDES = st.integers(1, 4)


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS, inputs=st.integers(2, 4), shape=st.lists(SIDES, max_size=4).map(tuple))
def test_add_equals_the_twin_exactly(dtype, seed, inputs, shape):
    rng = np.random.default_rng(seed)
    xs, d_y = [dyadic(rng, shape, dtype) for _ in range(inputs)], dyadic(rng, shape, dtype)
    y, cache = add_forward(*xs)
    assert_rounded_once(y, twin.add(*map(fractions_of, xs)), dtype)
    grads = add_backward(d_y, cache)
    assert isinstance(grads, tuple)
    for grad, expected in zip(grads, twin.add_backward(fractions_of(d_y), inputs), strict=True):
        assert_rounded_once(grad, expected, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@given(
    seed=SEEDS,
    n=SIDES,
    channels=st.lists(SIDES, min_size=1, max_size=4),
    tail=st.lists(SIDES, max_size=2),
)
def test_concat_equals_the_twin_exactly(dtype, seed, n, channels, tail):
    rng = np.random.default_rng(seed)
    xs = [dyadic(rng, (n, c, *tail), dtype) for c in channels]
    d_y = dyadic(rng, (n, sum(channels), *tail), dtype)
    y, cache = concat_forward(*xs)
    assert_rounded_once(y, twin.concat(*map(fractions_of, xs)), dtype)
    grads = concat_backward(d_y, cache)
    assert isinstance(grads, tuple)
    for grad, expected in zip(
        grads, twin.concat_backward(fractions_of(d_y), channels), strict=True
    ):
        assert_rounded_once(grad, expected, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS, shape=st.lists(SIDES, min_size=1, max_size=4).map(tuple))
def test_flatten_equals_the_twin_exactly(dtype, seed, shape):
    rng = np.random.default_rng(seed)
    x = dyadic(rng, shape, dtype)
    y, cache = flatten_forward(x)
    assert_rounded_once(y, twin.flatten(fractions_of(x)), dtype)
    d_y = dyadic(rng, y.shape, dtype)
    expected = twin.flatten_backward(fractions_of(d_y), fractions_of(x))
    assert_rounded_once(flatten_backward(d_y, cache), expected, dtype)


def test_add_by_hand_and_from_left_to_right():
    y, cache = add_forward(np.array([1.0, 2.0]), np.array([10.0, 20.0]), np.array([100.0, 200.0]))
    np.testing.assert_array_equal(y, [111.0, 222.0])
    grads = add_backward(np.array([5.0, 6.0]), cache)
    np.testing.assert_array_equal(grads, [[5.0, 6.0]] * 3)
    big = 2.0**53  # big + 1 rounds back to big, so only (big - big) + 1 is 1
    one, far, back = np.array([1.0]), np.array([big]), np.array([-big])
    assert add_forward(far, back, one)[0] == 1.0
    assert add_forward(one, far, back)[0] == 0.0


def test_an_array_may_be_added_to_itself():
    """x + x: both gradients are d_y, and the network adds them to 2 d_y."""
    x = np.array([3.0])
    y, cache = add_forward(x, x)
    np.testing.assert_array_equal(y, [6.0])
    np.testing.assert_array_equal(add_backward(np.array([7.0]), cache), [[7.0], [7.0]])


def test_concat_by_hand():
    a, b = np.array([[1.0], [2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]])
    y, cache = concat_forward(a, b)
    np.testing.assert_array_equal(y, [[1, 3, 4], [2, 5, 6]])
    d_a, d_b = concat_backward(np.array([[10.0, 20.0, 30.0], [40.0, 50.0, 60.0]]), cache)
    np.testing.assert_array_equal(d_a, [[10], [40]])
    np.testing.assert_array_equal(d_b, [[20, 30], [50, 60]])


def test_concat_of_an_input_without_channels():
    y, cache = concat_forward(np.zeros((2, 0, 3)), np.ones((2, 1, 3)))
    assert y.shape == (2, 1, 3)
    assert [d.shape for d in concat_backward(y, cache)] == [(2, 0, 3), (2, 1, 3)]


def test_flatten_by_hand_is_row_major():
    x = np.array([[[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]]])
    y, cache = flatten_forward(x)
    np.testing.assert_array_equal(y, [[1, 2, 3, 4, 5, 6, 7, 8]])
    np.testing.assert_array_equal(flatten_backward(10.0 * y, cache), 10.0 * x)


def test_flatten_of_one_axis_and_of_no_samples():
    assert flatten_forward(np.zeros(5))[0].shape == (5, 1)
    y, cache = flatten_forward(np.zeros((0, 2, 3)))
    assert y.shape == (0, 6)
    assert flatten_backward(y, cache).shape == (0, 2, 3)


@given(seed=SEEDS)
def test_backward_matches_central_differences(seed):
    rng = np.random.default_rng(seed)
    x, other = rng.standard_normal((2, 3, 2, 2)), rng.standard_normal((2, 3, 2, 2))
    for forward, backward in (
        (lambda at: add_forward(at, other), lambda d, c: add_backward(d, c)[0]),
        (lambda at: add_forward(other, at), lambda d, c: add_backward(d, c)[1]),
        (lambda at: concat_forward(at, other), lambda d, c: concat_backward(d, c)[0]),
        (lambda at: concat_forward(other, at), lambda d, c: concat_backward(d, c)[1]),
        (flatten_forward, flatten_backward),
    ):
        y, cache = forward(x)
        d_y = rng.standard_normal(y.shape)

        def loss(at, forward=forward, d_y=d_y):
            return float((d_y * forward(at)[0]).sum())

        check_gradient(loss, x, backward(d_y, cache))


def test_add_refuses():
    x = np.zeros((2, 3))
    with pytest.raises(ValueError, match=r"add_forward\(\): xs is 1 array"):
        add_forward(x)
    with pytest.raises(ValueError, match=r"add_forward\(\): xs\[1\] is of shape \(1, 3\)"):
        add_forward(x, x[:1])
    with pytest.raises(ValueError, match=r"xs\[2\] is of shape \(3,\)"):
        add_forward(x, x, x[0])
    with pytest.raises(TypeError, match=r"add_forward\(\): xs\[1\] is float32"):
        add_forward(x, x.astype(np.float32))
    with pytest.raises(TypeError, match=r"add_forward\(\): xs\[0\] is list"):
        add_forward([1.0], [2.0])
    with pytest.raises(ValueError, match=r"add_backward\(\): d_y is of shape \(3, 2\)"):
        add_backward(x.T, add_forward(x, x)[1])


def test_concat_refuses():
    x = np.zeros((2, 3, 4))
    with pytest.raises(ValueError, match=r"concat_forward\(\): xs is 0 arrays"):
        concat_forward()
    for bad in (np.zeros((1, 3, 4)), np.zeros((2, 3, 5)), np.zeros((2, 3)), np.zeros(2)):
        with pytest.raises(ValueError, match=r"concat_forward\(\): xs\[1\] is of shape"):
            concat_forward(x, bad)
    with pytest.raises(TypeError, match=r"concat_forward\(\): xs\[1\] is float32"):
        concat_forward(x, x.astype(np.float32))
    with pytest.raises(ValueError, match=r"concat_backward\(\): d_y is of shape \(2, 3, 4\)"):
        concat_backward(x, concat_forward(x, x)[1])


def test_flatten_refuses():
    with pytest.raises(ValueError, match=r"flatten_forward\(\): x is a single number"):
        flatten_forward(np.array(1.0))
    with pytest.raises(TypeError, match=r"flatten_forward\(\): x is list"):
        flatten_forward([[1.0]])
    _, cache = flatten_forward(np.zeros((2, 3, 4)))
    with pytest.raises(ValueError, match=r"flatten_backward\(\): d_y is of shape \(2, 3, 4\)"):
        flatten_backward(np.zeros((2, 3, 4)), cache)
