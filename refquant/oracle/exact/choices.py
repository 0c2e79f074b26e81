"""Where correct implementations may answer in two ways, for the twins.

Plain numbers pass through: only `Tracked` ones know what else would have been right. Imports the
standard library only.
"""

import math
from fractions import Fraction
from typing import Any

from refquant.oracle.exact.tracked import SLACK, Tracked


def either(a: Any, b: Any) -> Any:
    """Return `a`, allowing for the answer `b` as well.

    For formulas that correct implementations arrange in two ways, as x / n + y / n for (x + y) / n,
    and for decisions whose two outcomes are as good where they are in doubt.
    """
    if isinstance(a, Tracked) and isinstance(b, Tracked):
        apart = abs(a.value - b.value) * 2**a.ledger.precision
        return Tracked(a.ledger, a.value, max(a.error, apart + b.error))
    return a


def roundings(number: Any) -> tuple[int, ...]:
    """Return what rint may give: the nearest integer, and the other neighbour of a near tie."""
    if not isinstance(number, Tracked):
        return (round(number),)
    low, nearest = math.floor(number.value), round(number.value)
    distance = abs(number.value - low - Fraction(1, 2)) * 2**number.ledger.precision
    certain = number.error == 0 or distance > number.error * SLACK
    return (nearest,) if certain else (nearest, 2 * low + 1 - nearest)


def first_smallest(numbers: list[Any]) -> int:
    """Return the index of the first smallest; a rival within its error is a doubt."""
    best = min(range(len(numbers)), key=lambda i: getattr(numbers[i], "value", numbers[i]))
    for i, number in enumerate(numbers):
        if not numbers[best] < number if i < best else number < numbers[best]:
            return i  # a doubt decided the other way round
    return best
