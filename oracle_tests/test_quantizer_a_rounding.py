"""A-rounding: nearest, then flips that cancel rounding errors in channels and vectors."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, target
from hypothesis import strategies as st

from oracle_tests.exact_lists import fractions_of
from refquant import numerics as nx
from refquant.oracle.exact import a_rounding as twin
from refquant.quantizers.a_rounding import a_rounding
from refquant.quantizers.grid import Grid, make_qparams
from refquant.quantizers.squant import squant_codes

DTYPES = [np.float64, np.float32]
MODES = ["fast", "pinned"]
SEEDS = st.integers(0, 2**32 - 1)
WIDE = (-(10**6), 10**6)


@st.composite
def vectors(draw, channels=6, positions=6):
    """u on eighths near a few levels: ties of r, of |r| between elements and of sums abound."""
    c, k = draw(st.integers(1, channels)), draw(st.integers(1, positions))
    eighths = st.sampled_from(
        draw(st.sampled_from([(4, -4, 12), (3, 5), (1, 2, 4, 6), range(-24, 25)]))
    )
    return [[draw(eighths) / 8 for _ in range(k)] for _ in range(c)]


def rounded(u, n=WIDE[0], p=WIDE[1]):
    """Levels and residuals as exact lists."""
    q, r = a_rounding(np.array(u), n, p)
    return q.tolist(), r.tolist()


def test_channel_stage_by_hand():
    """Four times 3/8: S = -3/2, half-even gives 2 flips, the first two by index; T = 1/2 stays."""
    q, r = rounded([[0.375] * 4])
    assert q == [[1, 1, 0, 0]]
    assert r == [[0.625, 0.625, -0.375, -0.375]]


def test_vector_stage_by_hand():
    """Channels at S = -1/4, -3/8, 1/4, -1/4, -1/4: T = -7/8, one flip, up, of the largest |r|.

    Channel 2 starts at -3/4 and over-shoots by its one flip: its candidate would go back down.
    """
    q, r = rounded([[0.25, 0.0], [0.375, 0.0], [0.375, 0.375], [0.25, 1.0], [0.0, 0.25]])
    assert q == [[0, 0], [1, 0], [1, 0], [0, 1], [0, 0]]
    assert r[1] == [0.625, 0.0]
    assert sum(map(sum, r)) == 0.125


def test_vector_stage_looks_at_the_residual_after_the_channel_stage():
    """Convention 18: 3/8 flipped up has |r| = 5/8 and goes before 7/16, which is tried first.

    Channel 0 has r = 7/16, -3/16 (no flip), channels 1 and 2 each flip once: S = 1/4 thrice.
    """
    q, _ = rounded([[0.5625, 0.1875], [0.375, 0.375], [0.375, 0.375]])
    assert q == [[1, 0], [0, 0], [1, 0]]


def test_a_channel_without_error_offers_no_candidate():
    """Channel 0 has r = 1/4 and -1/4, S = 0; T = 3/4 is left to channels 1 and 2.

    Both have |r| = 3/8: one flip down, ties by channel.
    """
    q, _ = rounded([[0.75, 0.25], [-0.375, 0.0], [-0.375, 0.0]])
    assert q == [[1, 0], [-1, 0], [0, 0]]


def test_an_exact_flip_names_the_way_back():
    """S = 1 exactly, n = 1: the candidate is the flipped element, upwards.

    Channel 0: r = 1/2, 1/2 -> down: -1/2, 1/2 and S = 0. Channels 1, 2: S = -3/8, T = -3/4: the
    largest |r| going up is channel 0's flipped -1/2.
    """
    q, _ = rounded([[1.5, 3.5], [0.375, 0.0], [0.375, 0.0]])
    assert q == [[2, 4], [0, 0], [0, 0]]
    assert rounded([[1.5, 3.5]])[0] == [[1, 4]]


@given(u=vectors(), n=st.integers(-3, 0), width=st.integers(0, 4))
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
def test_equal_to_the_twin_on_dyadic_vectors(mode, dtype, u, n, width):
    """Golden op 51, clipping (D18) included."""
    array = np.array(u, dtype=dtype)
    with nx.arithmetic(mode):
        q, r = a_rounding(array, n, n + width)
    expected, residuals = twin.a_rounding(fractions_of(array), n, n + width)
    assert q.tolist() == expected
    assert fractions_of(r) == residuals
    assert (q.dtype, r.dtype) == (np.int64, dtype)


@given(seed=SEEDS, c=st.integers(1, 12), k=st.sampled_from([1, 4, 9]))
@pytest.mark.parametrize("dtype", DTYPES)
def test_equal_to_the_twin_on_real_vectors(dtype, seed, c, k):
    u = np.random.default_rng(seed).normal(0, 2, (c, k)).astype(dtype)
    q, _ = a_rounding(u, -2, 3)
    assert q.tolist() == twin.a_rounding(u.tolist(), -2, 3)[0]


@given(u=vectors())
def test_bounds(u):
    """P37, P38, P39, P79: sums and elements stay within their bounds."""
    q, r = rounded(u)
    total = sum(map(sum, r))
    target(abs(total))
    assert abs(total) <= 0.5
    assert abs(sum(map(sum, q)) - sum(map(sum, u))) <= 0.5
    for levels, row, residuals in zip(q, u, r, strict=True):
        assert abs(sum(residuals)) <= 1.0
        start = [round(Fraction(v)) for v in row]
        first = sum(a - b for a, b in zip(start, row, strict=True))
        assert sum(a != b for a, b in zip(start, levels, strict=True)) <= round(abs(first)) + 1
        for level, v in zip(levels, row, strict=True):
            assert level in (np.floor(v), np.ceil(v))


@given(u=vectors(channels=1, positions=9))
def test_channel_sums_after_the_channel_stage(u):
    """P36: one channel alone cannot be touched by stage 3, as |T| <= 1/2."""
    _, r = rounded(u)
    assert abs(sum(r[0])) <= 0.5
    w, one = np.array(u)[None], make_qparams(1.0, 0, Grid("signed", 8))
    codes = squant_codes(w, one, kernel=True, channel=False)
    assert abs((codes - w).sum()) <= 0.5


@given(u=vectors(channels=8, positions=1))
def test_one_position_is_optimal(u):
    """P77, P80: K = 1 flips nothing in stage 2, and stage 3 flips as few elements as possible."""
    column = [v for (v,) in u]
    start = [round(Fraction(v)) for v in column]
    excess = sum(start) - sum(column)
    assume(excess % 1 != 0.5)
    choices = itertools.product(*({int(np.floor(v)), int(np.ceil(v))} for v in column))
    fewest = min(
        sum(a != b for a, b in zip(choice, start, strict=True))
        for choice in choices
        if abs(sum(choice) - sum(column)) <= 0.5
    )
    q, _ = rounded(u)
    assert sum(a != b for (a,), b in zip(q, start, strict=True)) == fewest
    flipped = squant_codes(
        np.array(u)[None], make_qparams(1.0, 0, Grid("signed", 8)), kernel=True, channel=False
    )
    assert flipped.ravel().tolist() == start


def test_whole_numbers_stay():
    """P78."""
    u = np.array([[3.0, -2.0], [0.0, 1e300]])
    q, r = a_rounding(u, -4, 7)
    assert q.tolist() == [[3, -2], [0, 7]]
    assert not r.any()


def test_blocked_elements_are_not_flipped():
    """D18: p = 1 blocks u = 1.25 from going up, n = 0 blocks u = -0.25 from going down."""
    # r = -1/4, -1/4, -1/4, 0: S = -3/4 asks for one flip up; index 2 is the first that is free
    q, r = a_rounding(np.array([[1.25, 1.25, 0.25, 0.0]]), 0, 1)
    assert q.tolist() == [[1, 1, 1, 0]]
    assert r.tolist() == [[-0.25, -0.25, 0.75, 0.0]]
    q, _ = a_rounding(np.array([[-0.25, -0.25, 0.75, 1.0]]), 0, 1)
    assert q.tolist() == [[0, 0, 0, 1]]
    # the ends themselves are blocked as well, but r = 0 there anyway; beyond p down is allowed
    q, r = a_rounding(np.array([[1.625, 1.75, 0.0]]), 0, 1)
    assert q.tolist() == [[1, 1, 0]]
    assert r.tolist() == [[-0.625, 0.25, 0.0]]


def test_too_few_free_elements():
    """S = -1.5 asks for two flips up, but only one element is below p = 1: no candidate then."""
    u = [[1.375, 1.375, 1.375, 0.375]]
    q, r = a_rounding(np.array(u), 0, 1)
    assert q.tolist() == [[1, 1, 1, 1]]
    assert r.tolist() == [[-0.375, -0.375, -0.375, 0.625]]
    assert twin.a_rounding(u, 0, 1)[0] == q.tolist()


def test_special_values_take_no_part():
    """NaN gives level 0, the infinities the ends, with r = 0; the rest rounds as without them."""
    u = np.array([[np.nan, 0.375, 0.375], [np.inf, -np.inf, 0.25]])
    q, r = a_rounding(u, -2, 5)
    assert q.tolist() == [[0, 1, 0], [5, -2, 0]]
    assert r.tolist() == [[0.0, 0.625, -0.375], [0.0, 0.0, -0.25]]


@pytest.mark.parametrize("mode", MODES)
def test_leading_axes_and_limits_are_independent(mode):
    rng = np.random.default_rng(5)
    u = rng.integers(-40, 41, (3, 2, 5, 4)) / 8
    low, high = rng.integers(-3, 0, (3, 1, 1, 1)), rng.integers(1, 4, (2, 1, 1))
    u.flags.writeable = False
    with nx.arithmetic(mode):
        q, r = a_rounding(u, low, high)
    for i, j in np.ndindex(3, 2):
        alone = a_rounding(u[i, j], int(low[i, 0, 0, 0]), int(high[j, 0, 0]))
        np.testing.assert_array_equal(q[i, j], alone.q)
        np.testing.assert_array_equal(r[i, j], alone.r)
    assert a_rounding(np.zeros((0, 2, 3)), 0, 1).q.shape == (0, 2, 3)


@pytest.mark.parametrize(
    ("u", "n", "p", "error", "match"),
    [
        ([[0.5]], 0, 1, TypeError, "numpy array"),
        (np.zeros(3), 0, 1, ValueError, "features, 1"),
        (np.zeros((2, 0)), 0, 1, ValueError, "K >= 1"),
        (np.zeros((2, 2)), 0.0, 1, TypeError, "n is float64"),
        (np.zeros((2, 2)), 0, np.zeros(3, np.int64), ValueError, "p is of shape"),
        (np.zeros((2, 2)), 2, 1, ValueError, "n <= p"),
        (np.zeros((2, 2), np.int64), 0, 1, TypeError, "float32 or float64"),
    ],
)
def test_bad_vectors_are_refused(u, n, p, error, match):
    with pytest.raises(error, match=match):
        a_rounding(u, n, p)
