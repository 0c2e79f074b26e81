"""The search kernel leaves out candidates, and never the one the definition chooses."""

from fractions import Fraction

import numpy as np
import pytest

from refquant import numerics as nx
from refquant.calibrate import score
from refquant.calibrate.mse_search import MseSearch, mse_search
from refquant.calibrate.score import first_smallest, quantisation_error
from refquant.kernels.search import contenders, tolerance
from refquant.quantizers.grid import Grid

KINDS = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def values(name, dtype, size=4000):
    """Activations that repeat: behind a ReLU, on a grid, as patches; and some that do not."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=size)
    made = {
        "relu": np.maximum(x, 0.0),
        "grid": np.rint(4 * x) / 8,
        "patches": np.tile(x[: size // 9], 9),
        "all alike": np.full(size, 0.3),
        "zero": np.zeros(size),
        "distinct": x,
    }
    return made[name].astype(dtype)


NAMES = ("relu", "grid", "patches", "all alike", "zero", "distinct")


@KINDS
@pytest.mark.parametrize("p", [1.0, 2.0, 2.4])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("search", ["grid100_1d", "mq80"])
def test_the_choice_is_the_definitions(monkeypatch, search, name, p, dtype):
    x, grid, rule = values(name, dtype), Grid("affine", 3), MseSearch(search, p=p)
    found, of_found = mse_search(x, grid, rule)
    monkeypatch.setattr(score, "contenders", lambda candidates, *_: candidates)
    want, of_want = mse_search(x, grid, rule)
    assert found.step == want.step
    assert found.zero_point == want.zero_point
    assert of_found == of_want


def steps(dtype, count=50):
    return [(np.full((1, 1), 0.02 * i, dtype), np.zeros((1, 1), dtype)) for i in range(1, count)]


@KINDS
def test_few_candidates_are_left_and_they_keep_their_order(dtype):
    """The score is steep on this scale: a handful of 49 lies near the smallest."""
    row, grid = values("patches", dtype), Grid("signed", 3)
    found = steps(dtype)
    left = contenders(found, row, grid, 2.4)
    places = [next(i for i, one in enumerate(found) if one is kept) for kept in left]
    assert 1 <= len(left) <= 5
    assert places == sorted(places)


def test_equal_scores_are_all_kept_and_the_first_wins():
    """Steps 1/2 and 1/4 both represent 0 and 1/2 exactly."""
    row = np.tile([0.0, 0.5], 50)
    found = [(np.array([[s]]), np.zeros((1, 1))) for s in (0.375, 0.5, 0.25)]
    assert contenders(found, row, Grid("unsigned", 3), 2.0) == found[1:]
    step, _, error = first_smallest(found, row[None], Grid("unsigned", 3), 2.0)
    assert (step, error) == (0.5, 0.0)


@KINDS
def test_the_tolerance_covers_both_sums(dtype):
    """Against exact arithmetic: the definition's sum is off by less than half the tolerance."""
    row, (step, zero) = values("relu", dtype), steps(dtype)[7]
    total = quantisation_error(row[None], (step, zero), Grid("unsigned", 4), 2.0, total=True)
    exact = Fraction(0)
    for value in row.tolist():
        level = np.clip(np.rint(dtype(value) / step.item()), 0, 15)
        error = dtype(dtype(step.item()) * dtype(level)) - dtype(value)
        exact += Fraction(float(error)) ** 2
    assert abs(Fraction(float(total.item())) - exact) <= exact * Fraction(tolerance(row) / 2)


def test_distinct_values_are_not_looked_at():
    found = steps(np.float64)
    assert contenders(found, values("distinct", np.float64), Grid("signed", 3), 2.0) is found


def test_pinned_arithmetic_and_several_rows_score_every_candidate(monkeypatch):
    def refuse(*_):
        raise AssertionError("the kernel was asked")

    monkeypatch.setattr(score, "contenders", refuse)
    x = values("relu", np.float64)
    with nx.arithmetic("pinned"):
        mse_search(x, Grid("affine", 3), MseSearch())
    mse_search(x.reshape(4, -1), Grid("affine", 3), MseSearch(), axis=0)
    with pytest.raises(AssertionError, match="the kernel was asked"):
        mse_search(x, Grid("affine", 3), MseSearch())
