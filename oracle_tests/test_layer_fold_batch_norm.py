"""Folding a batch norm into the layer before it, P04."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from refquant.layers.batch_norm import batch_norm_forward, fold_batch_norm
from refquant.layers.conv2d import conv2d_forward
from refquant.layers.geometry import Geometry
from refquant.layers.linear import linear_forward
from refquant.oracle.exact import batch_norm as exact

SEEDS = st.integers(0, 2**32 - 1)
U = 2.0**-53


def dyadic(rng, shape):
    return rng.integers(-16, 17, shape) / 8


def affine(rng, c):
    """gamma, beta, mean and a var with var + 0.25 in {1/4, 1, 4, 16}: everything is exact."""
    var = rng.choice([0.25, 1.0, 4.0, 16.0], c) - 0.25
    return dyadic(rng, c), dyadic(rng, c), dyadic(rng, c), var


def real_affine(rng, c):
    return rng.normal(size=c), rng.normal(size=c), rng.normal(size=c), rng.uniform(0.1, 2.0, c)


@given(seed=SEEDS, groups=st.sampled_from([1, 2]), with_bias=st.booleans())
def test_folding_into_a_convolution_is_exact_on_dyadic_data(seed, groups, with_bias):
    """P04: conv(w_folded) + bias_folded == batch_norm(conv(w) + bias)."""
    rng = np.random.default_rng(seed)
    x, w = dyadic(rng, (2, 4, 4, 3)), dyadic(rng, (6, 4 // groups, 2, 2))
    bias = dyadic(rng, 6) if with_bias else None
    statistics = (*affine(rng, 6), 0.25)
    geometry = Geometry((2, 2), padding=(1, 0, 0, 1), groups=groups)
    separate, _ = batch_norm_forward(conv2d_forward(x, w, bias, geometry)[0], *statistics)
    folded, _ = conv2d_forward(x, *fold_batch_norm(w, bias, *statistics), geometry)
    np.testing.assert_array_equal(folded, separate)


@given(seed=SEEDS)
def test_folding_real_numbers_stays_within_rounding(seed):
    """P04: K products, about eight more roundings a side, relative to the terms' sizes."""
    rng = np.random.default_rng(seed)
    x, w, bias = rng.normal(size=(3, 10)), rng.normal(size=(4, 10)), rng.normal(size=4)
    gamma, beta, mean, var = real_affine(rng, 4)
    separate, _ = batch_norm_forward(linear_forward(x, w, bias)[0], gamma, beta, mean, var, 1e-5)
    folded, _ = linear_forward(x, *fold_batch_norm(w, bias, gamma, beta, mean, var, 1e-5))
    slope = np.abs(gamma) / np.sqrt(var + 1e-5)
    size = (np.abs(x) @ np.abs(w.T) + np.abs(bias) + np.abs(mean)) * slope + np.abs(beta)
    assert np.all(np.abs(folded - separate) <= 2 * (10 + 8) * U * size)


@given(seed=SEEDS)
def test_folding_has_the_bits_of_the_scalar_formula(seed):
    rng = np.random.default_rng(seed)
    w, bias = rng.normal(size=(3, 2, 1, 2)), rng.normal(size=3)
    gamma, beta, mean, var = real_affine(rng, 3)
    w_folded, bias_folded = fold_batch_norm(w, bias, gamma, beta, mean, var, 1e-5)
    for c in range(3):
        sd = exact.deviation(float(var[c]), 1e-5)
        expected = exact.fold(w[c].ravel().tolist(), bias[c], gamma[c], beta[c], mean[c], sd)
        assert (w_folded[c].ravel().tolist(), bias_folded[c]) == expected


def test_folding_by_hand():
    """gamma / sd = 3 / 2: w 2 -> 3, bias 5 -> 10 + 3 (5 - 1) / 2 = 16; no bias -> 8.5."""
    one = [np.array([v]) for v in (3.0, 10.0, 1.0, 3.75)]
    w, bias = fold_batch_norm(np.array([[2.0]]), np.array([5.0]), *one, 0.25)
    assert (w, bias) == (3.0, 16.0)
    w, bias = fold_batch_norm(np.array([[2.0]]), None, *one, 0.25)
    assert (w, bias) == (3.0, 8.5)
