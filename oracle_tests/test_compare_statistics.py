"""Bootstrap statistics: by hand, and against the whole distribution enumerated in fractions."""

import math
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest

from refquant import numerics as nx
from refquant import statistics as st

KEY = ("test", 3)
# (copy, seed, image): whole numbers, so that every mean below is exact in binary64.
VALUES = np.array([[[1.0, 8.0], [3.0, 0.0]], [[16.0, 4.0], [2.0, 32.0]]])


def tuples(of: int, length: int) -> list[tuple[int, ...]]:
    """Return all draws with replacement, in order."""
    return list(product(range(of), repeat=length))


def resamples() -> Iterator[tuple[Any, Any, Any]]:
    """Yield every (copies, seeds of each drawn copy, images) that can be drawn, all as likely."""
    yield from product(tuples(2, 2), product(tuples(2, 2), repeat=2), tuples(2, 2))


def by_hand(copies: Any, seeds: Any, images: Any) -> Fraction:
    """Return the mean over drawn copies and seeds of the sum over drawn images."""
    picked = [
        sum(Fraction(VALUES[c, s, i]) for i in images)
        for c, own in zip(copies, seeds, strict=True)
        for s in own
    ]
    return sum(picked, Fraction(0)) / len(picked)


def exact() -> Counter[Fraction]:
    """Return how many of the resamples give each value."""
    return Counter(by_hand(*drawn) for drawn in resamples())


def test_every_possible_resample_has_the_value_it_has_by_hand() -> None:
    """All 4 * 16 * 4 draws of 2 copies, 2 seeds each and 2 images, as fractions; no tolerance."""
    every = list(resamples())
    assert len(every) == 256
    weights = np.array([[images.count(0), images.count(1)] for _, _, images in every], float)
    draws = st.Draws(np.array([c for c, _, _ in every]), np.array([s for _, s, _ in every]))
    with nx.arithmetic("pinned"):
        found = st.resampled_means(st.weighted_sums(VALUES, weights), draws)
    assert [Fraction(value) for value in found] == [by_hand(*drawn) for drawn in every]


def test_the_drawn_resamples_follow_the_enumerated_distribution() -> None:
    """20,000 draws: each value as often as it should be, within five standard deviations."""
    r = 20_000
    weights, draws = st.image_weights(KEY, r, 2), st.draw(KEY, r, 2, 2)
    found = st.resampled_means(st.weighted_sums(VALUES, weights), draws)
    counts, expected = Counter(Fraction(value) for value in found[1:]), exact()
    assert set(counts) <= set(expected)
    for value, ways in expected.items():
        p = ways / 256
        assert abs(counts[value] - r * p) <= 5 * math.sqrt(r * p * (1 - p)), value
    ordered = sorted(value for value, ways in expected.items() for _ in range(ways))
    interval = st.percentile_interval(found, 0.8)
    below, above = (sum(v < end for v in ordered) / 256 for end in interval[1:])
    at_most, at_least = (sum(v <= end for v in ordered) / 256 for end in interval[1:])
    assert below < 0.105 and at_most > 0.095 and above < 0.905 and at_least > 0.895


def test_the_estimate_is_the_sample_itself() -> None:
    """Row 0: every image once, every copy and seed once: (9 + 3 + 20 + 34) / 4."""
    weights, draws = st.image_weights(KEY, 5, 2), st.draw(KEY, 5, 2, 2)
    assert weights.shape == (6, 2) and np.array_equal(weights[0], [1, 1])
    assert np.array_equal(draws.copies[0], [0, 1])
    assert np.array_equal(draws.seeds[0], [[0, 1], [0, 1]])
    means = st.resampled_means(st.weighted_sums(VALUES, weights), draws)
    assert means[0] == 66 / 4 and st.percentile_interval(means, 0.5).gain == 66 / 4


def test_draws_are_those_of_the_counter_generator() -> None:
    """Any language can draw them again; each key, and copies, seeds and images, differ."""
    weights = st.image_weights(KEY, 3, 7)
    for row, indices in zip(
        weights[1:], nx.counter.integers((*KEY, "images"), 7, (3, 7)), strict=True
    ):
        assert [*row] == [Counter(indices.tolist())[i] for i in range(7)]
    draws = st.draw(KEY, 3, 4, 2)
    assert np.array_equal(draws.copies[1:], nx.counter.integers((*KEY, "copies"), 4, (3, 4)))
    assert np.array_equal(draws.seeds[1:], nx.counter.integers((*KEY, "seeds"), 2, (3, 4, 2)))
    assert not np.array_equal(weights, st.image_weights(("test", 4), 3, 7))


@pytest.mark.parametrize("mode", ["fast", "pinned"])
def test_decibels_by_hand(mode: Any) -> None:
    """A tenth of the noise is 10 dB; no noise is an infinity, none on both sides nothing."""
    baseline = np.array([10.0, 1.0, 2.0, 3.0, 0.0, 0.0])
    candidate = np.array([1.0, 100.0, 2.0, 0.0, 3.0, 0.0])
    with nx.arithmetic(mode):
        found = st.decibels_gained(baseline, candidate)
    assert found[:3] == pytest.approx([10.0, -20.0, 0.0], abs=1e-12)
    assert [*found[3:]] == [math.inf, -math.inf, 0.0]


@pytest.mark.parametrize(
    ("count", "level", "tail"),
    [
        (2000, 0.95, 50),
        (40, 0.95, 1),  # (1 - 0.95) / 2 * 40 is above 1 in binary64
        (10, 0.8, 1),
        (11, 0.8, 2),  # 1.1 resamples a side: rounded up, the narrower of the two
        (1, 0.95, 1),
        (100, 0.5, 25),
    ],
)
def test_interval_ends_are_order_statistics(count: int, level: float, tail: int) -> None:
    """The tail-th smallest and largest resample, whatever the order they came in."""
    values = np.concatenate([[0.5], np.roll(np.arange(1.0, count + 1), 3)])
    assert st.percentile_interval(values, level) == (0.5, tail, count + 1 - tail)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.1, 0.2, "transfers"),
        (-0.2, -0.1, "does not transfer"),
        (-0.1, 0.1, "undecided"),
        (0.0, 0.1, "undecided"),
        (-0.1, 0.0, "undecided"),
        (0.0, 0.0, "undecided"),
        (1.0, math.inf, "transfers"),
        (-math.inf, -1.0, "does not transfer"),
        (1.0, math.nan, "undecided"),
        (math.nan, -1.0, "undecided"),
    ],
)
def test_verdicts(low: float, high: float, verdict: str) -> None:
    """An end at 0 decides nothing; neither does one that is not a number."""
    assert st.verdict_of(low, high) == verdict == st.Interval(0.0, low, high).verdict


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: st.image_weights(KEY, 0, 3), "resamples"),
        (lambda: st.image_weights(KEY, 3, 0), "images"),
        (lambda: st.draw(KEY, 2, 0, 1), "copies"),
        (lambda: st.draw(KEY, 2, 1, 0), "seeds"),
        (lambda: st.weighted_sums(VALUES, np.ones((4, 3))), "weights"),
        (lambda: st.resampled_means(VALUES, st.draw(KEY, 2, 2, 2)), "draws.copies"),
        (lambda: st.decibels_gained(np.ones(2), np.ones(3)), "candidate"),
        (lambda: st.percentile_interval(np.ones(5), 1.0), "level"),
        (lambda: st.percentile_interval(np.ones(1), 0.5), "at least one resample"),
    ],
)
def test_refusals(call: Any, message: str) -> None:
    """The argument is named."""
    with pytest.raises(ValueError, match=message):
        call()
