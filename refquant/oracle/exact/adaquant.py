"""Scalar twin of AdaQuant's quantiser, exact on Fractions.

Written from methods 2.3 and convention 12 of section 21: clamp first, then round half to even;
masks include both ends. Imports the standard library only.
"""

from fractions import Fraction
from typing import Any

SPAN_MIN, SPAN_MAX = Fraction(1e-6), Fraction(1e5)  # the float64 nearest 1e-6


def place(span: Any, minimum: Any, bits: int) -> tuple[Any, int, int]:
    """(s, Z, raw zero point) of the range: s = R / Lv, Z = clip(rint(-m / s), 0, Lv)."""
    levels = 2**bits - 1
    step = min(SPAN_MAX, max(SPAN_MIN, span)) / levels
    raw = round(Fraction(-minimum / step))
    return step, min(levels, max(0, raw)), raw


def forward(x: Any, span: Any, minimum: Any, bits: int) -> Any:
    """y = s (rint(clip(x/s + Z, 0, Lv)) - Z) of one number."""
    step, zero, _ = place(span, minimum, bits)
    t = min(Fraction(2**bits - 1), max(Fraction(0), x / step + zero))
    return step * (round(t) - zero)


def backward(
    row: list[Any], d_row: list[Any], span: Any, minimum: Any, bits: int
) -> tuple[list[Any], Any, Any]:
    """(d_x, d_R, d_m) of numbers that share one range, through GZ and Gs as in the text."""
    step, zero, raw = place(span, minimum, bits)
    levels = 2**bits - 1
    d_x, d_zero, d_step = [], Fraction(0), Fraction(0)
    for x, d_y in zip(row, d_row, strict=True):
        inside = 0 <= x / step + zero <= levels
        level = forward(x, span, minimum, bits) / step
        d_x.append(d_y if inside else 0 * d_y)
        d_zero += 0 if inside else -step * d_y
        d_step += d_y * (level - (x / step if inside else 0))
    zero_inside = 0 <= raw <= levels
    if zero_inside:
        d_step += d_zero * minimum / (step * step)
    if not SPAN_MIN <= span <= SPAN_MAX:
        return d_x, Fraction(0), Fraction(0)
    return d_x, d_step / levels, -d_zero / step if zero_inside else Fraction(0)
