"""Scalar twin of the redistribution methods, one channel or one entry at a time.

Written from methods 16 and 21 (ops 62-65, conventions 9 and 10). Vectors are lists, weights lists
of rows, activations lists of samples. Exact on Fractions; functions with square or power in their
name avoid roots by returning the power of a scale that is rational. Imports the standard library
only.
"""

import math
from collections.abc import Callable
from typing import Any

from refquant.oracle.exact.real import clip, larger, literal, power, sqrt
from refquant.oracle.exact.tracked import rational

FLOOR = 1e-5  # of SmoothQuant's weights and scales
Row = list[Any]
Rows = list[Row]


def smoothquant_power(x_max: Any, w_max: Any, part: int, whole: int, floor: Any) -> Any:
    """sc^whole for al = part / whole: max(x^part / max(w, floor)^(whole - part), floor^whole)."""
    ratio = x_max**part / max(w_max, floor) ** (whole - part)
    return max(ratio, floor**whole)


def smoothquant_scale(x_max: Any, w_max: Any, alpha: Any) -> Any:
    """max(x^al / max(w, 1e-5)^(1 - al), 1e-5) of one channel."""
    floor = literal(FLOOR, w_max)
    return larger(_power(x_max, alpha) / _power(larger(w_max, floor), 1 - alpha), floor)


def _power(base: Any, exponent: Any) -> Any:
    """base^exponent; of 0, 1/2 and 1 by what rounds once at most."""
    if exponent == 0:
        return 1 + 0 * base
    return base if exponent == 1 else sqrt(base) if exponent == 0.5 else power(base, exponent)


def cle_scale(r1: Any, r2: Any, ends: tuple[Any, Any] | None = None) -> Any:
    """sqrt(r2 / r1), 1 where either range is 0; the clip after that."""
    scale = 1 + 0 * r1 if r1 == 0 or r2 == 0 else sqrt(r2 / r1)
    return scale if ends is None else clip(scale, *ends)


def cle_square(r1: Any, r2: Any, clip: tuple[Any, Any] | None = None) -> Any:
    """sc^2 = r2 / r1; 1 where either range is 0; the clip after that."""
    square = r2 / r1 if r1 != 0 and r2 != 0 else 1
    if clip is None:
        return square
    return min(max(square, clip[0] ** 2), clip[1] ** 2)


def osplus_shift(low: Any, high: Any) -> Any:
    """(max + min) / 2 of one channel."""
    return (high + low) / 2


def osplus_scale(low: Any, high: Any, t: Any) -> Any:
    """max(1, max / t, min / (-t)) of one channel, after the shift."""
    return larger(1, larger(high / t, low / -t))


def osplus_thresholds(peak: Any, smallest: Any) -> Row:
    """From the peak down to the smallest in max(100, int(peak / 0.5)) equal steps."""
    if peak <= smallest:
        return [smallest]
    num = max(100, math.floor(peak * 2))
    return [(peak * (num - k) + smallest * k) / num for k in range(num + 1)]


def osplus_search(
    low: Row, high: Row, loss: Callable[[Row], Any], smallest: Any
) -> tuple[Any, Row]:
    """(threshold, scales) of the first minimum; the ranges are those after the shift."""
    peak = max(max(abs(a), abs(b)) for a, b in zip(low, high, strict=True))
    best: tuple[Any, Any, Row] | None = None
    for t in osplus_thresholds(peak, smallest):
        scales = [osplus_scale(a, b, t) for a, b in zip(low, high, strict=True)]
        value = loss(scales)
        if best is None or value < best[0]:
            best = value, t, scales
    if best is None:
        raise ValueError("no threshold")
    return best[1], best[2]


def repq_reparam(step: Row, zero_point: list[int]) -> tuple[Any, int, Row, Row]:
    """(s~, z~, r, bb) from the formula -z_c s_c / r + z~ s~, z~ the mean rounded half to even."""
    common = sum(step) / len(step)
    whole = round(rational(sum(zero_point)) / len(zero_point))
    ratio = [s / common for s in step]
    parts = zip(step, zero_point, ratio, strict=True)
    return common, whole, ratio, [-z * s / r + whole * common for s, z, r in parts]


def linear(x: Rows, w: Rows, bias: Row) -> Rows:
    """W x + b for every sample."""
    return [
        [
            sum(a * v for a, v in zip(row, sample, strict=True)) + b
            for row, b in zip(w, bias, strict=True)
        ]
        for sample in x
    ]


def absorb_in_writer(w: Rows, bias: Row, scale: Row, shift: Row) -> tuple[Rows, Row]:
    """The layer that writes (x - z) / sc."""
    rows = [[a / s for a in row] for row, s in zip(w, scale, strict=True)]
    return rows, [(b - z) / s for b, z, s in zip(bias, shift, scale, strict=True)]


def absorb_in_reader(w: Rows, bias: Row, scale: Row, shift: Row) -> tuple[Rows, Row]:
    """The layer that reads (x - z) / sc."""
    rows = [[a * s for a, s in zip(row, scale, strict=True)] for row in w]
    moved = [sum(a * z for a, z in zip(row, shift, strict=True)) for row in w]
    return rows, [b + m for b, m in zip(bias, moved, strict=True)]


def cle_apply(w1: Rows, bias1: Row, w2: Rows, scale: Row) -> tuple[Rows, Row, Rows]:
    """(W1 sc, b1 sc, W2 / sc)."""
    first = [[a * s for a in row] for row, s in zip(w1, scale, strict=True)]
    second = [[a / s for a, s in zip(row, scale, strict=True)] for row in w2]
    return first, [b * s for b, s in zip(bias1, scale, strict=True)], second
