"""Clip-range quantiser: both ends of the range are learned, and 0 need not be a level.

References: Hong and Lee, "AdaBM: On-the-Fly Adaptive Bit Mapping for Image Super-Resolution",
CVPR 2024, arXiv:2404.03296, whose quantiser AdaQTransform uses for its table 6; methods,
section 2.7.

    paper   here      shape         meaning
    l, r    low,high  () or (c, ..) ends of the range, l < r, units of x; learned
    Lv      levels    --            2^b - 1
    c       --        like x        clip(x, l, r)
    v       v         like x        Lv (c - l) / (r - l), in [0, Lv]
    delta   residual  like x        rint(v) - v, a constant of the gradient
    In      inside    like x        l <= x <= r;   Lo: x < l;   Hi: x > r
    y       y         like x        l + (r - l) rint(v) / Lv

    d_x = d_y In
    d_l = sum d_y (Lo - In delta / Lv)
    d_r = sum d_y (Hi + In delta / Lv)

Weights use l = -r with one learned end: its gradient is d_r - d_l, `symmetric_gradient`.

Not modelled: AdaBM as a method. Its widths for each sample and its loss are not in the contract
(methods.md 16), so this quantizer stands by itself: an op of the oracle, in no setting.

Kinks: x = l and x = r count as inside.

Edge cases: NaN is quantised like 0 and passes no gradient; the infinities take the ends. A range
without width is refused, and so is one of which 2^b - 1 widths overflow.
"""

from typing import NamedTuple

import numpy as np

from refquant._checks import (
    check_array,
    check_bits,
    check_finite,
    check_operand,
    check_positive,
    check_shape,
)
from refquant._types import Array
from refquant.quantizers.levels import check_broadcast, sum_to_shape, within


class ClipRangeCache(NamedTuple):
    """What `clip_range_forward` leaves: delta and the masks, like x; the shape of the ends; Lv."""

    residual: Array
    inside: Array
    below: Array
    above: Array
    shape: tuple[int, ...]
    levels: int


class ClipRangeGrads(NamedTuple):
    """dL/dx like x; dL/dl and dL/dr like the ends."""

    x: Array
    low: Array
    high: Array


def clip_range_forward(
    x: Array, low: Array, high: Array, bits: int
) -> tuple[Array, ClipRangeCache]:
    """y = l + (r - l) rint(v) / Lv, methods 2.7.

    Parameters
    ----------
    x : Array
        float32 or float64, any shape.
    low, high : Array
        l and r, of one shape that broadcasts to `x`, in its dtype; r - l a positive normal
        number.
    bits : int
        2..16.

    Returns
    -------
    y : Array
        Like `x`, in [l, r] up to rounding.
    cache : ClipRangeCache
        For `clip_range_backward`.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit, r - l is not positive, or `bits` no bit width.
    """
    function = "clip_range_forward"
    levels = (1 << check_bits(function, "bits", bits)) - 1
    check_array(function, "x", x)
    check_array(function, "low", low)
    check_operand(function, "high", high, low.shape, x.dtype)
    check_operand(function, "low", low, low.shape, x.dtype)
    check_broadcast(function, low.shape, "x", x.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        width = np.asarray(high - low)
        check_positive(function, "high - low", width)
        check_finite(function, "(2^bits - 1) (high - low)", np.asarray(levels * width))
    clipped = np.clip(np.where(np.isnan(x), np.zeros_like(x), x), low, high)
    v = levels * (clipped - low) / width
    whole = np.rint(v)
    y = np.asarray(low + width * whole / levels)
    masks = (within(x, low, high), x < low, x > high)
    return y, ClipRangeCache(np.asarray(whole - v), *masks, low.shape, levels)


def clip_range_backward(d_y: Array, cache: ClipRangeCache) -> ClipRangeGrads:
    """Gradients of x and of both ends, methods 2.7; `d_y` like x."""
    check_array("clip_range_backward", "d_y", d_y)
    check_shape("clip_range_backward", "d_y", d_y, cache.inside.shape)
    residual = np.where(cache.inside, cache.residual, np.zeros_like(cache.residual))
    d_low = _end_gradient(d_y, cache.below, -residual, cache)
    d_high = _end_gradient(d_y, cache.above, residual, cache)
    return ClipRangeGrads(np.where(cache.inside, d_y, np.zeros_like(d_y)), d_low, d_high)


def symmetric_gradient(grads: ClipRangeGrads) -> Array:
    """dL/dr of a range [-r, r]: d_r - d_l, methods 2.7; like the ends."""
    return np.asarray(grads.high - grads.low)


def _end_gradient(d_y: Array, beyond: Array, residual: Array, cache: ClipRangeCache) -> Array:
    """sum d_y (beyond + residual / Lv), divided last: the rest is exact on dyadic values."""
    slope = (cache.levels * beyond + residual).astype(d_y.dtype, copy=False)
    return np.asarray(sum_to_shape(d_y * slope, cache.shape) / cache.levels)
