"""The gradient checker itself: right gradients pass, every kind of wrong one fails by name."""

import numpy as np
import pytest

from oracle_tests.gradcheck import check_gradient

SHAPES = [(), (1,), (2, 3), (4, 5, 6), (20, 30)]


def cubic(x):
    return float((x * x * x).sum())


def points(shape):
    return np.random.default_rng(7).uniform(-2.0, 2.0, shape) * np.ones(shape)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_right_gradient_passes(shape):
    x = np.asarray(points(shape))
    kept = x.copy()
    check_gradient(cubic, x, np.asarray(3.0 * x * x))
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("factor", [-1.0, 0.0, 1.00001, 2.0, np.nan])
def test_a_scaled_gradient_fails(shape, factor):
    x = np.asarray(points(shape))
    with pytest.raises(AssertionError, match="cubic"):
        check_gradient(cubic, x, np.asarray(3.0 * x * x) * np.float64(factor) * np.ones(shape))


def test_one_wrong_entry_is_named_with_both_values():
    x = np.arange(1.0, 7.0).reshape(2, 3)
    d_x = 3.0 * x * x
    d_x[1, 2] = 100.0  # 3 * 6**2 = 108
    with pytest.raises(AssertionError) as caught:
        check_gradient(cubic, x, d_x, name="cubic of x")
    message = str(caught.value)
    assert "cubic of x" in message and "1 of 6 probes" in message
    assert "index (1, 2)" in message and "analytic 100.0" in message
    assert "numeric 108.0" in message or "numeric 107.99" in message


def test_one_wrong_entry_of_a_large_array_fails():
    x = points((40, 50))
    d_x = 3.0 * x * x
    d_x[17, 23] += 0.1
    with pytest.raises(AssertionError, match="random direction"):
        check_gradient(cubic, x, d_x)


def test_a_transposed_gradient_fails():
    x = points((3, 3))
    with pytest.raises(AssertionError, match=r"index \(0, 1\)"):
        check_gradient(cubic, x, (3.0 * x * x).T)


def test_a_gradient_of_another_shape_fails_although_it_would_broadcast():
    with pytest.raises(AssertionError, match=r"shape \(3,\)"):
        check_gradient(cubic, np.ones((2, 3)), np.full(3, 3.0))


def test_float32_is_refused_because_the_differences_would_be_noise():
    with pytest.raises(AssertionError, match="float64"):
        check_gradient(cubic, np.ones(3, np.float32), np.full(3, 3.0))


def test_a_function_that_returns_an_array_is_refused():
    with pytest.raises(AssertionError, match="one number"):
        check_gradient(lambda x: x, np.ones(3), np.ones(3))


def test_the_tolerances_are_used():
    x = np.ones(3)
    check_gradient(cubic, x, np.full(3, 3.003), rtol=1e-2)
    check_gradient(cubic, x, np.full(3, 3.003), atol=1e-2)


def test_large_coordinates_get_a_larger_step():
    """At x = 1e6 a step of 1e-6 would leave four digits; relative to |x| ten remain."""
    x = np.array([1e6])
    check_gradient(lambda t: float(t[0] * t[0]), x, 2.0 * x)
