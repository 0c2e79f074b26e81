"""Softmax cross entropy: values by hand, the twin, extremes and gradients."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.gradcheck import check_gradient
from refquant.layers.softmax_cross_entropy import (
    softmax_cross_entropy_backward,
    softmax_cross_entropy_forward,
)
from refquant.oracle.exact import softmax_cross_entropy as exact

SIZES = {"n": st.integers(1, 5), "c": st.integers(1, 7), "seed": st.integers(0, 2**32 - 1)}


def operands(n, c, seed, scale=3.0):
    rng = np.random.default_rng(seed)
    return rng.normal(0.0, scale, (n, c)), rng.integers(0, c, n)


def loss_of(logits, labels):
    return softmax_cross_entropy_forward(logits, labels)[0]


def gradient_of(logits, labels, d_loss=1.0):
    return softmax_cross_entropy_backward(d_loss, softmax_cross_entropy_forward(logits, labels)[1])


@given(**SIZES)
def test_equals_the_twin(n, c, seed):
    """Bound: c + 8 roundings of terms no larger than the spread of the logits plus log c."""
    logits, labels = operands(n, c, seed)
    expected = exact.softmax_cross_entropy(logits.tolist(), labels.tolist())
    size = 1.0 + np.ptp(logits, axis=1).max() + math.log(c)
    assert abs(loss_of(logits, labels) - expected) <= (c + n + 8) * 2.0**-53 * size
    want = exact.softmax_cross_entropy_backward(0.75, logits.tolist(), labels.tolist())
    # exp of a shifted logit inherits the rounding of the shift, so |logit| enters the bound.
    bound = (c + 8 + 2 * np.abs(logits).max()) * 2.0**-53 / n
    assert np.abs(gradient_of(logits, labels, 0.75) - want).max() <= bound


def test_gradient_matches_central_differences():
    logits, labels = operands(4, 5, 1, scale=1.0)
    analytic = gradient_of(logits, labels, 0.75)
    check_gradient(lambda t: 0.75 * float(loss_of(t, labels)), logits, analytic, name="logits")


def test_equal_logits_by_hand():
    """Every class has probability 1/2: loss log 2, gradient (1/2 - hot) / n."""
    logits, labels = np.array([[7.0, 7.0], [-3.0, -3.0]]), np.array([0, 1])
    assert loss_of(logits, labels) == pytest.approx(math.log(2.0), rel=1e-15)
    np.testing.assert_array_equal(gradient_of(logits, labels), [[-0.25, 0.25], [0.25, -0.25]])


def test_three_to_one_by_hand():
    """Logits 0 and log 3: probabilities 1/4 and 3/4; label 1 costs log(4/3), label 0 log 4."""
    logits = np.array([[0.0, math.log(3.0)]])
    assert loss_of(logits, np.array([1])) == pytest.approx(math.log(4.0 / 3.0), rel=1e-15)
    assert loss_of(logits, np.array([0])) == pytest.approx(math.log(4.0), rel=1e-15)
    both = np.repeat(logits, 2, axis=0)
    mean = (math.log(4.0) + math.log(4.0 / 3.0)) / 2.0
    assert loss_of(both, np.array([0, 1])) == pytest.approx(mean, rel=1e-15)
    np.testing.assert_allclose(gradient_of(logits, np.array([1])), [[0.25, -0.25]], rtol=1e-15)
    np.testing.assert_allclose(gradient_of(logits, np.array([0]), 2.0), [[-1.5, 1.5]], rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_logits_do_not_overflow(dtype):
    """exp(-1000) is 0: the loss is exactly the gap, the gradient exactly -1 and 1."""
    logits = np.array([[1000.0, 0.0], [-1000.0, -2000.0]], dtype=dtype)
    assert loss_of(logits, np.array([0, 0])) == 0.0
    assert loss_of(logits, np.array([1, 1])) == 1000.0
    wrong = gradient_of(logits, np.array([1, 1]), 2.0)
    np.testing.assert_array_equal(wrong, [[1.0, -1.0], [1.0, -1.0]])
    np.testing.assert_array_equal(gradient_of(logits, np.array([0, 0])), np.zeros((2, 2)))


def test_an_impossible_class():
    logits = np.array([[0.0, -np.inf, 0.0]])
    assert loss_of(logits, np.array([0])) == pytest.approx(math.log(2.0), rel=1e-15)
    assert loss_of(logits, np.array([1])) == np.inf
    np.testing.assert_array_equal(gradient_of(logits, np.array([0])), [[-0.5, 0.0, 0.5]])


def test_one_class_costs_nothing():
    logits, labels = np.array([[3.5], [-1.0]]), np.array([0, 0])
    assert loss_of(logits, labels) == 0.0
    np.testing.assert_array_equal(gradient_of(logits, labels), [[0.0], [0.0]])


@given(**SIZES, shift=st.integers(-64, 64))
def test_a_common_shift_changes_nothing(n, c, seed, shift):
    """Exactly, where the shift itself is exact: dyadic logits."""
    rng = np.random.default_rng(seed)
    logits, labels = rng.integers(-32, 33, (n, c)) / 8, rng.integers(0, c, n)
    assert loss_of(logits + shift, labels) == loss_of(logits, labels)
    np.testing.assert_array_equal(gradient_of(logits + shift, labels), gradient_of(logits, labels))


@given(**SIZES)
def test_every_row_of_the_gradient_sums_to_zero(n, c, seed):
    """Probabilities sum to one, and so does the one-hot row."""
    d_logits = gradient_of(*operands(n, c, seed))
    assert np.abs(d_logits.sum(axis=1)).max() <= 2 * (c + 2) * 2.0**-53 / n


@pytest.mark.parametrize("labels_dtype", [np.int64, np.uint8, np.int32])
@pytest.mark.parametrize("d_loss", [2.0, np.float64(2.0), np.array(2.0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_kept_and_arguments_unchanged(dtype, d_loss, labels_dtype):
    logits, labels = operands(4, 3, 9)
    logits, labels = logits.astype(dtype), labels.astype(labels_dtype)
    kept = logits.copy(), labels.copy()
    loss, cache = softmax_cross_entropy_forward(logits, labels)
    d_logits = softmax_cross_entropy_backward(d_loss, cache)
    assert loss.dtype == dtype and loss.shape == ()
    assert d_logits.dtype == dtype and d_logits.shape == logits.shape
    np.testing.assert_array_equal(logits, kept[0])
    np.testing.assert_array_equal(labels, kept[1])
    expected = exact.softmax_cross_entropy(logits.astype(float).tolist(), labels.tolist())
    assert loss == pytest.approx(expected, rel=1e-6)


GOOD = np.zeros((2, 3))


@pytest.mark.parametrize(
    "logits, labels, error, words",
    [
        (GOOD[0], np.array([0]), ValueError, "logits is .*2 axes"),
        (GOOD.astype(int), np.array([0, 1]), TypeError, "logits is int64"),
        (GOOD[:0], np.array([], dtype=int), ValueError, "logits is of shape"),
        (GOOD[:, :0], np.array([0, 0]), ValueError, "logits is of shape"),
        (GOOD, np.array([0.0, 1.0]), TypeError, "labels is float64.*one-hot"),
        (GOOD, np.array([True, False]), TypeError, "labels is bool"),
        (GOOD, [0, 1], TypeError, "labels is list"),
        (GOOD, np.array([0, 1, 2]), ValueError, r"labels is of shape \(3,\).*\(2,\)"),
        (GOOD, np.array([[0], [1]]), ValueError, r"labels is of shape \(2, 1\)"),
        (GOOD, np.array([0, 3]), ValueError, r"in 0\.\.3.*in 0\.\.2"),
        (GOOD, np.array([-1, 0]), ValueError, r"in -1\.\.0"),
    ],
)
def test_refuses(logits, labels, error, words):
    with pytest.raises(error, match=words):
        softmax_cross_entropy_forward(logits, labels)


def test_backward_refuses_a_vector():
    _, cache = softmax_cross_entropy_forward(GOOD, np.array([0, 1]))
    with pytest.raises(ValueError, match="d_loss is of shape"):
        softmax_cross_entropy_backward(np.ones(2), cache)
