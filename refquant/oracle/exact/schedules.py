"""Scalar twins of the schedules of methods.md 5.5 to 5.7.

Numbers are floats or Fractions; all but the cosine are exact for Fractions.
"""

import math
from typing import Any

from refquant.oracle.exact.real import clip


def progress(t: int, total: int, hold: Any) -> Any:
    """Return rel of 5.5, (t - hold T) / ((1 - hold) T), limited to [0, 1]."""
    return min(1, max(0, (t - hold * total) / ((1 - hold) * total)))


def beta_schedule(t: int, total: int, curve: str, ends: tuple[Any, Any], warm_up: Any) -> Any:
    """Return (beta, on) of 5.5; `ends` are (b0, b1)."""
    b0, b1 = ends
    if t < warm_up * total:
        return b0, False
    rel = progress(t, total, warm_up)
    if curve == "linear":
        return b1 + (b0 - b1) * max(0, 1 - rel), True
    return b1 + 0.5 * float(b0 - b1) * (1.0 + math.cos(math.pi * rel)), True


def cosine_lr(t: int, total: int, rate: float) -> float:
    """Return lr0 (1 + cos(pi t / T)) / 2 of 5.7."""
    return rate * (1.0 + math.cos(math.pi * t / total)) / 2.0


def rounding_schedule(t: int, total: int, hold: Any) -> Any:
    """Return the weight a of 5.6, clip((t - hold T) / ((1 - hold) T), 0, 1)."""
    return clip((t - hold * total) / ((1 - hold) * total), 0, 1)
