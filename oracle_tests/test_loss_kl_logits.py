"""KL divergence of softened predictions: value, gradient, limits, refusals."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.exact_lists import dyadic, fractions_of
from oracle_tests.gradcheck import check_gradient
from refquant import numerics as nx
from refquant.losses.kl_logits import kl_logits_loss
from refquant.oracle.exact import kl_logits as twin

DTYPES = [np.float64, np.float32]
MODES = ["fast", "pinned"]
SEEDS = st.integers(0, 2**32 - 1)
TEMPERATURES = st.sampled_from([1.0, 4.0, 0.5])
SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 6))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_by_hand(dtype, temperature):
    """P_f = (1/4, 3/4), P_q = (1/2, 1/2) in sample 0, equal ones in sample 1.

    L = (1/4 ln(1/2) + 3/4 ln(3/2)) / 2 and d_z = (1/4, -1/4) / (2 T).
    """
    t = temperature * np.array([[0.0, math.log(3.0)], [1.0, 5.0]])
    z = np.array([[7.0, 7.0], [temperature, 5 * temperature]])
    value, d_z = kl_logits_loss(z.astype(dtype), t.astype(dtype), temperature)
    tolerance = {"rtol": 16 * np.finfo(dtype).eps}
    expected = (0.25 * math.log(0.5) + 0.75 * math.log(1.5)) / 2
    np.testing.assert_allclose(value, expected, **tolerance)
    np.testing.assert_allclose(d_z[0], np.array([0.125, -0.125]) / temperature, **tolerance)
    assert d_z[1].tolist() == [0.0, 0.0]
    assert type(value) is float
    assert d_z.dtype == dtype


@given(seed=SEEDS, shape=SHAPES, temperature=TEMPERATURES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
def test_close_to_the_twin(mode, dtype, seed, shape, temperature):
    """Golden op 35 against 60 digits; logits up to 3 / T, so that every term is of size 1."""
    rng = np.random.default_rng(seed)
    z, t = dyadic(rng, shape, dtype), dyadic(rng, shape, dtype)
    with nx.arithmetic(mode):
        value, d_z = kl_logits_loss(z, t, temperature)
    exact = fractions_of(z), fractions_of(t), Fraction(temperature)
    expected, d_expected = twin.kl_logits(*exact)
    # logarithms up to 12 + ln c in size, each a few ulp off, weighted by probabilities
    eps = float(np.finfo(dtype).eps)
    assert abs(value - float(expected)) <= 64 * eps
    np.testing.assert_allclose(d_z, np.array(d_expected, float), atol=16 * eps / temperature)


@given(seed=SEEDS, shape=SHAPES, temperature=TEMPERATURES)
def test_gradient_matches_central_differences(seed, shape, temperature):
    """P55, P86: the gradient, and its sum over the classes, which is 0."""
    rng = np.random.default_rng(seed)
    z, t = rng.normal(0, 2, shape), rng.normal(0, 2, shape)
    value, d_z = kl_logits_loss(z, t, temperature)
    check_gradient(lambda at: kl_logits_loss(at, t, temperature)[0], z, d_z, eps=1e-5)
    assert np.abs(d_z.sum(axis=1)).max() <= 1e-15
    assert value >= -1e-15


@given(seed=SEEDS, shape=SHAPES, temperature=TEMPERATURES)
@pytest.mark.parametrize("mode", MODES)
def test_equal_logits_have_no_loss_and_no_gradient(mode, seed, shape, temperature):
    """P86: exactly 0 where z = t, and where they differ by a number that changes no bit."""
    t = dyadic(np.random.default_rng(seed), shape)
    with nx.arithmetic(mode):
        for z in (t, t + 4.0):
            value, d_z = kl_logits_loss(z, t, temperature)
            assert value == 0.0
            assert not d_z.any()


def test_it_is_the_divergence_from_the_float_network():
    """KL(P_f || P_q), not the other way: swapping the arguments changes the value."""
    t, z = np.array([[0.0, 0.0]]), np.array([[0.0, math.log(3.0)]])
    forth = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    back = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
    np.testing.assert_allclose(kl_logits_loss(z, t)[0], forth, rtol=1e-14)
    np.testing.assert_allclose(kl_logits_loss(t, z)[0], back, rtol=1e-14)


def test_far_logits_do_not_overflow():
    """P_f = (1, 0): the loss is -ln P_q of the first class, 2000 here; absent classes add 0."""
    t, z = np.array([[1000.0, -1000.0]]), np.array([[-1000.0, 1000.0]])
    value, d_z = kl_logits_loss(z, t)
    assert value == 2000.0
    assert d_z.tolist() == [[-1.0, 1.0]]
    masked = np.array([[0.0, -np.inf]])
    assert kl_logits_loss(masked, masked)[0] == 0.0
    assert kl_logits_loss(np.zeros((1, 2)), masked)[0] == math.log(2.0)


def test_nothing_is_mutated_and_bad_input_is_refused():
    z = np.ones((2, 3))
    z.flags.writeable = False
    kl_logits_loss(z, z)
    with pytest.raises(ValueError, match="2 axes"):
        kl_logits_loss(np.ones(3), np.ones(3))
    with pytest.raises(ValueError, match="t is of shape"):
        kl_logits_loss(z, np.ones((3, 2)))
    with pytest.raises(TypeError, match="t is float32"):
        kl_logits_loss(z, np.ones((2, 3), np.float32))
    with pytest.raises(ValueError, match="at least one element"):
        kl_logits_loss(np.ones((0, 3)), np.ones((0, 3)))
    for temperature in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="temperature"):
            kl_logits_loss(z, z, temperature)
