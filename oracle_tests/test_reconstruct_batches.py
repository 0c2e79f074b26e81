"""Batches and mixed inputs are pure functions of their key."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant import numerics as nx
from refquant.methods import Mix
from refquant.reconstruct.batches import batch_indices, mixed_inputs

KEYS = st.tuples(st.integers(0, 2**63), st.integers(0, 3), st.integers(0, 99), st.integers(1, 9999))


@given(key=KEYS, count=st.integers(1, 70), batch=st.integers(1, 80))
def test_a_permutation_has_no_repeats(key, count, batch):
    """BRECQ: the first entries of a fresh order; all of them if the batch is as large."""
    rows = batch_indices(key, count, batch, "permutation")
    assert rows.dtype == np.int64 and len(rows) == min(batch, count)
    assert len(set(rows.tolist())) == len(rows) and set(rows.tolist()) <= set(range(count))
    order = nx.counter.permutation((*key, "batch"), count)
    np.testing.assert_array_equal(rows, order[:batch])


@given(key=KEYS, count=st.integers(1, 70), batch=st.integers(1, 80))
def test_draws_with_replacement_are_those_of_the_key(key, count, batch):
    """QDrop: always `batch` rows, also of fewer images; the recipe is the counter generator's."""
    rows = batch_indices(key, count, batch, "with_replacement")
    assert rows.dtype == np.int64 and rows.shape == (batch,)
    expected = [(int(b) >> 32) * count >> 32 for b in nx.counter.bits((*key, "batch"), batch)]
    assert rows.tolist() == expected


@pytest.mark.parametrize("sampling", ["permutation", "with_replacement"])
def test_a_batch_does_not_depend_on_what_ran_before(sampling):
    """The same key gives the same rows at any time; every part of the key matters."""
    np.random.seed(0)  # noqa: NPY002 - the global generator must play no part
    before = [batch_indices((3, 0, 2, t), 50, 8, sampling) for t in range(1, 6)]
    np.random.seed(1)  # noqa: NPY002
    after = [batch_indices((3, 0, 2, t), 50, 8, sampling) for t in range(5, 0, -1)][::-1]
    np.testing.assert_array_equal(before, after)
    others = [(4, 0, 2, 1), (3, 1, 2, 1), (3, 0, 1, 1), (3, 0, 2, 2)]
    assert all(np.any(batch_indices(k, 50, 8, sampling) != before[0]) for k in others)


def test_every_row_is_as_likely():
    """Over 4000 draws of 8 from 16, each row's share is within 5 standard deviations of 1/2."""
    for sampling, p in (("permutation", 0.5), ("with_replacement", 1 - (15 / 16) ** 8)):
        seen = np.zeros(16)
        for step in range(4000):
            seen[np.unique(batch_indices((0, 0, 0, step), 16, 8, sampling))] += 1
        assert np.all(np.abs(seen / 4000 - p) < 5 * np.sqrt(p * (1 - p) / 4000))


def pair(dtype=np.float64, n=12, edges=2):
    rng = np.random.default_rng(4)
    draw = [{f"e{i}": rng.normal(size=(n, 3, 2)).astype(dtype) for i in range(edges)}]
    real = {edge: value + dtype(100) for edge, value in draw[0].items()}
    return draw[0], real


@pytest.mark.parametrize("rule", ["bernoulli", "uniform"])
def test_without_a_mix_at_the_input_nothing_is_mixed(rule):
    """A mix at the quantizers is not the input's business."""
    quantized, real = pair()
    rows = np.array([3, 1, 3])
    for mixes in ((), (Mix(at="quantizers", rule=rule),)):
        found = mixed_inputs((0, 1), quantized, real, rows, mixes)
        for edge, value in found.items():
            np.testing.assert_array_equal(value, quantized[edge][rows])


def test_keep_one_is_the_quantized_and_keep_zero_the_float_input():
    """P30: bit for bit, whatever the other input holds."""
    quantized, real = pair()
    quantized["e0"][0, 0, 0], real["e0"][1, 0, 0] = -0.0, np.inf
    rows = np.array([0, 1, 5, 5])
    one = mixed_inputs((0, 1), quantized, real, rows, (Mix(at="input", keep=1.0),))
    zero = mixed_inputs((0, 1), quantized, real, rows, (Mix(at="input", keep=0.0),))
    for edge in quantized:
        assert one[edge].tobytes() == quantized[edge][rows].tobytes()
        assert zero[edge].tobytes() == real[edge][rows].tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("mix", "mean"),
    [(Mix(at="input", keep=0.25), 0.25), (Mix(at="input", rule="uniform"), 0.5)],
)
def test_a_mixed_input_has_the_expectation_of_its_rule(mix, mean, dtype):
    """P76: the mean over keys of the quantized share is `keep`, or 1/2 for uniform weights."""
    quantized, real = pair(dtype, n=4, edges=1)
    rows = np.arange(4)
    total = np.zeros((4, 3, 2))
    for step in range(3000):
        value = mixed_inputs((7, 0, 0, step), quantized, real, rows, (mix,))["e0"]
        assert value.dtype == dtype
        total += (real["e0"] - value) / 100.0
    spread = np.sqrt(mean * (1 - mean) / 3000)
    np.testing.assert_allclose(total / 3000, mean, atol=5 * spread)


def test_a_bernoulli_mix_takes_each_element_from_one_side():
    """By the counter generator's masks, one stream an edge and a mix."""
    quantized, real = pair()
    rows = np.arange(12)
    mixes = (Mix(at="input", keep=0.5),)
    found = mixed_inputs((2, 0, 1, 9), quantized, real, rows, mixes)
    for place, edge in enumerate(quantized):
        keep = nx.counter.uniform((2, 0, 1, 9, "mix", 0, place), (12, 3, 2)) < 0.5
        np.testing.assert_array_equal(found[edge], np.where(keep, quantized[edge], real[edge]))
    assert np.any((found["e0"] > 50) != (found["e1"] > 50))


def test_two_mixes_draw_on_their_own():
    """keep 1/2 twice keeps a quarter, not a half."""
    quantized = {"e": np.ones((50, 40))}
    real = {"e": np.zeros((50, 40))}
    mixes = (Mix(at="input"), Mix(at="input"))
    found = mixed_inputs((0, 0, 0, 1), quantized, real, np.arange(50), mixes)["e"]
    assert abs(found.mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 2000)
