"""Closed-form scale, shift and step: least squares against exact rationals."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle_tests.exact_lists import dyadic
from refquant.optimal.least_squares import best_step, fit_transform, nested_losses
from refquant.oracle.exact import least_squares as twin
from refquant.quantizers.transform import (
    output_transform_backward,
    output_transform_forward,
    transform_shape,
)

SEEDS = st.integers(0, 2**32 - 1)
KINDS = ["channel", "layer", "pixel"]
EPS = 2.0**-52


def groups(array, kind):
    """{parameter index: flat list of Fractions} of an (n, c, ...) array."""
    length = len(transform_shape(kind, array.shape))
    found = {}
    for index in np.ndindex(*array.shape):
        found.setdefault(index[1 : 1 + length], []).append(Fraction(float(array[index])))
    return found


def shifted(y, bias):
    return y - bias.reshape(1, -1, *[1] * (y.ndim - 2))


@settings(max_examples=25)
@given(
    seed=SEEDS,
    kind=st.sampled_from(KINDS),
    shape=st.sampled_from([(4, 2), (4, 2, 2), (8, 1, 2, 2)]),
    with_bias=st.booleans(),
)
def test_fit_equals_exact_rationals_on_dyadic_inputs(seed, kind, shape, with_bias):
    """P44: groups of 2^m dyadic values leave one rounding in xi, a few in eta and mse."""
    rng = np.random.default_rng(seed)
    y, y0 = dyadic(rng, shape), dyadic(rng, shape)
    if seed % 3 == 0:
        y0[:, 0] = 0.625  # a channel that does not vary
    bias = dyadic(rng, shape[1]) if with_bias else None
    fit = fit_transform(y, y0, bias, kind)
    target = y if bias is None else shifted(y, bias)
    assert fit.xi.shape == fit.eta.shape == fit.mse.shape == transform_shape(kind, shape)
    product = groups(y0, kind)
    for at, values in groups(target, kind).items():
        xi, eta = twin.fit(values, product[at], Fraction(0))
        assert float(fit.xi[at]) == float(xi)
        size = float(abs(xi) * 4 + 16 + abs(eta))
        assert abs(Fraction(float(fit.eta[at])) - eta) <= 8 * EPS * size
        mse = twin.mean_square(values, product[at], Fraction(0), xi, eta)
        assert abs(Fraction(float(fit.mse[at])) - mse) <= 32 * EPS * (mse + 1)


@given(seed=SEEDS, size=st.integers(1, 7))
def test_exact_fit_is_stationary_and_leaves_one_minus_rho_squared(seed, size):
    """P44 in Fractions: normal equations, residual, never above xi = 1, eta = 0 or any other."""
    rng = np.random.default_rng(seed)
    y, y0 = ([Fraction(int(v), 8) for v in rng.integers(-20, 21, size)] for _ in range(2))
    bias = Fraction(3, 8)
    xi, eta = twin.fit(y, y0, bias)
    errors = [a - twin.transform(b, bias, xi, eta) for a, b in zip(y, y0, strict=True)]
    assert sum(errors) == 0
    assert sum(e * b for e, b in zip(errors, y0, strict=True)) == 0 or len(set(y0)) == 1
    loss = twin.mean_square(y, y0, bias, xi, eta)
    assert loss == twin.residual(y, y0)
    for d_xi, d_eta in ((1, 0), (0, 1), (-1, 1), (Fraction(1, 9), 0), (1 - xi, -eta)):
        assert loss <= twin.mean_square(y, y0, bias, xi + d_xi, eta + d_eta)


@pytest.mark.parametrize("kind", KINDS)
def test_fit_is_where_the_gradient_vanishes(kind):
    """P44 through the library's own gradient, on real values."""
    rng = np.random.default_rng(2)
    y, y0 = rng.normal(size=(6, 3, 2, 2)), rng.normal(size=(6, 3, 2, 2))
    bias = rng.normal(size=3)
    fit = fit_transform(y, y0, bias, kind)
    got, cache = output_transform_forward(y0, bias, fit.xi, fit.eta)
    grads = output_transform_backward(got - y, cache)
    np.testing.assert_allclose(grads.xi, 0.0, atol=1e-12)
    np.testing.assert_allclose(grads.eta, 0.0, atol=1e-12)
    np.testing.assert_allclose(fit.mse.mean(), np.square(got - y).mean(), rtol=1e-12)


@settings(max_examples=20)
@given(seed=SEEDS, shape=st.sampled_from([(4, 2, 2), (2, 3, 2), (5, 2)]))
def test_optimal_losses_are_nested(seed, shape):
    """P48: pixel <= channel <= layer <= none and channel <= shift <= none, exactly in Fractions."""
    rng = np.random.default_rng(seed)
    y, y0, bias = dyadic(rng, shape), dyadic(rng, shape), dyadic(rng, shape[1])
    target, exact = shifted(y, bias), {}
    for kind in KINDS:
        product = groups(y0, kind)
        left = [twin.residual(v, product[at]) for at, v in groups(target, kind).items()]
        exact[kind] = twin.mean(left)
    error = groups(target - y0, "channel").values()
    exact["none"] = twin.mean([twin.mean([e * e for e in es]) for es in error])
    exact["shift"] = twin.mean([twin.mean([(e - twin.mean(es)) ** 2 for e in es]) for es in error])
    assert exact["pixel"] <= exact["channel"] <= exact["layer"] <= exact["none"]
    assert exact["channel"] <= exact["shift"] <= exact["none"]
    for name, value in nested_losses(y, y0, bias)._asdict().items():
        assert value == pytest.approx(float(exact[name]), rel=1e-12, abs=1e-12), name


@pytest.mark.parametrize("value", [0.1, -0.0, 3e-310, 7.0])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_output_that_does_not_vary_keeps_scale_one(value, dtype):
    """Convention 20, also where the mean of equal values rounds away from them (0.1)."""
    y0 = np.full((3, 2), value, dtype=dtype)
    y = np.array([[1.0, 2.0], [3.0, 5.0], [5.0, -1.0]], dtype=dtype)
    fit = fit_transform(y, y0, np.array([1.0, 0.5], dtype=dtype))
    np.testing.assert_array_equal(fit.xi, [1.0, 1.0])
    expected = np.array([3.0 - 1.0, 2.0 - 0.5]) - float(y0[0, 0])
    np.testing.assert_allclose(fit.eta, expected, rtol=2 * np.finfo(dtype).eps)
    np.testing.assert_allclose(fit.mse, [8 / 3, 6.0], rtol=4 * np.finfo(dtype).eps)
    assert fit.xi.dtype == fit.eta.dtype == fit.mse.dtype == dtype


def test_one_sample_per_pixel_is_matched_by_a_shift():
    """A single value never varies: xi = 1, eta = the error, nothing is left."""
    y, y0 = np.array([[2.0, -1.0]]), np.array([[0.5, 4.0]])
    fit = fit_transform(y, y0, None, "pixel")
    np.testing.assert_array_equal(fit.xi, [1.0, 1.0])
    np.testing.assert_array_equal(fit.eta, [1.5, -5.0])
    np.testing.assert_array_equal(fit.mse, [0.0, 0.0])


@pytest.mark.parametrize("offset", [1e8, -1e8])
@pytest.mark.parametrize("size", [1.0, 1e-180, 1e150])
def test_a_large_offset_or_an_extreme_size_costs_no_digits(offset, size):
    """Against the exact fit of the same floats."""
    rng = np.random.default_rng(8)
    y0 = (offset + rng.normal(size=(16, 1))) * size
    y = 3.0 * y0 / size + rng.normal(size=y0.shape)
    fit = fit_transform(y, y0)
    exact, _ = twin.fit(*([Fraction(float(v)) for v in a.ravel()] for a in (y, y0)), Fraction(0))
    assert abs(Fraction(float(fit.xi[0])) / exact - 1) < 1e-13


def test_values_a_few_ulp_apart_are_told_apart():
    """Counting from the smallest value: 2^30 + (0, 1, 5, 2, ...) 2^-22, whose mean would round."""
    ticks = np.array([0, 1, 5, 2, 3, 1, 7])[:, None]
    y0, y = 2.0**30 + ticks * 2.0**-22, np.array([3, 1, 4, 1, 5, 9, 2])[:, None] / 8.0
    fit = fit_transform(y, y0)
    exact, _ = twin.fit(*([Fraction(float(v)) for v in a.ravel()] for a in (y, y0)), Fraction(0))
    assert abs(Fraction(float(fit.xi[0])) / exact - 1) < 1e-14


def test_a_fit_recovers_the_transform_that_was_applied():
    """Any xi, the negative ones too (D33)."""
    y0 = np.random.default_rng(4).normal(size=(9, 3, 2))
    xi, eta, bias = np.array([-2.0, 0.0, 0.75]), np.array([1.0, -3.0, 0.0]), np.ones(3)
    y, _ = output_transform_forward(y0, bias, xi, eta)
    fit = fit_transform(y, y0, bias)
    np.testing.assert_allclose(fit.xi, xi, atol=1e-14)
    np.testing.assert_allclose(fit.eta, eta, atol=1e-14)
    np.testing.assert_allclose(fit.mse, 0.0, atol=1e-28)


@given(seed=SEEDS, dtype=st.sampled_from([np.float64, np.float32]))
def test_best_step_is_the_argmin(seed, dtype):
    """P46: <w, q>/<q, q>, checked in Fractions against its neighbours on both sides."""
    rng = np.random.default_rng(seed)
    w = dyadic(rng, (2, 3, 2), dtype)
    q = rng.integers(-4, 5, w.shape).astype(dtype)
    got = best_step(w, q)
    assert got.shape == (2,)
    assert got.dtype == dtype
    for r in range(2):
        pairs = [(Fraction(float(a)), int(b)) for a, b in zip(w[r].flat, q[r].flat, strict=True)]
        norm = sum(b * b for _, b in pairs)
        step = sum(a * b for a, b in pairs) / Fraction(norm) if norm else Fraction(0)
        assert float(got[r]) == dtype(float(step))

        def loss(s, pairs=pairs):
            return sum((a - s * b) ** 2 for a, b in pairs)

        assert loss(step) <= min(loss(step * Fraction(9, 10)), loss(step + Fraction(1, 100)))
        assert loss(step) <= loss(step - Fraction(1, 100))


def test_bad_input_is_refused():
    y, one = np.ones((2, 3)), np.ones(3)
    with pytest.raises(ValueError, match="y is of shape"):
        fit_transform(np.ones((3, 2)), y)
    with pytest.raises(TypeError, match="y is float32"):
        fit_transform(y.astype(np.float32), y)
    with pytest.raises(ValueError, match="bias is of shape"):
        fit_transform(y, y, np.ones(2))
    with pytest.raises(ValueError, match="granularity is 'pixels'"):
        fit_transform(y, y, one, "pixels")
    for empty in (np.ones((0, 3)), np.ones(3)):
        with pytest.raises(ValueError, match="y0 is of shape"):
            fit_transform(empty, empty)
    for name in ("y", "y0", "bias"):
        arguments = {"y": y, "y0": y, "bias": one}
        arguments[name] = arguments[name] * np.nan
        with pytest.raises(ValueError, match=f"{name} is nan"):
            nested_losses(**arguments)
    with pytest.raises(ValueError, match="levels is of shape"):
        best_step(y, np.ones((2, 2)))
    with pytest.raises(ValueError, match="levels is inf"):
        best_step(y, y * np.inf)
    with pytest.raises(ValueError, match="w is of shape"):
        best_step(np.array(1.0), np.array(1.0))
