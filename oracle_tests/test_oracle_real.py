"""exp, log, powers and roots of exact numbers: right to 60 digits, with honest errors."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.oracle.exact import real
from refquant.oracle.exact.traced import Log, Traced
from refquant.oracle.exact.tracked import Ledger, Tracked, lift

mpmath.mp.prec = 400
CASES: list[tuple[Callable[[Any], Any], Callable[[Any], Any], float, float]] = [
    (real.exp, mpmath.exp, -30.0, 30.0),
    (real.log, mpmath.log, 2.0**-20, 1e6),
    (real.sqrt, mpmath.sqrt, 0.0, 1e6),
    (real.tanh, mpmath.tanh, -20.0, 20.0),
    (real.cos, mpmath.cos, 0.0, 6.28125),
    (real.sigmoid, lambda x: 1 / (1 + mpmath.exp(-x)), -30.0, 30.0),
]

NAMES = [function.__name__ for function, *_ in CASES]


def near(found: Fraction, right: Any) -> bool:
    """Whether a rational equals a real number to 60 digits (or 10^-60, near zero)."""
    exact = mpmath.mpf(found.numerator) / found.denominator
    return bool(abs(exact - right) <= mpmath.mpf(10) ** -60 * max(abs(right), mpmath.mpf(1)))


@pytest.mark.parametrize(("function", "right", "low", "high"), CASES, ids=NAMES)
@given(data=st.data())
def test_exact_numbers_give_sixty_digits(
    function: Any, right: Any, low: float, high: float, data: st.DataObject
) -> None:
    """On Fractions and on tracked numbers alike."""
    x = data.draw(st.floats(low, high, width=32))
    expected = right(mpmath.mpf(x))
    assert near(Fraction(function(Fraction(x))), expected)
    assert near(function(lift(x, Ledger())).value, expected)
    assert math.isclose(function(x), float(expected), rel_tol=1e-14, abs_tol=1e-15)


@pytest.mark.parametrize(("function", "right", "low", "high"), CASES, ids=NAMES)
def test_float32_functions_lie_within_the_recorded_error(
    function: Any, right: Any, low: float, high: float
) -> None:
    """The float32 formula of each, from an argument that is itself rounded."""
    rng = np.random.default_rng(7)
    arguments = rng.uniform(max(low, -10), min(high, 10), 200).astype(np.float32)
    third = np.float32(1) / np.float32(3)
    numpy_function = {"sigmoid": lambda x: np.float32(1) / (np.float32(1) + np.exp(-x))}.get(
        function.__name__, getattr(np, function.__name__, None)
    )
    for a in arguments:
        ledger = Ledger()
        tracked = function(lift(float(a), ledger) * lift(float(third), ledger))
        found = Fraction(float(numpy_function(np.float32(a * third))))
        assert abs(found - tracked.value) <= tracked.error * Fraction(2) ** -24 * Fraction(
            1025, 1024
        )


@given(st.floats(1 / 1024, 64, width=32), st.sampled_from([0.5, 1.5, 2.4, 19.0, 2, 3.0, 0, 1]))
def test_powers(base: float, exponent: float) -> None:
    """A whole exponent up to 4 is multiplied out."""
    found = real.power(lift(base, Ledger()), exponent)
    assert near(found.value, mpmath.mpf(base) ** mpmath.mpf(exponent))


def test_exact_arguments_of_exact_results_have_no_error() -> None:
    """exp(0), log(1), roots of squares: every library gives them exactly."""
    ledger = Ledger()
    assert real.exp(lift(0.0, ledger)).error == 0
    assert real.log(lift(1.0, ledger)).error == 0
    assert real.sqrt(lift(2.25, ledger)).error == 0 and real.sqrt(lift(2.25, ledger)).value == 1.5
    assert real.sqrt(lift(2.0, ledger)).error > 0


def test_traced_numbers_keep_the_function_as_a_step() -> None:
    """For explanations."""
    x = Traced(Log(), Fraction(1, 2), 0.5, name="x")
    y = real.exp(x)
    assert (y.operation, y.operands) == ("exp", (x,))
    assert y.near == math.exp(0.5)
    assert real.power(x, 1.5).operation == "power"


@pytest.mark.parametrize("count", [1001, 65543])
def test_a_long_product_is_exact_and_its_error_covers_every_order(count: int) -> None:
    """(1 - 2^-14)^n: the exact power, and float32 products from left to right and by halves."""
    base = 1.0 - 2.0**-14
    found = real.repeated(lift(base, Ledger()), count)
    assert near(found.value, mpmath.mpf(base) ** count)
    forwards, halves, rest, n = np.float32(1), np.float32(1), np.float32(base), count
    for _ in range(count):
        forwards = forwards * np.float32(base)
    while n:
        halves, rest, n = halves * rest if n % 2 else halves, rest * rest, n // 2
    limit = float(found.error) * 2.0**-24
    for product in (forwards, halves):
        assert 0 < abs(float(product) - float(found.value)) <= limit
    worst = (1 + mpmath.mpf(2) ** -24) ** (count - 1) - 1  # if every rounding went up by all it can
    assert limit >= worst * float(found.value)
    assert limit < 1.01 * count * 2.0**-24 * float(found.value)  # and is not much larger
    assert real.repeated(base, 3) == base * base * base


def test_a_long_product_inherits_the_error_of_its_base() -> None:
    """0.9 is rounded once: n more roundings of the product."""
    rounded = Tracked(Ledger(), Fraction(9, 10), own=1)
    exact = Tracked(Ledger(), Fraction(9, 10))
    errors = [float(real.repeated(b, 2000).error / b.value**2000) for b in (rounded, exact)]
    assert errors == [pytest.approx(3999, rel=1e-3), pytest.approx(1999, rel=1e-3)]
