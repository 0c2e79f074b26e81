"""x to the power p in pinned arithmetic.

    p in {0, 1, 2, 3, 4}   1, x, x x, (x x) x, (x x)(x x)
    p = 1/2                sqrt(x)
    otherwise              2^t with t = p log2|x|, carried as a sum of two float64

Bound, measured against mpmath by the tests: (1 + |p| / 32) ulp, by multiplication 2 ulp. Powers
of two are exact where p log2(x) is whole. A negative x has a power only for whole p; its sign is
that of (-1)^p.

Edge cases as in IEEE 754: x^0 = 1 for every x, 1^p = 1, 0^p = 0 or (p < 0) inf,
inf^p = inf or (p < 0) 0. p must be finite.
"""

from functools import partial

import numpy as np

from refquant._checks import check_finite
from refquant._types import Array
from refquant.numerics.pinned_elementwise import elementwise, head
from refquant.numerics.pinned_exp import LN2_HI, LN2_LO, expm1_reduced, scale
from refquant.numerics.pinned_log import log2_parts
from refquant.numerics.select import masked

LN2 = LN2_HI + LN2_LO
BY_MULTIPLICATION = 4


def power(x: Array, p: Array | float) -> Array:
    """Return ``x ** p``; see the module for the route each exponent takes."""
    check_finite("power", "p", np.asarray(p, np.float64))
    if np.ndim(p) == 0 and p in range(BY_MULTIPLICATION + 1):
        return elementwise(partial(_multiplied, n=int(p)), x)
    if np.ndim(p) == 0 and p == 0.5:
        return elementwise(_root, x)
    return elementwise(_general, x, p)


def _root(x: Array) -> Array:
    root: Array = np.where(x == -np.inf, np.inf, np.sqrt(x)) + 0.0
    return root


def _multiplied(x: Array, n: int) -> Array:
    if n < 2:
        return x.copy() if n else np.ones_like(x)
    square: Array = x * x
    return square if n == 2 else square * (x if n == 3 else square)


def _general(x: Array, p: Array) -> Array:
    """Kernel of x ** p by logarithm and exponential."""
    least, most = x.min(), x.max()
    if least > 0.0 and most < np.inf and p.all():
        return _of_positive(x, p)
    if least == 0.0 and most < np.inf and p.min() > 0.0 and not np.signbit(x).any():
        zero = x == 0.0
        return masked(_of_positive(x + zero, p), ~zero)
    size = np.abs(x)
    usable = (size > 0.0) & (size < np.inf)
    result = _of_positive(np.where(usable, size, 1.0), p)
    limit = np.where((size > 0.0) == (p > 0.0), np.inf, 0.0)
    result = np.where(usable | np.isnan(x), result, limit)
    whole = np.rint(p) == p
    odd = whole & (np.rint(p * 0.5) != p * 0.5)
    result = np.where(odd, np.copysign(result, x), result)
    invalid = np.isnan(x) | ((x < 0.0) & (size < np.inf) & ~whole)
    result = np.where(invalid, np.nan, result)
    return np.where(p == 0.0, 1.0, result)


def _of_positive(x: Array, p: Array) -> Array:
    return _exp2(*_times(p, *log2_parts(x)))


def _times(p: Array, high: Array, low: Array) -> tuple[Array, Array]:
    """Return p (high + low) as a sum of two; beyond +-1100, where 2^t is 0 or inf, +-1100."""
    t = p * high
    p_head, h_head = head(p), head(high)
    p_tail, h_tail = p - p_head, high - h_head
    rest = ((p_head * h_head - t) + p_head * h_tail + p_tail * h_head) + p_tail * h_tail
    rest += p * low
    if t.min() >= -1100.0 and t.max() <= 1100.0:
        return t, rest
    far = np.abs(t) > 1100.0
    return np.clip(t, -1100.0, 1100.0), np.where(far, 0.0, rest)


def _exp2(t: Array, low: Array) -> Array:
    """Return 2^(t + low)."""
    k = np.rint(t)
    r = ((t - k) + low) * LN2
    return scale(expm1_reduced(r, np.zeros_like(r)) + 1.0, np.clip(k, -1080.0, 1030.0))
