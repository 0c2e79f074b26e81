"""Linear: equal to the twin, to a 1x1 convolution (P03), and its gradients."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.gradcheck import check_gradient
from refquant.layers.conv2d import conv2d_backward, conv2d_forward
from refquant.layers.geometry import Geometry
from refquant.layers.linear import linear_backward, linear_forward
from refquant.oracle.exact import linear as exact

SIZES = {"n": st.integers(1, 4), "features": st.integers(1, 6), "c_out": st.integers(1, 4)}


def dyadic(seed, shape, dtype=np.float64):
    return (np.random.default_rng(seed).integers(-16, 17, shape) / 8).astype(dtype)


def operands(seed, n, features, c_out, make=dyadic):
    shapes = ((n, features), (c_out, features), (c_out,), (n, c_out))
    return [make(seed + i, shape) for i, shape in enumerate(shapes)]


def normal(seed, shape):
    return np.random.default_rng(seed).normal(size=shape)


@given(**SIZES, seed=st.integers(0, 2**32 - 1))
def test_equals_the_twin(n, features, c_out, seed):
    x, w, bias, d_y = operands(seed, n, features, c_out)
    y, cache = linear_forward(x, w, bias)
    np.testing.assert_array_equal(y, exact.linear(x.tolist(), w.tolist(), bias.tolist()))
    expected = exact.linear_backward(d_y.tolist(), x.tolist(), w.tolist())
    for got, want in zip(linear_backward(d_y, cache), expected, strict=True):
        np.testing.assert_array_equal(got, want)


@given(**SIZES, seed=st.integers(0, 2**32 - 1))
def test_equals_a_convolution_of_a_one_pixel_map(n, features, c_out, seed):
    """P03."""
    x, w, bias, d_y = operands(seed, n, features, c_out)
    y, cache = linear_forward(x, w, bias)
    y_map, map_cache = conv2d_forward(
        x[:, :, None, None], w[:, :, None, None], bias, Geometry((1, 1))
    )
    np.testing.assert_array_equal(y, y_map[:, :, 0, 0])
    grads, map_grads = (
        linear_backward(d_y, cache),
        conv2d_backward(d_y[:, :, None, None], map_cache),
    )
    np.testing.assert_array_equal(grads.x, map_grads.x[:, :, 0, 0])
    np.testing.assert_array_equal(grads.w, map_grads.w[:, :, 0, 0])
    np.testing.assert_array_equal(grads.bias, map_grads.bias)


def test_real_numbers_stay_within_the_bound_of_a_dot_product():
    """Both sides sum 40 products and a bias: each is within 41 u sum |w x| of the truth."""
    x, w, bias, _ = operands(3, 5, 40, 6, normal)
    y, _ = linear_forward(x, w, bias)
    expected = np.array(exact.linear(x.tolist(), w.tolist(), bias.tolist()))
    size = np.array(exact.linear(*(abs(a).tolist() for a in (x, w, bias))))
    assert np.all(np.abs(y - expected) <= 2 * 41 * 2.0**-53 * size)


def test_gradients_match_central_differences():
    x, w, bias, d_y = operands(5, 4, 6, 3, normal)
    grads = linear_backward(d_y, linear_forward(x, w, bias)[1])

    def loss(x, w, bias):
        return float((d_y * linear_forward(x, w, bias)[0]).sum())

    check_gradient(lambda t: loss(t, w, bias), x, grads.x, name="linear x")
    check_gradient(lambda t: loss(x, t, bias), w, grads.w, name="linear w")
    check_gradient(lambda t: loss(x, w, t), bias, grads.bias, name="linear bias")


def test_by_hand():
    """y = (1*3 + 2*4 + 0.5, 1*5 + 2*6 - 1)."""
    x, w = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]])
    y, cache = linear_forward(x, w, np.array([0.5, -1.0]))
    np.testing.assert_array_equal(y, [[11.5, 16.0]])
    grads = linear_backward(np.array([[1.0, 10.0]]), cache)
    np.testing.assert_array_equal(grads.x, [[53.0, 64.0]])  # 3 + 50, 4 + 60
    np.testing.assert_array_equal(grads.w, [[1.0, 2.0], [10.0, 20.0]])
    np.testing.assert_array_equal(grads.bias, [1.0, 10.0])


def test_the_twin_is_exact_on_fractions():
    third = Fraction(1, 3)
    assert exact.linear([[third, third]], [[third, 1]], [third]) == [[Fraction(7, 9)]]
    d_x, d_w, d_bias = exact.linear_backward([[third]], [[third, 2]], [[third, 1]])
    assert (d_x, d_w, d_bias) == ([[third**2, third]], [[third**2, 2 * third]], [third])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_kept_arguments_unchanged_and_no_bias(dtype):
    arrays = operands(7, 4, 6, 3, lambda seed, shape: dyadic(seed, shape, dtype))
    kept = [a.copy() for a in arrays]
    x, w, bias, d_y = arrays
    y, cache = linear_forward(x, w, bias)
    grads = linear_backward(d_y, cache)
    assert [a.dtype for a in (y, *grads)] == [dtype] * 4
    bare, bare_cache = linear_forward(x, w, None)
    bare_grads = linear_backward(d_y, bare_cache)
    assert bare.dtype == dtype and bare_grads.bias is None
    np.testing.assert_array_equal(bare + bias, y)
    np.testing.assert_array_equal(bare_grads.w, grads.w)
    for before, after in zip(kept, arrays, strict=True):
        np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize(
    "change, error, words",
    [
        ({"x": np.zeros((2, 3, 1, 1))}, ValueError, "x is .*2 axes"),
        ({"x": np.zeros((2, 4))}, ValueError, r"w is of shape \(5, 3\).*\(5, 4\)"),
        ({"w": np.zeros((5, 3, 1, 1))}, ValueError, "w is .*2 axes"),
        ({"w": np.zeros((5, 3), np.float32)}, TypeError, "w is float32"),
        ({"x": np.zeros((2, 3), int)}, TypeError, "x is int64"),
        ({"bias": np.zeros(3)}, ValueError, r"bias is of shape \(3,\).*\(5,\)"),
        ({"bias": np.zeros((1, 5))}, ValueError, "bias is .*1 axes"),
        ({"bias": np.zeros(5, np.float32)}, TypeError, "bias is float32"),
    ],
)
def test_forward_refuses(change, error, words):
    good = {"x": np.zeros((2, 3)), "w": np.zeros((5, 3)), "bias": np.zeros(5)}
    with pytest.raises(error, match=words):
        linear_forward(**{**good, **change})


def test_backward_refuses():
    _, cache = linear_forward(np.zeros((2, 3)), np.zeros((5, 3)), None)
    with pytest.raises(ValueError, match="d_y"):
        linear_backward(np.zeros((2, 3)), cache)
    with pytest.raises(TypeError, match="d_y"):
        linear_backward(np.zeros((2, 5), np.float32), cache)
