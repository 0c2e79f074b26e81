"""AdaQuant's quantiser: what is learned is the width of the range and its lower end.

References: Hubara et al., "Improving Post Training Neural Quantization: Layer-wise Calibration
and Integer Programming", arXiv:2006.10518 (CalibTIP); methods, section 2.3, convention 12.

    paper   here         shape         meaning
    R       span         () or (c, ..) width of the range, units of x; learned
    m       minimum      like span     lower end of the range, units of x; learned
    Lv      levels       --            2^b - 1
    s       step         like span     R / Lv
    Z       zero         like span     clip(rint(-m / s), 0, Lv): the code of 0
    u       u            like x        x / s
    t       --           like x        clip(u + Z, 0, Lv)
    q       q            like x        rint(t), the code
    M       inside       like x        0 <= u + Z <= Lv
    MZ      zero_inside  like span     0 <= rint(-m / s) <= Lv
    MR      span_inside  like span     1e-6 <= R <= 1e5; outside, R is clipped to it first

Forward   y = s (q - Z)              clamped, then rounded: the mask is on the unrounded value
Backward  d_x = d_y M
          d_m = MR MZ sum d_y (1 - M)
          d_R = MR / Lv (sum d_y (q - Z - M u) - MZ (m / s) sum d_y (1 - M))

Rounding residuals, of t and of -m / s, and masks are constants of the gradient. Where Z is
clipped, m has no effect and R acts by the step alone. Where R is clipped, neither gets a
gradient: a convention (12), as y depends on m through Z there, and autodiff of y alone gives
MZ sum d_y (1 - M). All masks include both ends.

Edge cases: 0 is a level whatever R and m. NaN gives y = 0 and no gradient; the infinities and an
overflowing x / s take the ends. y is never -0.0.

Differs from: the other quantisers here add the zero point after rounding; as Z is inside rint(t),
a tie goes to the even *code*, so with odd Z the other way than rint(u) + Z.
"""

from typing import Any, NamedTuple

import numpy as np

from refquant._checks import (
    check_array,
    check_bits,
    check_finite,
    check_int,
    check_operand,
    check_shape,
    complaint,
)
from refquant._types import Array
from refquant.quantizers.levels import check_broadcast, ratio, step_slope, sum_to_shape, within

SPAN_MIN, SPAN_MAX = 1e-6, 1e5


class AdaQuantCache(NamedTuple):
    """What `adaquant_forward` leaves for its backward; shapes as in the module's table.

    Attributes
    ----------
    u, level : Array
        x / s and q - Z, like x.
    inside : Array
        M, bool, like x.
    zero_inside, span_inside : Array
        MZ and MR, bool, like the span.
    lower : Array
        m / s, like the span.
    levels : int
        Lv.
    """

    u: Array
    level: Array
    inside: Array
    zero_inside: Array
    span_inside: Array
    lower: Array
    levels: int


class AdaQuantGrads(NamedTuple):
    """dL/dx like x; dL/dR and dL/dm like the span."""

    x: Array
    span: Array
    minimum: Array


def adaquant_forward(
    x: Array, span: Array, minimum: Array, bits: int
) -> tuple[Array, AdaQuantCache]:
    """y = s (rint(clip(x / s + Z, 0, Lv)) - Z), methods 2.3, golden op 7.

    Parameters
    ----------
    x : Array
        float32 or float64, any shape.
    span : Array
        R, finite, in the dtype of `x`; broadcasts to `x`. Clipped to [1e-6, 1e5].
    minimum : Array
        m, finite, shape and dtype of `span`.
    bits : int
        2..16.

    Returns
    -------
    y : Array
        Like `x`.
    cache : AdaQuantCache
        For `adaquant_backward`.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit, a parameter is not finite, or `bits` no bit width.
    """
    levels = (1 << check_bits("adaquant_forward", "bits", bits)) - 1
    _check("adaquant_forward", x, span, minimum)
    step = np.asarray(adaquant_project_span(span) / levels)
    lower = ratio(minimum, step)
    raw_zero = np.rint(-lower)
    zero = np.clip(raw_zero, 0.0, levels)
    u = ratio(x, step)
    shifted = u + zero
    code = np.rint(np.clip(np.where(np.isnan(u), zero, shifted), 0.0, levels))
    level = np.asarray(code - zero)
    masks = (within(shifted, 0.0, levels), within(raw_zero, 0.0, levels))
    span_inside = within(span, SPAN_MIN, SPAN_MAX)
    return np.asarray(step * level), AdaQuantCache(u, level, *masks, span_inside, lower, levels)


def adaquant_backward(d_y: Array, cache: AdaQuantCache) -> AdaQuantGrads:
    """Gradients of x, R and m, methods 2.3 with convention 12.

    Parameters
    ----------
    d_y : Array
        dL/dy, like x.
    cache : AdaQuantCache
        From `adaquant_forward`.

    Returns
    -------
    AdaQuantGrads
        .x like x; .span and .minimum summed over the elements that share a range.

    Raises
    ------
    TypeError, ValueError
        If `d_y` is not a floating array of the shape of x.
    """
    check_array("adaquant_backward", "d_y", d_y)
    check_shape("adaquant_backward", "d_y", d_y, cache.u.shape)
    zero = np.zeros_like(d_y)
    clipped = sum_to_shape(np.where(cache.inside, zero, d_y), cache.lower.shape)
    slope = step_slope(cache.level, cache.u, cache.inside)
    by_zero = np.where(cache.zero_inside, cache.lower, 0.0) * clipped
    d_s = sum_to_shape(d_y * slope, cache.lower.shape) - by_zero
    d_span = np.where(cache.span_inside, d_s / cache.levels, 0.0)
    d_minimum = np.where(cache.zero_inside & cache.span_inside, clipped, 0.0)
    d_x = np.where(cache.inside, d_y, zero)
    return AdaQuantGrads(d_x, d_span.astype(d_y.dtype), d_minimum.astype(d_y.dtype))


def adaquant_init(x: Array, axis: int | None = None) -> tuple[Array, Array]:
    """Range of the data: m = min(x, 0), R = max(x, 0) - m, methods 2.3.

    Parameters
    ----------
    x : Array
        float32 or float64, finite, not empty.
    axis : int or None
        Axis with a range for each index; None for one range.

    Returns
    -------
    span, minimum : Array
        () or (1, .., c, .., 1), the dtype of `x`; where R would be 0 it is 1.

    Raises
    ------
    TypeError, ValueError
        If `x` is not such an array or has no such axis.
    """
    check_array("adaquant_init", "x", x)
    check_finite("adaquant_init", "x", x)
    if x.size == 0:
        raise ValueError(complaint("adaquant_init", "x", f"of shape {x.shape}", "elements"))
    kept = None if axis is None else check_int("adaquant_init", "axis", axis, 0, x.ndim - 1)
    axes = tuple(i for i in range(x.ndim) if i != kept)
    keep = kept is not None
    minimum = np.minimum(x.min(axis=axes, keepdims=keep), 0.0)
    span = np.maximum(x.max(axis=axes, keepdims=keep), 0.0) - minimum
    return np.asarray(np.where(span == 0.0, np.ones_like(span), span)), np.asarray(minimum)


def adaquant_project_span(span: Array) -> Array:
    """Keep a learned width usable: R <- clip(R, 1e-6, 1e5), methods 2.3; like `span`."""
    check_array("adaquant_project_span", "span", span)
    check_finite("adaquant_project_span", "span", span)
    return np.asarray(np.clip(span, SPAN_MIN, SPAN_MAX))


def _check(function: str, x: Any, span: Any, minimum: Any) -> None:
    """Refuse parameters that do not fit each other or x."""
    check_array(function, "x", x)
    check_array(function, "span", span)
    check_operand(function, "span", span, span.shape, x.dtype)
    check_broadcast(function, span.shape, "x", x.shape)
    check_operand(function, "minimum", minimum, span.shape, x.dtype)
    check_finite(function, "minimum", minimum)
