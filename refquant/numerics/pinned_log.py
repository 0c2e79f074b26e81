"""log and log2 in pinned arithmetic, from + - * / and frexp.

    x = 2^e m,  m in [sqrt(1/2), sqrt(2)),  f = m - 1,  s = f / (2 + f),  z = s^2
    log m = 2 artanh(s) = 2 s + s R,   R = 2 (z/3 + z^2/5 + z^3/7 + ... + z^10/21)

|s| <= 0.172, so the first term left out is below 2^-60 of log m. `log` writes 2s as f - s f,
which loses nothing near 1. `log2_parts` carries s as a head of 26 bits and a remainder, so
that the logarithm is known to about 2^-59 and `power` may multiply it.

Bounds, measured against mpmath by the tests: log 0.9 ulp, log2 0.6 ulp. log(1) = 0 and
log2(2^n) = n exactly, also for subnormal x; log(0) = -inf, log(inf) = inf, NaN below zero.
"""

import numpy as np

from refquant._types import Array
from refquant.numerics.pinned_elementwise import head, horner
from refquant.numerics.pinned_exp import INV_LN2, LN2_HI, LN2_LO

SQRT_HALF = float.fromhex("0x1.6a09e667f3bcdp-1")
SQRT_HALF_BITS = 0x3FE6A09E667F3BCD
NORMAL = 2.0**-1022
INV_LN2_HI = float.fromhex("0x1.7154760000000p+0")  # 26 bits
INV_LN2_LO = float.fromhex("0x1.4ae0bf85ddf44p-26")
ARTANH = tuple(2.0 / (2 * n + 1) for n in range(1, 11))  # R / z


def log(x: Array) -> Array:
    """Kernel of log."""
    e, f = _split(x)
    s = f / (2.0 + f)
    z = s * s
    half_square = 0.5 * f * f
    tail = s * (half_square + horner(z, ARTANH) * z) + e * LN2_LO
    return _special(e * LN2_HI - ((half_square - tail) - f), x)


def log2(x: Array) -> Array:
    """Kernel of log2."""
    high, low = log2_parts(x)
    return _special(high + low, x)


def log2_parts(x: Array) -> tuple[Array, Array]:
    """Return high and low with log2(x) = high + low to about 2^-59, for finite x > 0."""
    e, f = _split(x)
    divisor = 2.0 + f
    s = f / divisor
    z = s * s
    s_head, d_head = head(s), head(divisor)
    remainder = (f - s_head * d_head) - s_head * (f - (d_head - 2.0))
    tail = 2.0 * (remainder / divisor) + s * (horner(z, ARTANH) * z)
    return _in_bits(e, 2.0 * s_head, tail)


def _in_bits(e: Array, log_head: Array, log_tail: Array) -> tuple[Array, Array]:
    """Return e + (log_head + log_tail) / ln 2 as a float64 and what its rounding lost."""
    scaled = log_head * INV_LN2_HI  # exact: 26 bits times 26
    high = e + scaled
    low = scaled - (high - e)  # exact: e is zero or the larger
    low += log_head * INV_LN2_LO + log_tail * INV_LN2
    total = high + low
    return total, low - (total - high)


def _split(x: Array) -> tuple[Array, Array]:
    """Return e and f with x = 2^e (1 + f), f in [sqrt(1/2) - 1, sqrt(2) - 1)."""
    if x.min() >= NORMAL and x.max() < np.inf:  # then it can be read off the bits
        bits = x.view(np.int64)
        k = (bits - SQRT_HALF_BITS) >> 52
        return k.astype(np.float64), (bits - (k << 52)).view(np.float64) - 1.0
    m, e = np.frexp(x)
    small = m < SQRT_HALF
    m = np.where(small, m + m, m)
    return e - small.astype(np.float64), m - 1.0


def _special(result: Array, x: Array) -> Array:
    """Put in the values at 0, at infinity and below 0."""
    if x.min() > 0.0 and x.max() < np.inf:
        return result
    result = np.where(x == np.inf, np.inf, result)
    return np.where(x > 0.0, result, np.where(x == 0.0, -np.inf, np.nan))
