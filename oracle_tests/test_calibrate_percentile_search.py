"""The best of several percentile ranges (methods 3.1)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.exact_lists import fractions_of
from refquant.calibrate.percentile import percentile_range
from refquant.calibrate.percentile_search import PercentileSearch, percentile_search
from refquant.oracle.exact import calibrate as twin
from refquant.quantizers.grid import KINDS, Grid

SEEDS = st.integers(0, 2**32 - 1)


@given(seed=SEEDS, kind=st.sampled_from(KINDS))
def test_percentile_search_keeps_the_best_share(seed, kind):
    """Its score is the least of the shares', computed by the exact twin from their ranges."""
    x = np.random.default_rng(seed).normal(size=50)
    rule = PercentileSearch((0.9, 0.95, 0.999))
    found, score = percentile_search(x, Grid(kind, 3), rule)
    scores = []
    for share in rule.shares:
        lo, hi = (fractions_of(end) for end in percentile_range(x, share, "interpolated"))
        step, zero = twin.range_to_qparams(lo, hi, kind, 3)
        scores.append((twin.score(fractions_of(x), step, zero, (kind, 3), 2), step))
    best, step = min(scores)
    np.testing.assert_allclose(found.step, float(step), rtol=1e-14)
    np.testing.assert_allclose(score, float(best), rtol=1e-12)


@pytest.mark.parametrize(("shares", "step"), [((1.0, 0.5), 2.25), ((0.5, 1.0), 2.0)])
def test_percentile_search_takes_the_first_of_equal_scores(shares, step):
    """Up to 27/4 levels of 9/4, and 6 becomes 27/4; up to 6 levels of 2, and 27/4 becomes 6."""
    x, rule = np.array([0.0, 0.0, 6.0, 6.75]), PercentileSearch(shares, "ppq")
    found, score = percentile_search(x, Grid("unsigned", 2), rule)
    assert (float(found.step), float(score)) == (step, 0.75**2 / 4)


def test_a_single_value_has_one_range():
    """All shares mean the same order statistic."""
    found, score = percentile_search(np.array([[7.5], [3.0]]), Grid("unsigned", 4), axis=0)
    np.testing.assert_array_equal(found.step, [[0.5], [0.2]])
    np.testing.assert_allclose(score, [[0.0], [0.0]], atol=1e-30)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: PercentileSearch(()), ValueError, "at least one share"),
        (lambda: PercentileSearch((0.2,)), ValueError, "share"),
        (lambda: PercentileSearch(rule="x"), ValueError, "ppq"),
        (lambda: PercentileSearch(p=-1.0), ValueError, "positive"),
        (lambda: percentile_search(np.ones(2), 4), TypeError, "Grid"),
        (lambda: percentile_search(np.ones(0), Grid("signed", 4)), ValueError, "one element"),
    ],
)
def test_bad_input_is_refused(call, error, words):
    """One voice: function, argument, got, expected."""
    with pytest.raises(error, match=words):
        call()
