"""ASoftmax: candidates, soft weights and their gradient, hardening."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.gradcheck import check_gradient
from refquant import numerics as nx
from refquant.quantizers.asoftmax import (
    asoftmax_backward,
    asoftmax_codes,
    asoftmax_forward,
)
from refquant.quantizers.fake_quant import dequantize
from refquant.quantizers.grid import Grid, make_qparams

DTYPES = [np.float64, np.float32]
MODES = ["fast", "pinned"]
SEEDS = st.integers(0, 2**32 - 1)
OFFSETS = [(0, 1), (-1, 0, 1, 2), (1, 0), (0,)]
QP = make_qparams(0.5, 3, Grid("affine", 3))  # levels -3..4 of 1/2


def drawn(seed, offsets, shape=(3, 4)):
    """Weights within and beyond the grid, and logits."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-2.5, 3.0, shape), rng.normal(0, 2, (*shape, len(offsets)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
def test_by_hand(mode, dtype):
    """Logits 0 and tau ln 3 give pi = 1/4, 3/4: level F + 3/4, slope -+ 3/16 s / tau."""
    tau, w = 0.5, np.array([0.7, 2.3, -1.8], dtype)  # F = 1, 4, -4; grid -3..4
    logits = np.array([[0.0, tau * math.log(3.0)]] * 3, dtype)
    with nx.arithmetic(mode):
        w_hat, cache = asoftmax_forward(w, logits, QP, tau)
        d_v = asoftmax_backward(np.array([2, 4, 8], dtype), cache)
    tolerance = {"rtol": 8 * np.finfo(dtype).eps, "atol": 0}
    # 4 + 3/4 and -4 + 3/4 are clipped: no gradient
    np.testing.assert_allclose(w_hat, [0.875, 2.0, -1.5], **tolerance)
    np.testing.assert_allclose(d_v[0], np.array([-0.375, 0.375]), **tolerance)
    assert not d_v[1:].any()
    assert (w_hat.dtype, d_v.dtype) == (np.dtype(dtype), np.dtype(dtype))


@given(seed=SEEDS, tau=st.floats(0.05, 5.0))
def test_two_candidates_are_a_sigmoid_with_a_temperature(seed, tau):
    """P84: pi_1 = sigma((v_1 - v_0) / tau)."""
    w, logits = drawn(seed, (0, 1))
    w_hat, _ = asoftmax_forward(w, logits, QP, tau)
    share = 1.0 / (1.0 + np.exp(-(logits[..., 1] - logits[..., 0]) / tau))
    level = np.clip(np.floor(w / 0.5) + share, -3, 4)
    np.testing.assert_allclose(w_hat, 0.5 * level, rtol=0, atol=1e-15 * 8)


@pytest.mark.parametrize("offsets", OFFSETS)
@given(seed=SEEDS)
def test_cold_weights_are_the_hard_codes(offsets, seed):
    """P84: tau -> 0 is the argmax; from some tau on, bit for bit and without overflow."""
    w, logits = drawn(seed, offsets)
    codes = asoftmax_codes(w, logits, QP, offsets)
    assert codes.dtype == np.int64
    assert codes.min() >= 0
    assert codes.max() <= 7
    for tau in (1e-9, 1e-300, 2.3e-308):
        w_hat, cache = asoftmax_forward(w, logits, QP, tau, offsets)
        np.testing.assert_array_equal(w_hat, dequantize(codes, QP))
        assert np.isfinite(asoftmax_backward(np.ones_like(w), cache)).all()


@pytest.mark.parametrize("offsets", OFFSETS)
@given(seed=SEEDS, tau=st.floats(0.1, 3.0))
def test_gradient_sums_to_zero_over_candidates(offsets, seed, tau):
    """P84: adding a number to all logits of a weight changes nothing."""
    w, logits = drawn(seed, offsets)
    d_v = asoftmax_backward(np.ones_like(w), asoftmax_forward(w, logits, QP, tau, offsets)[1])
    np.testing.assert_allclose(d_v.sum(axis=-1), 0.0, atol=1e-14 / tau)
    moved, _ = asoftmax_forward(w, logits + 4.0, QP, tau, offsets)
    np.testing.assert_allclose(
        moved, asoftmax_forward(w, logits, QP, tau, offsets)[0], atol=1e-13 / tau
    )


@pytest.mark.parametrize("offsets", OFFSETS)
@pytest.mark.parametrize("channels", [False, True])
def test_gradient_matches_central_differences(offsets, channels):
    """P55's manner: the clip mask is a constant, so points near a clip are moved inside."""
    w, logits = drawn(3, offsets)
    step = np.array([[0.5], [0.25], [0.75]]) if channels else 0.5
    qparams = make_qparams(step, 3, Grid("affine", 3))
    w = np.clip(w, -1.1 * np.asarray(step), 1.1 * np.asarray(step))
    w[0, 0] = 40.0  # clipped for good
    d_y = np.random.default_rng(1).normal(size=w.shape)
    _, cache = asoftmax_forward(w, logits, qparams, 0.7, offsets)
    d_v = asoftmax_backward(d_y, cache)
    assert not d_v[0, 0].any()

    def loss(v):
        return (d_y * asoftmax_forward(w, v, qparams, 0.7, offsets)[0]).sum()

    check_gradient(loss, logits, d_v)


def test_the_ends_of_the_grid_pass_their_gradient():
    """Kink: F + pi exactly on n or p is inside. Levels -3..4, two equal logits: pi = 1/2."""
    logits = np.zeros((3, 3))
    w = 0.5 * np.array([-3.0, 4.0, 5.0])
    w_hat, cache = asoftmax_forward(w, logits, QP, 1.0, (-1, 0, 1))  # the mean offset is 0
    assert w_hat.tolist() == [-1.5, 2.0, 2.0]
    d_v = asoftmax_backward(np.ones(3), cache)
    assert d_v.any(axis=-1).tolist() == [True, True, False]


def test_equal_logits_harden_to_the_first_candidate():
    w = np.array([0.7])
    for offsets, level in (((0, 1), 1), ((1, 0), 2), ((-1, 0, 1, 2), 0)):
        codes = asoftmax_codes(w, np.zeros((1, len(offsets))), QP, offsets)
        assert codes.tolist() == [level + 3]
    third = np.array([[0.0, 2.0, 3.0, 3.0]])
    assert asoftmax_codes(w, third, QP, (-1, 0, 1, 2)).tolist() == [5]


@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values(dtype):
    """NaN takes the zero point, the infinities the ends, none with a gradient."""
    w, logits = np.array([np.nan, np.inf, -np.inf], dtype), np.zeros((3, 2), dtype)
    w_hat, cache = asoftmax_forward(w, logits, QP, 1.0)
    np.testing.assert_array_equal(w_hat, [0.0, 2.0, -1.5])
    assert not asoftmax_backward(np.ones(3, dtype), cache).any()
    assert asoftmax_codes(w, logits, QP).tolist() == [3, 7, 0]


def test_nothing_is_mutated_and_bad_input_is_refused():
    w, logits = np.ones((2, 3)), np.zeros((2, 3, 2))
    for array in (w, logits):
        array.flags.writeable = False
    _, cache = asoftmax_forward(w, logits, QP, 1.0)
    asoftmax_backward(w, cache)
    asoftmax_codes(w, logits, QP)
    for tau in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="temperature"):
            asoftmax_forward(w, logits, QP, tau)
    with pytest.raises(ValueError, match="logits is of shape"):
        asoftmax_forward(w, logits, QP, 1.0, (0, 1, 2))
    with pytest.raises(ValueError, match="axes"):
        asoftmax_codes(w, logits[0], QP)
    with pytest.raises(ValueError, match="finite"):
        asoftmax_forward(w, np.full((2, 3, 2), np.inf), QP, 1.0)
    with pytest.raises(TypeError, match="logits is float32"):
        asoftmax_forward(w, logits.astype(np.float32), QP, 1.0)
    for offsets in ((), (1, 1)):
        with pytest.raises(ValueError, match="distinct"):
            asoftmax_codes(w, logits, QP, offsets)
    with pytest.raises(TypeError, match="integer"):
        asoftmax_codes(w, logits, QP, (0.5,))
    with pytest.raises(ValueError, match="d_w_hat"):
        asoftmax_backward(np.ones(3), cache)
