"""exp, sigmoid and tanh in pinned arithmetic, from + - * / and whole powers of two.

    exp(x) = 2^k (1 + q),   k = rint(x / ln 2),   r = x - k ln 2,   q = exp(r) - 1

The reduction subtracts k ln 2 in two parts (Cody and Waite): LN2_HI has 42 bits, so k LN2_HI
is exact, and what the rounding of r loses is kept in `low`. With |r| <= 0.347 the Taylor sum
of q to r^13 / 13! leaves out less than 2^-57 of exp(r).

Bounds, measured against mpmath by the tests: exp 0.9 ulp, also in the subnormal range;
sigmoid 2 ulp; tanh 2.5 ulp. exp(0) = 1 and sigmoid(0) = 1/2 exactly; exp(+-inf) and overflow
as in IEEE 754; tanh is odd exactly.
"""

from math import factorial

import numpy as np

from refquant._types import Array
from refquant.numerics.pinned_elementwise import horner, power_of_two

INV_LN2 = float.fromhex("0x1.71547652b82fep+0")
LN2_HI = float.fromhex("0x1.62e42fefa3800p-1")  # 42 bits
LN2_LO = float.fromhex("0x1.ef35793c76730p-45")
TAYLOR = tuple(1.0 / factorial(n) for n in range(2, 14))  # (exp(r) - 1 - r) / r^2


def exp(x: Array) -> Array:
    """Kernel of exp."""
    k, q = reduce(np.clip(x, -746.0, 710.0))
    q += 1.0
    return scale(q, k)


def tanh(x: Array) -> Array:
    """Kernel of tanh: -e / (2 + e) with e = exp(-2 |x|) - 1, and the sign of x."""
    k, q = reduce(np.abs(x.clip(-22.0, 22.0)) * -2.0)
    factor = power_of_two(k)
    e = q * factor + (factor - 1.0)
    value: Array = np.copysign(e / (2.0 + e), x)
    return value


def sigmoid(x: Array) -> Array:
    """Kernel of the sigmoid, split by sign: exp(-|x|) over or under 1 + exp(-|x|)."""
    e = exp(-np.abs(x))
    value: Array = np.where(np.signbit(x), e, 1.0) / (1.0 + e)
    return value


def reduce(x: Array) -> tuple[Array, Array]:
    """Return k and q with exp(x) = 2^k (1 + q), for |x| < 1100."""
    k = np.rint(x * INV_LN2)
    high = x - k * LN2_HI
    low = k * LN2_LO
    r = high - low
    low = (high - r) - low
    return k, expm1_reduced(r, low)


def expm1_reduced(r: Array, low: Array) -> Array:
    """Return exp(r + low) - 1 for |r| <= 0.35 and |low| <= ulp(r)."""
    q = horner(r, TAYLOR)
    q *= r
    q *= r
    q += low
    q += r
    return q


def scale(y: Array, k: Array) -> Array:
    """Return y 2^k, rounded once, for y near 1 and k in [-1100, 1030]."""
    if k.min() >= -1000.0 and k.max() <= 1000.0:  # nothing is rounded
        whole: Array = y * power_of_two(k)
        return whole
    first = np.rint(k * 0.5)
    scaled: Array = y * power_of_two(first)
    scaled *= power_of_two(k - first)
    return scaled
