"""Batch norm with given and with own statistics; its folding is in test_layer_fold_batch_norm."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.gradcheck import check_gradient
from refquant.layers.batch_norm import (
    batch_norm_backward,
    batch_norm_forward,
    batch_norm_train_backward,
    batch_norm_train_forward,
    fold_batch_norm,
)
from refquant.oracle.exact import batch_norm as exact

SEEDS = st.integers(0, 2**32 - 1)
SHAPES = st.sampled_from([(4, 3), (2, 3, 4), (2, 3, 2, 2), (1, 3, 4, 2)])
U = 2.0**-53


def dyadic(rng, shape):
    return rng.integers(-16, 17, shape) / 8


def affine(rng, c):
    """gamma, beta, mean and a var with var + 0.25 in {1/4, 1, 4, 16}: everything is exact."""
    var = rng.choice([0.25, 1.0, 4.0, 16.0], c) - 0.25
    return dyadic(rng, c), dyadic(rng, c), dyadic(rng, c), var


def real_affine(rng, c):
    return rng.normal(size=c), rng.normal(size=c), rng.normal(size=c), rng.uniform(0.1, 2.0, c)


def channel(a, c):
    """The values of one channel as a flat list, and as exact rationals."""
    return a[:, c].ravel().tolist()


def rational(values):
    return [Fraction(v) for v in values]


def unit_variance(rng, shape):
    """Dyadic x whose channels all hold the same values, so that one eps makes every sd 2.

    Returns x and eps = 4 - var; the count is a power of two, so mean and var are dyadic.
    """
    count = shape[0] * int(np.prod(shape[2:]))
    base = rng.integers(-8, 9, count) / 8
    columns = [rng.permutation(base) + k for k in range(shape[1])]  # a shift keeps the variance
    x = np.stack([c.reshape(shape[0], *shape[2:]) for c in columns], axis=1)
    return x, float(4 - exact.statistics(rational(channel(x, 0)))[1])


@given(shape=SHAPES, seed=SEEDS)
def test_frozen_equals_the_twin_exactly(shape, seed):
    """Dyadic data, sd a power of two, the twin in rationals: nothing rounds."""
    rng = np.random.default_rng(seed)
    x, d_y = dyadic(rng, shape), dyadic(rng, shape)
    gamma, beta, mean, var = affine(rng, 3)
    y, cache = batch_norm_forward(x, gamma, beta, mean, var, 0.25)
    grads = batch_norm_backward(d_y, cache)
    for c in range(3):
        sd = Fraction(exact.deviation(var[c], 0.25))
        g, b, m = rational([gamma[c], beta[c], mean[c]])
        values, cotangents = rational(channel(x, c)), rational(channel(d_y, c))
        assert channel(y, c) == exact.batch_norm(values, g, b, m, sd)
        expected = exact.batch_norm_backward(cotangents, values, g, m, sd)
        assert (channel(grads.x, c), grads.gamma[c], grads.beta[c]) == expected


@given(shape=SHAPES, seed=SEEDS)
def test_frozen_forward_has_the_bits_of_the_scalar_formula(shape, seed):
    """Five operations, each rounded once, in the order of methods 4.2."""
    rng = np.random.default_rng(seed)
    x, (gamma, beta, mean, var) = rng.normal(size=shape), real_affine(rng, 3)
    y, _ = batch_norm_forward(x, gamma, beta, mean, var, 1e-5)
    for c in range(3):
        sd = exact.deviation(float(var[c]), 1e-5)
        assert channel(y, c) == exact.batch_norm(channel(x, c), gamma[c], beta[c], mean[c], sd)


@given(shape=SHAPES, seed=SEEDS)
def test_own_statistics_equal_the_twin_exactly(shape, seed):
    """Rational arithmetic through mean, variance and the chain rule; sd = 2 in every channel."""
    rng = np.random.default_rng(seed)
    x, eps = unit_variance(rng, shape)
    d_y, gamma, beta = dyadic(rng, shape), dyadic(rng, 3), dyadic(rng, 3)
    y, cache = batch_norm_train_forward(x, gamma, beta, eps)
    grads = batch_norm_train_backward(d_y, cache)
    for c in range(3):
        values, cotangents = rational(channel(x, c)), rational(channel(d_y, c))
        mean, var = exact.statistics(values)
        assert (cache.mean[c], cache.var[c], cache.sd[c]) == (mean, var, 2)
        g, b = rational([gamma[c], beta[c]])
        assert channel(y, c) == exact.batch_norm(values, g, b, mean, Fraction(2))
        expected = exact.batch_norm_train_backward(cotangents, values, g, Fraction(2))
        assert (channel(grads.x, c), grads.gamma[c], grads.beta[c]) == expected


@given(shape=SHAPES, seed=SEEDS)
def test_own_statistics_then_frozen_give_the_same_bits(shape, seed):
    rng = np.random.default_rng(seed)
    x, (gamma, beta, _, _) = rng.normal(size=shape), real_affine(rng, 3)
    y, cache = batch_norm_train_forward(x, gamma, beta, 1e-5)
    again, _ = batch_norm_forward(x, gamma, beta, cache.mean, cache.var, 1e-5)
    np.testing.assert_array_equal(y, again)


def test_real_statistics_stay_near_the_exact_ones():
    """m values of size about 1: mean within m u max|x|, var within 2 m u times its own terms."""
    x = np.random.default_rng(2).normal(3.0, 1.0, (8, 3, 5, 5))
    _, cache = batch_norm_train_forward(x, np.ones(3), np.zeros(3), 1e-5)
    for c in range(3):
        mean, var = exact.statistics(rational(channel(x, c)))
        assert abs(Fraction(cache.mean[c]) - mean) <= 200 * U * np.abs(x).max()
        assert abs(Fraction(cache.var[c]) - var) <= 2 * 200 * U * float(var)


@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 3, 2), (6, 3, 4, 5)])
def test_gradients_match_central_differences(shape):
    rng = np.random.default_rng(3)
    x, d_y, (gamma, beta, mean, var) = (
        rng.normal(size=shape),
        rng.normal(size=shape),
        real_affine(rng, 3),
    )

    def frozen(x, gamma, beta):
        return float((d_y * batch_norm_forward(x, gamma, beta, mean, var, 1e-3)[0]).sum())

    def own(x, gamma, beta):
        return float((d_y * batch_norm_train_forward(x, gamma, beta, 1e-3)[0]).sum())

    cache = batch_norm_forward(x, gamma, beta, mean, var, 1e-3)[1]
    train_cache = batch_norm_train_forward(x, gamma, beta, 1e-3)[1]
    for name, f, grads in (
        ("frozen", frozen, batch_norm_backward(d_y, cache)),
        ("own", own, batch_norm_train_backward(d_y, train_cache)),
    ):
        check_gradient(lambda t, f=f: f(t, gamma, beta), x, grads.x, name=f"{name} x")
        check_gradient(lambda t, f=f: f(x, t, beta), gamma, grads.gamma, name=f"{name} gamma")
        check_gradient(lambda t, f=f: f(x, gamma, t), beta, grads.beta, name=f"{name} beta")


def test_frozen_by_hand():
    """(x - 1) / 2 * 3 + 10 with var + eps = 3.75 + 0.25 = 4."""
    x = np.array([[1.0], [3.0], [-1.0]])
    one = [np.array([v]) for v in (3.0, 10.0, 1.0, 3.75)]
    y, cache = batch_norm_forward(x, *one, 0.25)
    np.testing.assert_array_equal(y, [[10.0], [13.0], [7.0]])
    grads = batch_norm_backward(np.array([[1.0], [2.0], [4.0]]), cache)
    np.testing.assert_array_equal(grads.x, [[1.5], [3.0], [6.0]])  # times 3 / 2
    np.testing.assert_array_equal(grads.gamma, [-2.0])  # x_hat = 0 1 -1: 0 + 2 - 4
    np.testing.assert_array_equal(grads.beta, [7.0])


def test_own_statistics_by_hand():
    """x = 0 4: mean 2, population variance 4 (not 8), eps 0, x_hat = -1 1.

    d_y = 1 0: its mean is 1/2, the mean of d_y * x_hat is -1/2, so d_x = gamma / 2 times
    (1 - 1/2 - (-1)(-1/2), 0 - 1/2 - (1)(-1/2)) = 0 0: two points always normalise to -1 1.
    """
    x = np.array([[0.0], [4.0]])
    y, cache = batch_norm_train_forward(x, np.array([3.0]), np.array([10.0]), 0.0)
    assert (cache.mean[0], cache.var[0]) == (2.0, 4.0)
    np.testing.assert_array_equal(y, [[7.0], [13.0]])
    grads = batch_norm_train_backward(np.array([[1.0], [0.0]]), cache)
    np.testing.assert_array_equal(grads.x, [[0.0], [0.0]])
    np.testing.assert_array_equal(grads.gamma, [-1.0])
    np.testing.assert_array_equal(grads.beta, [1.0])


def test_a_single_value_is_normalised_to_zero():
    y, cache = batch_norm_train_forward(np.array([[5.0]]), np.ones(1), np.array([2.0]), 1e-5)
    assert y == 2.0
    assert batch_norm_train_backward(np.array([[1.0]]), cache).x == 0.0


@pytest.mark.parametrize("eps", [1e-5, np.float64(1e-5)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_kept_and_arguments_unchanged(dtype, eps):
    rng = np.random.default_rng(4)
    x, d_y = rng.normal(size=(2, 3, 4)).astype(dtype), rng.normal(size=(2, 3, 4)).astype(dtype)
    gamma, beta, mean, var = (a.astype(dtype) for a in real_affine(rng, 3))
    arrays = (x, d_y, gamma, beta, mean, var)
    kept = [a.copy() for a in arrays]
    y, cache = batch_norm_forward(x, gamma, beta, mean, var, eps)
    z, train_cache = batch_norm_train_forward(x, gamma, beta, eps)
    results = [
        y,
        z,
        *batch_norm_backward(d_y, cache),
        *batch_norm_train_backward(d_y, train_cache),
        *train_cache,
        *fold_batch_norm(x.swapaxes(0, 1), mean, gamma, beta, mean, var, eps),
        *fold_batch_norm(x.swapaxes(0, 1), None, gamma, beta, mean, var, eps),
    ]
    assert {a.dtype for a in results} == {np.dtype(dtype)}
    for before, after in zip(kept, arrays, strict=True):
        np.testing.assert_array_equal(after, before)


PER_CHANNEL = ("gamma", "beta", "mean", "var")


@pytest.mark.parametrize("name", PER_CHANNEL)
def test_wrong_parameters_are_named(name):
    good = {p: np.ones(3) for p in PER_CHANNEL}
    x, w = np.zeros((2, 3, 4)), np.zeros((3, 5))
    for bad, error, words in (
        (np.ones(4), ValueError, rf"{name} is of shape \(4,\).*\(3,\)"),
        (np.ones((3, 1)), ValueError, f"{name} is .*1 axes"),
        (np.ones(3, np.float32), TypeError, f"{name} is float32"),
        ([1.0] * 3, TypeError, f"{name} is list"),
    ):
        with pytest.raises(error, match=words):
            batch_norm_forward(x, **{**good, name: bad}, eps=1e-5)
        with pytest.raises(error, match=words):
            fold_batch_norm(w, None, **{**good, name: bad}, eps=1e-5)
        if name in ("gamma", "beta"):
            pair = {"gamma": np.ones(3), "beta": np.ones(3), name: bad}
            with pytest.raises(error, match=words):
                batch_norm_train_forward(x, **pair, eps=1e-5)


def test_wrong_x_w_and_bias_are_refused():
    four = [np.ones(3)] * 4
    for x, error in ((np.zeros(3), ValueError), (np.zeros((2, 3), int), TypeError)):
        with pytest.raises(error, match="x is"):
            batch_norm_forward(x, *four, 1e-5)
        with pytest.raises(error, match="x is"):
            batch_norm_train_forward(x, *four[:2], 1e-5)
    with pytest.raises(ValueError, match=r"x is .*at least one value"):
        batch_norm_train_forward(np.zeros((0, 3)), *four[:2], 1e-5)
    with pytest.raises(ValueError, match="w is"):
        fold_batch_norm(np.zeros(3), None, *four, 1e-5)
    with pytest.raises(ValueError, match="bias is"):
        fold_batch_norm(np.zeros((3, 2)), np.zeros(2), *four, 1e-5)


@pytest.mark.parametrize("var, eps", [(0.0, 0.0), (-1.0, 0.5), (1.0, -0.5), (np.nan, 1.0)])
def test_a_variance_without_a_square_root_is_refused(var, eps):
    three = [np.ones(2)] * 3
    bad = np.array([1.0, var])
    with pytest.raises(ValueError, match=r"var is .* at channel"):
        batch_norm_forward(np.zeros((2, 2)), *three, bad, eps)
    with pytest.raises(ValueError, match="var is"):
        fold_batch_norm(np.zeros((2, 2)), None, *three, bad, eps)


def test_a_constant_channel_needs_eps():
    x = np.array([[1.0, 2.0], [1.0, 3.0]])
    with pytest.raises(ValueError, match="at channel 0 with eps 0"):
        batch_norm_train_forward(x, np.ones(2), np.zeros(2), 0.0)


def test_a_wrong_cotangent_is_refused():
    x, four = np.zeros((2, 3, 4)), [np.ones(3)] * 4
    _, cache = batch_norm_forward(x, *four, 1e-5)
    _, train_cache = batch_norm_train_forward(x, *four[:2], 1e-5)
    for backward, kept in (
        (batch_norm_backward, cache),
        (batch_norm_train_backward, train_cache),
    ):
        with pytest.raises(ValueError, match="d_y"):
            backward(np.zeros((2, 3, 1)), kept)
        with pytest.raises(TypeError, match="d_y"):
            backward(np.zeros((2, 3, 4), np.float32), kept)
