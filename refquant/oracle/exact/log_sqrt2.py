"""Scalar twin of the log-sqrt2 quantizer: the code by comparing rationals, the value squared.

Written from methods 2.6 and convention 8 of section 21. For v = x / d > 0 the code
rint(-2 log2 v) is the k with 2^-(2k+1) < v^4 < 2^-(2k-1): fourth powers of rationals never lie on
a border. y = d 2^(-q/2) is irrational for odd q, its square is not. Numbers that keep track take
the logarithm instead, whose rounding is what leaves a code in doubt. Imports the standard library
only.
"""

import math
from fractions import Fraction
from typing import Any

from refquant.oracle.exact.real import constant, log2, sqrt
from refquant.oracle.exact.tracked import special


def power_of_two(exponent: int) -> Fraction:
    """2^exponent for any integer."""
    return Fraction(2**exponent) if exponent >= 0 else Fraction(1, 2**-exponent)


def raw_code(x: Any, scale: Any) -> Any:
    """rint(-2 log2(x / d)); None stands for infinity, at x = 0."""
    if x == 0:
        return None
    if getattr(x, "keeps_track", False):
        return round(-2 * log2(x / scale))
    fourth = (Fraction(x) / Fraction(scale)) ** 4
    k = (fourth.denominator.bit_length() - fourth.numerator.bit_length()) // 2 - 2
    while fourth < power_of_two(-(2 * k + 1)):
        k += 1
    return k


def quantize(x: Any, scale: Any, bits: int) -> tuple[int, bool]:
    """(code, decoded to zero); NaN is decoded to zero, an infinity to d."""
    if special(x):
        return (0, False) if x == math.inf else (2**bits - 1, True)
    raw = raw_code(x, scale)
    if raw is None or raw >= 2**bits:
        return 2**bits - 1, True
    return max(0, raw), False


def value(x: Any, scale: Any, bits: int) -> Any:
    """y = d 2^(-q/2), with a rounded square root of 2, or 0."""
    code, zero = quantize(x, scale, bits)
    if zero:
        return 0 * scale
    whole = scale * power_of_two(-(int(code + 1) // 2))
    return whole * constant(sqrt(Fraction(2)), scale) if int(code) % 2 else whole


def squared_value(x: Any, scale: Any, bits: int) -> Fraction:
    """y^2 = d^2 2^-q, or 0."""
    code, zero = quantize(x, scale, bits)
    return Fraction(0) if zero else Fraction(scale) ** 2 * power_of_two(-code)


def border_margin(x: Any, scale: Any) -> float:
    """How far x / d is, relatively, from the nearest border of its code; 1.0 at x = 0."""
    k = raw_code(x, scale)
    if k is None:
        return 1.0
    fourth = (Fraction(x) / Fraction(scale)) ** 4
    borders = (power_of_two(-(2 * k + 1)), power_of_two(-(2 * k - 1)))
    return min(abs(float(fourth / border) - 1.0) for border in borders) / 4.0
