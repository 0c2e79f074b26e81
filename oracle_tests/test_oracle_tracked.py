"""Tracked numbers: exact values, bounds that float32 never breaks, doubts where it may decide."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.oracle.exact.tracked import SLACK, Ledger, Tracked, lift, lowest_bit, rational, split

single = st.floats(width=32, allow_nan=False, min_value=-(2.0**20), max_value=2.0**20).filter(
    lambda x: x == 0 or abs(x) > 2.0**-20
)
small = st.integers(-255, 255).map(lambda k: k / 16)
U, UNDERFLOW = Fraction(1, 2**24), Fraction(1, 2**140)


def error(value: object) -> Fraction:
    """Return the error of a number, 0 for one that is not tracked."""
    return value.error if isinstance(value, Tracked) else Fraction(0)


def allowed(tracked: Tracked) -> Fraction:
    """Return how far a float32 evaluation may lie from the value, and its last rounding's reach."""
    return tracked.error * U * SLACK


@given(
    st.lists(single, min_size=1, max_size=9), st.lists(single, min_size=1, max_size=9), st.data()
)
def test_no_order_of_a_float32_dot_product_breaks_the_bound(
    a: list[float], b: list[float], data: st.DataObject
) -> None:
    """Products are rounded, then summed in a drawn order."""
    n = min(len(a), len(b))
    ledger = Ledger()
    x, y = ([lift(v, ledger) for v in values[:n]] for values in (a, b))
    total = sum(p * q for p, q in zip(x, y, strict=True))
    order = data.draw(st.permutations(range(n)))
    result = np.float32(0)
    for i in order:
        result = np.float32(result + np.float32(np.float32(a[i]) * np.float32(b[i])))
    exact = sum(Fraction(p) * Fraction(q) for p, q in zip(a[:n], b[:n], strict=True))
    assert total.value == exact
    assert abs(Fraction(float(result)) - exact) <= allowed(total)


@given(single, single, single)
def test_no_float32_formula_breaks_the_bound(a: float, b: float, c: float) -> None:
    """Cancellation, quotients, and the reciprocal in place of a division."""
    if abs(c) < 2.0**-10:
        return
    ledger = Ledger()
    x, y, z = (lift(v, ledger) for v in (a, b, c))
    tracked = (x * y - x) / z
    f, g, h = np.float32(a), np.float32(b), np.float32(c)
    top = np.float32(np.float32(f * g) - f)
    for result in (np.float32(top / h), np.float32(top * np.float32(np.float32(1) / h))):
        assert (
            abs(Fraction(float(result)) - tracked.value) <= allowed(tracked) + Fraction(2) ** -140
        )


@given(st.lists(small, min_size=1, max_size=30))
def test_sums_of_small_dyadics_have_no_error(values: list[float]) -> None:
    """Every order gives the same bits, so the count of roundings is 0."""
    ledger = Ledger()
    total = sum(lift(v, ledger) * lift(0.5, ledger) for v in values)
    assert error(total) == 0
    assert total.value == sum(Fraction(v) / 2 for v in values)


def test_a_sum_that_passes_24_bits_has_an_error() -> None:
    """2^24 + 1 does not fit float32; 2^24 + 2 does, but not in every order of 1 + 1 + 2^24."""
    ledger = Ledger()
    large, one = lift(2.0**24, ledger), lift(1.0, ledger)
    assert error(large + one) == 2**24 + 1  # one addition, of terms of that magnitude
    assert error(one + one + large) == 2 * (2**24 + 2)
    assert error(large + large) == 0


def test_counts_of_single_operations() -> None:
    """A product rounds once, a division twice (by the reciprocal), powers of 2 never."""
    ledger = Ledger()
    a, b = lift(float(np.float32(0.1)), ledger), lift(float(np.float32(0.7)), ledger)
    assert error(a * b) == a.value * b.value
    assert error(a / b) == 2 * a.value / b.value
    assert error(a * 4) == error(a / 4) == error(a * -1) == error(-a) == error(a + 0) == 0
    assert error((a * b) * b) == 2 * a.value * b.value**2
    assert error((a * b) / 4) == a.value * b.value / 4


def test_doubts_are_counted_and_can_be_turned() -> None:
    """0.3 / 0.1 in float32 numbers lies within its error of 3: both floors are right."""
    a, b = float(np.float32(0.3)), float(np.float32(0.1))
    for flip, expected in ((False, math.floor(Fraction(a) / Fraction(b))), (True, None)):
        ledger = Ledger(flip=flip)
        found = math.floor(lift(a, ledger) / lift(b, ledger))
        assert ledger.doubts == 1
        other = 5 - math.floor(Fraction(a) / Fraction(b))  # of 2 and 3, the other
        assert found == (other if expected is None else expected)


@pytest.mark.parametrize(("number", "nearest"), [(2.5, 2), (3.5, 4), (-2.5, -2), (2.4375, 2)])
def test_clean_ties_are_no_doubt(number: float, nearest: int) -> None:
    """A tie that is exactly there goes to the even neighbour, and nobody may differ."""
    ledger = Ledger()
    assert round(lift(number, ledger)) == nearest
    assert ledger.doubts == 0


def test_comparisons_within_the_error_are_doubts() -> None:
    """And far from it they are not."""
    ledger = Ledger()
    x = lift(float(np.float32(0.1)), ledger) * lift(3.0, ledger)
    assert x > 0.25
    assert ledger.doubts == 0
    assert x < lift(float(np.float32(0.3)), ledger) or ledger.doubts
    assert ledger.doubts >= 1


@given(single)
def test_floor_ceil_and_trunc_are_those_of_the_value(x: float) -> None:
    """Of numbers without error."""
    number = lift(x, Ledger())
    assert math.floor(number) == math.floor(x)
    assert math.ceil(number) == math.ceil(x)
    assert math.trunc(number) == math.trunc(x)
    assert round(number) == round(Fraction(x))


@given(single)
def test_split_takes_the_fraction_without_rounding(x: float) -> None:
    """floor + fraction is the number, tracked or not."""
    for number in (x, lift(x, Ledger())):
        low, fraction = split(number)
        assert low == math.floor(x)
        assert rational(fraction) == Fraction(x) - low
        assert error(fraction) == 0


@pytest.mark.parametrize("special", [math.inf, -math.inf, math.nan])
def test_special_numbers_stay_floats(special: float) -> None:
    """And arithmetic with them is float arithmetic."""
    x = lift(2.0, Ledger())
    assert lift(special, Ledger()) is special
    for found, right in ((x + special, 2 + special), (special - x, special - 2)):
        assert isinstance(found, float)
        assert found == right or math.isnan(right)
    assert (x < math.inf) and not (x < math.nan)
    assert x / 0.0 == math.inf and -x / 0.0 == -math.inf


@pytest.mark.parametrize(
    ("value", "bit"),
    [(Fraction(3), 0), (Fraction(12), 2), (Fraction(3, 8), -3), (Fraction(1, 3), None)],
)
def test_the_lowest_bit(value: Fraction, bit: int | None) -> None:
    """None where there is no last binary digit."""
    assert lowest_bit(value) == bit


def test_powers_are_whole() -> None:
    """Others need the real functions, which keep the count."""
    x = lift(1.5, Ledger())
    assert (x**3).value == Fraction(27, 8)
    with pytest.raises(TypeError, match=r"real\.power"):
        x**0.5
