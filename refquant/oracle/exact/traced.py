"""A number that remembers how it was made: exact value, float value, operation, operands.

The twins run on `Traced` numbers too. What comes out can be told as a list of steps, each with the
exact rational beside the double that the same step gives. Whole numbers from a floor or a rounding
are traced like the rest, and so are integers, which no double stands beside. Comparisons are kept
in the `Log`, with what they compared, because the branches that a result took are half of its
explanation. Imports the standard library only.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from refquant.oracle.exact.tracked import special


@dataclass
class Log:
    """The comparisons of an evaluation, in order: (text, operands)."""

    decisions: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)


class Traced:
    """A node of the computation; immutable. `name` is that of an input or a constant."""

    __slots__ = ("log", "name", "near", "operands", "operation", "value")
    keeps_track = True

    def __init__(
        self,
        log: Log,
        value: Fraction,
        near: float | int,
        operation: str = "",
        operands: tuple[Any, ...] = (),
        name: str = "",
    ) -> None:
        self.log, self.value, self.near, self.name = log, value, near, name
        self.operation, self.operands = operation, operands

    def lift(self, other: Any) -> "Traced":
        """Return a constant as a number of the same log; whole numbers stay whole."""
        if isinstance(other, Traced):
            return other
        value = Fraction(other)
        near = other if isinstance(other, int) else float(value)
        return Traced(self.log, value, near, name=show(value))

    def _make(self, operation: str, value: Fraction, near: float | int, *operands: Any) -> "Traced":
        return Traced(self.log, value, near, operation, operands)

    def __add__(self, other: Any) -> Any:
        if special(other):
            return self.near + other
        b = self.lift(other)
        return self._make("+", self.value + b.value, self.near + b.near, self, b)

    def __sub__(self, other: Any) -> Any:
        if special(other):
            return self.near - other
        b = self.lift(other)
        return self._make("-", self.value - b.value, self.near - b.near, self, b)

    def __mul__(self, other: Any) -> Any:
        if special(other):
            return self.near * other
        b = self.lift(other)
        return self._make("*", self.value * b.value, self.near * b.near, self, b)

    def __truediv__(self, other: Any) -> Any:
        if special(other):
            return self.near / other
        b = self.lift(other)
        return self._make("/", self.value / b.value, self.near / b.near, self, b)

    def __floordiv__(self, other: Any) -> Any:
        b = self.lift(other)
        whole = self.value // b.value
        return self._make("//", Fraction(whole), self.near // b.near, self, b)

    def __mod__(self, other: int) -> int:
        return int(self.value % other)

    def __pow__(self, exponent: int) -> Any:
        return self._make(f"^{exponent}", self.value**exponent, self.near**exponent, self)

    def __rpow__(self, base: int) -> Any:
        if self.value.denominator != 1:
            message = f"Traced.__rpow__(): exponent is {self.value}; expected a whole number."
            raise TypeError(message + " Use refquant.oracle.exact.real.power.")
        e = int(self.value)
        return self._make("^", Fraction(base) ** e, base**e, self.lift(base), self)

    def __radd__(self, other: Any) -> Any:
        return other + self.near if special(other) else self.lift(other) + self

    def __rsub__(self, other: Any) -> Any:
        return other - self.near if special(other) else self.lift(other) - self

    def __rmul__(self, other: Any) -> Any:
        return other * self.near if special(other) else self.lift(other) * self

    def __rtruediv__(self, other: Any) -> Any:
        return other / self.near if special(other) else self.lift(other) / self

    def __neg__(self) -> "Traced":
        return self._make("-", -self.value, -self.near, self)

    def __pos__(self) -> "Traced":
        return self

    def __abs__(self) -> "Traced":
        return self._make("abs", abs(self.value), abs(self.near), self)

    def _decide(self, sign: str, other: Any, holds: Callable[[Any, Any], bool]) -> bool:
        if special(other):
            return holds(self.near, other)
        b = self.lift(other)
        outcome = holds(self.value, b.value)
        if b is not self:
            self.log.decisions.append(
                (f"{{}} {sign} {{}}: {'yes' if outcome else 'no'}", (self, b))
            )
        return outcome

    def __lt__(self, other: Any) -> bool:
        return self._decide("<", other, lambda a, b: a < b)

    def __le__(self, other: Any) -> bool:
        return self._decide("<=", other, lambda a, b: a <= b)

    def __gt__(self, other: Any) -> bool:
        return self._decide(">", other, lambda a, b: a > b)

    def __ge__(self, other: Any) -> bool:
        return self._decide(">=", other, lambda a, b: a >= b)

    def __eq__(self, other: object) -> bool:
        return self._decide("=", other, lambda a, b: a == b)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return id(self)

    def __floor__(self) -> Any:
        return self._whole("floor", math.floor(self.value))

    def __ceil__(self) -> Any:
        return self._whole("ceil", math.ceil(self.value))

    def __round__(self) -> Any:
        return self._whole("rint", round(self.value))

    def __trunc__(self) -> Any:
        return self._whole("trunc", math.trunc(self.value))

    def _whole(self, operation: str, value: int) -> "Traced":
        return self._make(operation, Fraction(value), type(self.near)(value), self)

    def apply(self, operation: str, function: Callable[..., Any], *others: Any) -> "Traced":
        """Return a function of this number (and others), for `real`."""
        rest = tuple(self.lift(other) for other in others)
        value = function(self.value, *(item.value for item in rest))
        near = function(self.near, *(item.near for item in rest))
        return self._make(operation, Fraction(value), float(near), self, *rest)

    def __int__(self) -> int:
        return int(self.value)

    def __index__(self) -> int:
        if self.value.denominator != 1:
            raise TypeError("Traced.__index__(): not a whole number")
        return int(self.value)

    def __float__(self) -> float:
        return float(self.near)

    def __bool__(self) -> bool:
        return self.value != 0


def show(value: Fraction) -> str:
    """Return a rational shortly: 3/8, or 13421773/2^27 where the denominator is a large power."""
    bottom = value.denominator
    if bottom.bit_length() > 12 and bottom & (bottom - 1) == 0:
        return f"{value.numerator}/2^{bottom.bit_length() - 1}"
    text = str(value)
    return text if len(text) <= 40 else f"{float(value)!r} (a ratio of {len(text)} digits)"


def steps(node: Any) -> Iterator[Traced]:
    """Yield the operations behind a number, operands before what is made of them, each once."""
    seen: set[int] = set()
    stack = [(node, False)]
    while stack:
        here, ready = stack.pop()
        if not isinstance(here, Traced) or id(here) in seen or not here.operation:
            continue
        if ready:
            seen.add(id(here))
            yield here
            continue
        stack.append((here, True))
        stack += [(operand, False) for operand in reversed(here.operands)]


def inputs(node: Any) -> set[str]:
    """Return the names of the inputs that a number depends on."""
    found, stack, seen = set(), [node], set()
    while stack:
        here = stack.pop()
        if not isinstance(here, Traced) or id(here) in seen:
            continue
        seen.add(id(here))
        if here.operation:
            stack += here.operands
        elif "[" in here.name or here.name.isidentifier():
            found.add(here.name)
    return found
