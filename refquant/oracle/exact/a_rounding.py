"""Scalar twin of A-rounding and of SQuant's stages: loops over indices, exact on Fractions.

Written from methods section 14. A vector is a list of channels, a channel a list of numbers u in
units of the step (floats, Fractions or tracked numbers; a float is taken as the rational number it
is). Returned are the clipped levels, and the residuals q - u before the clip. NaN and the
infinities take no part: they count as 0, and end at 0 and at the ends. Imports the standard library
only.
"""

import math
from fractions import Fraction
from typing import Any

from refquant.oracle.exact.real import constant, larger, quotient
from refquant.oracle.exact.tracked import rational, special

Vector = list[list[Any]]


def nearest(vector: Vector) -> tuple[list[list[int]], Vector]:
    """Stage 1: q = rint(u), half to even, and r = q - u."""
    q = [[round(rational(u)) for u in channel] for channel in vector]
    return q, residuals(q, vector)


def residuals(q: list[list[int]], vector: Vector) -> Vector:
    """r = q - u, exactly."""
    return [
        [level - rational(u) for level, u in zip(levels, channel, strict=True)]
        for levels, channel in zip(q, vector, strict=True)
    ]


def sign(value: Any) -> int:
    """-1, 0 or 1."""
    return int(value > 0) - int(value < 0)


def flip_order(channel: list[Any], r: list[Any], toward: int, n: Any, p: Any) -> list[int]:
    """Positions with sgn(r) = toward that may be flipped against it, largest |r| first."""
    free = []
    for j, u in enumerate(channel):
        blocked = u <= n if toward > 0 else u >= p
        if sign(r[j]) == toward and toward != 0 and not blocked:
            free.append(j)
    return sorted(free, key=lambda j: (-abs(r[j]), j))


def channel_stage(
    channel: list[Any], q: list[int], n: Any, p: Any
) -> tuple[list[int], tuple[int, int] | None]:
    """Stage 2 of one channel: its levels, and the candidate (position, move) or None."""
    r = residuals([q], [channel])[0]
    total = sum(r)
    toward = sign(total)
    order = flip_order(channel, r, toward, n, p)
    flips = min(round(abs(rational(total))), len(order))
    levels = list(q)
    for j in order[:flips]:
        levels[j] -= toward
    if flips > 0 and flips >= abs(total):
        return levels, (order[flips - 1], toward)
    if flips < len(order):
        return levels, (order[flips], -toward)
    return levels, None


def vector_stage(
    vector: Vector, q: list[list[int]], candidates: list[tuple[int, int] | None]
) -> list[list[int]]:
    """Stage 3: flip the rint |T| candidates of largest |r| that lower |T|."""
    r = residuals(q, vector)
    total = sum(sum(row) for row in r)
    useful = [
        (-abs(r[i][entry[0]]), i, *entry)
        for i, entry in enumerate(candidates)
        if entry is not None and entry[1] == -sign(total)
    ]
    levels = [list(row) for row in q]
    for _, i, j, move in sorted(useful)[: round(abs(rational(total)))]:
        levels[i][j] += move
    return levels


def squant_stages(
    vector: Vector, n: Any, p: Any, kernel: bool = True, channel: bool = True
) -> tuple[list[list[int]], Vector]:
    """(levels clipped to [n, p], residuals before the clip) with the stages that are asked for."""
    given, vector = vector, [[0 if special(u) else u for u in row] for row in vector]
    q, _ = nearest(vector)
    if channel and not kernel:
        flat = [u for row in vector for u in row]
        levels, _ = channel_stage(flat, [level for row in q for level in row], n, p)
        chunks = iter(levels)
        q = [[next(chunks) for _ in row] for row in vector]
    elif kernel:
        pairs = [channel_stage(row, level, n, p) for row, level in zip(vector, q, strict=True)]
        q = [levels for levels, _ in pairs]
        if channel:
            q = vector_stage(vector, q, [candidate for _, candidate in pairs])
    clipped = [
        [min(p, max(n, u if abs(u) == math.inf else level)) for level, u in zip(*rows, strict=True)]
        for rows in zip(q, given, strict=True)
    ]
    return clipped, residuals(q, vector)


def min_max(values: list[Any], top: int) -> tuple[Any, int]:
    """(s, z) of a filter: s = max((max - min) / top, 1e-8), z = clip(-rint(min / s), 0, top)."""
    low, high = min(0 * values[0], *values), max(0 * values[0], *values)
    step = larger(quotient(high - low, top), constant(Fraction(1e-8), high))
    return step, min(top, max(0, -round(rational(low / step))))


def a_rounding(vector: Vector, n: Any, p: Any) -> tuple[list[list[int]], Vector]:
    """Both stages: the rounding of one activation vector."""
    return squant_stages(vector, n, p)
