"""Reconstruction and Fisher losses: values, gradients, normalisation, refusals."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.exact_lists import assert_rounded_once, dyadic, fractions_of
from oracle_tests.gradcheck import check_gradient
from refquant import numerics as nx
from refquant.losses.fisher import fisher_diag_loss, fisher_full_loss, fisher_weights
from refquant.losses.reconstruction import reconstruction_loss
from refquant.oracle.exact import losses as twin

DTYPES = [np.float64, np.float32]
MODES = ["fast", "pinned"]
SEEDS = st.integers(0, 2**32 - 1)
SHAPES = st.lists(st.integers(1, 4), min_size=2, max_size=4).map(tuple)
AXES = [1, -1]


def drawn(seed, shape, dtype=np.float64):
    """Output, target and weights on a dyadic grid; some entries of z and t are equal."""
    rng = np.random.default_rng(seed)
    g = 1.0 + np.abs(dyadic(rng, shape, dtype, reach=8, denominator=4))
    return dyadic(rng, shape, dtype, 8, 4), dyadic(rng, shape, dtype, 8, 4), g.astype(dtype)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("p", [1.0, 2.0])
@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS, shape=SHAPES)
def test_reconstruction_equals_the_twin_exactly(mode, dtype, p, axis, seed, shape):
    z, t, _ = drawn(seed, shape, dtype)
    with nx.arithmetic(mode):
        value, d_z = reconstruction_loss(z, t, p, axis)
    expected, d_expected = twin.reconstruction_loss(fractions_of(z), fractions_of(t), int(p), axis)
    assert type(value) is float
    assert value == float(expected)
    assert_rounded_once(d_z, d_expected, dtype)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("p", [1.5, 2.4, 3.0])
@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS, shape=SHAPES)
def test_reconstruction_with_other_exponents_is_nearly_the_twin(mode, dtype, p, seed, shape):
    z, t, _ = drawn(seed, shape, dtype)
    with nx.arithmetic(mode):
        value, d_z = reconstruction_loss(z, t, p)
    expected, d_expected = twin.reconstruction_loss(z.tolist(), t.tolist(), p)
    # One power, three products, one quotient and at most 256 additions, of terms >= 0.
    eps = float(np.finfo(dtype).eps)
    assert abs(value - expected) <= (16 + z.size) * eps * expected
    np.testing.assert_allclose(d_z, d_expected, rtol=16 * eps, atol=0)
    assert d_z.dtype == dtype


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS, shape=SHAPES)
def test_fisher_diag_equals_the_twin_exactly(mode, dtype, axis, seed, shape):
    z, t, g = drawn(seed, shape, dtype)
    with nx.arithmetic(mode):
        value, d_z = fisher_diag_loss(z, t, g, axis)
    expected, d_expected = twin.fisher_diag_loss(*map(fractions_of, (z, t, g)), axis)
    assert type(value) is float
    assert value == float(expected)
    assert_rounded_once(d_z, d_expected, dtype)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS, shape=SHAPES)
def test_fisher_full_equals_the_twin_exactly(mode, dtype, seed, shape):
    # at most 64 terms |d| g <= 4 * 3 in units of 1/16 a sample: S^2 < 2^24 needs small numbers
    z, t, g = (np.clip(a, -1, 2) for a in drawn(seed, shape[:3], dtype))
    with nx.arithmetic(mode):
        value, d_z = fisher_full_loss(z, t, g)
    expected, d_expected = twin.fisher_full_loss(*map(fractions_of, (z, t, g)))
    assert type(value) is float
    if dtype is np.float64:
        assert value == float(expected)
    else:
        np.testing.assert_allclose(value, float(expected), rtol=2.0**-20)  # the sum may round
    assert_rounded_once(d_z, d_expected, dtype)


Z = np.array([[[[3.0, 1.0]], [[0.0, -1.0]]], [[[2.0, 2.0]], [[5.0, 1.0]]]])  # (2, 2, 1, 2)
T = np.array([[[[1.0, 1.0]], [[3.0, 1.0]]], [[[2.0, 1.0]], [[1.0, 1.0]]]])
# d = 2, 0 / -3, -2 in sample 0 and 0, 1 / 4, 0 in sample 1; numel / c = 8 / 2 = 4


def test_reconstruction_by_hand():
    """d^2 = 4 + 0 + 9 + 4 + 0 + 1 + 16 + 0 = 34, over 4; the gradient is 2 d / 4."""
    value, d_z = reconstruction_loss(Z, T)
    assert value == 8.5
    np.testing.assert_array_equal(d_z, [[[[1, 0]], [[-1.5, -1]]], [[[0, 0.5]], [[2, 0]]]])


def test_reconstruction_with_p_one_by_hand():
    """|d| = 2 + 3 + 2 + 1 + 4 = 12, over 4; the gradient is sign(d) / 4, and 0 on the kink."""
    value, d_z = reconstruction_loss(Z, T, p=1.0)
    assert value == 3.0
    np.testing.assert_array_equal(
        d_z, [[[[0.25, 0]], [[-0.25, -0.25]]], [[[0, 0.25]], [[0.25, 0]]]]
    )


def test_reconstruction_with_p_three_by_hand():
    """|d|^3 = 8 + 27 + 8 + 1 + 64 = 108, over 4; the gradient is 3 d^2 sign(d) / 4."""
    value, d_z = reconstruction_loss(Z, T, p=3.0)
    np.testing.assert_allclose(value, 27.0, rtol=1e-14)
    expected = [[[[3, 0]], [[-6.75, -3]]], [[[0, 0.75]], [[12, 0]]]]
    np.testing.assert_allclose(d_z, expected, rtol=1e-14)


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_the_plain_exponents_do_without_a_power_function(monkeypatch, p):
    """A power function may be an ulp off: |d|^1 and d * d must be exact in every arithmetic."""
    monkeypatch.setattr(nx, "power", None)
    value, _ = reconstruction_loss(Z, T, p)
    assert value == {1.0: 3.0, 2.0: 8.5}[p]


def test_brecqs_exponent_by_hand():
    """p = 2.4: |32|^2.4 = 2^12 and |32|^1.4 = 2^7, so L = 4096 and the gradient 2.4 * 128."""
    value, d_z = reconstruction_loss(np.array([[-32.0]]), np.array([[0.0]]), p=2.4)
    np.testing.assert_allclose(value, 4096.0, rtol=1e-14)
    np.testing.assert_allclose(d_z, [[-307.2]], rtol=1e-14)


def test_rows_and_tokens_have_their_own_channel_axis():
    """d = 1: rows (n, c) = (2, 3) sum 3 and average 2; tokens (1, 4, 3) sum 3 and average 4."""
    assert reconstruction_loss(np.ones((2, 3)), np.zeros((2, 3)))[0] == 3.0
    tokens = np.ones((1, 4, 3)), np.zeros((1, 4, 3))
    assert reconstruction_loss(*tokens, channel_axis=-1)[0] == 3.0
    assert reconstruction_loss(*tokens)[0] == 4.0  # axis 1: the four tokens summed instead
    ones = np.ones((1, 4, 3))
    assert fisher_diag_loss(*tokens, ones, channel_axis=-1)[0] == 3.0
    assert fisher_diag_loss(*tokens, ones)[0] == 4.0


def test_fisher_by_hand():
    """Weights 1 in sample 0, but 2 at its d = -3; weights 3 in sample 1.

    diag: 4 + 0 + 9 * 4 + 4 + (1 + 16) * 9 = 197, over 4.
    full: S_0 = 2 + 6 + 2 = 10, S_1 = 3 + 12 = 15; (10^2 + 15^2) / (100 * 8) = 325 / 800.
    """
    g = np.array([[[[1.0, 1.0]], [[2.0, 1.0]]], [[[3.0, 3.0]], [[3.0, 3.0]]]])
    value, d_z = fisher_diag_loss(Z, T, g)
    assert value == 49.25
    # 2 d g^2 / 4
    np.testing.assert_array_equal(d_z, [[[[1, 0]], [[-6, -1]]], [[[0, 4.5]], [[18, 0]]]])
    value, d_z = fisher_full_loss(Z, T, g)
    assert (value, fisher_full_loss(Z, T, g, divisor=1.0)[0]) == (0.40625, 40.625)
    # sign(d) 2 S g / 800: 20 / 800, 40 / 800 and 90 / 800, and 0 on the kink
    expected = [[[[0.025, 0]], [[-0.05, -0.025]]], [[[0, 0.1125]], [[0.1125, 0]]]]
    np.testing.assert_array_equal(d_z, expected)


def test_fisher_weights_are_the_size_plus_one():
    d_z = np.array([[-2.0, 0.0, 0.5]], dtype=np.float32)
    assert fisher_weights(d_z).dtype == np.float32
    both = [fisher_weights(d_z), fisher_weights(d_z, offset=0.0)]  # BRECQ's code, and its paper
    np.testing.assert_array_equal(both, [[[3.0, 1.0, 1.5]], [[2.0, 0.0, 0.5]]])


LOSSES = {
    "p=1": lambda z, t, g: reconstruction_loss(z, t, 1.0),
    "p=2": lambda z, t, g: reconstruction_loss(z, t),
    "p=2.4": lambda z, t, g: reconstruction_loss(z, t, 2.4),
    "tokens": lambda z, t, g: reconstruction_loss(z, t, 2.4, -1),
    "diag": fisher_diag_loss,
    "full": fisher_full_loss,
}


@pytest.mark.parametrize("loss", LOSSES)
@given(seed=SEEDS, shape=SHAPES)
def test_gradient_matches_central_differences_off_the_kink(loss, seed, shape):
    rng = np.random.default_rng(seed)
    t, g = rng.standard_normal(shape), rng.uniform(0.5, 3.0, shape)
    z = t + rng.choice([-1.0, 1.0], shape) * rng.uniform(0.1, 2.0, shape)
    _, d_z = LOSSES[loss](z, t, g)
    check_gradient(lambda at: LOSSES[loss](at, t, g)[0], z, d_z, name=loss)


@pytest.mark.parametrize("loss", LOSSES)
def test_equal_arrays_have_no_loss_and_no_gradient(loss):
    z, _, g = drawn(1, (2, 3, 2))
    value, d_z = LOSSES[loss](z, z, g)
    assert value == 0.0
    np.testing.assert_array_equal(d_z, np.zeros(z.shape))


@pytest.mark.parametrize("axis", AXES)
@given(seed=SEEDS, shape=SHAPES)
def test_fisher_diag_with_unit_weights_is_the_reconstruction_loss(axis, seed, shape):
    """P87, to the last bit and on real-valued inputs."""
    rng = np.random.default_rng(seed)
    z, t = rng.standard_normal(shape), rng.standard_normal(shape)
    value, d_z = fisher_diag_loss(z, t, np.ones(shape), axis)
    expected, d_expected = reconstruction_loss(z, t, 2.0, axis)
    assert value == expected
    np.testing.assert_array_equal(d_z, d_expected)


@given(seed=SEEDS, shape=SHAPES)
def test_the_square_has_the_gradient_of_a_mean_of_squares(seed, shape):
    """P88: for p = 2 the gradient is 2 d / (numel / c), to the last bit."""
    rng = np.random.default_rng(seed)
    z, t = rng.standard_normal(shape), rng.standard_normal(shape)
    _, d_z = reconstruction_loss(z, t)
    np.testing.assert_array_equal(d_z, 2.0 * (z - t) / (z.size / shape[1]))


@given(seed=SEEDS, samples=st.integers(1, 5))
def test_the_loss_of_a_product_is_a_gram_form(seed, samples):
    """P25: L_rec of What X against W X is tr((W - What) G (W - What)^T), G = X X^T / samples."""
    rng = np.random.default_rng(seed)
    w, w_hat, x = (rng.integers(-9, 10, s) for s in ((3, 4), (3, 4), (4, samples)))
    value, _ = reconstruction_loss(1.0 * (w_hat @ x).T, 1.0 * (w @ x).T)
    error, gram = w - w_hat, x @ x.T  # integers: nothing is rounded
    assert value == float(Fraction(int(np.trace(error @ gram @ error.T)), samples))


@given(seed=SEEDS, c=st.sampled_from([2, 4, 8]))
def test_the_channel_factor_is_worth_nothing_if_the_regulariser_has_it_too(seed, c):
    """P52: L_rec + lam R and c L_rec + c lam R order all candidates alike."""
    rng = np.random.default_rng(seed)
    t, lam = dyadic(rng, (4, c)), 0.25
    candidates = [(dyadic(rng, (4, c)), float(rng.integers(0, 64))) for _ in range(8)]
    sums = [reconstruction_loss(z, t)[0] + lam * r for z, r in candidates]
    scaled = [c * reconstruction_loss(z, t)[0] + c * lam * r for z, r in candidates]
    means = [np.square(z - t).mean() + lam / c * r for z, r in candidates]  # AdaQuant's mean
    assert np.argmin(sums) == np.argmin(scaled) == np.argmin(means)
    assert scaled == [c * s for s in sums] == [c * c * m for m in means]


def test_the_plain_mean_with_the_same_weight_chooses_otherwise():
    """P52's point: with lam = 1, d = 2 and R = 0 against d = 0 and R = 6, in four channels.

    The sum over channels prefers the second (16 against 6), the plain mean the first (4 against 6).
    """
    t, z = np.zeros((1, 4)), np.full((1, 4), 2.0)
    assert reconstruction_loss(z, t)[0] == 16.0 > 6.0
    assert np.square(z - t).mean() == 4.0 < 6.0


def test_nan_and_infinity_are_not_hidden():
    t = np.zeros((1, 3))
    for p in (1.0, 2.0, 2.4):
        value, d_z = reconstruction_loss(np.array([[np.nan, 1.0, 1.0]]), t, p)
        assert math.isnan(value)
        np.testing.assert_array_equal(np.isnan(d_z), [[True, False, False]])
        value, _ = reconstruction_loss(np.array([[np.inf, 1.0, 1.0]]), t, p)
        assert value == math.inf


@pytest.mark.parametrize("loss", ["reconstruction_loss", "fisher_diag_loss", "fisher_full_loss"])
def test_bad_pairs_are_refused_by_name(loss):
    ones = np.ones((2, 3))
    call = {
        "reconstruction_loss": lambda z, t: reconstruction_loss(z, t),
        "fisher_diag_loss": lambda z, t: fisher_diag_loss(z, t, ones),
        "fisher_full_loss": lambda z, t: fisher_full_loss(z, t, ones),
    }[loss]
    with pytest.raises(TypeError, match=rf"{loss}\(\): z is list"):
        call([[1.0]], ones)
    with pytest.raises(ValueError, match=rf"{loss}\(\): t is of shape \(1, 3\)"):
        call(ones, ones[:1])
    with pytest.raises(TypeError, match=rf"{loss}\(\): t is float32"):
        call(ones, ones.astype(np.float32))
    with pytest.raises(ValueError, match=rf"{loss}\(\): z is of shape \(0, 3\)"):
        call(ones[:0], ones[:0])


def test_bad_weights_exponents_and_axes_are_refused():
    ones = np.ones((2, 3))
    for loss in (fisher_diag_loss, fisher_full_loss):
        with pytest.raises(ValueError, match=rf"{loss.__name__}\(\): g is of shape \(2, 1\)"):
            loss(ones, ones, ones[:, :1])
        with pytest.raises(TypeError, match=rf"{loss.__name__}\(\): g is float32"):
            loss(ones, ones, ones.astype(np.float32))
    for p in (0.99, 0.0, -2.0, math.nan, math.inf):
        with pytest.raises(ValueError, match=r"reconstruction_loss\(\): p is"):
            reconstruction_loss(ones, ones, p)
    for axis in (2, -3):
        with pytest.raises(ValueError, match="channel_axis"):
            reconstruction_loss(ones, ones, channel_axis=axis)
        with pytest.raises(ValueError, match="channel_axis"):
            fisher_diag_loss(ones, ones, ones, channel_axis=axis)
    with pytest.raises(TypeError, match=r"fisher_weights\(\): d_z is int64"):
        fisher_weights(np.array([1]))
