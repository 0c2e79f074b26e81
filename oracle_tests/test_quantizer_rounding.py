"""Rounding against exact rationals, on ties, on their float neighbours and on special values."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refquant.oracle.exact import rounding as twin
from refquant.quantizers.rounding import ROUNDINGS, border_round, round_to

DTYPES = [np.float64, np.float32]
# The largest double below 1/2, and the one at which u - floor(u) rounds to exactly 1/2.
BELOW_HALF = 0.49999999999999994
NEXT_TO_MINUS_HALF = -(0.5 - 2.0**-54)
HALVES = st.integers(-(2**24), 2**24).map(lambda k: k / 2)


def neighbours(points, dtype, reach=3):
    """Each point with `reach` floats of this dtype on either side."""
    rows = [np.asarray(points, dtype=dtype)]
    for direction in (-np.inf, np.inf):
        row = rows[0]
        for _ in range(reach):
            row = np.nextafter(row, np.asarray(direction, dtype=dtype))
            rows.append(row)
    return np.concatenate(rows)


def tie_grid(dtype):
    """Every quarter in [-8, 8], ties next to the end of exactness, and all their neighbours."""
    end = 2.0 ** (np.finfo(dtype).nmant - 1)  # 2^51 in float64: the last binade with halves
    quarters = np.arange(-32, 33) / 4
    far = [s * (end + k / 2) for s in (-1, 1) for k in range(-5, 6)]
    return neighbours([*quarters, *far], dtype)


def as_ints(array):
    return [int(v) for v in array]


# values derived by hand from the table of methods 1.1
HAND = {
    #            -2.5  -1.5  -1.2  -0.5   0.5   1.5   2.5   2.7
    "rint":      [-2,   -2,   -1,    0,    0,    2,    2,    3],
    "half_up":   [-2,   -1,   -1,    0,    1,    2,    3,    3],
    "half_down": [-3,   -2,   -1,   -1,    0,    1,    2,    3],
    "half_away": [-3,   -2,   -1,   -1,    1,    2,    3,    3],
    "floor":     [-3,   -2,   -2,   -1,    0,    1,    2,    2],
    "ceil":      [-2,   -1,   -1,    0,    1,    2,    3,    3],
}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", HAND)
def test_hand_derived_values(mode, dtype):
    u = np.array([-2.5, -1.5, -1.2, -0.5, 0.5, 1.5, 2.5, 2.7], dtype=dtype)
    result = round_to(u, mode)
    assert result.dtype == dtype
    assert as_ints(result) == HAND[mode]


def test_both_implementations_offer_the_same_modes():
    assert list(HAND) == list(ROUNDINGS) == list(twin.MODES)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", HAND)
def test_modes_are_exact_on_the_tie_grid(mode, dtype):
    u = tie_grid(dtype)
    assert as_ints(round_to(u, mode)) == twin.round_to(u.tolist(), mode)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("border", [0.0, 0.25, 0.5, 0.75, 1.0, 1e-6, 1 - 1e-6, 5e-324])
def test_border_is_exact_on_the_tie_grid(border, dtype):
    u = tie_grid(dtype)
    b = np.asarray(border, dtype=dtype)
    expected = [twin.border_round(v, b.item()) for v in u.tolist()]
    assert as_ints(border_round(u, b)) == expected


@given(
    u=st.floats(-(2.0**60), 2.0**60) | HALVES | HALVES.map(lambda h: math.nextafter(h, 0.0)),
    mode=st.sampled_from(sorted(HAND)),
)
@example(u=BELOW_HALF, mode="half_up")
@example(u=-BELOW_HALF, mode="half_down")
@example(u=BELOW_HALF, mode="half_away")
@example(u=NEXT_TO_MINUS_HALF, mode="half_up")
def test_modes_are_exact_in_float64(u, mode):
    assert int(round_to(np.array(u), mode)) == twin.round_to(u, mode)


@given(u=st.floats(-(2.0**30), 2.0**30, width=32), mode=st.sampled_from(sorted(HAND)))
def test_modes_are_exact_in_float32(u, mode):
    assert int(round_to(np.array(u, dtype=np.float32), mode)) == twin.round_to(u, mode)


@st.composite
def border_near_the_fraction(draw):
    """A value and a border equal to its computed fraction, or a few floats beside it."""
    u = draw(st.floats(-4, 4) | st.floats(-0.5, 0.0) | st.just(1024.3) | st.floats(-1e9, 1e9))
    border = u - math.floor(u)
    towards = draw(st.sampled_from([-math.inf, math.inf]))
    for _ in range(draw(st.integers(0, 3))):
        border = math.nextafter(border, towards)
    return u, min(1.0, max(0.0, border))


@given(pair=border_near_the_fraction())
@example(pair=(NEXT_TO_MINUS_HALF, 0.5))
@example(pair=(-1e-300, 1.0))
@example(pair=(-1e-300, 0.9999999999999999))
@example(pair=(1024.3, math.nextafter(1024.3 - 1024, 0.0)))
def test_border_is_exact_when_it_meets_the_fraction(pair):
    u, border = pair
    assert int(border_round(np.array(u), border)) == twin.border_round(u, border)


def test_border_hand_derived_values():
    """Ties f = B go down; B = 1 keeps integral values (where ceil(u - 1) would not)."""
    u = np.array([2.0, 2.0, 2.25, 2.25, 2.25, -1.75, -1.75, -0.25, 3.0])
    b = np.array([0.0, 1.0, 0.25, 0.2, 0.3, 0.25, 0.2, 0.75, 1.0])
    assert as_ints(border_round(u, b)) == [2, 2, 2, 3, 2, -2, -1, -1, 3]
    assert as_ints(border_round(np.array([np.nextafter(2.0, 3.0)]), 0.0)) == [3]


def test_half_up_keeps_the_float_below_one_half():
    """floor(u + 1/2) would answer 1: the sum rounds to 1.0."""
    u = np.array([BELOW_HALF])
    assert np.floor(u + 0.5)[0] == 1.0
    assert round_to(u, "half_up")[0] == 0.0
    u32 = np.nextafter(np.float32(0.5), np.float32(0))[None]
    assert round_to(u32, "half_up")[0] == 0.0


def test_border_one_half_on_the_one_double_whose_fraction_is_inexact():
    """Methods 1.4: f rounds to 1/2 there; the exact fraction is above it, so the code is 0."""
    u = np.array([NEXT_TO_MINUS_HALF])
    assert (u - np.floor(u))[0] == 0.5
    assert border_round(u, 0.5)[0] == 0.0


@given(u=st.floats(-1e6, 1e6), b1=st.floats(0, 1), b2=st.floats(0, 1))
def test_border_is_monotone(u, b1, b2):
    """P66: a higher border never rounds higher, and the difference is at most 1."""
    low, high = sorted([b1, b2])
    difference = border_round(np.array(u), low) - border_round(np.array(u), high)
    assert difference in (0.0, 1.0)


@pytest.mark.parametrize("mode", HAND)
def test_special_values(mode):
    u = np.array([np.nan, np.inf, -np.inf, 2.0**53, -(2.0**62), 1.7e308, 0.0, -0.0])
    result = round_to(u, mode)
    assert np.isnan(result[0])
    np.testing.assert_array_equal(result[1:], u[1:])
    np.testing.assert_array_equal(np.signbit(result[1:]), np.signbit(u[1:]))


@pytest.mark.parametrize("border", [0.0, 0.5, 1.0])
def test_special_values_at_a_border(border):
    u = np.array([np.nan, np.inf, -np.inf, 2.0**53, -(2.0**62), 1.7e308, 0.0, -0.0])
    result = border_round(u, border)
    assert np.isnan(result[0])
    np.testing.assert_array_equal(result[1:], u[1:])
    np.testing.assert_array_equal(np.signbit(result[1:]), np.signbit(u[1:]))


@pytest.mark.parametrize("mode", HAND)
@pytest.mark.parametrize("u", [-0.3, -0.5, 0.3, 0.5])
def test_a_zero_result_carries_the_sign_of_its_argument(mode, u):
    result = round_to(np.array(u), mode)
    assert np.signbit(result) == (u < 0)
    assert np.signbit(border_round(np.array(u), 0.5)) == (u < 0)


def test_arguments_are_not_changed_and_shape_and_dtype_are_kept():
    u = np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)
    before = u.copy()
    for result in [round_to(u, m) for m in HAND] + [border_round(u, np.full((3, 1), 0.5))]:
        assert result.shape == (3, 4)
        assert result.dtype == np.float32
    np.testing.assert_array_equal(u, before)


def test_bad_input_is_refused():
    with pytest.raises(TypeError, match=r"round_to\(\): x is int64"):
        round_to(np.arange(3), "rint")
    with pytest.raises(ValueError, match="half_up"):
        round_to(np.zeros(3), "halfup")
    for bad in (-1e-9, 1.0000001, np.nan):
        with pytest.raises(ValueError, match="border is in"):
            border_round(np.zeros(3), bad)
    with pytest.raises(ValueError, match="broadcasts"):
        border_round(np.zeros(3), np.zeros(4))
    with pytest.raises(TypeError, match="list"):
        border_round([0.5], 0.5)
