"""The fixed-point epilogue: multiply an int32 accumulator by a real number, in integers.

Reference: methods 17.4; Jacob et al., arXiv:1712.05877, section 2.2. The two functions of the
two-stage form are those of gemmlowp, whose results they reproduce bit for bit.

    paper       here         dtype    meaning
    M           multiplier   float64  st / s_y, of either sign
    M0          m0           int32    sign(M) * round(|mantissa| * 2^31), |m0| in [2^30, 2^31)
    e           exponent     int32    M = m0 / 2^31 * 2^-e
    acc         acc          int32    accumulator, integer bias included
    n, p        limits       int      lowest and highest code

    two stages  ("double")   RDivPOT(SRDHM(acc, m0), e)            two roundings, as TFLite
    one stage   ("single")   (acc * m0 + 2^(30 + e)) >> (31 + e)   one rounding, half up

Where e < 0 the accumulator is first shifted left by -e and saturates at the ends of int32, in
both forms (convention 15). M = 0 is m0 = 0, e = 0 (convention 16). A mantissa that rounds up to
2^31 becomes 2^30 with e - 1.

Edge cases: acc = m0 = -2^31 at e = 0, the one result that does not fit, saturates in both forms.
An exponent beyond 31 gives 0 in one stage. Two roundings in a row are not one: acc = 5, M = 1/4
gives 2 in two stages, 1 in one.

Within one code of the float epilogue for 0 < |M| < 1 (P57): the errors of the integer bias (at
most |M| / 2), of m0, and of up to three roundings sum to less than 2. For |M| >= 1 the integer
bias alone costs up to |M| / 2 codes.
"""

from typing import NamedTuple

import numpy as np

from refquant._checks import check_in, complaint
from refquant._types import Array
from refquant.quantizers.rounding import round_to

STAGES = ("double", "single")
ROUNDINGS = ("rint", "half_away")
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
_LONGEST = 62  # shifts of an int64; every int32 is 0 well before


class Multiplier(NamedTuple):
    """M = m0 / 2^31 * 2^-exponent, entry by entry; int32 arrays of equal shape."""

    m0: Array
    exponent: Array


def quantize_multiplier(multiplier: Array, rounding: str = "rint") -> Multiplier:
    """Write real multipliers as a 32-bit mantissa and a shift (golden op 69).

    Parameters
    ----------
    multiplier : float64 array
        Finite, either sign, any shape.
    rounding : {"rint", "half_away"}
        Of the mantissa's magnitude, methods 17.4 and TFLite (``std::round``). They differ at ties
        of the 32nd bit only, which no float32 has.

    Returns
    -------
    Multiplier

    Raises
    ------
    ValueError
        If an entry is NaN or infinite, or the rounding is unknown.
    """
    check_in("quantize_multiplier", "rounding", rounding, ROUNDINGS)
    m = np.asarray(multiplier, dtype=np.float64)
    if not np.isfinite(m).all():
        fix = "Check the steps: the output's may be far too small."
        got = "NaN or infinite"
        raise ValueError(complaint("quantize_multiplier", "multiplier", got, "finite", fix))
    mantissa, exponent = np.frexp(np.abs(m))
    m0 = round_to(np.asarray(np.ldexp(mantissa, 31)), rounding).astype(np.int64)
    full = m0 == 2**31
    m0, exponent = np.where(full, 2**30, m0), np.where(full, exponent + 1, exponent)
    signed = np.where(np.signbit(m), -m0, m0)
    return Multiplier(signed.astype(np.int32), (-exponent).astype(np.int32))


def doubling_high_multiply(a: Array, b: Array) -> Array:
    """SRDHM: a * b / 2^31, rounded to nearest (ties up) and saturated; int32 in and out."""
    product = a.astype(np.int64) * b.astype(np.int64)
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    quotient = np.where(nudged >= 0, nudged >> 31, -(-nudged >> 31))  # truncated towards 0
    return np.minimum(quotient, INT32_MAX).astype(np.int32)


def rounding_shift(x: Array, exponent: Array | int) -> Array:
    """RDivPOT: x / 2^exponent rounded to nearest, ties away from zero; int32 in and out.

    `exponent` is an array (or int) of entries that are not negative.
    """
    shift = np.minimum(np.asarray(exponent, dtype=np.int64), _LONGEST)
    wide = x.astype(np.int64)
    rest = wide & ((np.int64(1) << shift) - 1)
    half = (((np.int64(1) << shift) - 1) >> 1) + (wide < 0)
    return ((wide >> shift) + (rest > half)).astype(np.int32)


def half_up_shift(x: Array, exponent: Array | int) -> Array:
    """x / 2^exponent rounded to nearest, ties up; int64 of at most 2^62 in magnitude.

    `exponent` is at most 62, so that the half that is added leaves the sum within int64.
    """
    shift = np.asarray(exponent, dtype=np.int64)
    half = np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), 0)
    return np.asarray((x.astype(np.int64) + half) >> shift)


def apply_multiplier(acc: Array, multiplier: Multiplier, requantize: str = "double") -> Array:
    """Return acc * M in integers, int32.

    Parameters
    ----------
    acc : int32 array
    multiplier : Multiplier
        Broadcasts against `acc`.
    requantize : {"double", "single"}
        Stages of rounding; see the module docstring.

    Returns
    -------
    int32 array
        Like `acc`; not clipped to a code range.
    """
    check_in("apply_multiplier", "requantize", requantize, STAGES)
    m0, e = (np.asarray(part, dtype=np.int64) for part in multiplier)
    acc = _left_shift(acc, np.maximum(-e, 0))
    right = np.maximum(e, 0)
    if requantize == "double":
        return rounding_shift(doubling_high_multiply(acc, m0), right)
    scaled = half_up_shift(acc.astype(np.int64) * m0, 31 + np.minimum(right, 31))
    scaled = np.minimum(scaled, INT32_MAX)
    return np.asarray(np.where(right > 31, 0, scaled), dtype=np.int32)


def requantize_fixed(
    acc: Array,
    multiplier: Multiplier,
    zero_point: int,
    limits: tuple[int, int],
    requantize: str = "double",
) -> Array:
    """Return codes of int32 accumulators: clip(acc * M + z_y, n, p), int32 (golden op 68).

    Parameters
    ----------
    acc : int32 array
        With the integer bias.
    multiplier : Multiplier
        Of st / s_y, broadcasting against `acc`.
    zero_point : int
    limits : (int, int)
        Lowest and highest code, zero point included. A fused ReLU raises the lowest to the zero
        point, a fused ReLU6 lowers the highest to rint(6 / s_y) + z_y.
    requantize : {"double", "single"}
    """
    return clip_codes(apply_multiplier(acc, multiplier, requantize), zero_point, limits)


def clip_codes(levels: Array, zero_point: int, limits: tuple[int, int]) -> Array:
    """Return int32 levels as codes in `limits`; clipped first, so that nothing can overflow."""
    low, high = limits[0] - zero_point, limits[1] - zero_point
    return np.asarray(np.clip(levels, low, high) + zero_point, dtype=np.int32)


def _left_shift(acc: Array, shift: Array) -> Array:
    """acc * 2^shift, saturated to int32; 31 bits take everything but 0 to an end already."""
    wide = acc.astype(np.int64) << np.minimum(shift, 31)
    return np.asarray(np.clip(wide, INT32_MIN, INT32_MAX), dtype=np.int32)
