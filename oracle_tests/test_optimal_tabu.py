"""Tabu search: its rules, choice by choice, and what they buy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle_tests.qubo_cases import real_matrix, whole_matrix
from refquant.optimal.brute_force import brute_force
from refquant.optimal.local_search import one_flip
from refquant.optimal.tabu import tabu_search

SEEDS = st.integers(0, 2**32 - 1)


def plain_tabu(q, h, steps, tenure):
    """The rules of the module in whole numbers: every energy anew, nothing kept up to date."""
    q, h = q.astype(int), np.array(h)

    def energy(c):
        return int(c @ q @ c)

    def flips(c):
        return [np.where(np.arange(len(c)) == i, 1 - c, c) for i in range(len(c))]

    best, until = h, [0] * len(h)
    for turn in range(steps):
        found = [energy(c) for c in flips(h)]
        allowed = [i for i, e in enumerate(found) if until[i] <= turn or e < energy(best)] or [
            i for i, u in enumerate(until) if u == min(until)
        ]
        i = min(allowed, key=lambda i: (found[i], i))
        h = flips(h)[i]
        until[i] = turn + 1 + tenure
        best = h if energy(h) < energy(best) else best
    while True:  # steepest descent
        found = [energy(c) for c in flips(best)]
        if min(found) >= energy(best):
            return best.tolist()
        best = flips(best)[found.index(min(found))]


# (k, tenure, steps, seed) where ignoring a rule ends elsewhere: aspiration in the first row,
# a tenure shorter by one in the second, and in the third any flip once everything is tabu.
TELLING = [
    *[(10, 3, 14, 16), (10, 6, 25, 6), (10, 6, 25, 9), (10, 6, 25, 29), (10, 6, 25, 30)],
    *[(10, 6, 25, 12), (10, 6, 25, 27), (10, 2, 8, 42), (8, 5, 12, 14), (12, 4, 20, 16)],
    *[(8, 12, 30, 14), (8, 12, 30, 26), (10, 14, 30, 6), (10, 14, 30, 79), (12, 15, 40, 42)],
]


@pytest.mark.parametrize(("k", "tenure", "steps", "seed"), TELLING)
def test_tabu_keeps_each_rule(k, tenure, steps, seed):
    """Instances chosen so that every rule changes the result."""
    q = whole_matrix(seed, k, reach=9)
    got = tabu_search(q, np.zeros(k, int), steps, tenure)
    assert got.h.tolist() == plain_tabu(q, [0] * k, steps, tenure)


@settings(max_examples=40)
@given(
    seed=SEEDS,
    k=st.integers(1, 6),
    start=st.integers(0, 63),
    steps=st.integers(0, 14),
    tenure=st.integers(0, 7),
)
def test_tabu_follows_its_rules(seed, k, start, steps, tenure):
    """Best allowed flip, tenure, aspiration, everything tabu, final descent: choice by choice."""
    q = whole_matrix(seed, k, reach=9)
    h0 = [(start >> i) & 1 for i in range(k)]
    got = tabu_search(q, np.array(h0), steps, tenure)
    assert got.h.tolist() == plain_tabu(q, h0, steps, tenure)


@pytest.mark.parametrize("seed", range(4))
def test_tabu_leaves_local_minima(seed):
    """It finds the optimum of 16 variables, which descent misses for some of these seeds."""
    q, h0 = real_matrix(seed, 16), np.zeros(16, int)
    best, walked = brute_force(q), tabu_search(q, h0, steps=400)
    np.testing.assert_array_equal(walked.h, best.h)
    assert walked.energy <= one_flip(q, h0).energy
    again = tabu_search(q, h0, steps=400)
    np.testing.assert_array_equal(again.h, walked.h)


def test_descent_alone_misses_some_of_those():
    missed = [
        one_flip(real_matrix(s, 16), np.zeros(16, int)).energy
        > brute_force(real_matrix(s, 16)).energy + 1e-9
        for s in range(4)
    ]
    assert any(missed)


@pytest.mark.parametrize(
    ("k", "seed", "tenure"), [(17, 22, 5), (40, 9, 11), (90, 4, 21), (3, 0, 1)]
)
def test_default_tenure(k, seed, tenure):
    """min(20, k // 4) + 1; on the first three one more or one less ends elsewhere."""
    q, h0 = real_matrix(seed, k), np.zeros(k, int)
    ends = [tabu_search(q, h0, 2 * k, tenure + more).h.tolist() for more in (-1, 0, 1)]
    assert tabu_search(q, h0, 2 * k).h.tolist() == ends[1]
    assert k == 3 or (ends[1] != ends[0] and ends[1] != ends[2])
