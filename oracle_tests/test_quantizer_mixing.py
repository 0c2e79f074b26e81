"""QDrop's mix and AMixup: values, gradients, expectation over masks, noise moved to weights."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.exact_lists import dyadic, fractions_of
from oracle_tests.gradcheck import check_gradient
from refquant import numerics as nx
from refquant.oracle.exact import mixing as twin
from refquant.quantizers.fake_quant import fake_quant_backward, fake_quant_forward
from refquant.quantizers.grid import Grid, make_qparams
from refquant.quantizers.mixing import (
    amixup_forward,
    mix_backward,
    noise_in_weights,
    qdrop_mix_forward,
)

DTYPES = [np.float64, np.float32]
SEEDS = st.integers(0, 2**32 - 1)
SHARES = st.integers(0, 8).map(lambda k: k / 8)


def quantised(x):
    """x on a grid of step 1/2 and levels -4..3, with the cache for the way back."""
    return fake_quant_forward(x, make_qparams(np.array(0.5, x.dtype), 0, Grid("signed", 3)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_by_hand(dtype):
    x, x_q = np.array([1.0, 2.0, 3.0], dtype), np.array([5.0, 6.0, 7.0], dtype)
    d_y = np.array([1.0, 2.0, 4.0], dtype)
    y, cache = qdrop_mix_forward(x, x_q, np.array([True, False, True]))
    assert y.tolist() == [5.0, 2.0, 7.0]
    grads = mix_backward(d_y, cache)
    assert (grads.x.tolist(), grads.x_q.tolist()) == ([0, 2, 0], [1, 0, 4])
    y, cache = qdrop_mix_forward(x, x_q, np.array([0.25, 0.0, 1.0], dtype))
    assert y.tolist() == [2.0, 2.0, 7.0]
    assert mix_backward(d_y, cache).x.tolist() == [0.75, 2.0, 0.0]
    y, cache = amixup_forward(x, x_q, 0.25)
    assert y.tolist() == [4.0, 5.0, 6.0]
    grads = mix_backward(d_y, cache)
    assert (grads.x.tolist(), grads.x_q.tolist()) == ([0.25, 0.5, 1], [0.75, 1.5, 3])
    assert {y.dtype, grads.x.dtype, grads.x_q.dtype} == {np.dtype(dtype)}


@given(seed=SEEDS, size=st.integers(1, 6), share=SHARES, soft=st.booleans())
@pytest.mark.parametrize("dtype", DTYPES)
def test_equal_to_the_twin(dtype, seed, size, share, soft):
    """Golden ops 53 and 54."""
    rng = np.random.default_rng(seed)
    x, x_q, d_y = (dyadic(rng, (size,), dtype) for _ in range(3))
    draws = rng.integers(0, 9, size) / 8
    mask = draws.astype(dtype) if soft else draws > 0.5
    y, cache = qdrop_mix_forward(x, x_q, mask)
    exact = [Fraction(float(m)) for m in mask]
    assert fractions_of(y) == twin.qdrop_mix(fractions_of(x), fractions_of(x_q), exact)
    assert tuple(map(fractions_of, mix_backward(d_y, cache))) == twin.qdrop_mix_backward(
        fractions_of(d_y), exact
    )
    y, cache = amixup_forward(x, x_q, share)
    assert fractions_of(y) == twin.amixup(fractions_of(x), fractions_of(x_q), Fraction(share))
    assert tuple(map(fractions_of, mix_backward(d_y, cache))) == twin.amixup_backward(
        fractions_of(d_y), Fraction(share)
    )


@given(seed=SEEDS)
def test_the_ends_are_the_quantiser_and_the_identity(seed):
    """P30: keep all is the quantiser, keep none the identity with d_s = 0. P85: likewise."""
    rng = np.random.default_rng(seed)
    x, d_y = dyadic(rng, (3, 4)), dyadic(rng, (3, 4))
    x_q, quant = quantised(x)
    plain = fake_quant_backward(d_y, quant)
    for mixed, kept in (
        (qdrop_mix_forward(x, x_q, np.ones(x.shape, bool)), True),
        (amixup_forward(x, x_q, 0.0), True),
        (qdrop_mix_forward(x, x_q, np.zeros(x.shape, bool)), False),
        (amixup_forward(x, x_q, 1.0), False),
    ):
        y, cache = mixed
        grads = mix_backward(d_y, cache)
        through = fake_quant_backward(grads.x_q, quant)
        np.testing.assert_array_equal(y, x_q if kept else x)
        np.testing.assert_array_equal(grads.x + through.x, plain.x if kept else d_y)
        assert through.s == (plain.s if kept else 0.0)


@given(seed=SEEDS, size=st.integers(1, 5), keep=SHARES)
def test_mean_over_masks(seed, size, keep):
    """P76, over all masks with their probabilities: pr Q(x) + (1 - pr) x, gradients alike."""
    rng = np.random.default_rng(seed)
    x, x_q, d_y = (dyadic(rng, (size,)) for _ in range(3))
    mean, d_mean = [Fraction(0)] * size, [Fraction(0)] * size
    for mask, probability in twin.masks(size, Fraction(keep)):
        y, cache = qdrop_mix_forward(x, x_q, np.array(mask, bool))
        d_x = mix_backward(d_y, cache).x
        mean = [a + probability * Fraction(b) for a, b in zip(mean, y.tolist(), strict=True)]
        d_mean = [a + probability * Fraction(b) for a, b in zip(d_mean, d_x.tolist(), strict=True)]
    expected, _ = amixup_forward(x, x_q, 1.0 - keep)
    assert mean == fractions_of(expected)
    assert d_mean == fractions_of((1.0 - keep) * d_y)


@pytest.mark.parametrize("share", [0.3, "elements", "draws"])
def test_amixup_gradients_match_central_differences(share):
    rng = np.random.default_rng(6)
    x, x_q, d_y = (rng.normal(size=(3, 4)) for _ in range(3))
    shares = {"elements": rng.random((3, 4)), "draws": rng.random((3, 4)) < 0.5}.get(share, share)
    y, cache = amixup_forward(x, x_q, shares)
    np.testing.assert_allclose(y, shares * x + (1.0 - np.float64(shares)) * x_q, rtol=1e-15)
    grads = mix_backward(d_y, cache)
    check_gradient(lambda v: (d_y * amixup_forward(v, x_q, shares)[0]).sum(), x, grads.x)
    check_gradient(lambda v: (d_y * amixup_forward(x, v, shares)[0]).sum(), x_q, grads.x_q)


def test_gradients_keep_a_share_too_small_to_subtract_from_one():
    """P = 2^-80: 1 - P is 1, but d_x is P d_y."""
    y, cache = amixup_forward(np.array([1.0]), np.array([2.0]), 2.0**-80)
    grads = mix_backward(np.array([1.0]), cache)
    assert (y.item(), grads.x.item(), grads.x_q.item()) == (2.0, 2.0**-80, 1.0)


def test_shares_broadcast_and_whole_shares_select():
    """P per channel; what has the share 0 may be NaN or infinite."""
    x, x_q = np.array([[1.0, 2.0], [np.nan, np.inf]]), np.array([[np.inf, 6.0], [7.0, 8.0]])
    y, cache = amixup_forward(x, x_q, np.array([[True], [False]]))
    assert y.tolist() == [[1.0, 2.0], [7.0, 8.0]]
    assert mix_backward(np.ones((2, 2)), cache).x.tolist() == [[1, 1], [0, 0]]
    y, _ = qdrop_mix_forward(x, x_q, np.array([[False, True], [True, True]]))
    assert y.tolist() == [[1.0, 6.0], [7.0, 8.0]]


@given(seed=SEEDS, rows=st.integers(1, 3), features=st.integers(1, 5))
def test_noise_on_inputs_is_noise_on_weights(seed, rows, features):
    """P31: W_hat x_hat == (W_hat (1 + V)) x, exactly where x is a power of two or 0."""
    rng = np.random.default_rng(seed)
    w, x_hat = dyadic(rng, (rows, features)), dyadic(rng, (features,))
    x = 2.0 ** rng.integers(-2, 3, features) * rng.choice([-1.0, 0.0, 1.0], features)
    x_hat = np.where(x == 0.0, 0.0, x_hat)
    moved = noise_in_weights(w, x, x_hat)
    assert fractions_of(moved) == twin.noise_in_weights(*map(fractions_of, (w, x, x_hat)))
    expected = twin.product(*map(fractions_of, (w, x_hat)))
    assert twin.product(fractions_of(moved), fractions_of(x)) == expected
    assert moved[:, x == 0.0].tolist() == w[:, x == 0.0].tolist()


def test_noise_of_a_quantiser_moves_to_the_weights():
    """P31 on real numbers: a few roundings of each term."""
    rng = np.random.default_rng(1)
    w, x = rng.normal(size=(4, 50)), rng.normal(size=50)
    x[:5] = 0.0
    x_hat, _ = quantised(x)
    left = nx.matmul(w, x_hat[:, None])
    right = nx.matmul(noise_in_weights(w, x, x_hat), x[:, None])
    bound = 60 * 2.0**-53 * nx.matmul(np.abs(w), np.abs(x_hat)[:, None])
    assert np.all(np.abs(left - right) <= bound)


def test_nothing_is_mutated_and_bad_input_is_refused():
    x, x_q, mask = np.ones((2, 2)), np.zeros((2, 2)), np.ones((2, 2), bool)
    for array in (x, x_q, mask):
        array.flags.writeable = False
    _, cache = qdrop_mix_forward(x, x_q, mask)
    mix_backward(x, cache)
    with pytest.raises(ValueError, match="mask is of shape"):
        qdrop_mix_forward(x, x_q, mask[0])
    with pytest.raises(ValueError, match=r"numbers in \[0, 1\]"):
        qdrop_mix_forward(x, x_q, np.full((2, 2), 1.5))
    with pytest.raises(TypeError, match="bool, or numbers"):
        qdrop_mix_forward(x, x_q, np.full((2, 2), "yes"))
    with pytest.raises(ValueError, match="share"):
        amixup_forward(x, x_q, float("nan"))
    with pytest.raises(ValueError, match="share"):
        amixup_forward(x, x_q, -0.1)
    with pytest.raises(ValueError, match="broadcasts"):
        amixup_forward(x, x_q, np.ones(3))
    with pytest.raises(TypeError, match="x_q is float32"):
        amixup_forward(x, x_q.astype(np.float32), 0.5)
    with pytest.raises(ValueError, match="d_y"):
        mix_backward(np.ones(2), cache)
    with pytest.raises(ValueError, match="level at 0"):
        noise_in_weights(x, np.array([0.0, 1.0]), np.array([0.5, 1.0]))
    with pytest.raises(ValueError, match="x_hat is of shape"):
        noise_in_weights(x, np.ones(2), np.ones(3))
