"""Optimality gaps, the bound that stands in for the optimum, and whole layers."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle_tests.exact_lists import dyadic
from refquant.numerics import arithmetic
from refquant.optimal.annealing import simulated_annealing
from refquant.optimal.brute_force import brute_force
from refquant.optimal.gap import layer_gap, levels_loss, rounding_gap
from refquant.optimal.lower_bound import lower_bound
from refquant.optimal.moments import gram_loss, input_moments
from refquant.optimal.qubo import build_qubo, choice_levels, nearest_choice, qubo_energy
from refquant.optimal.round_rows import SOLVERS, round_rows
from refquant.optimal.row import Row, weight_row
from refquant.quantizers.adaround import adaround_codes
from refquant.quantizers.grid import Grid, make_qparams

SEEDS = st.integers(0, 2**32 - 1)


def real_row(seed, d=8, asymmetric=False, columns=40):
    rng = np.random.default_rng(seed)
    row = Row(rng.normal(size=d), np.full(d, 0.3), np.full(d, -4.0), np.full(d, 3.0))
    x = rng.normal(size=(d, columns))
    x_hat = x + 0.1 * rng.normal(size=x.shape) if asymmetric else None
    return row, input_moments(x, x_hat), x, x if x_hat is None else x_hat


@settings(max_examples=20)
@given(seed=SEEDS, asymmetric=st.booleans())
def test_gap_of_every_rounding_is_not_negative(seed, asymmetric):
    """P34: 0 exactly at the optimum and only there; loss is the squared error by definition."""
    row, moments, x, x_hat = real_row(seed, 5, asymmetric)
    qubo = build_qubo(row, moments)
    best = brute_force(qubo.q)
    every = (np.arange(1 << len(qubo.q))[:, None] >> np.arange(len(qubo.q))[::-1]) & 1
    for h in every:
        levels = choice_levels(qubo, h)
        found = rounding_gap(row, levels, moments)
        assert found.exact
        assert found.feasible
        assert (found.gap == 0.0) == np.array_equal(h, best.h)
        assert found.gap >= 0.0
        error = np.square((row.step * levels) @ x_hat - row.w @ x).mean()
        assert found.loss == pytest.approx(error, rel=1e-9, abs=1e-12)
        assert found.loss - found.best == pytest.approx(found.gap, abs=1e-12)


def test_levels_out_of_reach_are_said_to_be():
    """Two steps up, or a clipped weight moved: not feasible, and the loss may beat the optimum."""
    row = Row(np.array([0.4, 9.0]), np.ones(2), np.full(2, -4.0), np.full(2, 3.0))
    moments = input_moments(np.eye(2))
    best = rounding_gap(row, np.array([0, 3]), moments)
    assert best.feasible
    assert best.gap == 0.0
    for levels in ([2, 3], [-1, 3], [0, 4], [0, 2]):
        found = rounding_gap(row, np.array(levels), moments)
        assert not found.feasible
        assert found.gap == pytest.approx(found.loss - best.best)
    assert rounding_gap(row, np.array([0, 9]), moments).gap < 0.0


@pytest.mark.parametrize("asymmetric", [False, True])
def test_loss_of_any_levels_is_the_squared_error(asymmetric):
    """Exact on dyadic data, for levels far from the weights too."""
    rng = np.random.default_rng(2)
    row = Row(dyadic(rng, 4), np.full(4, 0.25), np.full(4, -4.0), np.full(4, 3.0))
    x, x_hat = dyadic(rng, (4, 8)), dyadic(rng, (4, 8))
    levels = np.array([9, -7, 0, 3])
    got = levels_loss(row, levels, input_moments(x, x_hat if asymmetric else None))
    hat = x_hat if asymmetric else x
    assert got == np.square((0.25 * levels) @ hat - row.w @ x).mean()


@settings(max_examples=30)
@given(seed=SEEDS, k=st.integers(1, 9), steps=st.sampled_from([0, 3, 300]))
def test_bound_is_never_above_the_optimum(seed, k, steps):
    """Valid wherever the descent stops, for indefinite matrices too."""
    a = np.random.default_rng(seed).normal(size=(k, k)) * 10.0 ** (seed % 5 - 2)
    q = a + a.T
    assert lower_bound(q, steps) <= brute_force(q).energy


@pytest.mark.parametrize("slices", [1, 2])
def test_bound_holds_in_pinned_arithmetic(slices):
    """One slice of a product is worth 2e-7: the bound does not lean on it."""
    for seed in range(5):
        row, moments, *_ = real_row(seed)
        q = build_qubo(row, moments).q
        with arithmetic("pinned", slices=slices):
            assert lower_bound(q, 50) <= brute_force(q).energy


def test_bound_of_a_diagonal_matrix_is_tight():
    q = np.diag([1.0, -2.0, 0.0, -0.25])
    assert lower_bound(q) == pytest.approx(-2.25, abs=1e-13)
    assert lower_bound(q) <= -2.25
    assert lower_bound(np.zeros((3, 3))) == 0.0
    assert lower_bound(np.zeros((0, 0))) == 0.0


@pytest.mark.parametrize("seed", range(12))
def test_rounding_is_taken_off_the_bound(seed):
    """Diagonal matrices, whose bound is tight: never above the sum of exact numbers."""
    entries = np.random.default_rng(seed).normal(size=40)
    exact = sum(Fraction(v) for v in entries.tolist() if v < 0.0)
    bound = lower_bound(np.diag(entries))
    assert Fraction(bound) <= exact
    assert bound == pytest.approx(float(exact), rel=1e-12)


def test_the_better_shift_counts():
    """[[4, 2], [2, 1]] is positive semidefinite: 0 with the even shift, else below -1/8."""
    assert -1e-9 < lower_bound(np.array([[4.0, 2.0], [2.0, 1.0]])) <= 0.0


def test_bound_says_something():
    """Well-conditioned inputs: over half of the true optimum, where the trivial bound is 0."""
    for seed in range(4):
        row, moments, *_ = real_row(seed, 10, columns=400)
        qubo = build_qubo(row, moments)
        best = brute_force(qubo.q).energy + qubo.constant
        assert best * 0.5 < lower_bound(qubo.q) + qubo.constant <= best
        assert lower_bound(qubo.q, 300) >= lower_bound(qubo.q, 3)


def test_gap_against_a_bound_is_marked_and_not_smaller():
    """Beyond max_exact the gap is an upper bound of the true one."""
    row, moments, *_ = real_row(3)
    levels = choice_levels(build_qubo(row, moments), nearest_choice(build_qubo(row, moments)))
    sharp = rounding_gap(row, levels, moments)
    rough = rounding_gap(row, levels, moments, max_exact=4)
    assert sharp.exact
    assert not rough.exact
    assert 0.0 <= rough.best <= sharp.best
    assert rough.gap >= sharp.gap
    assert rough.loss == sharp.loss
    size = len(build_qubo(row, moments).q)
    assert rounding_gap(row, levels, moments, max_exact=size).exact
    assert not rounding_gap(row, levels, moments, max_exact=size - 1).exact


def test_bound_below_zero_counts_as_zero():
    """Fewer columns than weights: the relaxation reaches 0, and no loss is negative."""
    row, moments, *_ = real_row(1, 12, columns=2)
    levels = np.rint(row.w / row.step).astype(int).clip(-4, 3)
    found = rounding_gap(row, levels, moments, max_exact=0)
    assert found.best == 0.0
    assert found.gap == found.loss


def real_layer(seed, kind="affine"):
    rng = np.random.default_rng(seed)
    zero = rng.integers(0, 8, (3, 1, 1, 1)) if kind == "affine" else 0
    qparams = make_qparams(rng.uniform(0.2, 0.4, (3, 1, 1, 1)), zero, Grid(kind, 3))
    x = rng.normal(size=(8, 30)) + rng.normal(size=30)  # correlated: nearest is not optimal
    return rng, rng.normal(size=(3, 2, 2, 2)), qparams, x, input_moments(x)


@pytest.mark.parametrize("kind", ["affine", "signed"])
def test_layer_gap_is_the_sum_over_rows(kind):
    """P26, P33, P34: optimum of the layer = rows' optima; AdaRound's codes are never below."""
    rng, w, qparams, _, moments = real_layer(4, kind)
    exact = layer_gap(w, round_rows(w, qparams, moments), qparams, moments)
    assert exact.gap == 0.0
    assert exact.exact
    assert exact.feasible
    codes = adaround_codes(w, rng.normal(size=w.shape), qparams)
    found = layer_gap(w, codes, qparams, moments)
    levels = codes - qparams.zero_point
    rows = [rounding_gap(weight_row(w, qparams, i), levels[i].ravel(), moments) for i in range(3)]
    for name in ("loss", "best", "gap"):
        total = sum(getattr(row, name) for row in rows)
        assert getattr(found, name) == pytest.approx(total, rel=1e-12)
    assert found.best == pytest.approx(exact.loss, rel=1e-10)
    w_hat = (qparams.step * levels).reshape(3, -1)
    assert found.loss == pytest.approx(gram_loss(w.reshape(3, -1), w_hat, moments.gram), rel=1e-10)
    assert found.gap > 0.0
    assert not layer_gap(w, codes, qparams, moments, max_exact=2).exact
    moved = codes.copy()
    moved[1, 0, 0, 0] += 3
    assert not layer_gap(w, moved, qparams, moments).feasible


def test_solvers_of_a_layer_are_ordered():
    """P34: exact <= tabu <= one_flip <= nearest in loss; codes lie in the range, row by row."""
    _, w, qparams, _, moments = real_layer(6)
    losses = []
    for solver in ("exact", "tabu", "one_flip", "nearest"):
        codes = round_rows(w, qparams, moments, solver)
        assert codes.shape == w.shape
        assert codes.dtype == np.int64
        assert codes.min() >= 0
        assert codes.max() <= 7
        losses.append(layer_gap(w, codes, qparams, moments).loss)
    assert losses == sorted(losses)
    assert losses[0] < losses[3]
    nearest = np.clip(np.rint(w / qparams.step) + qparams.zero_point, 0, 7)
    np.testing.assert_array_equal(round_rows(w, qparams, moments, "nearest"), nearest)
    for i in range(3):
        qubo = build_qubo(weight_row(w, qparams, i), moments)
        best = choice_levels(qubo, brute_force(qubo.q).h) + qparams.zero_point[i, 0, 0, 0]
        np.testing.assert_array_equal(round_rows(w, qparams, moments)[i].ravel(), best)


def test_each_solver_is_the_one_named():
    """An instance on which the deterministic solvers give four energies, in this order."""
    for seed in range(200):
        a = np.random.default_rng(seed).normal(size=(14, 14))
        q, start = a + a.T, np.zeros(14, int)
        found = {name: solve(q, start) for name, solve in SOLVERS.items()}
        energies = {name: float(qubo_energy(q, h)) for name, h in found.items()}
        if energies["nearest"] > energies["one_flip"] > energies["tabu"] + 1e-9:
            break
    assert list(SOLVERS) == ["nearest", "one_flip", "tabu", "annealing", "exact"]
    assert energies["nearest"] > energies["one_flip"] > energies["tabu"]
    assert energies["tabu"] >= energies["exact"] - 1e-12
    assert found["annealing"].tolist() == simulated_annealing(q, start).h.tolist()


def test_bad_input_is_refused():
    _, w, qparams, _, moments = real_layer(1)
    codes = round_rows(w, qparams, moments, "nearest")
    with pytest.raises(ValueError, match="solver is 'exakt'"):
        round_rows(w, qparams, moments, "exakt")
    with pytest.raises(TypeError, match="codes is float64"):
        layer_gap(w, codes * 1.0, qparams, moments)
    with pytest.raises(ValueError, match="codes is of shape"):
        layer_gap(w, codes[:2], qparams, moments)
    row = weight_row(w, qparams, 0)
    with pytest.raises(ValueError, match="levels is of shape"):
        rounding_gap(row, np.zeros(3, int), moments)
    with pytest.raises(TypeError, match="levels is list"):
        rounding_gap(row, [0] * 8, moments)
    with pytest.raises(ValueError, match="max_exact is 23"):
        rounding_gap(row, np.zeros(8, int), moments, 23)
    with pytest.raises(ValueError, match="steps is -1"):
        lower_bound(np.eye(2), -1)
    with pytest.raises(ValueError, match="not symmetric"):
        lower_bound(np.triu(np.ones((2, 2))))
