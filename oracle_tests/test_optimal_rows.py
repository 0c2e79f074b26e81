"""Solvers of all rows at once against those of one row, and the nearest plane by hand."""

import numpy as np
import pytest

from oracle_tests.qubo_cases import whole_matrix
from refquant import numerics as nx
from refquant.optimal.brute_force import brute_force
from refquant.optimal.factor import forward_substitution, ldl
from refquant.optimal.local_search import one_flip
from refquant.optimal.nearest_plane import DAMP, nearest_plane
from refquant.optimal.row_flips import Rows, flip_rows
from refquant.optimal.row_tabu import tabu_rows
from refquant.optimal.tabu import tabu_search


def dyadic_rows(seed, o=5, d=9, share_free=0.8):
    """Whole numbers, many ties; Q of a row = curve G + diag(linear)."""
    rng = np.random.default_rng(seed)
    gram = whole_matrix(seed, d)
    curve = 2.0 ** rng.integers(-1, 3, o)
    linear = rng.integers(-9, 10, (o, d)).astype(float)
    return Rows(gram, curve, linear, rng.random((o, d)) < share_free)


def real_rows(seed, o=6, d=24, columns=40):
    """A convex problem like that of a layer."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(d, 5))
    x = mix @ rng.normal(size=(5, columns)) + 0.3 * rng.normal(size=(d, columns))
    gram = x @ x.T / columns
    wanted = rng.random((o, d)) + 0.1 * rng.normal(size=(o, d))
    curve = rng.uniform(0.1, 2.0, o)
    return Rows(gram, curve, -2.0 * curve[:, None] * (wanted @ gram), rng.random((o, d)) < 0.9)


def alone(rows, i):
    """The QUBO of one row, its free weights only, and their places."""
    q = rows.curve[i] * rows.gram + np.diag(rows.linear[i])
    free = np.flatnonzero(rows.free[i])
    return q[np.ix_(free, free)], free


def starts(rows, seed):
    h = np.random.default_rng(seed).random(rows.free.shape) < 0.5
    return h & rows.free


@pytest.mark.parametrize("mode", ["fast", "pinned"])
@pytest.mark.parametrize("seed", range(12))
def test_flips_of_all_rows_are_those_of_each(seed, mode):
    """On whole numbers with ties: equal choices, in either arithmetic."""
    rows = dyadic_rows(seed)
    h = starts(rows, seed)
    with nx.arithmetic(mode):
        found = flip_rows(rows, h)
    for i in range(len(h)):
        q, free = alone(rows, i)
        np.testing.assert_array_equal(found[i, free], one_flip(q, h[i, free].astype(int)).h)
        assert not found[i, ~rows.free[i]].any()


@pytest.mark.parametrize("tenure", [None, 0, 3, 50])
@pytest.mark.parametrize("seed", range(6))
def test_tabu_of_all_rows_is_that_of_each(seed, tenure):
    """The walk, aspiration, ties and the descent behind it; also when all is tabu."""
    rows = dyadic_rows(seed)
    h = starts(rows, seed)
    found = tabu_rows(rows, h, 40, tenure)
    for i in range(len(h)):
        q, free = alone(rows, i)
        rest = min(20, len(free) // 4) + 1 if tenure is None else tenure
        wanted = tabu_search(q, h[i, free].astype(int), 40, rest).h
        np.testing.assert_array_equal(found[i, free], wanted)


@pytest.mark.parametrize("seed", range(40))
def test_where_all_is_tabu_the_soonest_free_moves(seed):
    """Few weights, long tenures: the walk goes on as that of one row does."""
    rows = dyadic_rows(seed, o=6, d=6, share_free=1.0)
    h = starts(rows, seed)
    found = tabu_rows(rows, h, 25, 9)
    for i in range(len(h)):
        wanted = tabu_search(alone(rows, i)[0], h[i].astype(int), 25, 9).h
        np.testing.assert_array_equal(found[i], wanted)


def row_losses(rows, h):
    """curve h G h + linear h of every row."""
    return rows.curve * np.einsum("oi,ij,oj->o", h, rows.gram, h) + np.sum(rows.linear * h, axis=1)


@pytest.mark.parametrize("seed", range(4))
def test_real_rows_end_where_no_flip_helps_and_tabu_ends_no_higher(seed):
    """Losses fall; the optimum is a bound; more rounds of descent change nothing."""
    rows = real_rows(seed, d=12)
    h = rows.free & (starts(rows, seed) | (rows.linear < 0))
    flips, tabu = flip_rows(rows, h), tabu_rows(rows, h, 100)
    losses = [row_losses(rows, choice) for choice in (h, flips, tabu)]
    assert (losses[1] <= losses[0]).all() and (losses[2] <= losses[1] + 1e-12).all()
    assert (losses[1] < losses[0]).any()
    np.testing.assert_array_equal(flip_rows(rows, flips), flips)
    for i in range(len(h)):
        q, _ = alone(rows, i)
        assert losses[2][i] >= brute_force(q).energy - 1e-12


def test_rows_without_a_free_weight_stay():
    """There is nothing to choose."""
    rows = dyadic_rows(1, share_free=0.0)
    h = np.zeros(rows.free.shape, dtype=bool)
    assert not flip_rows(rows, h).any() and not tabu_rows(rows, h, 10).any()
    assert not nearest_plane(rows).any()


@pytest.mark.parametrize("d", [1, 5, 64, 65, 150])
def test_the_factor_multiplies_back(d):
    """L D L^T = G and L y = b, to rounding; L is unit lower triangular."""
    rng = np.random.default_rng(d)
    x = rng.normal(size=(d, d + 5))
    gram, b = x @ x.T, rng.normal(size=(d, 3))
    lower, pivots = ldl(gram, 1e-9)
    np.testing.assert_array_equal(lower, np.tril(lower, -1) + np.eye(d))
    np.testing.assert_allclose((lower * pivots) @ lower.T, gram, atol=1e-11 * np.trace(gram))
    np.testing.assert_allclose(lower @ forward_substitution(lower, b), b, atol=1e-11)


def test_a_small_pivot_is_raised():
    """A singular matrix has a factor too."""
    lower, pivots = ldl(np.ones((3, 3)), 0.25)
    np.testing.assert_array_equal(pivots, [1.0, 0.25, 0.25])
    assert np.isfinite(lower).all()


def plane_by_hand(rows, i):
    """Decide one weight after another by trying both values on the reduced problem.

    With the weights decided so far fixed and all the others real and free, the better value of the
    next one has the smaller minimum over these others: a least squares problem each.
    """
    d = len(rows.gram)
    damp = DAMP * np.diag(rows.gram).mean()
    gram = rows.gram + damp * np.eye(d)
    wanted = np.linalg.solve(gram, -rows.linear[i] / (2.0 * rows.curve[i]))
    decided = {}
    for j in np.argsort(np.diag(rows.gram), kind="stable")[::-1]:
        losses = []
        for value in (0.0, 1.0):
            fixed = {**decided, int(j): value}
            known, rest = list(fixed), [k for k in range(d) if k not in fixed]
            error = np.zeros(d)
            error[known] = [fixed[k] - wanted[k] for k in known]
            if rest:
                pull = gram[np.ix_(rest, known)] @ error[known]
                error[rest] = np.linalg.solve(gram[np.ix_(rest, rest)], -pull)
            losses.append(error @ gram @ error)
        decided[int(j)] = float(rows.free[i, j] and losses[1] < losses[0])
    return np.array([decided[j] for j in range(d)]) > 0.0


@pytest.mark.parametrize("seed", range(5))
def test_the_plane_decides_as_two_least_squares_problems_would(seed):
    """An independent way to the same choices: no factor, no triangular solve."""
    rows = real_rows(seed, o=3, d=11)
    found = nearest_plane(rows)
    for i in range(3):
        np.testing.assert_array_equal(found[i], plane_by_hand(rows, i))


def test_the_plane_rounds_to_nearest_where_nothing_is_correlated():
    """P75: under a diagonal G there is nothing to compensate."""
    wanted = np.array([[0.2, 0.7, 0.5, 1.4, -0.3]])
    gram = np.diag([3.0, 1.0, 2.0, 0.5, 1.0])
    rows = Rows(gram, np.ones(1), -2.0 * wanted @ gram, np.ones((1, 5), dtype=bool))
    np.testing.assert_array_equal(nearest_plane(rows), [[False, True, False, True, False]])


@pytest.mark.parametrize("d", [40, 130])
def test_the_plane_is_a_better_start_than_nearest_rounding(d):
    """On correlated inputs, over many rows; and blocks change nothing (d beyond two of them)."""
    rows = replace_free(real_rows(0, o=40, d=d, columns=3 * d))
    nearest = flip_rows(rows, -rows.linear @ np.linalg.inv(rows.gram) > rows.curve[:, None])
    plane = flip_rows(rows, nearest_plane(rows))
    assert row_losses(rows, plane).sum() < row_losses(rows, nearest).sum()


def replace_free(rows):
    return rows._replace(free=np.ones_like(rows.free))


def test_pinned_and_fast_planes_agree():
    """The same algorithm in either arithmetic."""
    rows = real_rows(3, o=8, d=70, columns=200)
    with nx.arithmetic("pinned", slices=3):
        pinned = nearest_plane(rows)
    assert (pinned != nearest_plane(rows)).mean() < 0.01
