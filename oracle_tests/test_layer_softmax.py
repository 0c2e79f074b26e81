"""softmax over the channels: exact points, mpmath, gradients, special values, refusals."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.gradcheck import check_gradient
from refquant import numerics as nx
from refquant.layers.softmax import softmax_backward, softmax_forward

SHAPES = [(2, 3), (2, 4, 5), (1, 3, 2, 2)]


@pytest.mark.parametrize("mode", ["fast", "pinned"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_logarithms_of_whole_numbers_have_rational_probabilities(mode, dtype):
    """softmax(ln 1, ln 2, ln 5) = (1, 2, 5) / 8, at every position by itself; dp_i/dx_0."""
    x = np.log(np.array([[1.0, 7.0], [2.0, 7.0], [5.0, 7.0]])).astype(dtype)[None]
    with nx.arithmetic(mode):
        y, cache = softmax_forward(x)
        d_x = softmax_backward(np.array([[[1, 0], [0, 0], [0, 0]]], dtype), cache)
    eps = np.finfo(dtype).eps
    third = [1 / 3, 1 / 3, 1 / 3]
    np.testing.assert_allclose(y[0].T, [[1 / 8, 2 / 8, 5 / 8], third], rtol=8 * eps)
    # p_0 (delta - p): 1/8 7/8, -1/8 2/8, -1/8 5/8; no gradient enters the second position
    np.testing.assert_allclose(d_x[0, :, 0], [7 / 64, -2 / 64, -5 / 64], rtol=32 * eps)
    assert not d_x[0, :, 1].any() and (y.dtype, d_x.dtype) == (dtype, dtype)


@given(seed=st.integers(0, 2**32 - 1))
def test_values_are_those_of_mpmath(seed):
    x = np.random.default_rng(seed).uniform(-300.0, 300.0, (1, 4))
    y, _ = softmax_forward(x)
    with mpmath.workdps(40):
        parts = [mpmath.exp(mpmath.mpf(float(v))) for v in x[0]]
        exact = [float(part / mpmath.fsum(parts)) for part in parts]
    np.testing.assert_allclose(y[0], exact, rtol=1e-13, atol=1e-300)


@pytest.mark.parametrize("shape", SHAPES)
@given(seed=st.integers(0, 2**32 - 1))
def test_backward_matches_central_differences_and_sums_to_nothing(shape, seed):
    rng = np.random.default_rng(seed)
    x, d_y = rng.normal(size=shape), rng.normal(size=shape)
    y, cache = softmax_forward(x)
    d_x = softmax_backward(d_y, cache)
    np.testing.assert_allclose(y.sum(axis=1), 1.0, rtol=1e-14)
    np.testing.assert_allclose(d_x.sum(axis=1), 0.0, atol=1e-14)
    check_gradient(lambda at: float((d_y * softmax_forward(at)[0]).sum()), x, d_x, name="softmax")


def test_special_values():
    """-inf cannot occur, large ones do not overflow, NaN stays in its place, one channel is 1."""
    x = np.array([[1000.0, -np.inf, 0.0], [1000.0, 0.0, np.nan]])[None]
    y, _ = softmax_forward(x)
    np.testing.assert_array_equal(y[0, :, :2], [[0.5, 0.0], [0.5, 1.0]])
    assert np.isnan(y[0, :, 2]).all()
    y, cache = softmax_forward(np.array([[3.0], [-7.0]]))
    assert y.tolist() == [[1.0], [1.0]]
    assert softmax_backward(np.ones((2, 1)), cache).tolist() == [[0.0], [0.0]]


def test_bad_arrays_are_refused_by_name():
    with pytest.raises(TypeError, match=r"softmax_forward\(\): x is int64"):
        softmax_forward(np.array([[1]]))
    for shape in ((3,), (2, 0)):
        with pytest.raises(ValueError, match=r"x is of shape .*expected \(n, c"):
            softmax_forward(np.zeros(shape))
    _, cache = softmax_forward(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"softmax_backward\(\): d_y is of shape \(3, 2\)"):
        softmax_backward(np.zeros((3, 2)), cache)
