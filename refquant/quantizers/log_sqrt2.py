"""Log-sqrt2 quantiser: levels are powers of sqrt(2), for probabilities after a softmax.

References: Li et al., "RepQ-ViT: Scale Reparameterization for Post-Training Quantization of
Vision Transformers", ICCV 2023, arXiv:2212.08254; methods, section 2.6, convention 8.

    paper   here    shape    meaning
    x       x       any      value >= 0, usually in (0, 1]
    d       scale   ()       the largest level, units of x
    q_raw   --      like x   rint(-2 log2(x / d))
    q       codes   like x   clip(q_raw, 0, 2^b - 1), int64
    --      zero    like x   q_raw >= 2^b: decoded to 0, bool
    y       y       like x   d 2^(-q/2), or 0 where `zero`

Edge cases: x = 0 (of either sign) has q_raw = inf, hence y = 0 with code 2^b - 1; the code alone
does not tell it from the smallest level, the mask does. x above d takes code 0, as does +inf. NaN
gives 0 like zeros. Negative x is refused. The true -2 log2(x / d) is never a tie for floats x
and d, but may round to one: within a few ulp of a border either code can come out.

Gradient: the paper trains nothing and defines none. `log_sqrt2_slope` is what automatic
differentiation finds if rounding is taken for the identity, as in the uniform quantizers: with
the residual r = q_raw + 2 log2(x / d) frozen, y = x 2^(-r/2), so dy/dx = y / x. The mask is that of
the rounded code, 0 <= q_raw <= 2^b - 1 (D2); d is not learnt.

Differs from: released code writes y as 2^(-ceil(q/2)) (1 + (q mod 2) (sqrt2 - 1)) d, the same
number (P64). Here 2^(-q/2) is sqrt2 times a whole power of two where q is odd: one rounding.
"""

from typing import Any, NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_bits, check_finite, check_positive, complaint
from refquant._types import Array

SQRT2 = 1.4142135623730951
SHARES = (0.999, 0.9999, 0.99999)  # quantiles that compete for d


class LogSqrt2(NamedTuple):
    """Values y, codes (int64) and the mask of values decoded to 0, all like x."""

    y: Array
    codes: Array
    zero: Array


def log_sqrt2(x: Array, scale: Array, bits: int) -> LogSqrt2:
    """Quantise to powers of sqrt(2), methods 2.6, golden op 8.

    Parameters
    ----------
    x : Array
        float32 or float64, any shape, nowhere negative.
    scale : Array
        d, one positive normal number of shape (), in the dtype of `x`.
    bits : int
        2..16.

    Returns
    -------
    LogSqrt2
        .y in the dtype of `x`, .codes int64 in [0, 2^b - 1], .zero bool.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit, `x` has a negative entry, or the scale is not positive.
    """
    top = (1 << check_bits("log_sqrt2", "bits", bits)) - 1
    _check("log_sqrt2", x)
    _check_scale(x, scale)
    raw = _raw(x, scale)
    zero = ~(raw <= top)  # NaN is not <= anything
    codes = np.clip(np.where(zero, top, raw), 0, top).astype(np.int64)
    return LogSqrt2(np.where(zero, 0.0, decode(codes, scale)).astype(x.dtype), codes, zero)


def log_sqrt2_slope(x: Array, scale: Array, bits: int) -> Array:
    """Return dy/dx, rounding taken for the identity; see the module.

    Parameters
    ----------
    x, scale, bits
        As for `log_sqrt2`.

    Returns
    -------
    Array
        Like `x`: y / x where the rounded code is on the grid, 0 elsewhere and at 0.
    """
    raw = _raw(x, scale)
    inside = (raw >= 0.0) & (raw <= (1 << bits) - 1)
    y = log_sqrt2(x, scale, bits).y
    return np.asarray(np.where(inside, y / np.where(inside, x, 1.0), 0.0).astype(x.dtype))


def decode(codes: Array, scale: Array) -> Array:
    """d 2^(-q/2) in the dtype of `scale`: codes int64 >= 0, without the mask of zeros."""
    odd = np.where(codes % 2 == 1, np.asarray(SQRT2, scale.dtype), np.ones_like(scale))
    return np.asarray(np.ldexp(scale * odd, -((codes + 1) // 2).astype(np.int32)))


def choose_scale(x: Array, bits: int, shares: tuple[float, ...] = SHARES) -> Array:
    """The quantile of x that quantises it with the smallest squared error, methods 2.6.

    Parameters
    ----------
    x : Array
        float32 or float64, finite, nowhere negative, not empty.
    bits : int
        2..16.
    shares : tuple of float
        Quantiles tried in this order, in [0, 1]; the first smallest error wins. A quantile is
        read off the line between its two neighbours in the sorted x.

    Returns
    -------
    Array
        d, of shape () and in the dtype of `x`.

    Raises
    ------
    TypeError, ValueError
        If `x` is not such an array, a share is no share, or no quantile is positive.
    """
    check_bits("choose_scale", "bits", bits)
    check_finite("choose_scale", "x", _check("choose_scale", x))
    check_shares("choose_scale", shares)
    ordered = np.sort(x, axis=None)
    tried = [_between(ordered, share) for share in shares] if x.size else []
    usable = [scale for scale in tried if scale >= np.finfo(x.dtype).tiny]
    if not usable:
        fix = "Leave a tensor of zeros alone."
        raise ValueError(complaint("choose_scale", "x", "0 at every share", "a positive one", fix))
    return min(usable, key=lambda scale: _squared_error(x, scale, bits))


def check_shares(function: str, shares: tuple[float, ...]) -> None:
    """Refuse quantiles outside [0, 1]."""
    if not all(0.0 <= share <= 1.0 for share in shares):
        raise ValueError(complaint(function, "shares", shares, "shares in [0, 1]"))


def _raw(x: Array, scale: Array) -> Array:
    """rint(-2 log2(x / d)), inf at 0."""
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        return np.rint(-2.0 * nx.log2(np.asarray(x / scale)))


def _squared_error(x: Array, scale: Array, bits: int) -> float:
    """Sum of (x - y)^2."""
    error = x - log_sqrt2(x, scale, bits).y
    return float(nx.sum(error * error))


def _between(ordered: Array, share: float) -> Array:
    """Sorted values read at the real position (n - 1) share."""
    position = (len(ordered) - 1) * float(share)
    k = min(int(position), len(ordered) - 1)
    after = ordered[min(k + 1, len(ordered) - 1)]
    return np.asarray(ordered[k] + (position - k) * (after - ordered[k]))


def _check(function: str, x: Any) -> Array:
    """`x` if it is a floating array without negative entries; an error otherwise."""
    check_array(function, "x", x)
    if np.any(x < 0.0):
        got = f"{x[x < 0.0][0]} somewhere"
        fix = "The quantiser is for probabilities; use a uniform one."
        raise ValueError(complaint(function, "x", got, "numbers >= 0", fix))
    return np.asarray(x)


def _check_scale(x: Array, scale: Any) -> None:
    """Refuse a scale that is not one positive normal number in the dtype of x."""
    check_array("log_sqrt2", "scale", scale, ndim=0)
    if scale.dtype != x.dtype:
        raise TypeError(complaint("log_sqrt2", "scale", scale.dtype, f"{x.dtype} like x"))
    check_positive("log_sqrt2", "scale", scale)
