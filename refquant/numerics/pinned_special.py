"""Matrix products with rows of extreme size, infinities or NaN, in pinned arithmetic.

1. Entries that are not finite are replaced by zero.
2. Each row is multiplied by a power of two that brings its largest entry to [1/2, 1).
3. The product of these is computed as any other.
4. It is multiplied back. Only here can it overflow, or be rounded a second time: a result
   in the subnormal range has been rounded to 53 bits first.
5. An element whose exact sum has an infinite or NaN term takes its class by the rules of
   IEEE 754: NaN if any term is NaN (0 times infinity is) or if infinities of both signs
   meet, else the infinity.
"""

from collections.abc import Callable

import numpy as np

from refquant._types import Array
from refquant.numerics.pinned_slices import magnitude

Product = Callable[[Array, Array, Array, int], bool]

STEP = 900  # 2^-104 <= |x| <= 2^11 times 2^-900 is normal, so one rounding remains


def careful_product(out: Array, left: Array, right: Array, slices: int, product: Product) -> None:
    """Set `out` (..., m, n) to left (..., m, k) times right (..., n, k) transposed.

    Parameters
    ----------
    out : (..., m, n) float64, written
    left, right : (..., m, k), (..., n, k), of any values
    slices : int
    product : callable
        The product for moderate rows, ``product(out, left, right, slices)``.
    """
    right = right.astype(np.float64, copy=False)
    scaled_left, e_left = _normalise(left)
    scaled_right, e_right = _normalise(right)
    product(out, scaled_left, scaled_right, slices)
    out[...] = scale(out, e_left + e_right.mT)
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        _set_classes(out, left, right, product)


def scale(x: Array, exponent: Array) -> Array:
    """Return x * 2^exponent, rounded once, for |x| in {0} or 2^-104..2^11 and any exponent.

    Beyond +-1800 the result is infinite or zero whatever x is. Multiplication is used because
    C libraries differ in how `ldexp` rounds subnormal results.
    """
    first = np.clip(exponent, -STEP, STEP)
    second = np.clip(exponent - first, -STEP, STEP)
    scaled: Array = x * np.ldexp(1.0, first) * np.ldexp(1.0, second)
    return scaled


def _normalise(x: Array) -> tuple[Array, Array]:
    """Return finite rows with the largest entry in [1/2, 1), and their exponents."""
    finite = np.where(np.isfinite(x), x, 0.0)
    exponent = np.frexp(magnitude(finite))[1]
    return scale(finite, -exponent), exponent


def _set_classes(out: Array, left: Array, right: Array, product: Product) -> None:
    """Overwrite the elements of `out` whose sum has a term that is not finite."""

    def count(a: Array, b: Array) -> Array:
        """Return the product of two masks, or of masks with signs."""
        total = np.empty_like(out)
        product(total, a, b, 1)  # exact: the entries are -1, 0 and 1
        return total

    inf_l, inf_r = (np.isinf(x).astype(np.float64) for x in (left, right))
    sign_l, sign_r = (np.sign(np.where(np.isnan(x), 1.0, x)) for x in (left, right))
    zero_l, zero_r = 1.0 - np.abs(sign_l), 1.0 - np.abs(sign_r)
    nan_l, nan_r = (np.isnan(x).any(axis=-1, keepdims=True) for x in (left, right))
    infinite = count(inf_l, 1.0 - zero_r) + count(1.0 - zero_l - inf_l, inf_r)
    signed = count(inf_l * sign_l, sign_r) + count((1.0 - inf_l) * sign_l, inf_r * sign_r)
    invalid = count(inf_l, zero_r) + count(zero_l, inf_r)
    out[infinite > 0.0] = np.copysign(np.inf, signed[infinite > 0.0])
    out[np.abs(signed) < infinite] = np.nan
    out[nan_l | nan_r.mT | (invalid > 0.0)] = np.nan
