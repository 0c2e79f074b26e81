"""Scalar twin of ASoftmax: one weight and its candidates at a time.

Written from methods section 11. Logits are a list over the candidates, offsets the whole numbers
that they add to floor(w / s). Numbers are floats, Fractions or tracked numbers. A NaN weight rests
at level 0, the infinities at the ends; none of them has a gradient. Imports the standard library
only.
"""

import math
from typing import Any

from refquant.oracle.exact.real import clip, exp
from refquant.oracle.exact.tracked import special

Row = list[Any]
Ends = tuple[int, int]


def shares(logits: Row, temperature: Any) -> Row:
    """exp(v_m / tau) over their sum, counted from the largest logit."""
    top = max(logits)
    grown = [exp((v - top) / temperature) for v in logits]
    total = sum(grown)
    return [e / total for e in grown]


def soft_level(u: Any, weights: Row, offsets: list[int], ends: Ends) -> tuple[Any, bool]:
    """(clip(floor(u) + sum pi_m m, n, p), whether the clip passes its gradient)."""
    if special(u):
        return 0 if u != u else ends[1] if u > 0 else ends[0], False
    level = math.floor(u) + sum(w * m for w, m in zip(weights, offsets, strict=True))
    return clip(level, *ends), bool(ends[0] <= level <= ends[1])


def hard_level(u: Any, logits: Row, offsets: list[int], ends: Ends) -> int:
    """clip(floor(u) + m of the largest logit, n, p); the first of equal ones."""
    if special(u):
        return int(soft_level(u, [], [], ends)[0])
    level = math.floor(u) + offsets[logits.index(max(logits))]
    return int(min(ends[1], max(ends[0], level)))


def slopes(weights: Row, offsets: list[int], temperature: Any) -> Row:
    """d level / d v_m = pi_m (m - sum pi m) / tau."""
    mean = sum(w * m for w, m in zip(weights, offsets, strict=True))
    return [w * (m - mean) / temperature for w, m in zip(weights, offsets, strict=True)]
