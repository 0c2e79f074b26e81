"""Scalar twin of AdaQuant's quantizer, exact on Fractions.

Written from methods 2.3 and convention 12 of section 21: clamp first, then round half to even;
masks include both ends, but not NaN and the infinities. s = R / Lv is a division, so that a width
of Lv powers of two has a step that is exact. Imports the standard library only.
"""

from fractions import Fraction
from typing import Any

from refquant.oracle.exact.real import clip, constant, quotient
from refquant.oracle.exact.tracked import rational, settled, special

SPAN_MIN, SPAN_MAX = Fraction(1e-6), Fraction(1e5)  # the float64 nearest 1e-6


def place(span: Any, minimum: Any, bits: int) -> tuple[Any, int, int]:
    """(s, Z, raw zero point) of the range: s = R / Lv, Z = clip(rint(-m / s), 0, Lv)."""
    levels = 2**bits - 1
    limits = constant(SPAN_MIN, span), constant(SPAN_MAX, span)
    step = quotient(clip(span, *limits), levels)
    raw = round(rational(-minimum / step))
    return step, min(levels, max(0, raw)), raw


def level(x: Any, step: Any, zero: int, bits: int) -> Any:
    """rint(clip(x/s + Z, 0, Lv)) - Z; 0 for NaN."""
    t = x / step + zero
    return 0 if t != t else round(rational(clip(t, 0, 2**bits - 1))) - zero


def forward(x: Any, span: Any, minimum: Any, bits: int) -> Any:
    """y = s (rint(clip(x/s + Z, 0, Lv)) - Z) of one number."""
    step, zero, _ = place(span, minimum, bits)
    return step * level(x, step, zero, bits)


def backward(
    row: list[Any], d_row: list[Any], span: Any, minimum: Any, bits: int
) -> tuple[list[Any], Any, Any]:
    """(d_x, d_R, d_m) of numbers that share one range, through GZ and Gs as in the text."""
    step, zero, raw = place(span, minimum, bits)
    levels = 2**bits - 1
    d_x, d_zero, d_step, same = [], Fraction(0), Fraction(0), settled(step)
    for x, d_y in zip(row, d_row, strict=True):
        t = x / step + zero
        inside = not special(t) and 0 <= t <= levels
        d_x.append(same * d_y / same if inside else 0 * d_y)  # as autodiff rounds it
        d_zero += (step * d_y if inside else 0) - step * d_y  # both, as autodiff adds them
        d_step += d_y * level(x, step, zero, bits) - (d_x[-1] * (x / step) if inside else 0)
    zero_inside = 0 <= raw <= levels
    if zero_inside:
        d_step += d_zero * minimum / (step * step)
    if not SPAN_MIN <= span <= SPAN_MAX:
        return d_x, Fraction(0), Fraction(0)
    return d_x, d_step / levels, -d_zero / step if zero_inside else Fraction(0)
