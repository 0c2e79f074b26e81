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
    """The rules of the module, in whole numbers and without any bookkeeping."""
    q, h = q.astype(int), list(h)

    def energy(c):
        return sum(q[i, j] * c[i] * c[j] for i in range(len(c)) for j in range(len(c)))

    def flip(c, i):
        return [1 - v if j == i else v for j, v in enumerate(c)]

    best, until = list(h), [0] * len(h)
    for turn in range(steps):
        found = [energy(flip(h, i)) for i in range(len(h))]
        allowed = [i for i in range(len(h)) if until[i] <= turn or found[i] < energy(best)] or [
            i for i in range(len(h)) if until[i] == min(until)
        ]
        i = min(allowed, key=lambda i: (found[i], i))
        h = flip(h, i)
        until[i] = turn + 1 + tenure
        best = h if energy(h) < energy(best) else best
    while True:  # steepest descent
        found = [energy(flip(best, i)) for i in range(len(best))]
        if min(found) >= energy(best):
            return best
        best = flip(best, found.index(min(found)))


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


def test_default_tenure():
    """min(20, k // 4) + 1."""
    for k, tenure in ((3, 1), (17, 5), (90, 21)):
        q = real_matrix(k, k)
        h0 = np.zeros(k, int)
        expected = tabu_search(q, h0, 150, tenure)
        np.testing.assert_array_equal(tabu_search(q, h0, 150).h, expected.h)
