"""Scalar twins of the schedules of methods.md 5.5 to 5.7.

Numbers are floats, Fractions or tracked numbers; all but the cosine are exact for Fractions.
Limits are `real.clip`, so nothing is in doubt but where the warm-up ends.
"""

import math
from typing import Any

from refquant.oracle.exact.real import cos, larger, literal, smaller
from refquant.oracle.exact.tracked import Tracked


def progress(t: int, total: int, hold: Any) -> Any:
    """Return rel of 5.5, (t - hold T) / ((1 - hold) T), limited to [0, 1]."""
    return smaller(1, rising(t, total, hold, total))


def rising(t: int, total: int, hold: Any, end: int) -> Any:
    """Return (t - hold T) / (end - hold T), at least 0; 1 where the hold lasts to the end."""
    length = end - hold * total
    if (length.value if isinstance(length, Tracked) else length) <= 0:
        return 1
    return larger(0, (t - hold * total) / length)


def beta_schedule(
    t: int,
    total: int,
    curve: str,
    ends: tuple[Any, Any],
    warm_up: Any,
    how: tuple[int, str] | None = None,
) -> Any:
    """Return (beta, on) of 5.5; `ends` are (b0, b1), `how` is (step number of b1, after it)."""
    b0, b1 = ends
    if t < warm_up * total:
        return b0, False
    end, after = (total, "hold") if how is None else how
    rel = rising(t, total, warm_up, end)
    rel = smaller(1, rel) if after == "hold" else rel
    return b1 + (b0 - b1) * (1 - rel if curve == "linear" else half_cosine(rel)), True


def half_cosine(share: Any) -> Any:
    """Return (1 + cos(pi share)) / 2."""
    return (1 + cos(literal(math.pi, share) * share)) / 2


def cosine_lr(t: int, total: int, rate: Any) -> Any:
    """Return lr0 (1 + cos(pi t / T)) / 2 of 5.7."""
    return rate * half_cosine((rate * 0 + t) / total)


def rounding_schedule(t: int, total: int, hold: Any) -> Any:
    """Return the weight a of 5.6, clip((t - hold T) / ((1 - hold) T), 0, 1)."""
    return progress(t, total, hold)
