"""Rounding to nearest in few passes: LSQ's quantizer, and what is mixed into it.

Definitions: `refquant.quantizers.fake_quant` with rounding="rint" and one step for all values
(methods.md 2.1), `refquant.quantizers.mixing` (10.1). All that the gradients need of u and q is

    slope = dy/ds = q - M u            d_x = g M          d_s = sum g slope

and where y = m x_hat + (1 - m) x, m g stands for g, and (1 - m) g is added to d_x.

    symbol    here     shape             meaning
    s, n, p   Rule     numbers           step, lowest and highest level
    M         inside   like x, bool      not clipped
    m         share    (), or like x     share of the quantized values; 0 or 1 where drawn

x_hat, M and slope equal the definition's, m x_hat + (1 - m) x too; d_s is summed in another order.
A zero may have the other sign. Infinities take the ends of the range. NaN stays NaN, where the
definition says 0, and an infinity spoils a mixture: `sound` tells, and the caller then runs the
definition.
"""

from typing import NamedTuple

import numpy as np

from refquant._types import Array
from refquant.kernels.sums import inner
from refquant.numerics import masked
from refquant.quantizers.mixing import MixCache


class Rule(NamedTuple):
    """Step (exact in the dtype of x), ends of u-space, and whether M is of the rounded values."""

    step: float
    low: float
    high: float
    mask: str


class NearestCache(NamedTuple):
    """What `nearest_forward` leaves; see the module's table."""

    slope: Array
    inside: Array


def nearest_forward(x: Array, rule: Rule) -> tuple[Array, NearestCache]:
    """Return s clip(rint(x / s), n, p), and a cache; x is float32 or float64, of any shape."""
    with np.errstate(over="ignore"):  # an infinite u is clipped
        u = np.divide(x, rule.step)
    rounded = np.rint(u)
    levels = np.clip(rounded, rule.low, rule.high)
    inside = levels == rounded
    if rule.mask == "unrounded":
        inside = (u >= rule.low) & (u <= rule.high)
    slope = np.subtract(levels, masked(u, inside), out=u)
    return np.multiply(levels, rule.step, out=levels), NearestCache(slope, inside)


def nearest_backward(g: Array, cache: NearestCache) -> tuple[Array, float]:
    """Return dL/dx and dL/ds, given dL/dx_hat."""
    return masked(g, cache.inside), inner(g, cache.slope)


def mix_forward(x: Array, x_hat: Array, share: Array) -> tuple[Array, MixCache]:
    """Return m x_hat + (1 - m) x, and a cache for `mix_backward`, the definition's."""
    shares = MixCache(np.asarray(1.0 - share), share, x.shape)
    with np.errstate(invalid="ignore"):  # 0 times infinity: not sound
        y = np.multiply(x_hat, share)
        y += x * shares.of_x
    return y, shares


def sound(y: Array) -> bool:
    """Return whether a result is finite everywhere, so that nothing was hidden in it."""
    return bool(np.isfinite(y).all())
