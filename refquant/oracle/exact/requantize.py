"""Scalar twin of the requantization functions: one Python integer at a time, methods 17.4.

Python integers have no width, so every formula is written down as it stands and saturation is
an explicit `min` and `max`. Multipliers may be floats or Fractions. Imports the standard library
only.
"""

import math
from fractions import Fraction
from typing import Any

from refquant.oracle.exact.real import clip
from refquant.oracle.exact.rounding import round_to
from refquant.oracle.exact.tracked import rational

LOW, HIGH = -(2**31), 2**31 - 1


def rint(value: Any) -> Any:
    """The nearest integer, ties to even; Python's rounding of a Fraction."""
    return round(rational(value))


def saturate(value: int) -> int:
    """The nearest int32."""
    return max(LOW, min(HIGH, value))


def quantize_multiplier(multiplier: Any, rounding: str = "rint") -> tuple[Any, int]:
    """(M0, e) with M close to M0 / 2^31 * 2^-e and |M0| in [2^30, 2^31); (0, 0) for zero."""
    mantissa, e = abs(rational(multiplier)), 0
    if mantissa == 0:
        return 0, 0
    while mantissa >= 1:
        mantissa, e = mantissa / 2, e - 1
    while mantissa < Fraction(1, 2):
        mantissa, e = mantissa * 2, e + 1
    m0 = round_to(mantissa * 2**31, rounding)
    if m0 == 2**31:
        m0, e = 2**30, e - 1
    return (m0 if multiplier > 0 else -m0), e


def truncated(numerator: int, denominator: int) -> int:
    """The quotient rounded towards zero; the denominator is positive."""
    size = abs(numerator) // denominator
    return size if numerator >= 0 else -size


def srdhm(a: int, b: int) -> int:
    """Saturating rounding doubling high multiply."""
    nudge = 2**30 if a * b >= 0 else 1 - 2**30
    return saturate(truncated(a * b + nudge, 2**31))


def rdivpot(x: Any, e: int) -> Any:
    """x / 2^e rounded half away from zero."""
    size = (2 * abs(x) + 2**e) // 2 ** (e + 1)
    return size if x >= 0 else -size


def apply_multiplier(acc: Any, m0: int, e: int, requantize: str) -> Any:
    """acc * M in one or two rounding stages, after a saturating left shift where e < 0."""
    if e < 0:
        acc, e = saturate(acc * 2**-e), 0
    if requantize == "double":
        return rdivpot(srdhm(acc, m0), e)
    return (
        0 if e > 31 else saturate(math.floor(rational(acc * m0) / 2 ** (31 + e) + Fraction(1, 2)))
    )


def requantize_fixed(
    acc: Any, multiplier: tuple[int, int], zero_point: int, limits: tuple[int, int], requantize: str
) -> Any:
    """clip(acc * M + z, n, p); nested lists entry by entry."""
    if isinstance(acc, list):
        return [requantize_fixed(a, multiplier, zero_point, limits, requantize) for a in acc]
    y = apply_multiplier(acc, *multiplier, requantize) + zero_point
    return max(limits[0], min(limits[1], y))


def fold(s_w: Any, s_x: Any, bias: Any, xi: Any, eta: Any) -> tuple[Any, Any]:
    """(st, bt) of one channel, AdaQTransform eq. 9."""
    return xi * s_w * s_x, bias + eta


def requantize_float(
    acc: Any, scale: Any, offset: Any, step: Any, zero_point: int, limits: tuple[int, int]
) -> Any:
    """The float epilogue of one accumulator, rounded half to even and clipped; exact on floats."""
    real = rational(scale) * acc + rational(offset)
    low, high = limits[0] - zero_point, limits[1] - zero_point
    y = rint(clip(real / rational(step), low - 1, high + 1)) + zero_point
    return max(limits[0], min(limits[1], y))
