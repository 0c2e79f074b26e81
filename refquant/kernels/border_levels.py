"""AQuant's levels in few passes, on as many patches as the cache holds.

Definition: `refquant.quantizers.aquant` with `border`, `border_fuse` and `border_bound` (methods.md
13.3, 13.4), in units of the step. With q = tanh(P / 2), kappa (sigma(P) - 1/2) is (kappa / 2) q,
hence

    B = clip(offset + sum_j mix_j q_j, 0, 1)      mix_j = alpha_j kappa / (2 K)
    D(P) = (kappa / 4) (1 - q^2)                  where |P| <= saturation
    d_u = M d_t + GP (2 b2 u + b1)                sum u d_u = sum M d_t u + b1 . d_b1 + 2 b2 . d_b2

    symbol       here        shape         f = c K rows, t columns (images times windows)
    u, d_t       u d_t       (n, f, ...)   channel-major in memory, as `im2col` makes them
    u, t, q      u levels q  (f, t)        in caches
    |P| <= sat   live        (f, t) bool
    M            inside      (f, t) bool
    0 <= F <= 1  unclipped   (c, 1, t)     bool; F is B before its clip
    GF           pull        (c, 1, t)     gradient of a channel's border

P and the masks are computed as the definition computes them, bit for bit. A fraction f exceeds B
where u - B lies above the floor of u, hence

    border_round(u) = ceil(u - B)      B <= 1 - resolution

The end below 1 keeps whole numbers in place: u - 1 would round them down. B and u - B are rounded
differently than there, so a level differs only where a fraction is that close to its border, or
both are within the `resolution` of 1: the distance of neighbouring numbers at the end of the grid.

Not modelled, the definition runs (`covers`): bound="clip", scale="inner", kappa <= 1,
fuse="fuse_bound", border_mask="open"; inputs so large that P might overflow, grids so long that the
resolution shows (`BorderRule.holds`).
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np

from refquant._types import Array
from refquant.kernels.border_rule import BorderRule, Ends
from refquant.kernels.buffers import short_buffers
from refquant.numerics import masked
from refquant.quantizers.border import BorderParams


class BorderShape(NamedTuple):
    """The border where it was evaluated; see the module's table."""

    q: Array
    live: Array
    unclipped: Array


class BorderCache(NamedTuple):
    """What `levels_forward` leaves; `shape` is None where a = 0: the border has no effect."""

    u: Array
    levels: Array
    inside: Array
    shape: BorderShape | None


class LevelGrads(NamedTuple):
    """dL/du, None if nobody wants it; sum u dL/du; gradients of the border, each (c, k)."""

    u: Array | None
    moment: float
    params: BorderParams


@short_buffers()
def levels_forward(u: Array, rule: BorderRule, ends: Ends) -> tuple[Array, BorderCache] | None:
    """Return ``t = clip(u + a (border_round(u) - u), n, p)``, and a cache.

    Parameters
    ----------
    u : (n, f, ...) array, float32 or float64
    rule : BorderRule
        None is returned unless it `holds` between the ends.
    ends : Ends
        Between which all of u lies: the caller finds them sooner, on the map.
    """
    if not rule.holds(ends):
        return None
    rows, shape = as_rows(u), None
    levels = _half_polynomial(rows, rule) if rule.a else rows.copy()
    if rule.a:
        shape, border = _border(levels, rule)
        levels = _mixed(rows, border, rule, levels)
    told = rows if rule.options.mask == "unrounded" else levels
    inside = told <= rule.high
    if ends.low < rule.low:  # else no level is below n either: none is below the floor of its u
        inside &= told >= rule.low
    np.clip(levels, rule.low, rule.high, out=levels)
    return as_map(levels, u.shape), BorderCache(rows, levels, inside, shape)


def _half_polynomial(u: Array, rule: BorderRule) -> Array:
    """Return P / 2 by Horner's rule."""
    p = np.multiply(u, rule.halves[-1])
    for half in rule.halves[-2:0:-1]:
        p += half
        p *= u
    p += rule.halves[0]
    return p


def _border(p: Array, rule: BorderRule) -> tuple[BorderShape, Array]:
    """Return what the border's gradient needs, and B, (c, 1, t); p is P / 2."""
    number = p.dtype.type
    q = np.clip(p, -rule.edge, rule.edge)
    live = q == p
    np.tanh(q, out=q)
    mean = _over_taps(number(rule.options.kappa / 2.0) * rule.weights, q)
    mean += 0.5 if rule.options.fuse == "centred" else 0.5 * rule.weights.sum(axis=2, keepdims=True)
    unclipped = (mean >= 0.0) & (mean <= 1.0)
    np.clip(mean, 0.0, 1.0 - rule.resolution, out=mean)
    return BorderShape(q, live, unclipped), mean


def _mixed(u: Array, border: Array, rule: BorderRule, out: Array) -> Array:
    """Return u + a (r - u) in `out`, with r = ceil(u - B)."""
    np.subtract(_by_channel(u, rule.taps), border, out=_by_channel(out, rule.taps))
    np.ceil(out, out=out)
    if rule.a != 1.0:
        out -= u
        out *= rule.a
        out += u
    return out


def levels_backward(
    d_t: Array, cache: BorderCache, rule: BorderRule, wanted: bool = True, scale: float = 1.0
) -> LevelGrads:
    """Return the gradients of u and border.

    Parameters
    ----------
    d_t : (n, f, ...) array
        dL/dt divided by `scale`, of the dtype of u. So is dL/du. Its memory may be used up.
    cache : BorderCache
    rule : BorderRule
        That of the forward.
    wanted : bool
        Whether somebody wants dL/du.
    scale : float
    """
    rows, attached = as_rows(d_t), not rule.options.detach_border_input
    flow = masked(rows, cache.inside, out=rows)
    moment = float(np.vdot(flow, cache.u))
    if cache.shape is None:
        params = _like(rule.params, [np.zeros_like(rule.params.b0)] * 4)
    else:
        pull = _pull(flow, cache, rule, scale)
        slope = _slope(cache.shape, None if wanted else flow)  # which nobody reads any more
        if attached and wanted:
            flow += _through(pull / scale, slope, cache.u, rule)
        params = _border_gradients(pull, slope, cache, rule)
        moment += _dot_through(rule, params) / scale if attached else 0.0
    return LevelGrads(as_map(flow, d_t.shape) if wanted else None, moment, params)


def _pull(flow: Array, cache: BorderCache, rule: BorderRule, scale: float) -> Array:
    """Return GF, from what of the gradient of the levels, here divided by `scale`, reaches it."""
    reached, shape = flow, cast(BorderShape, cache.shape)
    if rule.options.gate == "support":
        reached = masked(flow, (cache.u > rule.low) & (cache.u < rule.high))
    pull = _over_taps(np.full_like(rule.weights, -rule.a * scale), reached)
    pull *= shape.unclipped
    return pull


def _slope(shape: BorderShape, room: Array | None) -> Array:
    """Return D(P) less its factor kappa / 4, in the room if there is one."""
    slope: Array = np.multiply(shape.q, shape.q, out=room)
    np.subtract(1.0, slope, out=slope)
    return masked(slope, shape.live, out=slope)


@short_buffers()
def _through(pull: Array, slope: Array, u: Array, rule: BorderRule) -> Array:
    """Return GP (2 b2 u + b1), the gradient that reaches u by way of its border."""
    gain = 2.0 * _gain(rule)
    rise: Array = gain * rule.halves[1]
    if len(rule.halves) > 2:
        rise = rise + u * (2.0 * gain * rule.halves[2])
    rise = np.multiply(rise, slope)
    by_channel = _by_channel(rise, rule.taps)
    by_channel *= pull
    return rise


def _border_gradients(
    pull: Array, slope: Array, cache: BorderCache, rule: BorderRule
) -> BorderParams:
    """Return the gradients of b0, b1, b2 and alpha; uses up the slope."""
    number, taps, steep = pull.dtype.type, rule.taps, pull.mT
    q, centre = cast(BorderShape, cache.shape).q, 0.0 if rule.options.fuse == "centred" else 0.5
    by_q = np.matmul(_by_channel(q, taps), steep)[:, :, 0]
    total = np.matmul(pull, np.ones_like(steep))[:, :, 0]
    d_fusion = number(rule.options.kappa / 2.0) * by_q + centre * total
    sums = []  # of GF D(P) u^j
    for power in range(3):
        if power:
            slope *= cache.u
        sums.append(np.matmul(_by_channel(slope, taps), steep).reshape(-1, 1))
    gain = _gain(rule)
    return _like(rule.params, [*(gain * found for found in sums), d_fusion / number(taps)])


def _like(params: BorderParams, values: Sequence[Array]) -> BorderParams:
    """Return the values in the shapes of the parameters; None where there is none of these."""
    pairs = zip(params, values, strict=True)
    own = (b if b is None else value.reshape(b.shape) for b, value in pairs)
    return BorderParams(*own)  # type: ignore[arg-type]


def _gain(rule: BorderRule) -> Array:
    """(alpha_j / K) kappa / 4 as a column (f, 1)."""
    gain: Array = rule.weights.reshape(-1, 1) * rule.weights.dtype.type(rule.options.kappa / 4.0)
    return gain


def _dot_through(rule: BorderRule, grads: BorderParams) -> float:
    """Return the sum of u times its gradient by the border: b1 . d_b1 + 2 b2 . d_b2."""
    pairs = list(zip(rule.params, grads, strict=True))[1:3]
    dots = [0.0 if b is None else float(np.vdot(b, d)) for b, d in pairs]
    return dots[0] + 2.0 * dots[1]


def as_rows(x: Array) -> Array:
    """(n, f, ...) as a contiguous (f, t); no copy if x is channel-major in memory."""
    return np.ascontiguousarray(x.swapaxes(0, 1)).reshape(x.shape[1], -1)


def as_map(rows: Array, shape: tuple[int, ...]) -> Array:
    """Return (f, t) as (n, f, ...), channel-major in memory."""
    n, f, *rest = shape
    return rows.reshape(f, n, *rest).swapaxes(0, 1)


def _by_channel(rows: Array, taps: int) -> Array:
    return rows.reshape(-1, taps, rows.shape[1])


def _over_taps(weights: Array, rows: Array) -> Array:
    """sum_j weights_j rows_j, (c, 1, t) from weights (c, 1, K)."""
    taps = weights.shape[2]
    return weights * rows[:, None] if taps == 1 else np.matmul(weights, _by_channel(rows, taps))
