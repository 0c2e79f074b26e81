"""Scalar twin of the rounding functions: one number at a time, in exact rationals.

Written from the column "exact meaning" of methods 1.1. A float is a rational number, so
``rational(u)`` loses nothing and every comparison below is exact, for floats, Fractions and
tracked numbers alike. Imports the standard library only.

Edge cases: NaN and the infinities return themselves (floats); everything else is an int, so
there is no sign of zero here.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from refquant.oracle.exact.tracked import rational, split

HALF = Fraction(1, 2)


def rint(u: Any) -> Any:
    """The nearest integer; of two equally near ones, the even one."""
    return round(rational(u))


def half_up(u: Any) -> int:
    """floor(u + 1/2)."""
    low, f = split(u)
    return low + 1 if f >= HALF else low


def half_down(u: Any) -> int:
    """ceil(u - 1/2)."""
    low, f = split(u)
    return low + 1 if f > HALF else low


def half_away(u: Any) -> int:
    """sign(u) * floor(|u| + 1/2)."""
    return half_up(u) if u > 0 else half_down(u)


def floor(u: Any) -> Any:
    """The largest integer that is not above u."""
    return math.floor(rational(u))


def ceil(u: Any) -> Any:
    """The smallest integer that is not below u."""
    return math.ceil(rational(u))


MODES: dict[str, Callable[[Any], Any]] = {
    "rint": rint,
    "half_up": half_up,
    "half_down": half_down,
    "half_away": half_away,
    "floor": floor,
    "ceil": ceil,
}


def round_to(u: Any, mode: str) -> Any:
    """Round one float or Fraction; nested lists are rounded entry by entry."""
    if isinstance(u, list):
        return [round_to(v, mode) for v in u]
    if isinstance(u, float) and not math.isfinite(u):
        return u
    return MODES[mode](u)


def border_round(u: Any, border: Any) -> Any:
    """floor(u) + [u - floor(u) > B] of one number, or entry by entry of two equal lists."""
    if isinstance(u, list):
        return [border_round(v, b) for v, b in zip(u, border, strict=True)]
    if isinstance(u, float) and not math.isfinite(u):
        return u
    low, f = split(u)
    return low + 1 if f > rational(border) else low
