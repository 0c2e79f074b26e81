"""Searches for the step with the least error (methods 3.2; P82, P83, P90)."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from oracle_tests.exact_lists import dyadic, fractions_of
from refquant.calibrate.mse_search import MseSearch, mse_search
from refquant.calibrate.qparams import EPS, range_to_qparams
from refquant.calibrate.ranges import minmax
from refquant.calibrate.score import first_smallest, quantisation_error
from refquant.calibrate.spaces import SEARCHES
from refquant.oracle.exact import calibrate as twin
from refquant.quantizers.grid import KINDS, Grid

SEEDS = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=12)  # of each search on each grid
ON_GRID = [
    (search, kind)
    for search in SEARCHES
    for kind in KINDS
    if (search != "fro" or kind in ("signed", "narrow"))
    and (search != "grid100_2d" or kind == "affine")
]


def candidate_index(candidates, step, zero):
    """Return where a step and zero point stand in the twin's list; two roundings are allowed."""
    for index, (exact, exact_zero) in enumerate(candidates):
        if zero == exact_zero and abs(step - exact) <= exact * 2.0**-50:
            return index
    raise AssertionError(f"step {step!r} with zero point {zero} is no candidate")


def test_the_table_of_candidates_is_that_of_the_specification():
    """Section 3.2: how many factors, from where to where, which exponent."""
    table = {i: (len(s.factors), s.factors[0], s.factors[-1], s.p) for i, s in SEARCHES.items()}
    assert table == {
        "shrink80": (80, 1.0, 0.21, 2.4),
        "grid100_1d": (100, 0.01, 1.0, 2.4),
        "grid100_2d": (100, 0.01, 1.0, 2.4),
        "mq80": (80, 1.0, 0.21, 2.0),
        "mq95": (95, 1.0, 0.06, 2.0),
        "omse": (90, 1.0, 0.11, 2.0),
        "fro": (100, 0.01, 1.0, 2.0),
        "ifmr": (61, 0.7, 1.3, 2.0),
    }
    assert len(SEARCHES["omse"].factors_on(Grid("signed", 4))) == 50
    assert len(SEARCHES["omse"].factors_on(Grid("affine", 4))) == 90
    assert SEARCHES["omse"].factors_on(Grid("narrow", 4))[-1] == 0.51


@pytest.mark.parametrize(("search", "kind"), ON_GRID)
@FEW
@given(seed=SEEDS, bits=st.integers(2, 3), n=st.integers(1, 6), side=st.sampled_from([-1, 0, 1]))
def test_search_equals_the_exact_twin(search, kind, seed, bits, n, side):
    """Dyadic data, p = 2: the chosen candidate is the exact optimum, up to rounding.

    `side` draws data of one sign too. Where the zero point of the range is an exact tie the
    float search may see the other neighbour, so such data are left out.
    """
    x = dyadic(np.random.default_rng(seed), (n,))
    x = x if side == 0 else side * np.abs(x)
    nested = fractions_of(x)
    lo, hi = min(nested), max(nested)
    low, high = (lo, hi) if search == "shrink80" else (min(lo, 0), max(hi, 0))
    assume(kind != "affine" or hi == lo or (low * (2**bits - 1) / (high - low)).denominator != 2)
    assume(kind != "affine" or "1d" not in search or not lo < 0 < hi)
    if search == "shrink80" and kind == "affine":
        assume(hi > lo)  # the constant row has a test of its own
    candidates = list(twin.search_candidates(nested, search, (kind, bits)))
    grid = (kind, bits)
    scores = [twin.score(nested, s, z, grid, 2, search == "fro") for s, z in candidates]
    found, score = mse_search(x, Grid(kind, bits), MseSearch(search, 2.0))
    chosen = scores[candidate_index(candidates, float(found.step), int(found.zero_point))]
    assert chosen <= min(scores) + max(nested, key=abs) ** 2 * 2**-40 * n
    assert abs(float(score) - float(chosen)) <= 1e-12 * float(max(nested, key=abs) ** 2) * n


@pytest.mark.parametrize(("search", "kind"), ON_GRID)
def test_default_exponent_equals_the_twin(search, kind):
    """The search's own p, 2.4 or 2, on ten real values; the optimum is 1e-9 clear of ties."""
    x = np.array([-1.37, 0.211, 0.874, -0.66, 0.093, 1.208, -0.317, 0.552, 0.741, -1.021])
    found, score = mse_search(x, Grid(kind, 3), MseSearch(search))
    step, zero, best = twin.mse_search(list(x), search, (kind, 3), SEARCHES[search].p)
    assert found.zero_point == zero
    np.testing.assert_allclose(found.step, float(step), rtol=1e-15)
    np.testing.assert_allclose(score, float(best), rtol=1e-12)


def test_search_finds_the_step_derived_by_hand():
    """Codes -1, 0, 1 and s = f for x = (1, .5, -.5): all three values code to +-1 while s < 1.

    So the error (s - 1)^2 + 2 (s - .5)^2 is least at s = 2/3. Of the candidates beside it, .66
    costs .1156 + .0512 = .1668 and .67 costs .1089 + .0578 = .1667: .67 wins. (At s = 1 the
    halves are ties and code to 0, which costs .5.)
    """
    x = np.array([1.0, 0.5, -0.5])
    found, score = mse_search(x, Grid("narrow", 2), MseSearch("fro", divisor="p"))
    assert found.step == 0.67
    np.testing.assert_allclose(score, 0.1667, rtol=1e-12)
    found, score = mse_search(x, Grid("narrow", 2), MseSearch("mq80", divisor="p"))
    np.testing.assert_allclose((found.step, score), (0.67, 0.1667 / 3), rtol=1e-12)


def test_the_first_of_equal_scores_wins():
    """Three steps that represent 1 exactly, in a given order, then the factors of ifmr.

    With p = 127 the value 1 is exact for f = 1 (code 127) and for f = 1.27 (code 100).
    """
    rows = np.ones((1, 1))
    trials = [(np.full((1, 1), s), np.zeros((1, 1))) for s in (0.3, 0.5, 0.25, 1.0)]
    step, _, score = first_smallest(trials, rows, Grid("signed", 4), 2.0)
    assert (step, score) == (0.5, 0.0)
    found, score = mse_search(rows, Grid("signed", 8), MseSearch("ifmr", divisor="p"))
    assert (found.step, score) == (1 / 127, 0.0)
    found, _ = mse_search(np.zeros(3), Grid("signed", 8), MseSearch("mq80"))
    assert found.step == EPS


@pytest.mark.parametrize(("search", "kind"), [pair for pair in ON_GRID if pair[0] != "ifmr"])
@FEW
@given(seed=SEEDS, bits=st.integers(2, 4), dtype=st.sampled_from([np.float32, np.float64]))
def test_never_worse_than_minmax(search, kind, seed, bits, dtype):
    """P82: the min-max range is among the candidates (ifmr starts from a percentile).

    The one-dimensional searches know the larger magnitude only: their range is (-T, T).
    """
    x = np.random.default_rng(seed).normal(size=(2, 9)).astype(dtype)
    grid, space = Grid(kind, bits), SEARCHES[search]
    lo, hi = minmax(x[np.newaxis], axis=0)
    assume(np.all((lo < 0) & (hi > 0)))
    if space.family == "threshold":
        lo, hi = -np.maximum(-lo, hi), np.maximum(-lo, hi)
    base = range_to_qparams(lo, hi, grid)
    candidate = base.step, base.zero_point.astype(dtype)
    reference = quantisation_error(x, candidate, grid, space.p, space.total)
    found, score = mse_search(x, grid, MseSearch(search), axis=0)
    again = found.step, found.zero_point.astype(dtype)
    np.testing.assert_array_equal(score, quantisation_error(x, again, grid, space.p, space.total))
    assert np.all(score <= reference)
    assert found.step.dtype == score.dtype == dtype


@pytest.mark.parametrize(("search", "kind"), ON_GRID)
@FEW
@given(seed=SEEDS, exponent=st.integers(-6, 6))
def test_scaling_by_a_power_of_two(search, kind, seed, exponent):
    """P83: data times 2^k give the step times 2^k, the same zero point, the score times 4^k."""
    x = np.random.default_rng(seed).normal(size=7)
    rule, grid = MseSearch(search, 2.0), Grid(kind, 3)
    base, base_score = mse_search(x, grid, rule)
    scaled, score = mse_search(np.ldexp(x, exponent), grid, rule)
    assume(base.step > 2.0 * EPS and scaled.step > 2.0 * EPS)
    assert scaled.step == np.ldexp(base.step, exponent)
    assert scaled.zero_point == base.zero_point
    assert score == np.ldexp(base_score, 2 * exponent)


@pytest.mark.parametrize("search", [s for s, kind in ON_GRID if kind == "narrow"])
@FEW
@given(seed=SEEDS, bits=st.integers(2, 6))
def test_sign_flip_on_a_narrow_grid(search, seed, bits):
    """P83: a symmetric search on a narrow grid does not see the sign of the data."""
    x = np.random.default_rng(seed).normal(size=(2, 6))
    plus, plus_score = mse_search(x, Grid("narrow", bits), MseSearch(search), axis=0)
    minus, minus_score = mse_search(-x, Grid("narrow", bits), MseSearch(search), axis=0)
    np.testing.assert_array_equal(plus.step, minus.step)
    np.testing.assert_array_equal(plus_score, minus_score)


def test_shrink80_neither_forces_zero_into_the_range_nor_clips():
    """Convention 17: values 4 .. 7.75 take all 16 codes, with the zero point -16.

    s = 3.75 / 15 = 1/4, z = -rint(4 / (1/4)) = -16, no error; mq80 spends codes on [0, 4).
    A constant row has no width: s = eps, z = -rint(3 / eps).
    """
    x = np.arange(16.0) / 4 + 4
    found, score = mse_search(x, Grid("affine", 4), MseSearch("shrink80"))
    assert (found.step, found.zero_point, score) == (0.25, -16, 0.0)
    found, score = mse_search(x, Grid("affine", 4), MseSearch("mq80"))
    assert found.zero_point == 0 and score > 0.001
    found, score = mse_search(np.array([3.0]), Grid("affine", 4), MseSearch("shrink80"))
    assert (found.step, found.zero_point) == (EPS, -300000000) and score < EPS
    with pytest.raises(ValueError, match="mq80"):
        mse_search(np.array([1e12]), Grid("affine", 4), MseSearch("shrink80"))


def test_one_sided_data_keep_the_other_end_at_zero():
    """Values 0 .. 3.75 on 4 affine bits are exact at f = 1 with z = 0, their negatives at 15."""
    x = np.arange(16.0) / 4
    for search in ("grid100_1d", "grid100_2d", "mq80"):
        found, score = mse_search(x, Grid("affine", 4), MseSearch(search))
        assert (found.step, found.zero_point, score) == (0.25, 0, 0.0)
        found, score = mse_search(-x, Grid("affine", 4), MseSearch(search))
        assert (found.step, found.zero_point, score) == (0.25, 15, 0.0)
    both, _ = mse_search(np.stack([x, -x]), Grid("affine", 4), MseSearch("grid100_1d"), axis=0)
    np.testing.assert_array_equal(both.zero_point, [[0], [15]])


@given(seed=SEEDS, bits=st.integers(2, 4), sign=st.sampled_from([-1, 1]))
@FEW
def test_plane_search_of_one_sided_data_is_the_line_search(seed, bits, sign):
    """QDrop's fallback: with one sign there is no zero point to look for."""
    x = sign * np.abs(np.random.default_rng(seed).normal(size=9))
    plane, plane_score = mse_search(x, Grid("affine", bits), MseSearch("grid100_2d"))
    line, line_score = mse_search(x, Grid("affine", bits), MseSearch("grid100_1d"))
    assert (plane.step, plane.zero_point, plane_score) == (line.step, line.zero_point, line_score)
    assert plane.zero_point == (0 if sign > 0 else 2**bits - 1)


def test_ifmr_starts_from_the_outermost_values_of_a_short_row():
    """Values 1 .. 31 on 5 unsigned bits are exact for s = 31 f / 31 = 1, that is f = 1.

    The order statistics 0 and 30 of 31 values are their minimum and maximum.
    """
    x = np.arange(1.0, 32.0)
    found, score = mse_search(x, Grid("unsigned", 5), MseSearch("ifmr"))
    assert (found.step, score) == (1.0, 0.0)


def test_plane_search_chooses_the_zero_point():
    """Values -1.25 .. 2.5 in quarters are exact with s = 1/4, z = 5."""
    x = np.arange(-5.0, 11.0) / 4
    found, score = mse_search(x, Grid("affine", 4), MseSearch("grid100_2d"))
    assert (found.step, found.zero_point, score) == (0.25, 5, 0.0)


@given(seed=SEEDS, bits=st.integers(2, 7), e=st.integers(-4, 4))
def test_nested_grids_lose_less(seed, bits, e):
    """P90: one more bit and half the step contain all levels, so no error grows."""
    x = dyadic(np.random.default_rng(seed), (1, 20), denominator=64)
    step, zero = np.full((1, 1), 2.0**e), np.zeros((1, 1))
    coarse = quantisation_error(x, (step, zero), Grid("signed", bits), 2.0)
    fine = quantisation_error(x, (step / 2, zero), Grid("signed", bits + 1), 2.0)
    assert fine <= coarse


def test_the_hundred_steps_need_not_gain_from_a_bit():
    """P90's remark: these four values lose less at 3 bits than at 4, by the exact twin too."""
    x = np.array([-7.375, -3.75, -7.5, 5.625])
    rule = MseSearch("grid100_1d", 2.0)
    scores = [mse_search(x, Grid("signed", bits), rule)[1] for bits in (3, 4)]
    exact = [twin.mse_search(fractions_of(x), "grid100_1d", ("signed", b), 2)[2] for b in (3, 4)]
    np.testing.assert_allclose(scores, np.array(exact, dtype=float), rtol=1e-12)
    assert scores[0] < scores[1]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: MseSearch("shrink8"), ValueError, "Did you mean 'shrink80'"),
        (lambda: MseSearch("fro", p=0.0), ValueError, "positive"),
        (lambda: MseSearch("fro", divisor="x"), ValueError, "half_span"),
        (lambda: mse_search(np.ones(2), Grid("affine", 4), MseSearch("fro")), ValueError, "narrow"),
        (
            lambda: mse_search(np.ones(2), Grid("signed", 4), MseSearch("grid100_2d")),
            ValueError,
            "affine",
        ),
        (lambda: mse_search(np.ones(2), Grid("signed", 4), "fro"), TypeError, "MseSearch"),
        (lambda: mse_search(np.ones(2), 4), TypeError, "Grid"),
    ],
)
def test_searches_refuse_bad_input(call, error, words):
    """One voice: function, argument, got, expected."""
    with pytest.raises(error, match=words):
        call()
