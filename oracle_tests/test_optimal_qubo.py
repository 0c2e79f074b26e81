"""The rounding problem as a QUBO: energy equals the layer's error, in exact rationals."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle_tests.exact_lists import dyadic, fractions_of
from refquant.numerics import arithmetic
from refquant.optimal.moments import InputMoments, gram_loss, input_moments
from refquant.optimal.qubo import (
    build_qubo,
    choice_levels,
    nearest_choice,
    qubo_energy,
)
from refquant.optimal.row import Row, append_bias, floor_levels, weight_row
from refquant.oracle.exact import qubo as twin
from refquant.quantizers.grid import Grid, make_qparams
from refquant.quantizers.rounding import round_to

SEEDS = st.integers(0, 2**32 - 1)


def dyadic_row(rng, d, steps=None):
    """Weights in eighths of a power-of-two step, from two levels below n to two above p."""
    low, high = np.full(d, -2.0), np.full(d, 1.0)
    step = np.full(d, 0.5) if steps is None else steps
    return Row(step * rng.integers(8 * -4, 8 * 3 + 1, d) / 8.0, step, low, high)


def problem(seed, d, asymmetric, own_steps=False):
    """A dyadic row and data (4 columns, so that the mean is exact), in floats and Fractions."""
    rng = np.random.default_rng(seed)
    steps = 2.0 ** rng.integers(-2, 2, d) if own_steps else None
    row = dyadic_row(rng, d, steps)
    x = dyadic(rng, (d, 4), reach=4, denominator=2)
    x_hat = dyadic(rng, (d, 4), reach=4, denominator=2) if asymmetric else None
    lists = [fractions_of(part) for part in row]
    columns = fractions_of(x.T)
    return row, x, x_hat, lists, columns, fractions_of(x_hat.T) if asymmetric else columns


def exact_problem(lists, columns, columns_hat, asymmetric):
    """(Q, c, base, free) of the twin."""
    w, step, low, high = lists
    base, free = twin.base_levels(w, step, low, high)
    gram = twin.moment(columns_hat, columns_hat)
    if not asymmetric:
        return *twin.build_symmetric(w, step, base, free, gram), base, free
    cross, plain = twin.moment(columns_hat, columns), twin.moment(columns, columns)
    return *twin.build_asymmetric((w, step, base, free), gram, cross, plain), base, free


@settings(max_examples=15)
@given(seed=SEEDS, asymmetric=st.booleans(), own_steps=st.booleans())
def test_energy_is_the_layer_error_on_every_assignment(seed, asymmetric, own_steps):
    """P32: all 2^8 ways to round 8 weights, clipped ones included, both forms, in Fractions.

    The levels come from the definition clip(floor(w/s) + h, n, p), not from the QUBO.
    """
    row, x, x_hat, lists, columns, columns_hat = problem(seed, 8, asymmetric, own_steps)
    w, step, low, high = lists
    q, c, base, free = exact_problem(lists, columns, columns_hat, asymmetric)
    qubo = build_qubo(row, input_moments(x, x_hat))
    assert fractions_of(qubo.q) == q
    assert Fraction(qubo.constant) == c
    assert qubo.base.tolist() == base
    assert qubo.free.tolist() == free
    every = np.array(list(itertools.product((0, 1), repeat=8)))
    energies = qubo_energy(qubo.q, every[:, qubo.free]) + qubo.constant
    for h, energy in zip(every.tolist(), energies.tolist(), strict=True):
        rounded = [
            min(p, max(n, v / s // 1 + b))
            for v, s, b, n, p in zip(w, step, h, low, high, strict=True)
        ]
        mse = twin.layer_mse(rounded, w, step, columns, columns_hat)
        kept = tuple(b for b, is_free in zip(h, free, strict=True) if is_free)
        assert twin.energy(q, kept) + c == mse
        assert Fraction(energy) == mse
        assert choice_levels(qubo, np.array(kept, int)).tolist() == rounded


def test_both_forms_agree_when_the_inputs_do():
    """Xh = X: the asymmetric Q and c are the symmetric ones, exactly."""
    row, x, *_ = problem(4, 8, asymmetric=False)
    one, two = build_qubo(row, input_moments(x)), build_qubo(row, input_moments(x, x))
    np.testing.assert_array_equal(one.q, two.q)
    assert one.constant == two.constant


@given(seed=SEEDS)
def test_rows_are_independent(seed):
    """P33: the error of a layer of two rows, all 2^6 roundings at once, is the sum of energies."""
    rng = np.random.default_rng(seed)
    qparams = make_qparams(np.array([[0.5], [0.25]]), 0, Grid("signed", 3))
    w = qparams.step * rng.integers(-40, 33, (2, 3)) / 8.0
    x = dyadic(rng, (3, 4), reach=4, denominator=2)
    moments = input_moments(x)
    qubos = [build_qubo(weight_row(w, qparams, i), moments) for i in range(2)]
    sizes = [len(qubo.q) for qubo in qubos]
    for h in itertools.product((0, 1), repeat=sum(sizes)):
        parts = np.array(h[: sizes[0]], int), np.array(h[sizes[0] :], int)
        levels = np.array([choice_levels(q, part) for q, part in zip(qubos, parts, strict=True)])
        energies = [
            float(qubo_energy(q.q, p)) + q.constant for q, p in zip(qubos, parts, strict=True)
        ]
        assert gram_loss(w, qparams.step * levels, moments.gram) == energies[0] + energies[1]


@given(seed=SEEDS, dtype=st.sampled_from([np.float64, np.float32]))
def test_gram_form_is_the_squared_output_error(seed, dtype):
    """P25 with the error from its definition, exact on dyadic data; computed in float64."""
    rng = np.random.default_rng(seed)
    w, w_hat = dyadic(rng, (2, 3), dtype), dyadic(rng, (2, 3), dtype)
    x = dyadic(rng, (3, 4), dtype)
    error = (w - w_hat).astype(np.float64) @ x.astype(np.float64)
    expected = sum(Fraction(v) ** 2 for v in error.ravel().tolist()) / 4
    assert Fraction(gram_loss(w, w_hat, input_moments(x).gram)) == expected


@given(seed=SEEDS, asymmetric=st.booleans())
def test_moments_equal_exact_means(seed, asymmetric):
    _, x, x_hat, _, columns, columns_hat = problem(seed, 3, asymmetric)
    moments = input_moments(x, x_hat)
    assert fractions_of(moments.gram) == twin.moment(columns_hat, columns_hat)
    if asymmetric:
        assert fractions_of(moments.cross) == twin.moment(columns_hat, columns)
        assert fractions_of(moments.plain) == twin.moment(columns, columns)
    else:
        assert moments.cross is moments.plain is None


@pytest.mark.parametrize("mode", ["fast", "pinned"])
def test_real_values_stay_close_in_either_arithmetic(mode):
    """P32 on real data: bound of some hundred roundings of the largest term."""
    rng = np.random.default_rng(11)
    qparams = make_qparams(np.array([[0.37]]), 5, Grid("affine", 4))
    w = rng.normal(size=(1, 7))
    x, x_hat = rng.normal(size=(7, 40)), rng.normal(size=(7, 40))
    with arithmetic(mode):
        qubo = build_qubo(weight_row(w, qparams, 0), input_moments(x, x_hat))
        every = np.array(list(itertools.product((0, 1), repeat=len(qubo.q))))
        energies = qubo_energy(qubo.q, every) + qubo.constant
    expected = [np.square(0.37 * choice_levels(qubo, h) @ x_hat - w[0] @ x).mean() for h in every]
    np.testing.assert_allclose(energies, expected, rtol=0, atol=1e-11)
    np.testing.assert_array_equal(qubo.q, qubo.q.T)


def test_matrix_is_symmetric_to_the_last_bit_with_unequal_steps():
    """(s_i g) s_j and (s_j g) s_i round differently; solvers want one symmetric matrix."""
    rng = np.random.default_rng(3)
    row = Row(rng.normal(size=20), rng.uniform(0.1, 1, 20), np.full(20, -8.0), np.full(20, 7.0))
    qubo = build_qubo(row, input_moments(rng.normal(size=(20, 50))))
    np.testing.assert_array_equal(qubo.q, qubo.q.T)


@pytest.mark.parametrize(
    ("w", "base", "free"),
    [
        (-2.01, -2, False),  # floor -3 < n: n either way
        (-2.0, -2, True),
        (0.99, 0, True),
        (1.0, 1, False),  # floor = p: p either way
        (7.5, 1, False),
        (-0.25, -1, True),
    ],
)
def test_which_weights_are_free(w, base, free):
    """Section 7: fixed where floor >= p or floor < n, at the clipped level."""
    row = Row(*(np.array([v]) for v in (w, 1.0, -2.0, 1.0)))
    levels, is_free = floor_levels(row)
    assert (levels.tolist(), is_free.tolist()) == ([base], [free])


@given(seed=SEEDS, kind=st.sampled_from(["signed", "narrow", "affine"]))
def test_diagonal_moments_make_nearest_optimal(seed, kind):
    """P75: energies separate, so h = [f > 1/2]; the levels are those of half_down, clipped."""
    rng = np.random.default_rng(seed)
    qparams = make_qparams(0.5, 2 if kind == "affine" else 0, Grid(kind, 3))
    w = rng.integers(-40, 41, (1, 6)) / 16.0  # ties occur
    moments = InputMoments(np.diag(rng.integers(1, 9, 6) / 4.0))
    qubo = build_qubo(weight_row(w, qparams, 0), moments)
    h, _ = twin.exact_optimum(fractions_of(qubo.q))
    assert nearest_choice(qubo).tolist() == list(h)
    nearest = np.clip(round_to(w[0] / 0.5, "half_down"), *qparams.grid.limits(qparams.zero_point))
    np.testing.assert_array_equal(choice_levels(qubo, np.array(h, int)), nearest)


@given(seed=SEEDS)
def test_a_rounded_bias_is_one_more_weight(seed):
    """D40: input 1, step s_b = s_w s_x for dividing and multiplying; all choices, exactly."""
    rng = np.random.default_rng(seed)
    row, x = dyadic_row(rng, 3), dyadic(rng, (3, 4), reach=4, denominator=2)
    bias, s_b = float(rng.integers(-99, 99)) / 16.0, 0.5 * 0.25
    longer = append_bias(row, bias, s_b)
    qubo = build_qubo(longer, input_moments(np.vstack([x, np.ones(4)])))
    assert qubo.free[-1]
    for h in itertools.product((0, 1), repeat=len(qubo.q)):
        levels = choice_levels(qubo, np.array(h, int))
        total = Fraction(0)
        for m in range(4):
            z = Fraction(bias) - Fraction(s_b) * int(levels[3])
            for i in range(3):
                w_hat = Fraction(row.step[i]) * int(levels[i])
                z += (Fraction(row.w[i]) - w_hat) * Fraction(x[i, m])
            total += z * z / 4
        energy = float(qubo_energy(qubo.q, np.array(h, int)))
        assert Fraction(energy) + Fraction(qubo.constant) == total


def test_a_row_of_a_tensor_is_flattened_with_its_own_grid():
    qparams = make_qparams(
        np.array([0.5, 0.25])[:, None, None, None], np.array([1, 3])[:, None, None, None],
        Grid("affine", 3),
    )  # fmt: skip
    w = np.arange(8.0, dtype=np.float32).reshape(2, 2, 2, 1)
    row = weight_row(w, qparams, 1)
    assert [part.tolist() for part in row] == [[4, 5, 6, 7], [0.25] * 4, [-3] * 4, [4] * 4]
    assert {part.dtype for part in row} == {np.dtype(np.float64)}


def test_a_row_without_free_weights():
    row = Row(np.array([9.0, -9.0]), np.ones(2), np.full(2, -2.0), np.ones(2))
    qubo = build_qubo(row, input_moments(np.eye(2)))
    assert qubo.q.shape == (0, 0)
    assert qubo.constant == (64.0 + 49.0) / 2.0
    empty = np.zeros(0, int)
    assert qubo_energy(qubo.q, empty) == 0.0
    assert choice_levels(qubo, empty).tolist() == [1, -2]
    assert nearest_choice(qubo).shape == (0,)


def test_bad_input_is_refused():
    row = dyadic_row(np.random.default_rng(0), 3)
    moments = input_moments(np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"moments.gram is of shape \(2, 2\)"):
        build_qubo(row, input_moments(np.ones((2, 2))))
    with pytest.raises(ValueError, match="only one of cross and plain"):
        build_qubo(row, moments._replace(cross=np.eye(3)))
    with pytest.raises(ValueError, match=r"row\.step is"):
        build_qubo(row._replace(step=-row.step), moments)
    with pytest.raises(ValueError, match=r"row\.w is nan"):
        build_qubo(row._replace(w=row.w * np.nan), moments)
    with pytest.raises(ValueError, match=r"row\.low is float64 of shape"):
        build_qubo(row._replace(low=np.zeros(2)), moments)
    with pytest.raises(ValueError, match=r"row\.w is inf"):
        append_bias(row, np.inf, 0.5)
    with pytest.raises(ValueError, match="x_hat is of shape"):
        input_moments(np.ones((3, 2)), np.ones((2, 2)))
    with pytest.raises(ValueError, match="x is nan"):
        input_moments(np.full((3, 2), np.nan))
    with pytest.raises(ValueError, match="at least one row and column"):
        input_moments(np.ones((3, 0)))
    with pytest.raises(ValueError, match="gram is of shape"):
        gram_loss(np.ones((1, 3)), np.ones((1, 3)), np.eye(2))
    qparams = make_qparams(np.ones((2, 1)), 0, Grid("signed", 4))
    with pytest.raises(ValueError, match="index is 2"):
        weight_row(np.ones((2, 3)), qparams, 2)
    with pytest.raises(ValueError, match="broadcasts to"):
        weight_row(np.ones((3, 3)), qparams, 0)
    with pytest.raises(ValueError, match="at least 2 axes"):
        weight_row(np.ones(3), qparams, 0)


@pytest.mark.parametrize(
    ("q", "h", "message"),
    [
        (np.ones((2, 3)), [0, 1], "a square matrix"),
        (np.array([[1.0, 2.0], [0.0, 1.0]]), [0, 1], r"not symmetric.*\(q \+ q\.T\) / 2"),
        (np.full((2, 2), np.nan), [0, 1], "q is nan"),
        (np.ones((2, 2)), [0, 2], r"h is in 0\.\.2"),
        (np.ones((2, 2)), [0, 1, 0], "2 entries in the last axis"),
        (np.ones((2, 2)), [0.0, 1.0], "an array of 0 and 1"),
    ],
)
def test_bad_energies_are_refused(q, h, message):
    with pytest.raises((ValueError, TypeError), match=message):
        qubo_energy(q, np.array(h))
