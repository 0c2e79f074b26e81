"""Folding eq. 9 and the map between an un-folded batch norm and the output transform."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.exact_lists import dyadic
from refquant.layers.batch_norm import batch_norm_forward, fold_batch_norm
from refquant.layers.linear import linear_forward
from refquant.optimal.batch_norm_map import (
    FoldedNorm,
    batch_norm_to_transform,
    transform_to_batch_norm,
)
from refquant.optimal.fold import fold_transform
from refquant.oracle.exact import least_squares as twin
from refquant.quantizers.fake_quant import quantize
from refquant.quantizers.grid import Grid, make_qparams
from refquant.quantizers.transform import fold_output, output_transform_forward

SEEDS = st.integers(0, 2**32 - 1)


def exact(values):
    return [Fraction(float(v)) for v in np.ravel(values)]


@given(seed=SEEDS, with_bias=st.booleans(), per_layer=st.booleans())
def test_folding_is_exact_on_dyadic_inputs(seed, with_bias, per_layer):
    """P42: integer product with (st, bt) equals fake quantisation, as exact numbers."""
    rng = np.random.default_rng(seed)
    w_int, x_int = rng.integers(-8, 8, (3, 5)), rng.integers(0, 16, (5, 4))
    s_w, s_x = 2.0 ** rng.integers(-3, 3, 3), np.array(0.375)
    shape = () if per_layer else (3,)
    xi, eta = (np.asarray(rng.integers(1, 20, shape) / 8.0) for _ in range(2))
    bias = dyadic(rng, 3) if with_bias else None
    st_, bt = fold_transform(xi, eta, s_w, s_x, bias)
    for c in range(3):
        own = [float(np.broadcast_to(v, 3)[c]) for v in (xi, eta, s_w)]
        b = Fraction(float(bias[c])) if with_bias else Fraction(0)
        assert (Fraction(st_[c]), Fraction(bt[c])) == twin.fold(
            *map(Fraction, own), Fraction(3, 8), b
        )
    product = ((s_w[:, None] * w_int) @ (s_x * x_int)).T
    expected, _ = output_transform_forward(product, bias, xi, eta)
    np.testing.assert_array_equal(st_ * (w_int @ x_int).T + bt, expected)


@given(seed=SEEDS)
def test_folding_real_values_costs_a_few_ulp(seed):
    """P42: bound 2^-52 (4 |st acc| + 3 |y|) plus the roundings of the 16-term float product."""
    rng = np.random.default_rng(seed)
    w_int, x_int = rng.integers(-8, 8, (3, 16)), rng.integers(0, 16, (16, 4))
    xi, eta, bias, s_w = rng.uniform(0.1, 2, 3), *rng.normal(size=(2, 3)), rng.uniform(0.1, 1, 3)
    s_x = np.array(rng.uniform(0.1, 1))
    folded = fold_transform(xi, eta, s_w, s_x, bias)
    acc = (w_int @ x_int).T
    product = ((s_w[:, None] * w_int) @ (s_x * x_int)).T
    expected, _ = output_transform_forward(product, bias, xi, eta)
    size = np.abs(folded.st) * (np.abs(w_int) @ np.abs(x_int)).T + np.abs(bias) + np.abs(eta)
    assert (np.abs(folded.st * acc + folded.bt - expected) <= 24 * 2.0**-53 * size).all()


@given(seed=SEEDS)
def test_deployment_folds_to_the_same_bits(seed):
    """P42: as many numbers as without a transform; the function deployment folds by, which rounds
    xi s_w first, then its product with s_x, and b + eta once."""
    rng = np.random.default_rng(seed)
    xi, eta, bias, s_w = rng.uniform(0.1, 2, 3), *rng.normal(size=(2, 3)), rng.uniform(0.1, 1, 3)
    s_x = rng.uniform(0.1, 1)
    folded = fold_transform(xi, eta, s_w, np.array(s_x), bias)
    scale, offset = fold_output(s_w, s_x, bias, xi, eta)
    np.testing.assert_array_equal(scale, (xi * s_w) * s_x)
    np.testing.assert_array_equal(offset, bias + eta)
    assert folded.st.tobytes() == scale.tobytes()
    assert folded.bt.tobytes() == offset.tobytes()
    neutral = fold_transform(np.ones(3), np.zeros(3), s_w, np.array(s_x), bias)
    assert [v.shape for v in neutral] == [v.shape for v in folded] == [(3,), (3,)]


def test_one_number_everywhere_is_one_channel():
    one = np.array(2.0)
    folded = fold_transform(one, one, one, one)
    assert (folded.st.tolist(), folded.bt.tolist()) == ([8.0], [2.0])


def test_float32_is_folded_in_float64():
    values = np.array([0.1, 0.7], dtype=np.float32)
    st_, bt = fold_transform(values, values, values, np.array(values[0]), values)
    wide = values.astype(np.float64)
    np.testing.assert_array_equal(st_, wide * wide * wide[0])
    np.testing.assert_array_equal(bt, 2.0 * wide)
    assert st_.dtype == bt.dtype == np.float64


def test_bad_input_of_the_fold_is_refused():
    one, s_x = np.ones(3), np.array(0.5)
    with pytest.raises(ValueError, match=r"xi is of shape \(3, 2, 2\).*per pixel cannot be folded"):
        fold_transform(np.ones((3, 2, 2)), one, one, s_x)
    with pytest.raises(ValueError, match="one number of channels"):
        fold_transform(one, np.ones(2), one, s_x)
    with pytest.raises(ValueError, match="s_x is of shape"):
        fold_transform(one, one, one, one)
    for name in ("s_w", "s_x"):
        arguments = {"xi": one, "eta": one, "s_w": one, "s_x": s_x}
        with pytest.raises(ValueError, match=f"{name} is"):
            fold_transform(**{**arguments, name: np.asarray(-arguments[name])})
    for name in ("xi", "eta", "bias"):
        with pytest.raises(ValueError, match=f"{name} is inf"):
            fold_transform(**{**arguments, name: one * np.inf})
    with pytest.raises(TypeError, match="xi is int64"):
        fold_transform(np.ones(3, int), one, one, s_x)


@pytest.mark.parametrize("value", [0.0, -0.5])
def test_a_scale_that_is_not_positive_is_warned_of(value):
    """D33: allowed, with a warning that names the channel."""
    xi = np.array([1.0, value, 1.0])
    with pytest.warns(UserWarning, match="at channel 1"):
        folded = fold_transform(xi, np.zeros(3), np.ones(3), np.array(1.0))
    np.testing.assert_array_equal(folded.st, xi)


def folded_norm(rng, c, with_bias, dtype=np.float64):
    """Statistics and gammas that are powers of two: the map then rounds nothing."""
    gamma = (2.0 ** rng.integers(-2, 3, c)) * rng.choice([-1, 1], c)
    sd = 2.0 ** rng.integers(-2, 3, c)
    beta, mean, bias = (dyadic(rng, c, dtype) for _ in range(3))
    return FoldedNorm(
        gamma.astype(dtype), beta, mean, sd.astype(dtype), bias if with_bias else None
    )


@given(seed=SEEDS, with_bias=st.booleans(), dtype=st.sampled_from([np.float64, np.float32]))
def test_norm_and_transform_map_both_ways_exactly(seed, with_bias, dtype):
    """P43, D19: eq. 10 as an identity in Fractions, for any product, and back again."""
    rng = np.random.default_rng(seed)
    norm = folded_norm(rng, 3, with_bias, dtype)
    gamma, beta = dyadic(rng, 3, dtype), dyadic(rng, 3, dtype)
    xi, eta = batch_norm_to_transform(gamma, beta, norm)
    assert xi.dtype == eta.dtype == dtype
    for c in range(3):
        g0, b0, mu, sd = (exact(part[c])[0] for part in norm[:4])
        b = exact(norm.bias[c])[0] if with_bias else Fraction(0)
        new = exact(gamma[c])[0], exact(beta[c])[0]
        pair = exact(xi[c])[0], exact(eta[c])[0]
        assert pair == twin.batch_norm_to_transform(new, (g0, b0), mu, sd, b)
        for core in (Fraction(0), Fraction(7, 3), Fraction(-5)):
            folded = twin.transform(g0 / sd * core, b0 + g0 * (b - mu) / sd, *pair)
            assert folded == twin.batch_norm(core + b, *new, mu, sd)
    back = transform_to_batch_norm(xi, eta, norm)
    np.testing.assert_array_equal(back.scale, gamma)
    np.testing.assert_array_equal(back.shift, beta)
    assert back.scale.dtype == dtype


@given(seed=SEEDS, with_bias=st.booleans())
def test_every_transform_is_reached(seed, with_bias):
    """P43, conversely: any (xi, eta) comes from some (gamma, beta)."""
    rng = np.random.default_rng(seed)
    norm = folded_norm(rng, 3, with_bias)
    xi, eta = dyadic(rng, 3), dyadic(rng, 3)
    again = batch_norm_to_transform(*transform_to_batch_norm(xi, eta, norm), norm)
    np.testing.assert_array_equal(again.scale, xi)
    np.testing.assert_array_equal(again.shift, eta)


@pytest.mark.parametrize("with_bias", [True, False])
def test_the_map_agrees_with_the_layers(with_bias):
    """P43 on real values through linear, batch norm, folding and the transform of the library."""
    rng = np.random.default_rng(3)
    w, x = rng.normal(size=(3, 4)), rng.normal(size=(5, 4))
    bias = rng.normal(size=3) if with_bias else None
    gamma0, beta0, mean, gamma, beta = rng.normal(size=(5, 3))
    var, eps = rng.uniform(0.5, 2.0, 3), 1e-5
    expected, _ = batch_norm_forward(linear_forward(x, w, bias)[0], gamma, beta, mean, var, eps)
    folded, offset = fold_batch_norm(w, bias, gamma0, beta0, mean, var, eps)
    norm = FoldedNorm(gamma0, beta0, mean, np.sqrt(var + eps), bias)
    xi, eta = batch_norm_to_transform(gamma, beta, norm)
    got, _ = output_transform_forward(linear_forward(x, folded, None)[0], offset, xi, eta)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


def test_an_unscaled_bias_would_be_wrong():
    """D19: adding b as equation 10 prints it differs from the norm of (product + b)."""
    one = np.ones(1)
    norm = FoldedNorm(2.0 * one, 0.0 * one, 0.0 * one, one, 3.0 * one)
    _, eta = batch_norm_to_transform(4.0 * one, 0.0 * one, norm)
    assert eta[0] == (4.0 - 2.0) * 3.0  # not 0


def levels(w, gamma, sd, kind, rounding):
    """Levels of the folded weight under the equivariant step s |gamma| / sd."""
    grid = Grid(kind, 3)
    step = 0.25 * np.abs(gamma) / sd
    return quantize(w * gamma / sd, make_qparams(step, 0, grid), rounding)


def test_when_folding_keeps_the_levels():
    """P43: gamma0 > 0 keeps them; gamma0 < 0 negates them on the narrow grid, not on the full."""
    w = np.arange(-10, 11) / 8.0  # half steps: ties and both ends
    one = np.array(1.0)
    for kind in ("signed", "narrow"):
        plain = levels(w, one, one, kind, "half_away")
        np.testing.assert_array_equal(levels(w, one * 4, one / 2, kind, "half_away"), plain)
    flipped = levels(w, -one, one, "narrow", "half_away")
    np.testing.assert_array_equal(flipped, -levels(w, one, one, "narrow", "half_away"))
    full = levels(w, -one, one, "signed", "half_away")
    assert (full != -levels(w, one, one, "signed", "half_away")).any()
    up = levels(w, -one, one, "narrow", "half_up")  # not symmetric about 0
    assert (up != -levels(w, one, one, "narrow", "half_up")).any()


def test_bad_norms_are_refused():
    one = np.ones(2)
    norm = FoldedNorm(one, one, one, one)
    for function in (batch_norm_to_transform, transform_to_batch_norm):
        with pytest.raises(ValueError, match=r"norm\.gamma is 0 at channel 1"):
            function(one, one, norm._replace(gamma=np.array([1.0, 0.0])))
        with pytest.raises(ValueError, match=r"norm\.sd"):
            function(one, one, norm._replace(sd=-one))
        with pytest.raises(ValueError, match=r"norm\.bias is nan"):
            function(one, one, norm._replace(bias=one * np.nan))
        with pytest.raises(ValueError, match="is of shape"):
            function(np.ones(3), one, norm)
        with pytest.raises(TypeError, match="is float32"):
            function(one, one.astype(np.float32), norm)
