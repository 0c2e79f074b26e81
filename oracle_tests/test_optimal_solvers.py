"""Solvers of the rounding problem: exact ones agree with enumeration, searches keep their rules."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.exact_lists import fractions_of
from oracle_tests.qubo_cases import real_matrix, whole_matrix
from refquant.numerics import arithmetic
from refquant.optimal.brute_force import brute_force
from refquant.optimal.exact_energy import integer_energy, rounded_energy, to_integers
from refquant.optimal.flips import flip, start_flips
from refquant.optimal.local_search import one_flip
from refquant.optimal.milp import solve_milp
from refquant.optimal.moments import input_moments
from refquant.optimal.qubo import build_qubo, choice_levels, nearest_choice, qubo_energy
from refquant.optimal.row import Row
from refquant.optimal.tabu import tabu_search
from refquant.oracle.exact import qubo as twin

SEEDS = st.integers(0, 2**32 - 1)


def enumerated(q):
    """First minimiser in lexicographic order, by whole-number arithmetic on all choices."""
    k = len(q)
    every = (np.arange(1 << k)[:, None] >> np.arange(k)[::-1]) & 1
    whole = q.astype(np.int64)
    return every[np.argmin(((every @ whole) * every).sum(axis=1))]


@given(seed=SEEDS, k=st.integers(0, 6))
def test_brute_force_equals_the_twin_ties_included(seed, k):
    """Golden op 40, convention 7: the lexicographically smallest optimum, exact energy."""
    q = whole_matrix(seed, k)
    h, energy = twin.exact_optimum(fractions_of(q))
    got = brute_force(q)
    assert tuple(got.h.tolist()) == h
    assert Fraction(got.energy) == energy
    assert got.h.dtype == np.int64


@pytest.mark.parametrize("k", [11, 12, 13, 16])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_brute_force_equals_enumeration_through_the_gray_code(k, seed):
    """More variables than the low block holds; whole numbers, so ties are true ties."""
    q = whole_matrix(seed, k, reach=2)
    np.testing.assert_array_equal(brute_force(q).h, enumerated(q))
    np.testing.assert_array_equal(brute_force(q.astype(np.float32)).h, enumerated(q))


@pytest.mark.parametrize("k", [5, 12, 13])
def test_brute_force_on_real_values_is_the_exact_optimum(k):
    """The energies of all choices, exactly, around the reported one."""
    q = real_matrix(k, k)
    got, whole = brute_force(q), to_integers(q)
    every = (np.arange(1 << k)[:, None] >> np.arange(k)[::-1]) & 1
    close = every[qubo_energy(q, every) <= got.energy + 1e-9]
    assert min(integer_energy(whole, h) for h in close) == integer_energy(whole, got.h)
    assert got.energy == rounded_energy(whole, integer_energy(whole, got.h))


def test_rounding_decides_no_tie():
    """-1 - 2^-53 beats -1, though float64 cannot tell them apart."""
    q = np.array([[-1.0, 0.0, 1.0], [0.0, -(2.0**-53), 1.0], [1.0, 1.0, -1.0]])
    assert brute_force(q).h.tolist() == [1, 1, 0]  # a tie would give [0, 0, 1]
    wide = np.zeros((14, 14))
    wide[np.ix_([0, 5, 13], [0, 5, 13])] = q
    np.fill_diagonal(wide, wide.diagonal() + (wide.diagonal() == 0.0))
    assert np.flatnonzero(brute_force(wide).h).tolist() == [0, 5]


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [3, 0, 4, 1, 2]])
@pytest.mark.parametrize("size", [5, 16])
def test_rounding_turns_no_order_round(size, order):
    """-1 - 3 2^-53 beats -1 - 2^-52, though added one by one the three small terms vanish."""
    small = np.diag([-(2.0**-53)] * 3 + [-1.0 - 2.0**-52, -1.0])
    small[3] = small[:, 3] = [4.0, 4.0, 4.0, -1.0 - 2.0**-52, 4.0]  # not together with the rest
    places = np.linspace(0, size - 1, 5).astype(int)
    q = np.eye(size)
    q[np.ix_(places, places)] = small[np.ix_(order, order)]
    expected = [place for place, i in zip(places.tolist(), order, strict=True) if i != 3]
    assert np.flatnonzero(brute_force(q).h).tolist() == expected


def test_exact_energy_is_exact():
    """0.1 + 0.2 as the floats they are, a large spread of exponents, and the zero matrix."""
    q = np.array([[0.1, 1e-30], [1e-30, 0.2]])
    whole = to_integers(q)
    total = Fraction(0.1) + Fraction(0.2) + 2 * Fraction(1e-30)
    assert Fraction(integer_energy(whole, np.array([1, 1])), 1 << whole.shift) == total
    assert rounded_energy(whole, integer_energy(whole, np.array([0, 1]))) == 0.2
    assert to_integers(np.zeros((1, 1))).integers == ((0,),)
    assert to_integers(np.full((1, 1), 2.0**70)) == (((2**70,),), 0)


@pytest.mark.parametrize("mode", [("fast", None), ("pinned", 1), ("pinned", 3)])
def test_solvers_do_not_depend_on_the_arithmetic(mode):
    q = real_matrix(7, 14)
    h0 = np.zeros(14, int)
    expected = brute_force(q).h, one_flip(q, h0).h, tabu_search(q, h0, 50).h
    name, slices = mode
    with arithmetic(name) if slices is None else arithmetic(name, slices=slices):
        got = brute_force(q).h, one_flip(q, h0).h, tabu_search(q, h0, 50).h
    np.testing.assert_array_equal(got, expected)


def test_dead_inputs_do_not_count():
    """Zero rows get h = 0, the lexicographic rule, and leave the limit of 22 alone."""
    q = np.zeros((40, 40))
    alive = [3, 17, 39]
    q[np.ix_(alive, alive)] = whole_matrix(3, 3) - 5.0
    got = brute_force(q)
    assert np.flatnonzero(got.h).tolist() == alive
    assert brute_force(np.zeros((40, 40))).h.sum() == 0
    with pytest.raises(ValueError, match="23 variables; expected at most 22"):
        brute_force(np.eye(23))
    assert brute_force(-np.eye(22)).h.sum() == 22


@pytest.mark.parametrize("k", [1, 2, 5, 9])
def test_integer_programme_agrees_with_brute_force(k):
    """An independent solver: equal energies on whole numbers, the same choice on real ones."""
    for seed in range(2):
        q = whole_matrix(seed, k)
        assert solve_milp(q).energy == brute_force(q).energy
        real = real_matrix(seed, k) * 1e-7
        np.testing.assert_array_equal(solve_milp(real).h, brute_force(real).h)


def test_integer_programme_without_products():
    assert solve_milp(np.diag([1.0, -2.0, 0.0])).h[:2].tolist() == [0, 1]
    assert solve_milp(np.zeros((2, 2))).h.tolist() == [0, 0]
    assert solve_milp(np.zeros((0, 0))).h.shape == (0,)


def test_two_weights_of_the_overview_page():
    """P34: w = (.4, .4), s = 1, x = (1, 1): nearest leaves .8, one weight up leaves .2."""
    row = Row(np.full(2, 0.4), np.ones(2), np.full(2, -8.0), np.full(2, 7.0))
    qubo = build_qubo(row, input_moments(np.ones((2, 1))))
    nearest = nearest_choice(qubo)
    assert choice_levels(qubo, nearest).tolist() == [0, 0]
    best = brute_force(qubo.q)
    assert choice_levels(qubo, best.h).tolist() == [0, 1]  # (1, 0) is as good
    loss = [float(qubo_energy(qubo.q, h)) + qubo.constant for h in (nearest, best.h)]
    np.testing.assert_allclose(loss, [0.64, 0.04], rtol=1e-14)
    assert solve_milp(qubo.q).energy == pytest.approx(best.energy, rel=1e-12)
    assert one_flip(qubo.q, nearest).h.sum() == 1


@given(seed=SEEDS, k=st.integers(1, 7))
def test_no_rounding_beats_the_exact_one(seed, k):
    """P34 on a layer's row: exact <= tabu <= 1-flip <= nearest, and <= all choices."""
    rng = np.random.default_rng(seed)
    step = rng.uniform(0.1, 1.0)
    row = Row(rng.normal(size=k), np.full(k, step), np.full(k, -8.0), np.full(k, 7.0))
    q = build_qubo(row, input_moments(rng.normal(size=(k, 20)))).q
    nearest = nearest_choice(build_qubo(row, input_moments(np.ones((k, 1)))))
    best, flipped = brute_force(q), one_flip(q, nearest)
    walked, noise = tabu_search(q, nearest, 100), 1e-12
    assert best.energy <= walked.energy + noise
    assert walked.energy <= flipped.energy + noise
    assert flipped.energy <= float(qubo_energy(q, nearest)) + noise
    every = np.array(list(itertools.product((0, 1), repeat=len(q))), dtype=int)
    assert (best.energy <= qubo_energy(q, every) + noise).all()


@given(seed=SEEDS, k=st.integers(0, 7), start=st.integers(0, 127))
def test_steepest_descent_equals_the_twin(seed, k, start):
    """Golden op 41, convention 6: same path, ties to the lowest index; energies by definition."""
    q = whole_matrix(seed, k)
    h0 = tuple((start >> i) & 1 for i in range(k))
    got = one_flip(q, np.array(h0, int))
    expected = twin.one_flip(fractions_of(q), h0)
    assert tuple(got.h.tolist()) == expected
    assert Fraction(got.energy) == twin.energy(fractions_of(q), expected)


def changes(q, h):
    """What each flip adds, in exact rationals."""
    whole = to_integers(q)
    here = integer_energy(whole, h)
    flipped = np.abs(h - np.eye(len(h), dtype=int))
    return [Fraction(integer_energy(whole, f) - here, 1 << whole.shift) for f in flipped]


@pytest.mark.parametrize("k", [12, 30, 60])
@pytest.mark.parametrize("search", [one_flip, tabu_search])
def test_no_single_flip_improves_the_result(k, search):
    """P74 on real values, long enough to rebuild the field: end <= start, a local minimum."""
    q = real_matrix(k, k)
    h0 = np.random.default_rng(k).integers(0, 2, k)
    kept = h0.copy()
    end = search(q, h0)
    assert min(changes(q, end.h)) > -1e-12
    assert end.energy < float(qubo_energy(q, h0))
    assert end.energy == pytest.approx(float(qubo_energy(q, end.h)), rel=1e-12)
    np.testing.assert_array_equal(h0, kept)


def test_a_gain_that_is_rounding_noise_is_no_gain():
    """The field of variable 0 adds up to -2^-53 in floats and to +2^-54 in truth."""
    q = np.diag([-1.0] + [-10.0] * 4)
    q[0, 1:] = q[1:, 0] = np.array([2.0**-54] * 3 + [1.0 - 2.0**-53]) / 2.0
    for h0 in ([0, 1, 1, 1, 1], [0, 0, 0, 0, 0]):
        for search in (one_flip, lambda m, h: tabu_search(m, h, 20)):
            assert search(q, np.array(h0)).h[1:].tolist() == [1, 1, 1, 1]
    assert one_flip(q, np.array([0, 1, 1, 1, 1])).h[0] == 0


def test_fields_are_rebuilt_before_errors_gather():
    """After k flips the state has the bits of a fresh start; before, it is within its noise."""
    rng, k = np.random.default_rng(1), 30
    q, state = real_matrix(1, k), start_flips(real_matrix(1, k), np.zeros(k, int))
    for turn in range(1, 4 * k + 1):
        state = flip(state, int(rng.integers(k)))
        fresh = start_flips(q, state.h)
        assert (np.abs(state.field - fresh.field) <= state.noise).all()
        assert np.array_equal(state.field, fresh.field) or turn % k


def test_bad_input_is_refused():
    q, h = np.eye(3), np.zeros(3, int)
    crooked = np.triu(np.ones((3, 3)))
    for call in (brute_force, solve_milp, lambda m: one_flip(m, h), lambda m: tabu_search(m, h)):
        with pytest.raises(ValueError, match="not symmetric"):
            call(crooked)
        with pytest.raises(TypeError, match="q is int64"):
            call(np.eye(3, dtype=np.int64))
        with pytest.raises(ValueError, match="q is inf"):
            call(np.full((3, 3), np.inf))
    for search in (one_flip, tabu_search):
        with pytest.raises(ValueError, match="3 entries"):
            search(q, np.zeros(2, int))
        with pytest.raises(TypeError, match="h is float64"):
            search(q, np.zeros(3))
    with pytest.raises(ValueError, match="steps is -1"):
        tabu_search(q, h, -1)
    with pytest.raises(ValueError, match="tenure is -1"):
        tabu_search(q, h, 1, -1)
    with pytest.raises(ValueError, match="at most 30"):
        solve_milp(np.eye(31))
