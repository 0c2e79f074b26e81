"""Accuracy, SQNR and KL: values by hand, limits, refusals."""

import math

import numpy as np
import pytest

from refquant import numerics as nx
from refquant.metrics import accuracy, kl_divergence, sqnr_db
from refquant.zoo.digits import digits

arithmetics = pytest.mark.parametrize("mode", ["fast", "pinned"])


def test_accuracy_by_hand():
    """A tie goes to the first class; a row with NaN is wrong, even at the label."""
    logits = np.array([[0.0, 2.0], [3.0, 1.0], [1.0, 1.0], [1.0, 1.0], [np.nan, 0.0]])
    assert accuracy(logits, np.array([1, 0, 0, 1, 0])) == 3 / 5
    assert accuracy(logits[:3], np.array([0, 1, 1])) == 0.0
    assert accuracy(logits.astype(np.float32), np.array([1, 0, 0, 1, 0], dtype=np.int8)) == 3 / 5


@pytest.mark.parametrize(
    ("logits", "labels", "error", "message"),
    [
        (np.zeros((3, 2)), np.zeros(2, int), ValueError, "shape"),
        (np.zeros(3), np.zeros(3, int), ValueError, "2 axes"),
        (np.zeros((3, 2), int), np.zeros(3, int), TypeError, "float64"),
        (np.zeros((3, 2)), np.zeros(3), TypeError, "integers"),
        (np.zeros((3, 2)), [0, 1, 0], TypeError, "list"),
        (np.zeros((0, 2)), np.zeros(0, int), ValueError, "at least one row"),
        (np.zeros((3, 2)), digits().calib.y, TypeError, "Calibration images have none"),
    ],
)
def test_accuracy_refuses(logits, labels, error, message):
    """The message says what was got, or what to use."""
    with pytest.raises(error, match=message):
        accuracy(logits, labels)


@arithmetics
def test_sqnr_by_hand(mode):
    """|r|^2 = 25, |r - a|^2 = 1/4: 10 log10(100) = 20 dB; equal is infinite."""
    r, a = np.array([[3.0, 4.0]]), np.array([[3.0, 4.5]])
    with nx.arithmetic(mode):
        assert sqnr_db(r, a) == pytest.approx(20.0, abs=1e-12)
        assert sqnr_db(r, 2 * r) == pytest.approx(0.0, abs=1e-12)
        assert sqnr_db(r, r) == math.inf


def test_sqnr_falls_by_six_decibels_for_twice_the_noise():
    """10 log10(4), whatever the signal; float32 and float64 may be compared."""
    rng = np.random.default_rng(0)
    r, noise = rng.normal(size=(20, 5)), 0.01 * rng.normal(size=(20, 5))
    drop = sqnr_db(r, r + noise) - sqnr_db(r, r + 2 * noise)
    assert drop == pytest.approx(10 * math.log10(4), abs=1e-9)
    assert 100.0 < sqnr_db(r, r.astype(np.float32)) < 200.0


@arithmetics
def test_kl_by_hand(mode):
    """p = (1/2, 1/2), q = (1/4, 3/4): ln(2/sqrt 3); constants on a row change nothing."""
    p, q = np.zeros((1, 2)), np.array([[0.0, math.log(3.0)]])
    expected = math.log(2.0 / math.sqrt(3.0))
    with nx.arithmetic(mode):
        assert kl_divergence(p, q) == pytest.approx(expected, rel=1e-12)
        both = kl_divergence(np.vstack([p, p]), np.vstack([q + 100.0, p - 7.0]))
        assert both == pytest.approx(expected / 2, rel=1e-12)
        assert kl_divergence(q, q) == 0.0
    assert kl_divergence(p.astype(np.float32), q) == pytest.approx(expected, rel=1e-12)


def test_kl_is_not_negative():
    """Gibbs' inequality; random rows are far from equal."""
    rng = np.random.default_rng(1)
    for _ in range(50):
        p, q = rng.normal(size=(2, 8, 4)) * 5
        assert kl_divergence(p, q) > 0.0


@pytest.mark.parametrize("metric", [sqnr_db, kl_divergence])
@pytest.mark.parametrize(
    ("reference", "approximation", "error"),
    [
        (np.ones((2, 3)), np.ones((3, 2)), ValueError),
        (np.ones((2, 3)), [[1.0] * 3] * 2, TypeError),
        (np.ones((2, 3), int), np.ones((2, 3)), TypeError),
        (np.zeros((0, 3)), np.zeros((0, 3)), ValueError),
    ],
)
def test_pairs_are_checked(metric, reference, approximation, error):
    """The function that refuses is named."""
    with pytest.raises(error, match=f"^{metric.__name__}"):
        metric(reference, approximation)


def test_a_silent_reference_has_no_sqnr():
    """Division by nothing."""
    with pytest.raises(ValueError, match="all zero"):
        sqnr_db(np.zeros((2, 2)), np.ones((2, 2)))
