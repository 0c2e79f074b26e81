"""LSQ+: uniform quantisation whose step and offset are both learned, in two parametrisations.

References: Bhalgat et al., "LSQ+: Improving low-bit quantization through learnable offsets",
CVPRW 2020, arXiv:2004.09576; methods, section 2.2; the integer form as in QDrop.

    paper   here         shape       meaning
    s       step         see QParams distance of two levels, units of x
    z       zero_point   like step   learned real number, used as Z = rint(z) (straight-through)
    o       offset       like step   learned real number, units of x; o = -s z
    n, p    low, high    --          code limits of the grid (no zero point is taken off)
    M       inside       like x      [n <= r <= p] or [n <= rint(v) <= p], inclusive
    c       grad_scale   --          factor on the gradients of s and of z or o

(a) integer zero point            (b) real offset
    r = rint(x / s) + Z               v = (x - o) / s
    q = clip(r, n, p)                 q = clip(rint(v), n, p)
    y = s (q - Z)                     y = s q + o
    d_x = d_y M                       d_x = d_y M
    d_s = c sum d_y (q - Z - M x/s)   d_s = c sum d_y (q - M v)
    d_z = c sum d_y (-s) (1 - M)      d_o = c sum d_y (1 - M)

The mask is on the rounded value with both ends inside (decision D2, the default).

Edge cases: NaN is quantised like 0 and, like the infinities, has M = 0. In (a) Z may lie
outside the code range; then 0 is clipped too. While z is learnt it is kept inside by the
`bounds` of its component (methods.md 2.1).

Differs from: AdaQTransform (eq. 11) prints (b) without the clip; it is needed.
"""

from typing import NamedTuple

import numpy as np

from refquant._checks import check_array, check_finite, check_shape, complaint
from refquant._types import Array
from refquant.quantizers.grid import Grid
from refquant.quantizers.levels import (
    check_grad_scale,
    clip_levels,
    ratio,
    step_for,
    step_slope,
    sum_to_shape,
    within,
)


class LsqPlusCache(NamedTuple):
    """What either forward leaves for its backward.

    Attributes
    ----------
    v : Array
        x / s in (a), (x - o) / s in (b), like x.
    level : Array
        The whole number that y takes times s: q - Z in (a), q in (b), like x.
    inside : Array
        M, bool, like x.
    step : Array
        In the dtype of x.
    grad_scale : float
        c.
    """

    v: Array
    level: Array
    inside: Array
    step: Array
    grad_scale: float


class LsqPlusIntegerGrads(NamedTuple):
    """dL/dx like x; dL/ds and dL/dz like the step."""

    x: Array
    s: Array
    zero_point: Array


class LsqPlusRealGrads(NamedTuple):
    """dL/dx like x; dL/ds and dL/do like the step."""

    x: Array
    s: Array
    offset: Array


def lsq_plus_integer_forward(
    x: Array, step: Array, zero_point: Array, grid: Grid, grad_scale: float = 1.0
) -> tuple[Array, LsqPlusCache]:
    """Form (a): y = s (clip(rint(x / s) + Z, n, p) - Z), Z = rint(zero_point).

    Parameters
    ----------
    x : Array
        float32 or float64, any shape.
    step : Array
        Positive; broadcasts to `x`, taken in its dtype.
    zero_point : Array
        Real, the shape of `step`.
    grid : Grid
        Kind "affine" or "unsigned": codes 0..2^b - 1.
    grad_scale : float
        Factor c, see `lsq_grad_scale`.

    Returns
    -------
    y : Array
        Like `x`.
    cache : LsqPlusCache
        For `lsq_plus_integer_backward`.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit, the step is not positive and normal, the zero point
        not finite, or the grid signed.
    """
    function = "lsq_plus_integer_forward"
    if grid.code_min != 0:
        fix = "Use Grid('affine', bits), or the real offset."
        raise ValueError(complaint(function, "grid", grid, "codes that start at 0", fix))
    scale = check_grad_scale(function, grad_scale)
    s, z = _parameters(function, x, step, zero_point, "zero_point")
    whole = np.rint(z)
    u = ratio(x, s)
    r = np.rint(np.where(np.isnan(u), np.zeros_like(u), u)) + whole
    level = clip_levels(r, grid.code_min, grid.code_max) - whole
    inside = within(np.rint(u) + whole, grid.code_min, grid.code_max)
    return np.asarray(s * level), LsqPlusCache(u, level, inside, s, scale)


def lsq_plus_integer_backward(d_y: Array, cache: LsqPlusCache) -> LsqPlusIntegerGrads:
    """Gradients of form (a); `d_y` like x, the cache from `lsq_plus_integer_forward`."""
    d_x, d_s, d_o = _backward("lsq_plus_integer_backward", d_y, cache)
    return LsqPlusIntegerGrads(d_x, d_s, np.asarray(-cache.step * d_o))


def lsq_plus_real_forward(
    x: Array, step: Array, offset: Array, grid: Grid, grad_scale: float = 1.0
) -> tuple[Array, LsqPlusCache]:
    """Form (b): y = s clip(rint((x - o) / s), n, p) + o.

    Parameters
    ----------
    x : Array
        float32 or float64, any shape.
    step : Array
        Positive; broadcasts to `x`, taken in its dtype.
    offset : Array
        Real, the shape of `step`, units of x.
    grid : Grid
        Any kind; its codes are the levels n..p.
    grad_scale : float
        Factor c, see `lsq_grad_scale`.

    Returns
    -------
    y : Array
        Like `x`.
    cache : LsqPlusCache
        For `lsq_plus_real_backward`.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit, the step is not positive and normal, or the offset
        not finite.
    """
    function = "lsq_plus_real_forward"
    scale = check_grad_scale(function, grad_scale)
    s, o = _parameters(function, x, step, offset, "offset")
    with np.errstate(over="ignore"):
        shifted = np.asarray(x - o)
    v = ratio(shifted, s)
    r = np.rint(np.where(np.isnan(v), ratio(-o, s), v))
    q = clip_levels(r, grid.code_min, grid.code_max)
    inside = within(np.rint(v), grid.code_min, grid.code_max)
    return np.asarray(s * q + o), LsqPlusCache(v, q, inside, s, scale)


def lsq_plus_real_backward(d_y: Array, cache: LsqPlusCache) -> LsqPlusRealGrads:
    """Gradients of form (b); `d_y` like x, the cache from `lsq_plus_real_forward`."""
    return LsqPlusRealGrads(*_backward("lsq_plus_real_backward", d_y, cache))


def _parameters(
    function: str, x: Array, step: Array, other: Array, name: str
) -> tuple[Array, Array]:
    """Step and zero point (or offset) in the dtype of x, checked."""
    check_array(function, "step", step)
    s = step_for(function, x, step)
    check_array(function, name, other)
    check_shape(function, name, other, step.shape)
    check_finite(function, name, other)
    return s, other.astype(x.dtype, copy=False)


def _backward(function: str, d_y: Array, cache: LsqPlusCache) -> tuple[Array, Array, Array]:
    """d_x, d_s and d_o; d_z is -s d_o, because y moves by -s per unit of Z where it is clipped."""
    check_array(function, "d_y", d_y)
    check_shape(function, "d_y", d_y, cache.v.shape)
    zero = np.zeros_like(d_y)
    shape, scale = cache.step.shape, cache.grad_scale
    d_s = sum_to_shape(d_y * step_slope(cache.level, cache.v, cache.inside), shape)
    d_o = sum_to_shape(np.where(cache.inside, zero, d_y), shape)
    d_x = np.where(cache.inside, d_y, zero)
    return d_x, np.asarray(d_s * scale), np.asarray(d_o * scale)
