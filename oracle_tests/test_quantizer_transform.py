"""AdaQTransform's output transform: neutral values, the unscaled bias, gradients."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.gradcheck import check_gradient
from refquant.quantizers.transform import output_transform_backward, output_transform_forward

DTYPES = [np.float64, np.float32]
SHAPES = [(3, 2), (2, 3, 4), (2, 3, 2, 2), (1, 2, 1, 2, 1)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_by_hand(dtype):
    """Channel 0: 2 y0 + 1/2 - 3; channel 1: -y0 + 4 + 0: the bias is not scaled by xi."""
    y0 = np.array([[1.0, 2.0], [-3.0, 0.5]], dtype=dtype)
    xi, eta, bias = (np.array(v, dtype=dtype) for v in ([2, -1], [-3, 0], [0.5, 4]))
    y, cache = output_transform_forward(y0, bias, xi, eta)
    np.testing.assert_array_equal(y, [[-0.5, 2.0], [-8.5, 3.5]])
    grads = output_transform_backward(np.array([[1, 10], [100, 1000]], dtype=dtype), cache)
    np.testing.assert_array_equal(grads.y0, [[2, -10], [200, -1000]])
    np.testing.assert_array_equal(grads.xi, [1 - 300, 20 + 500])
    np.testing.assert_array_equal(grads.eta, [101, 1010])
    np.testing.assert_array_equal(grads.bias, [101, 1010])
    assert {y.dtype, *(g.dtype for g in grads)} == {np.dtype(dtype)}


def per_element(y0, bias, xi, eta, d_y):
    """The definition, one element at a time, in exact rationals: y, and sums per channel."""
    c = y0.shape[1]
    y, d_xi, d_eta = np.empty(y0.shape, dtype=object), [Fraction(0)] * c, [Fraction(0)] * c
    for index in np.ndindex(*y0.shape):
        i = index[1]
        value, g = Fraction(float(y0[index])), Fraction(float(d_y[index]))
        y[index] = Fraction(float(xi[i])) * value + Fraction(float(eta[i]))
        y[index] += 0 if bias is None else Fraction(float(bias[i]))
        d_xi[i] += g * value
        d_eta[i] += g
    return y, d_xi, d_eta


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.sampled_from(SHAPES),
    dtype=st.sampled_from(DTYPES),
    with_bias=st.booleans(),
)
def test_equal_to_exact_rationals_on_dyadic_inputs(seed, shape, dtype, with_bias):
    rng = np.random.default_rng(seed)
    y0, d_y = (rng.integers(-64, 65, shape).astype(dtype) / 8 for _ in range(2))
    xi, eta, bias = (rng.integers(-16, 17, shape[1]).astype(dtype) / 4 for _ in range(3))
    bias = bias if with_bias else None
    y, cache = output_transform_forward(y0, bias, xi, eta)
    grads = output_transform_backward(d_y, cache)
    expected, d_xi, d_eta = per_element(y0, bias, xi, eta, d_y)
    assert [Fraction(float(v)) for v in y.ravel()] == expected.ravel().tolist()
    assert [Fraction(float(v)) for v in grads.xi] == d_xi
    assert [Fraction(float(v)) for v in grads.eta] == d_eta
    spread = xi.reshape(1, -1, *(1,) * (len(shape) - 2)) * np.ones(shape)
    np.testing.assert_array_equal(grads.y0, spread * d_y)
    if with_bias:
        np.testing.assert_array_equal(grads.bias, grads.eta)
    else:
        assert grads.bias is None


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("zero", [0.0, -0.0])
@pytest.mark.parametrize("with_bias", [True, False])
def test_neutral_parameters_change_no_bit(with_bias, zero, dtype):
    """P47: xi = 1 and eta = 0 give y0 + b, with -0.0, NaN, infinities and subnormals intact."""
    values = [-0.0, 0.0, np.nan, np.inf, -np.inf, 1e-45, 0.1, -3.7, 1e38]
    y0 = np.array([values, values[::-1]], dtype=dtype).T.copy()
    bias = np.array([-0.0, 0.3], dtype=dtype) if with_bias else None
    y, _ = output_transform_forward(y0, bias, np.ones(2), np.full(2, zero))
    expected = y0 + bias if with_bias else y0
    assert y.dtype == dtype
    assert y.tobytes() == expected.tobytes()


@given(seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from(DTYPES))
def test_neutral_parameters_change_no_bit_of_real_values(seed, dtype):
    """P47 again, on random values."""
    rng = np.random.default_rng(seed)
    y0, bias = rng.normal(size=(2, 3, 4)).astype(dtype), rng.normal(size=3).astype(dtype)
    y, _ = output_transform_forward(y0, bias, np.ones(3, dtype), np.zeros(3, dtype))
    assert y.tobytes() == (y0 + bias[:, None]).tobytes()


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_match_central_differences(shape):
    """P55 in spirit: the transform is smooth, so no surrogate is needed."""
    rng = np.random.default_rng(4)
    y0, d_y = rng.normal(size=shape), rng.normal(size=shape)
    bias, xi, eta = (rng.normal(size=shape[1]) for _ in range(3))
    arguments = {"y0": y0, "bias": bias, "xi": xi, "eta": eta}
    _, cache = output_transform_forward(**arguments)
    grads = output_transform_backward(d_y, cache)
    for name, value in arguments.items():

        def loss(v, name=name):
            return (d_y * output_transform_forward(**{**arguments, name: v})[0]).sum()

        check_gradient(loss, value, getattr(grads, name), name=name)


def test_gradients_share_no_memory_and_arguments_stay():
    y0, one = np.ones((2, 3)), np.ones(3)
    _, cache = output_transform_forward(y0, one, one, one)
    grads = output_transform_backward(y0, cache)
    assert not np.shares_memory(grads.bias, grads.eta)
    grads.y0[:] = 7.0
    np.testing.assert_array_equal(y0, np.ones((2, 3)))


def test_bad_input_is_refused():
    y0, one = np.ones((2, 3)), np.ones(3)
    with pytest.raises(ValueError, match=r"y0 is of shape \(3,\)"):
        output_transform_forward(one, one, one, one)
    for name in ("bias", "xi", "eta"):
        arguments = {"bias": one, "xi": one, "eta": one, name: np.ones((3, 1))}
        with pytest.raises(ValueError, match=f"{name} is of shape"):
            output_transform_forward(y0, **arguments)
        arguments[name] = np.ones(3, dtype=np.int64)
        with pytest.raises(TypeError, match=f"{name} is int64"):
            output_transform_forward(y0, **arguments)
    _, cache = output_transform_forward(y0, None, one, one)
    with pytest.raises(ValueError, match="d_y"):
        output_transform_backward(np.ones((3, 2)), cache)
