"""Simulated annealing: its rules, draw by draw, and what they buy."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle_tests.qubo_cases import real_matrix, whole_matrix
from refquant import numerics as nx
from refquant.optimal.annealing import first_temperature, simulated_annealing
from refquant.optimal.brute_force import brute_force
from refquant.optimal.local_search import one_flip


def energies(q, h):
    return int(np.array(h) @ q @ np.array(h))


def root_mean_square_change(q):
    """Of the energy, over all flips of all choices."""
    k = len(q)
    choices = [np.array(c) for c in itertools.product((0, 1), repeat=k)]
    flips = [(c, c ^ (np.arange(k) == i)) for c in choices for i in range(k)]
    return math.sqrt(sum((energies(q, f) - energies(q, c)) ** 2 for c, f in flips) / len(flips))


def plain_annealing(q, h, sweeps, seed):
    """The rules of the module in whole numbers: every energy anew, nothing kept up to date."""
    q, h, k = q.astype(int), list(h), len(q)
    hot = root_mean_square_change(q)
    best = h
    for turn in range(sweeps if hot else 0):
        heat = hot * 1e-3 ** (turn / max(1, sweeps - 1))
        draws = nx.counter.uniform((seed, "anneal", turn), k)
        for i in range(k):
            other = [1 - bit if j == i else bit for j, bit in enumerate(h)]
            change = energies(q, other) - energies(q, h)
            if change <= 0 or draws[i] < math.exp(-change / heat):
                h = other
            best = h if energies(q, h) < energies(q, best) else best
    while True:  # steepest descent
        ends = [[1 - b if j == i else b for j, b in enumerate(best)] for i in range(k)]
        found = [energies(q, end) for end in ends]
        if min(found) >= energies(q, best):
            return best
        best = ends[found.index(min(found))]


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    k=st.integers(1, 6),
    start=st.integers(0, 63),
    sweeps=st.integers(0, 8),
)
def test_annealing_follows_its_rules(seed, k, start, sweeps):
    """Temperatures, draws, the rule of Metropolis, the best seen, the descent: choice by choice."""
    q = whole_matrix(seed, k, reach=9)
    h0 = [(start >> i) & 1 for i in range(k)]
    got = simulated_annealing(q, np.array(h0), sweeps, seed)
    assert got.h.tolist() == plain_annealing(q, h0, sweeps, seed)
    assert got.energy == energies(q.astype(int), got.h)


@pytest.mark.parametrize("seed", range(60))
def test_annealing_keeps_each_rule(seed):
    """Eight variables, two or three sweeps: among these any rule changes some result."""
    q, sweeps = whole_matrix(seed, 8, reach=9), 2 + seed % 2
    got = simulated_annealing(q, np.zeros(8, int), sweeps, seed)
    assert got.h.tolist() == plain_annealing(q, [0] * 8, sweeps, seed)


@pytest.mark.parametrize("k", [1, 2, 7])
def test_the_first_temperature_is_what_a_flip_changes(k):
    """Root mean square over all flips of all choices, in whole numbers."""
    q = whole_matrix(k, k, reach=9)
    wanted = root_mean_square_change(q.astype(int))
    np.testing.assert_allclose(first_temperature(q), wanted, rtol=1e-14)


@pytest.mark.parametrize("seed", range(4))
def test_annealing_leaves_local_minima(seed):
    """It finds the optimum of 16 variables, which descent misses for some of these matrices."""
    q, h0 = real_matrix(seed, 16), np.zeros(16, int)
    found = simulated_annealing(q, h0)
    np.testing.assert_array_equal(found.h, brute_force(q).h)
    assert found.energy <= one_flip(q, h0).energy


def test_chance_comes_from_the_seed_alone():
    """The same seed the same choice; a short run ends elsewhere with some other seed."""
    q, h0 = real_matrix(5, 60), np.zeros(60, int)
    ends = [simulated_annealing(q, h0, 3, seed).h.tolist() for seed in (0, 0, 1, 2, 3)]
    assert ends[0] == ends[1] and len({tuple(end) for end in ends}) > 1


def test_without_sweeps_or_energies_it_is_descent():
    q, h0 = real_matrix(1, 20), np.ones(20, int)
    np.testing.assert_array_equal(simulated_annealing(q, h0, 0).h, one_flip(q, h0).h)
    np.testing.assert_array_equal(simulated_annealing(0 * q, h0).h, h0)
    assert simulated_annealing(np.zeros((0, 0)), np.zeros(0, int)).energy == 0.0


@pytest.mark.parametrize(("sweeps", "seed"), [(-1, 0), (3, -1), (3, 2**64)])
def test_negative_numbers_are_refused(sweeps, seed):
    with pytest.raises(ValueError, match="simulated_annealing"):
        simulated_annealing(real_matrix(0, 4), np.zeros(4, int), sweeps, seed)
