"""A number that knows its exact value and how far any float evaluation may lie from it.

The scalar twins are written for anything that adds and multiplies. Run on `Tracked` numbers they
give, at once, the golden (an exact rational), the bound of every element, and the places where
a correct float implementation may decide otherwise.

    field    meaning
    value    the exact rational value
    base     error inherited from the operands, in units of the unit roundoff u
    mag      sum of the magnitudes of the terms, where the number is a sum; |value| otherwise
    adds     additions that made the sum
    low      exponent of the lowest bit that any term has; None if a term is not dyadic
    error    base + adds * mag, or base if every partial sum fits the precision in any order

To first order in u, a float evaluation of the same formula differs from `value` by at most
``u * error``, whatever the order of the sums, with or without fused multiply-add, and with a
division or a multiplication by the rounded reciprocal (a division counts two roundings, unless the
divisor is a power of two). A product, a quotient or a sum that fits `precision` bits counts none:
an error of 0 says that every float arithmetic of that precision gives the same bits.

A comparison, a floor or a rounding whose outcome lies within the error is a *doubt*: a correct
implementation may decide either way. `Ledger.flip` decides all of them the other way round.
NaN and the infinities stay floats. Imports the standard library only.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

SLACK = Fraction(1025, 1024)  # second-order terms, for errors up to 2^14 units at u = 2^-24


@dataclass
class Ledger:
    """What a whole evaluation has in common.

    Attributes
    ----------
    precision : int
        Significant bits of the arithmetic that the counts are for; u is 2^-precision.
    flip : bool
        Decide every doubt the other way round.
    doubts : int
        Decisions that fell within the error.
    bits : int
        Most significant bits that any exact step needed, in the worst order of summation.
    """

    precision: int = 24
    flip: bool = False
    doubts: int = 0
    bits: int = 0

    def fits(self, magnitude: Fraction, low: int) -> bool:
        """Return whether multiples of 2^low up to `magnitude` fit the precision."""
        units = magnitude / Fraction(2) ** low
        needed = (math.ceil(units) - 1).bit_length() if units else 0
        if needed > self.precision:
            return False
        self.bits = max(self.bits, needed)
        return True

    def decide(self, outcome: bool, distance: Fraction, error: Fraction) -> bool:
        """Return `outcome`, or its opposite where it is in doubt and doubts are flipped."""
        if error == 0 or distance > error * SLACK / 2**self.precision:
            return outcome
        self.doubts += 1
        return outcome != self.flip


def lowest_bit(value: Fraction) -> int | None:
    """Exponent of the lowest set bit; None for a number that is not dyadic (0 has bit 2^9999)."""
    if value.denominator & (value.denominator - 1):
        return None
    if value == 0:
        return 9999
    if value.denominator > 1:
        return 1 - value.denominator.bit_length()
    return (value.numerator & -value.numerator).bit_length() - 1


class Tracked:
    """See the module's docstring. Made by `lift`; immutable."""

    __slots__ = ("adds", "base", "ledger", "low", "mag", "value")
    keeps_track = True

    def __init__(
        self, ledger: Ledger, value: Fraction, base: Fraction = Fraction(0), own: int = 0
    ) -> None:
        """`own`: roundings of the operation that made the value."""
        self.ledger, self.value = ledger, value
        self.mag = abs(value)
        self.base = base + own * self.mag
        self.adds = 0
        self.low = lowest_bit(value)

    @property
    def error(self) -> Fraction:
        """Bound of the error of any float evaluation, in units of the unit roundoff."""
        exact = self.base == 0 and self.low is not None and self.ledger.fits(self.mag, self.low)
        return self.base if exact or not self.adds else self.base + self.adds * self.mag

    def _lift(self, other: Any) -> "Tracked":
        return other if isinstance(other, Tracked) else Tracked(self.ledger, Fraction(other))

    def _own(self, clean: bool, value: Fraction, roundings: int = 1) -> int:
        """Roundings of an operation whose operands are `clean`: none if its result fits."""
        low = lowest_bit(value)
        return 0 if clean and low is not None and self.ledger.fits(abs(value), low) else roundings

    def __add__(self, other: Any) -> Any:
        if special(other):
            return float(self.value) + other
        b = self._lift(other)
        total = Tracked(self.ledger, self.value + b.value)
        total.base, total.mag = self.base + b.base, self.mag + b.mag
        zero = self.mag == 0 or b.mag == 0  # adding 0 rounds nothing
        total.adds = self.adds + b.adds + (0 if zero else 1)
        total.low = None if self.low is None or b.low is None else min(self.low, b.low)
        return total

    def __mul__(self, other: Any) -> Any:
        if special(other):
            return float(self.value) * other
        b = self._lift(other)
        ea, eb = self.error, b.error
        base = abs(self.value) * eb + abs(b.value) * ea
        value = self.value * b.value
        if (is_power_of_two(self.value) and ea == 0) or (is_power_of_two(b.value) and eb == 0):
            return Tracked(self.ledger, value, base)
        return Tracked(self.ledger, value, base, self._own(ea == 0 and eb == 0, value))

    def __truediv__(self, other: Any) -> Any:
        if special(other):
            return float(self.value) / other
        b = self._lift(other)
        if b.value == 0:
            return math.nan if self.value == 0 else signed_infinity(self.value)
        ea, eb, value = self.error, b.error, self.value / b.value
        base = (ea + abs(value) * eb) / abs(b.value)
        if is_power_of_two(b.value) and eb == 0:
            return Tracked(self.ledger, value, base)
        return Tracked(self.ledger, value, base, 0 if value == 0 and base == 0 else 2)

    def __pow__(self, exponent: int) -> Any:
        if not isinstance(exponent, int) or exponent < 0:
            message = f"Tracked.__pow__(): exponent is {exponent!r}; expected a whole number."
            raise TypeError(message + " Use refquant.oracle.exact.real.power.")
        result: Any = self._lift(1)
        for _ in range(exponent):
            result = result * self
        return result

    def __neg__(self) -> "Tracked":
        negative = Tracked(self.ledger, -self.value)
        negative.base, negative.mag = self.base, self.mag
        negative.adds, negative.low = self.adds, self.low
        return negative

    def __abs__(self) -> "Tracked":
        return -self if self.value < 0 else self

    def __pos__(self) -> "Tracked":
        return self

    def __radd__(self, other: Any) -> Any:
        return self + other

    def __sub__(self, other: Any) -> Any:
        return self + (-other)

    def __rsub__(self, other: Any) -> Any:
        return (-self) + other

    def __rmul__(self, other: Any) -> Any:
        return self * other

    def __rtruediv__(self, other: Any) -> Any:
        return other / float(self.value) if special(other) else self._lift(other) / self

    def _compare(self, other: Any, holds: Callable[[Any, Any], bool]) -> bool:
        if special(other):
            return holds(float(self.value), other)
        b = self._lift(other)
        outcome = holds(self.value, b.value)
        if b is self:
            return outcome
        return self.ledger.decide(outcome, abs(self.value - b.value), self.error + b.error)

    def __lt__(self, other: Any) -> bool:
        return self._compare(other, lambda a, b: a < b)

    def __le__(self, other: Any) -> bool:
        return self._compare(other, lambda a, b: a <= b)

    def __gt__(self, other: Any) -> bool:
        return self._compare(other, lambda a, b: a > b)

    def __ge__(self, other: Any) -> bool:
        return self._compare(other, lambda a, b: a >= b)

    def __eq__(self, other: object) -> bool:
        return self._compare(other, lambda a, b: a == b)

    def __ne__(self, other: object) -> bool:
        return self._compare(other, lambda a, b: a != b)

    __hash__ = None  # type: ignore[assignment]

    def _integer(self, nearest: Fraction, below: int, above: int) -> int:
        """`below` or `above` of the border `nearest`, as `value` lies; flipped in doubt."""
        is_above = self.ledger.decide(self.value >= nearest, abs(self.value - nearest), self.error)
        return above if is_above else below

    def __floor__(self) -> int:
        border = math.floor(self.value + Fraction(1, 2))
        return self._integer(Fraction(border), border - 1, border)

    def __ceil__(self) -> int:
        return -math.floor(-self)

    def __round__(self) -> int:
        tie = math.floor(self.value) + Fraction(1, 2)
        if self.value == tie and self.error == 0:
            return round(self.value)
        return self._integer(tie, math.floor(self.value), math.floor(self.value) + 1)

    def __trunc__(self) -> int:
        return math.floor(self) if self.value >= 0 else math.ceil(self)

    def __float__(self) -> float:
        return float(self.value)

    def __bool__(self) -> bool:
        return self.value != 0

    def __repr__(self) -> str:
        return f"Tracked({float(self.value)!r} +- {float(self.error):.3g} u)"


def lift(number: Any, ledger: Ledger) -> Any:
    """Return a finite float as `Tracked`; other numbers stay what they are."""
    if not isinstance(number, float) or special(number):
        return number
    return Tracked(ledger, Fraction(number))


def special(number: Any) -> bool:
    """Return whether a number is a float that is NaN or infinite."""
    return isinstance(number, float) and not math.isfinite(number)


def is_power_of_two(value: Fraction) -> bool:
    """Return whether |value| is 2^k for a whole k."""
    a, b = abs(value.numerator), value.denominator
    return a > 0 and a & (a - 1) == 0 and b & (b - 1) == 0


def signed_infinity(value: Fraction) -> float:
    """Return the infinity of a non-zero number divided by zero."""
    return math.inf if value > 0 else -math.inf


def rational(number: Any) -> Any:
    """Return a finite float as the Fraction that it is, so that what follows is exact."""
    return number if getattr(number, "keeps_track", False) else Fraction(number)


def settled(number: Any) -> Any:
    """Return a number as if it were exact: where a formula multiplies and divides by it, its error
    cancels, whatever it is, and only the two operations round.
    """
    return Tracked(number.ledger, number.value) if isinstance(number, Tracked) else number


def split(number: Any) -> tuple[int, Any]:
    """Return (floor, fraction) of a finite number; taking the fraction rounds nothing.

    A subtraction of the floor is exact in floats too, except on -1/2 < u < 0, where a correct
    implementation compares with the border less one instead.
    """
    number = rational(number)
    low = math.floor(number)
    if not isinstance(number, Tracked):
        return low, number - low
    return low, Tracked(number.ledger, number.value - low, number.error)
