"""Bit allocation: equal to brute force and to a foreign solver, ties, CalibTIP's programme."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from oracle_tests.exact_lists import fractions_of
from refquant.optimal import bit_allocation
from refquant.optimal.bit_allocation import allocate_bits, calibtip_problem
from refquant.optimal.bit_allocation_milp import allocate_bits_milp
from refquant.oracle.exact import bit_allocation as twin

DTYPES = [np.float64, np.float32]
SEEDS = st.integers(0, 2**32 - 1)


def test_by_hand():
    """Two layers at 8 or 4 bits, 100 and 50 weights: 900 bits let only layer 0 keep 8 at most."""
    loss = np.array([[0.0, 3.0], [0.0, 1.0]])
    size = np.array([[800.0, 400.0], [400.0, 200.0]])
    for budget, choice, worse in (
        (1200, [0, 0], 0),
        (1199, [0, 1], 1),
        (999, [1, 0], 3),
        (600, [1, 1], 4),
    ):
        result = allocate_bits(loss, size, budget)
        assert result.choice.tolist() == choice
        assert result.loss == worse
        assert result.size == sum(size[i, c] for i, c in enumerate(choice))
        assert result.choice.dtype == np.int64


@st.composite
def problems(draw):
    """Small whole losses and sizes: ties everywhere; the budget is often met exactly."""
    layers, choices = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    rows = st.lists(
        st.lists(st.integers(-2, 3), min_size=choices, max_size=choices),
        min_size=layers,
        max_size=layers,
    )
    loss, size = draw(rows), draw(rows)
    least = sum(min(row) for row in size)
    return loss, size, least + draw(st.integers(-1, 3 * layers))


@given(problem=problems(), scale=st.sampled_from([1.0, 0.125, 2.0**-40, 2.0**30]))
@pytest.mark.parametrize("dtype", DTYPES)
def test_equal_to_brute_force(dtype, problem, scale):
    """P51, convention 7: the lexicographically smallest optimum, or a refusal if nothing fits."""
    loss, size, budget = problem
    arrays = np.array(loss, dtype), np.array(size, dtype) * dtype(scale)
    expected = twin.allocate_bits(loss, size, budget)
    event(f"feasible: {expected is not None}")
    if expected is None:
        with pytest.raises(ValueError, match="budget"):
            allocate_bits(*arrays, budget * scale)
        return
    result = allocate_bits(*arrays, budget * scale)
    assert tuple(result.choice.tolist()) == expected
    assert result.loss == twin.total(loss, expected)
    assert result.size == twin.total(size, expected) * scale


@given(seed=SEEDS, layers=st.integers(1, 6), choices=st.integers(1, 3), tight=st.floats(0, 1))
def test_real_numbers_are_compared_exactly(seed, layers, choices, tight):
    """P51 on floats whose sums would round: the twin computes in Fractions."""
    rng = np.random.default_rng(seed)
    shape = (layers, choices)
    loss, size = rng.choice([0.1, 0.2, 0.3, 0.7], shape), rng.choice([0.1, 0.2, 0.3, 1.1], shape)
    least, most = size.min(axis=1).sum(), size.max(axis=1).sum()
    budget = float(least + tight * (most - least)) + 1e-9
    expected = twin.allocate_bits(fractions_of(loss), fractions_of(size), Fraction(budget))
    assert tuple(allocate_bits(loss, size, budget).choice.tolist()) == expected


def test_a_last_bit_decides():
    """0.1 + 0.2 as floats is above 0.3 in exact arithmetic, and above the float 0.3 too."""
    loss, size = np.array([[0.0, 1.0], [0.0, 1.0]]), np.array([[0.1, 0.0], [0.2, 0.0]])
    exact = Fraction(0.1) + Fraction(0.2)
    above = float(np.nextafter(0.3, 1.0))
    assert Fraction(0.3) < exact <= Fraction(above)
    assert allocate_bits(loss, size, 0.3).choice.tolist() == [0, 1]
    assert allocate_bits(loss, size, above).choice.tolist() == [0, 0]


def test_equal_to_scipys_solver():
    """P51 where brute force is out of reach: 30 layers, four widths; HiGHS as a second opinion."""
    rng = np.random.default_rng(7)
    for share in (0.3, 0.6):
        counts = rng.integers(100, 50_000, 30)
        loss = np.sort(rng.exponential(size=(30, 4)), axis=1) * rng.exponential(size=(30, 1))
        size = counts[:, None] * np.array([8.0, 6.0, 4.0, 2.0])
        budget = float(share * size[:, 0].sum())
        own, other = allocate_bits(loss, size, budget), allocate_bits_milp(loss, size, budget)
        np.testing.assert_allclose(own.loss, other.loss, rtol=1e-6)
        assert own.loss <= other.loss and max(own.size, other.size) <= budget


def test_more_budget_is_never_worse():
    rng = np.random.default_rng(3)
    loss, size = rng.random((12, 3)), rng.integers(1, 20, (12, 3)).astype(float)
    losses = [allocate_bits(loss, size, b).loss for b in range(int(size.min(1).sum()), 240, 9)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] == float(sum(Fraction(v) for v in loss.min(axis=1).tolist()))


@given(seed=SEEDS, power=st.sampled_from([1, 2]), share=st.sampled_from([0.25, 0.1875, 0.125]))
def test_calibtips_constraint(seed, power, share):
    """Methods 8: saved >= total (1 - D 32 / base) says the same as size <= budget."""
    rng = np.random.default_rng(seed)
    counts, bits = rng.integers(1, 50, 3), (8, 4, 2)
    increase = rng.integers(-2, 6, (3, 3)) / 4
    problem = calibtip_problem(increase, counts, bits, share, power)
    for choice in itertools.product(range(3), repeat=3):
        saved = twin.calibtip_saving(counts.tolist(), list(bits), choice, 8, power)
        needed = twin.calibtip_required(counts.tolist(), Fraction(share), 8, power)
        size = sum(problem.size[i, c] for i, c in enumerate(choice))
        assert (saved >= needed) == (size <= problem.budget)
    np.testing.assert_array_equal(problem.loss[:, 0], 0.0)
    np.testing.assert_array_equal(problem.loss[:, 1:], np.maximum(increase[:, 1:], 1e-6))


def test_calibtip_by_hand():
    """10 and 20 weights, 8 or 4 bits, D = 0.1875: 30 * 32 * 0.1875 = 180 bits; 80 + 80 fit."""
    increase = np.array([[0.5, 0.25], [0.0, 0.125]])
    problem = calibtip_problem(increase, np.array([10, 20]), (8, 4), 0.1875)
    assert problem.budget == 180.0
    assert problem.size.tolist() == [[80.0, 40.0], [160.0, 80.0]]
    assert allocate_bits(*problem).choice.tolist() == [0, 1]
    squared = calibtip_problem(increase, np.array([10, 20]), (8, 4), 0.1875, power=2)
    assert squared.size.tolist() == [[640.0, 160.0], [1280.0, 320.0]]
    assert squared.budget == 1440.0


def test_a_good_price_leaves_few_states(monkeypatch):
    """60 layers, 4^60 choices: the multiplier leaves a handful of states, price 0 a thousand."""
    rng = np.random.default_rng(7)
    size = rng.random((60, 4))
    loss = 1.0 - size + 0.5 * rng.random((60, 4))
    budget = float(0.5 * (size.min(axis=1) + size.max(axis=1)).sum())
    free = allocate_bits(loss, size, budget)
    monkeypatch.setattr(bit_allocation, "MAX_STATES", 50)
    assert allocate_bits(loss, size, budget).choice.tolist() == free.choice.tolist()
    monkeypatch.setattr(bit_allocation, "TRIALS", 1)
    with pytest.raises(ValueError, match="more than 50 states"):
        allocate_bits(loss, size, budget)


def test_too_many_states_are_refused(monkeypatch):
    """Every subset a different size and a fair loss: nothing can be pruned."""
    size = np.stack([np.zeros(12), 3.0 ** np.arange(12)], axis=1)
    loss = size[:, ::-1].copy()
    budget = float(size[:, 1].sum() / 2)
    allocate_bits(loss, size, budget)
    monkeypatch.setattr(bit_allocation, "MAX_STATES", 50)
    with pytest.raises(ValueError, match="more than 50 states"):
        allocate_bits(loss, size, budget)


def test_bad_input_is_refused():
    table = np.ones((2, 2))
    table.flags.writeable = False
    allocate_bits(table, table, 2.0)
    with pytest.raises(ValueError, match=r"smallest choices need 2\.0"):
        allocate_bits(table, table, 1.5)
    with pytest.raises(ValueError, match="budget is nan"):
        allocate_bits(table, table, float("nan"))
    with pytest.raises(ValueError, match="size is of shape"):
        allocate_bits(table, np.ones((2, 3)), 9.0)
    with pytest.raises(ValueError, match="at least one choice"):
        allocate_bits(np.ones((2, 0)), np.ones((2, 0)), 1.0)
    with pytest.raises(ValueError, match="loss is inf"):
        allocate_bits(np.full((2, 2), np.inf), table, 9.0)
    with pytest.raises(ValueError, match="size is inf"):
        allocate_bits(table, np.full((2, 2), 1.5e308), 9.0)
    with pytest.raises(TypeError, match="counts is float64"):
        calibtip_problem(table, np.ones(2), (8, 4), 0.2)
    with pytest.raises(ValueError, match="counts, widths"):
        calibtip_problem(table, np.ones(3, np.int64), (8, 4), 0.2)
    with pytest.raises(ValueError, match="counts >= 1"):
        calibtip_problem(table, np.array([1, 0]), (8, 4), 0.2)
    with pytest.raises(ValueError, match="power"):
        calibtip_problem(table, np.array([1, 1]), (8, 4), 0.2, power=3)
    with pytest.raises(ValueError, match="bits"):
        calibtip_problem(table, np.array([1, 1]), (8, 0), 0.2)
