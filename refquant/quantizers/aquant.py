"""AQuant's activation quantizer: rounds up where the fraction exceeds a border learned from it.

References: Li et al., "Efficient Adaptive Activation Rounding for Post-Training Quantization",
arXiv:2208.11945, AQ eq.8 to 10 and app. eq.1 and 2; methods, sections 13.1, 13.3 and 13.4, golden
ops 48 and 49.

    paper   here         shape             meaning
    Xc      x            (n, c k, ...)     input of the layer as patches, row c k + tap (D15)
    s_x     step         one number        distance of two levels
    u       u            (n, c, k, l)      x / s
    B       border       `border`          border in [0, 1], in units of the step
    r       r            (n, c, k, l)      floor(u) + [u - floor(u) > B]
    a       a            number in 0..1    rounding schedule, 1 at evaluation
    v       mixed        (n, c, k, l)      u + a (r - u)                      AQ app. eq.2
    t       levels       (n, c, k, l)      clip(v, n, p); integers if a = 1
    n, p    low, high    numbers           code_min - zero_point, code_max - zero_point
    M       inside       (n, c, k, l)      clip mask
    g       d_x_hat      like x            dL/dx_hat

Forward    x_hat = s t
Backward   Gv = s g M          GB = -a Gv (gate)        GP, Gb from `border`
           Gu = Gv + GP (2 b2 u + b1)        d_x = Gu / s        d_s = c (sum g t - sum Gu u / s)

The rounding is the identity for the gradient: its residual and the masks are constants. The
weights reach border and step through g = What^T GY (AQ app. eq.1). Trailing axes of x may be
(l,), (h_o, w_o) or none (a fully connected layer: k = 1).

Kinks: M is n <= v <= p (mask="rounded") or n <= u <= p ("unrounded"), both inclusive. The
gate "support" is strict, n < u < p: from the ends on the border changes nothing (P08). A fraction
equal to its border goes down (D1).

Edge cases: NaN takes the zero point, the infinities the ends; they pass no gradient to x, and
NaN none to s. In a fused border they stand for the levels they become, 0, n or p, without a
gradient. Zeros stay zeros on every grid (P70), so padding does.

Differs from: the paper prints ``s clip(ceil(x - B))``, where the division by s is lost, and a
border of 1 would move integral values (D1). Released border learning is not known to us.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from refquant._checks import check_array, check_operand, complaint
from refquant._types import Array
from refquant.quantizers.border import BorderCache, BorderParams, border_backward, border_forward
from refquant.quantizers.border_options import BorderOptions
from refquant.quantizers.grid import QParams
from refquant.quantizers.levels import (
    check_grad_scale,
    clip_levels,
    limits_for,
    ratio,
    step_for,
    step_slope,
    sum_to_shape,
    within,
)
from refquant.quantizers.rounding import border_round


class AQuantCache(NamedTuple):
    """What `aquant_forward` leaves for its backward; shapes as in the module's table.

    Attributes
    ----------
    shape : tuple of int
        That of x.
    u, border, levels, inside
        See the table.
    gate : Array
        bool, where the border gets a gradient.
    border_cache : BorderCache
    step : Array
        In the dtype of x.
    a, grad_scale : float
    detach : bool
        Whether the border counts as independent of x and s.
    """

    shape: tuple[int, ...]
    u: Array
    border: Array
    levels: Array
    inside: Array
    gate: Array
    border_cache: BorderCache
    step: Array
    a: float
    grad_scale: float
    detach: bool


class AQuantGrads(NamedTuple):
    """dL/dx, like x; dL/ds, like the step, times the gradient scale; those of the border."""

    x: Array
    s: Array
    border: BorderParams


def aquant_forward(
    x: Array,
    qparams: QParams,
    params: BorderParams,
    options: BorderOptions,
    a: float = 1.0,
    grad_scale: float = 1.0,
) -> tuple[Array, AQuantCache]:
    """Quantize and dequantize at the learned border, methods 13.3.

    Parameters
    ----------
    x : (n, c k), (n, c k, l) or (n, c k, h_o, w_o) array, float32 or float64
        Patches; (c, k) is the shape of the parameters.
    qparams : QParams
        One step for the whole tensor.
    params : BorderParams
        In the dtype of `x`.
    options : BorderOptions
    a : float
        Weight of the rounding in [0, 1], see `rounding_schedule`.
    grad_scale : float
        Factor of the step's gradient, see `lsq_grad_scale`.

    Returns
    -------
    x_hat : Array
        Like `x`; on the grid if a = 1.
    cache : AQuantCache
        For `aquant_backward`.

    Raises
    ------
    TypeError, ValueError
        If a shape or dtype does not fit, the step is not one number, a parameter is not
        finite, or `a` lies outside [0, 1].
    """
    scale = check_grad_scale("aquant_forward", grad_scale)
    weight = _check_schedule(a)
    u, step = _discrete("aquant_forward", x, qparams, params)
    low, high = (end.item() for end in limits_for(x, qparams))
    border, border_cache = border_forward(_border_input(u, low, high), params, options)
    mixed = _mix(u, border_round(u, border), weight)
    levels = clip_levels(mixed, low, high)
    inside = within(mixed if options.mask == "rounded" else u, low, high)
    gate = ((u > low) & (u < high)) | (options.gate == "literal")
    held = (x.shape, u, border, levels, inside, gate, border_cache, step)
    cache = AQuantCache(*held, weight, scale, options.detach_border_input)
    return np.asarray(step * levels).reshape(x.shape), cache


def aquant_backward(d_x_hat: Array, cache: AQuantCache) -> AQuantGrads:
    """Gradients of x, the step and the border, methods 13.4.

    Parameters
    ----------
    d_x_hat : Array
        dL/dx_hat, like x, of its dtype.
    cache : AQuantCache
        From `aquant_forward`.

    Returns
    -------
    AQuantGrads
        .x like x, .s like the step, .border a `BorderParams`.

    Raises
    ------
    TypeError, ValueError
        If `d_x_hat` has not the shape and dtype of x.
    """
    u, step = cache.u, cache.step
    check_operand("aquant_backward", "d_x_hat", d_x_hat, cache.shape, u.dtype)
    g = d_x_hat.reshape(u.shape)
    none = np.zeros_like(g)
    d_v = np.where(cache.inside, step * g, none)
    d_border = np.where(cache.gate, -cache.a * d_v, none)
    grads = border_backward(sum_to_shape(d_border, cache.border.shape), cache.border_cache)
    through = none if cache.detach else np.where(np.isfinite(u), grads.u, none)
    d_x = np.where(cache.inside, g, none) + through / step
    return AQuantGrads(d_x.reshape(cache.shape), _step_gradient(g, through, cache), grads.params)


def aquant_codes(x: Array, qparams: QParams, params: BorderParams, options: BorderOptions) -> Array:
    """Integer codes clip(r, n, p) + zero_point: what is deployed, a = 1.

    Parameters
    ----------
    x, qparams, params, options
        As `aquant_forward`.

    Returns
    -------
    Array
        int64, like `x`, in [code_min, code_max].
    """
    _, cache = aquant_forward(x, qparams, params, options)
    codes = cache.levels.astype(np.int64) + qparams.zero_point.reshape(())
    return np.asarray(codes.reshape(x.shape))


def _discrete(
    function: str, x: Array, qparams: QParams, params: BorderParams
) -> tuple[Array, Array]:
    """(x / s as (n, c, k, l), s in the dtype of x), after checking that the parameters fit."""
    step = step_for(function, x, qparams.step)
    if qparams.step.size != 1:
        got, fix = f"of shape {qparams.step.shape}", "AQuant quantizes activations per tensor."
        raise ValueError(complaint(function, "step", got, "one number", fix))
    if x.ndim not in (2, 3, 4):
        got, expected = f"of shape {x.shape}", "(n, c k), (n, c k, l) or (n, c k, h_o, w_o)"
        raise ValueError(complaint(function, "x", got, expected))
    check_array(function, "b0", params.b0, ndim=2)
    channels, taps = params.b0.shape
    if x.shape[1] != channels * taps:
        got = f"of shape {x.shape}, {x.shape[1]} rows"
        expected = f"{channels} channels times {taps} taps, as b0"
        raise ValueError(complaint(function, "x", got, expected))
    windows = math.prod(x.shape[2:])
    u = ratio(x, step).reshape(x.shape[0], channels, taps, windows)
    return u, step


def _check_schedule(a: Any) -> float:
    """`a` as a Python float; ValueError outside [0, 1]."""
    weight = float(a)
    if not 0.0 <= weight <= 1.0:
        raise ValueError(complaint("aquant_forward", "a", a, "a number in [0, 1]"))
    return weight


def _border_input(u: Array, low: float, high: float) -> Array:
    """u, with NaN, -inf and +inf as the levels they are quantized to, 0, n and p."""
    return np.nan_to_num(u, nan=0.0, neginf=low, posinf=high)


def _mix(u: Array, r: Array, a: float) -> Array:
    """v = u + a (r - u), AQ app. eq.2; r itself at a = 1, and u where it is not finite."""
    if a == 1.0:
        return r
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(np.isfinite(u), u + a * (r - u), u))


def _step_gradient(g: Array, through: Array, cache: AQuantCache) -> Array:
    """c (sum g (t - M u) - sum through u / s), `through` the gradient of u by the border."""
    slope = step_slope(cache.levels, cache.u, cache.inside)
    direct = sum_to_shape((g * slope).reshape(cache.shape), cache.step.shape)
    u = cache.border_cache.poly.u  # finite, unlike cache.u
    by_border = sum_to_shape((through * u).reshape(cache.shape), cache.step.shape)
    return np.asarray((direct - by_border / cache.step) * cache.grad_scale)
