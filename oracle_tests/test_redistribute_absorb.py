"""Scales and shifts written into both neighbours leave the function unchanged (P60, P61)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.exact_lists import assert_rounded_once, dyadic, fractions_of
from refquant import numerics as nx
from refquant.oracle.exact import redistribute as twin
from refquant.redistribute.absorb import absorb_in_reader, absorb_in_writer
from refquant.redistribute.channels import column_max, edge_range, row_max

DTYPES = [np.float64, np.float32]
MODES = ["fast", "pinned"]
SEEDS = st.integers(0, 2**32 - 1)


# Maxima per channel


@pytest.mark.parametrize("dtype", DTYPES)
def test_maxima_by_hand(dtype):
    w = np.array([[1, -5], [2, 3], [-7, 0], [4, 4]], dtype)
    assert row_max(w).tolist() == [5.0, 3.0, 7.0, 4.0]
    assert column_max(w, 2).tolist() == [7.0, 5.0]
    assert column_max(w, 1).tolist() == [7.0]
    assert column_max(w, 4, groups=2).tolist() == [2.0, 5.0, 7.0, 4.0]
    assert column_max(w[:, :1], 4, groups=4).tolist() == [1.0, 2.0, 7.0, 4.0]
    assert row_max(w[:, 0]).tolist() == [1.0, 2.0, 7.0, 4.0]
    low, high = edge_range(w, 2)
    assert low.tolist() == [-7.0, -5.0] and high.tolist() == [4.0, 4.0]
    assert {row_max(w).dtype, column_max(w, 2).dtype, low.dtype, high.dtype} == {np.dtype(dtype)}


@given(
    seed=SEEDS,
    groups=st.integers(1, 3),
    rows=st.integers(1, 2),
    columns=st.integers(1, 3),
    features=st.integers(1, 3),
)
def test_column_max_against_loops(seed, groups, rows, columns, features):
    """Channel j of group g is read by the rows of that group only."""
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((groups * rows, columns * features, 2, 1))
    expected = []
    for channel in range(groups * columns):
        group, column = divmod(channel, columns)
        inside = w[group * rows : (group + 1) * rows]
        expected.append(np.abs(inside[:, column * features : (column + 1) * features]).max())
    assert column_max(w, groups * columns, groups).tolist() == expected


def test_edge_range_of_images_and_of_flattened_images():
    x = np.random.default_rng(0).standard_normal((3, 4, 2, 5))
    low, high = edge_range(x, 4)
    assert low.tolist() == [x[:, c].min() for c in range(4)]
    assert high.tolist() == [x[:, c].max() for c in range(4)]
    flat = edge_range(x.reshape(3, -1), 4)
    assert flat[0].tolist() == low.tolist() and flat[1].tolist() == high.tolist()


# Writing them into the layers


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
@given(seed=SEEDS)
def test_absorbing_is_that_of_exact_rationals(mode, dtype, seed):
    """P60: each entry rounded once; in rationals the function of both layers is the same."""
    rng = np.random.default_rng(seed)
    w1, w2 = dyadic(rng, (3, 2), dtype), dyadic(rng, (2, 3), dtype)
    b1, b2, shift = dyadic(rng, (3,), dtype), dyadic(rng, (2,), dtype), dyadic(rng, (3,), dtype)
    shift[0] = 0.5
    scale = np.array(rng.integers(1, 17, 3) / 4.0, dtype)
    lists = {k: fractions_of(v) for k, v in {"w1": w1, "w2": w2, "b1": b1, "b2": b2}.items()}
    change = fractions_of(scale), fractions_of(shift)
    first = twin.absorb_in_writer(lists["w1"], lists["b1"], *change)
    second = twin.absorb_in_reader(lists["w2"], lists["b2"], *change)
    with nx.arithmetic(mode):
        got = absorb_in_writer(w1, b1, scale, shift), absorb_in_reader(w2, b2, scale, shift)
    for mine, exact in zip((*got[0], *got[1]), (*first, *second), strict=True):
        assert_rounded_once(mine, exact, dtype)
    x = fractions_of(dyadic(rng, (4, 2)))
    before = twin.linear(twin.linear(x, lists["w1"], lists["b1"]), lists["w2"], lists["b2"])
    assert twin.linear(twin.linear(x, *first), *second) == before


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS)
def test_powers_of_two_change_no_bit_of_the_output(dtype, seed):
    """P61 exactly: real weights, scales 2^k, no shift."""
    rng = np.random.default_rng(seed)
    w1, w2, x = (rng.standard_normal(s).astype(dtype) for s in ((5, 4), (3, 5), (6, 4)))
    bias = rng.standard_normal(5).astype(dtype)
    scale = (2.0 ** rng.integers(-20, 20, 5)).astype(dtype)
    none = np.zeros(5, dtype)
    new1, new_bias = absorb_in_writer(w1, bias, scale, none)
    (new2,) = absorb_in_reader(w2, None, scale, none)
    with nx.arithmetic("pinned"):  # plain BLAS has the bits too, but need not sum as written
        hidden = nx.matmul(x, w1.T) + bias
        np.testing.assert_array_equal((nx.matmul(x, new1.T) + new_bias) * scale, hidden)
    products = (hidden[:, None, :] / scale) * new2
    np.testing.assert_array_equal(products, hidden[:, None, :] * w2)


def test_a_missing_bias_appears_only_with_a_shift():
    w, one, none = np.ones((2, 2)), np.ones(2), np.zeros(2)
    assert len(absorb_in_writer(w, None, one, none)) == 1
    assert len(absorb_in_reader(w, one, one, none)) == 1
    assert absorb_in_writer(w, None, 2 * one, one)[1].tolist() == [-0.5, -0.5]
    assert absorb_in_reader(w, None, 2 * one, one)[1].tolist() == [2.0, 2.0]
    assert absorb_in_writer(one, 3 * one, 2 * one, one)[0].tolist() == [0.5, 0.5]  # gamma


def test_readers_in_groups_and_behind_a_flattening():
    """Groups take their own scales; three features of one channel share one."""
    w = np.ones((4, 2, 1, 1))
    scale, shift = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 10.0, 100.0, 1000.0])
    scaled, bias = absorb_in_reader(w, None, scale, shift, groups=2)
    assert scaled[:, :, 0, 0].tolist() == [[1.0, 2.0], [1.0, 2.0], [3.0, 4.0], [3.0, 4.0]]
    assert bias.tolist() == [11.0, 11.0, 1100.0, 1100.0]
    flat, moved = absorb_in_reader(np.ones((1, 6)), np.array([5.0]), scale[:2], shift[:2])
    assert flat.tolist() == [[1.0, 1.0, 1.0, 2.0, 2.0, 2.0]]
    assert moved.tolist() == [38.0]


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS)
def test_the_float_function_stays_within_its_bound(dtype, seed):
    """P60: arbitrary scales and shifts; the bound counts about twenty roundings of each term."""
    rng = np.random.default_rng(seed)
    w1, w2, x = (rng.standard_normal(s).astype(dtype) for s in ((5, 4), (3, 5), (6, 4)))
    b1, b2 = rng.standard_normal(5).astype(dtype), rng.standard_normal(3).astype(dtype)
    scale = rng.uniform(0.1, 9.0, 5).astype(dtype)
    shift = rng.standard_normal(5).astype(dtype)
    first = absorb_in_writer(w1, b1, scale, shift)
    second = absorb_in_reader(w2, b2, scale, shift)
    wide = [v.astype(np.float64) for v in (x, w1, b1, w2, b2)]
    exact = (wide[0] @ wide[1].T + wide[2]) @ wide[3].T + wide[4]
    got = (x @ first[0].T + first[1]) @ second[0].T + second[1]
    x0, w10, b10, w20, b20 = map(np.abs, wide)
    size = (x0 @ w10.T + b10 + 2 * np.abs(shift)) @ w20.T + b20
    assert np.all(np.abs(got - exact) <= 20 * np.finfo(dtype).eps * size)
    assert got.dtype == dtype


def test_bad_input_is_refused():
    w, one, none = np.ones((2, 2)), np.ones(2), np.zeros(2)
    for absorb in (absorb_in_writer, absorb_in_reader):
        for scale in (np.array([1.0, 0.0]), np.array([1.0, -1.0]), np.array([1.0, np.inf])):
            with pytest.raises(ValueError, match="scale"):
                absorb(w, one, scale, none)
        with pytest.raises(TypeError, match="scale"):
            absorb(w, one, one.astype(np.float32), none)
        with pytest.raises(ValueError, match="shift"):
            absorb(w, one, one, np.zeros(3))
        with pytest.raises(ValueError, match="shift"):
            absorb(w, one, one, np.array([np.nan, 0.0]))
        with pytest.raises(ValueError, match="bias"):
            absorb(w, np.ones(3), one, one)
    with pytest.raises(ValueError, match="scale"):
        absorb_in_writer(w, one, np.ones(3), np.zeros(3))
    with pytest.raises(ValueError, match="3 channels"):
        absorb_in_reader(w, one, np.ones(3), np.zeros(3))
    with pytest.raises(ValueError, match="2 groups"):
        absorb_in_reader(np.ones((3, 2)), None, np.ones(4), np.zeros(4), groups=2)
    with pytest.raises(ValueError, match="row per channel"):
        row_max(np.ones((0, 2)))
    with pytest.raises(ValueError, match="multiple of 3"):
        edge_range(np.ones((2, 4)), 3)
    with pytest.raises(ValueError, match="elements"):
        edge_range(np.ones((0, 4)), 2)
    with pytest.raises(ValueError, match="c_in is a multiple"):
        column_max(np.ones(3), 3)
    with pytest.raises(TypeError, match="w"):
        column_max(np.ones((2, 2), np.int64), 2)


def test_read_only_operands_are_accepted():
    """Nothing is mutated."""
    values = np.ones((2, 2)), np.ones(2), np.array([2.0, 4.0]), np.ones(2)
    for value in values:
        value.flags.writeable = False
    assert absorb_in_writer(*values)[0].tolist() == [[0.5, 0.5], [0.25, 0.25]]
    assert absorb_in_reader(*values)[1].tolist() == [3.0, 3.0]
