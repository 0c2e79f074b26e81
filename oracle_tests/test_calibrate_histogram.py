"""Histograms whose bins are decided exactly (methods 21, convention 3)."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.exact_lists import fractions_of
from refquant.calibrate.histogram import bin_index, histogram
from refquant.oracle.exact import kl as twin

SEEDS = st.integers(0, 2**32 - 1)


def test_bins_by_hand():
    """Eight bins of width 1 over [-4, 4], four over [0, 4]; the last one is closed."""
    rows = np.array([[-4.0, -3.5, -3.0, -1e-300, 0.0, 0.5, 3.0, 4.0]])
    assert bin_index(rows, 8, True).tolist() == [[0, 0, 1, 3, 4, 4, 7, 7]]
    assert histogram(rows, 8, True).tolist() == [[2, 1, 0, 1, 2, 0, 0, 2]]
    assert bin_index(np.abs(rows), 4, False).tolist() == [[3, 3, 3, 0, 0, 0, 3, 3]]


def test_quotients_that_round_to_the_wrong_side():
    """Half of T lies on the edge of bin bins/2, minus half of T on that of bin bins/4.

    With these T and bins the product bins * v is inexact and the quotient in floats falls
    short of the edge; just below 0 it is rounded onto the edge instead.
    """
    top = float.fromhex("0x1.c31835940ed86p-1")
    assert np.floor(6 * (top / 2) / top) == 2.0
    assert bin_index(np.array([[top / 2, top]]), 6, False)[0, 0] == 3
    top = float.fromhex("0x1.57beb2d7d7334p-1")
    assert np.floor((100 * (-top / 2) / top + 100) / 2) == 24.0
    assert bin_index(np.array([[-top / 2, top]]), 100, True)[0, 0] == 25
    assert bin_index(np.array([[-1e-20, 1.0]]), 512, True)[0, 0] == 255


@given(
    seed=SEEDS,
    bins=st.sampled_from([1, 2, 7, 8, 64, 512, 1000, 4096]),
    mirrored=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]),
    exponent=st.integers(-120, 120),
)
def test_values_beside_every_edge(seed, bins, mirrored, dtype, exponent):
    """A random T, the floats nearest to random edges and their neighbours on either side."""
    rng = np.random.default_rng(seed)
    top = np.ldexp(dtype(rng.uniform(0.5, 1.0)), exponent)
    k = rng.integers(0, bins + 1, 12)
    exact = [Fraction(float(top)) * (2 * int(j) - bins if mirrored else int(j)) / bins for j in k]
    edges = np.array([float(e) for e in exact]).astype(dtype)
    near = [edges, np.nextafter(edges, dtype(np.inf)), np.nextafter(edges, dtype(-np.inf))]
    row = np.concatenate([*near, [top]]).astype(dtype)
    row = np.clip(row, -top if mirrored else 0, top)
    counts = histogram(row[np.newaxis], bins, mirrored)
    assert counts.dtype == np.int64
    assert counts[0].tolist() == twin.histogram(fractions_of(row), bins, mirrored)


@pytest.mark.parametrize("top", [1.7e308, 1e300, 3e-308, 5e-324, 1e-310])
def test_ends_of_the_range_of_floats(top):
    """Huge and subnormal T, beside values that vanish when scaled to it."""
    row = np.array([top, -top, top / 3, -top / 7, 5e-324, -5e-324, 0.0, -0.0])
    row = row[np.abs(row) <= top]
    counts = histogram(row[np.newaxis], 512, True)
    assert counts[0].tolist() == twin.histogram(fractions_of(row), 512, True)


def test_rows_have_their_own_range():
    """Each row is scaled by its own T; a zero row fills the bin that holds 0."""
    rows = np.array([[1.0, -0.5, 0.25], [8.0, -4.0, 2.0], [0.0, 0.0, 0.0]])
    expected = [[0, 1, 1, 1], [0, 1, 1, 1], [0, 0, 3, 0]]
    assert histogram(rows, 4, True).tolist() == expected
