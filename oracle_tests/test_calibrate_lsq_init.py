"""First steps of LSQ and LSQ+ (methods 3.4, D6)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.exact_lists import dyadic, fractions_of
from refquant.calibrate.lsq_init import (
    LsqInit,
    lsq_init,
    lsq_plus_activations,
    lsq_plus_init,
)
from refquant.calibrate.qparams import EPS
from refquant.oracle.exact import calibrate as twin
from refquant.quantizers.grid import KINDS, Grid

SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize(
    ("kind", "bits", "largest"),
    [("signed", 2, 1), ("narrow", 4, 7), ("affine", 4, 15), ("unsigned", 2, 3)],
)
def test_lsq_by_hand(kind, bits, largest):
    """2 * mean|(1, -3)| = 4 over sqrt(p), p the largest code before any zero point."""
    found = lsq_init(np.array([1.0, -3.0]), Grid(kind, bits))
    np.testing.assert_allclose(found.step, 4.0 / largest**0.5, rtol=1e-15)
    assert found.zero_point == 0


def test_lsq_plus_by_hand():
    """(1, 3): mean 2, deviation 1, reach max(|-1|, 5) = 5; negated the other side is the wider."""
    w = np.array([[1.0, 3.0], [-1.0, -3.0]])
    paper = lsq_plus_init(w, Grid("signed", 2), axis=0)
    np.testing.assert_array_equal(paper.step, [[2.5], [2.5]])
    half = lsq_plus_init(w, Grid("narrow", 3), "mqbench", axis=0)
    np.testing.assert_array_equal(half.step, [[0.625], [0.625]])


def test_lsq_plus_activations_by_hand():
    """-1, 0, 1, 2 on 2 bits: s = (2 + 1) / 3 = 1, o = -1 is exact, and the first candidate."""
    x = np.array([-1.0, 0.0, 1.0, 2.0])
    assert lsq_plus_activations(x, Grid("unsigned", 2)) == (1.0, -1.0, 0.0)
    step, offset, score = lsq_plus_activations(x + 8.0, Grid("affine", 2), steps=1)
    assert (step, offset, score) == (1.0, 7.0, 0.0)
    step, offset, score = lsq_plus_activations(np.zeros((2, 3)), Grid("affine", 2), axis=0)
    np.testing.assert_array_equal(step, [[EPS], [EPS]])
    np.testing.assert_array_equal(offset, [[0.0], [0.0]])


def test_the_first_of_equal_scores_wins():
    """Errors of 1e-200 square to 0 for every candidate: the start (eps, min) stands."""
    x = np.array([-1e-200, 1e-200])
    assert lsq_plus_activations(x, Grid("affine", 4)) == (EPS, -1e-200, 0.0)


@given(SEEDS, st.sampled_from(KINDS), st.integers(2, 16), st.sampled_from([np.float32, np.float64]))
def test_steps_equal_the_exact_twin(seed, kind, bits, dtype):
    """A mean, a root and a quotient: within four roundings of the exact value."""
    x = dyadic(np.random.default_rng(seed), (2, 6), dtype)
    lsq = lsq_init(x, Grid(kind, bits), axis=0)
    assert lsq.step.dtype == dtype and lsq.step.shape == (2, 1)
    for row in range(2):
        exact = float(twin.lsq_init(fractions_of(x[row]), kind, bits))
        np.testing.assert_allclose(lsq.step[row, 0], exact, rtol=4 * np.finfo(dtype).eps)
    if kind in ("signed", "narrow"):
        for divisor in ("paper", "mqbench"):
            plus = lsq_plus_init(x, Grid(kind, bits), divisor, axis=0)
            for row in range(2):
                exact = float(twin.lsq_plus_init(fractions_of(x[row]), bits, divisor))
                np.testing.assert_allclose(plus.step[row, 0], exact, rtol=8 * np.finfo(dtype).eps)


@given(SEEDS, st.integers(2, 4), st.sampled_from([1, 80]))
def test_activations_equal_the_exact_twin(seed, bits, steps):
    """The chosen candidate is the exact optimum, up to rounding, and never worse than the start."""
    x = dyadic(np.random.default_rng(seed), (6,))
    step, offset, score = lsq_plus_activations(x, Grid("affine", bits), steps=steps)
    nested = fractions_of(x)
    _, _, best = twin.lsq_plus_activations(nested, bits, 2, steps)
    width = float(max(abs(v) for v in nested)) ** 2
    assert abs(float(score) - float(best)) <= 1e-12 * width
    assert step > 0 and (steps > 1 or offset == x.min())
    shifted = [v - fractions_of(offset) for v in nested]
    again = twin.score(shifted, fractions_of(step), 0, ("unsigned", bits), 2)
    assert abs(float(again) - float(best)) <= 1e-12 * width


def test_zero_and_single_values():
    """A zero row gets the floor; one value v gives 2 |v| / sqrt(p) and |v| / 2^(b-1)."""
    x = np.array([[0.0], [-3.0]])
    np.testing.assert_array_equal(lsq_init(x, Grid("signed", 2), axis=0).step, [[EPS], [6.0]])
    np.testing.assert_array_equal(lsq_plus_init(x, Grid("signed", 2), axis=0).step, [[EPS], [1.5]])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: LsqInit("lsqplus"), ValueError, "Did you mean 'lsq_plus'"),
        (lambda: lsq_init(np.ones(2), 4), TypeError, "Grid"),
        (lambda: lsq_init(np.ones(0), Grid("signed", 4)), ValueError, "one element"),
        (lambda: lsq_plus_init(np.ones(2), Grid("affine", 4)), ValueError, "signed"),
        (lambda: lsq_plus_init(np.ones(2), Grid("signed", 4), "half"), ValueError, "mqbench"),
        (lambda: lsq_plus_activations(np.ones(2), Grid("signed", 4)), ValueError, "affine"),
        (lambda: lsq_plus_activations(np.ones(2), Grid("affine", 4), 0.0), ValueError, "positive"),
        (lambda: lsq_plus_activations(np.ones(2), Grid("affine", 4), steps=0), ValueError, "steps"),
    ],
)
def test_bad_input_is_refused(call, error, words):
    """One voice: function, argument, got, expected."""
    with pytest.raises(error, match=words):
        call()
