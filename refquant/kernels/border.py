"""AQuant's quantizer in few passes, on as many patches as the cache holds.

Definition: `refquant.quantizers.aquant` with `border`, `border_fuse` and `border_bound` (methods.md
13.3, 13.4). With q = tanh(P / 2), kappa (sigma(P) - 1/2) is (kappa / 2) q, hence

    B = clip(offset + sum_j mix_j q_j, 0, 1)      mix_j = alpha_j kappa / (2 K)
    D(P) = (kappa / 4) (1 - q^2)                  where |P| <= saturation
    d_s = sum g (t - M u) - (b1 . d_b1 + 2 b2 . d_b2) / s

    symbol       here        shape         f = c K rows, t columns (images times windows)
    x, x_hat     x           (n, f, ...)   channel-major in memory, as `im2col` makes them
    u, q         u q         (f, t)
    |P| <= sat   live        (f, t) bool
    M            inside      (f, t) bool
    0 <= F <= 1  unclipped   (c, 1, t)     bool; F is B before its clip
    GF           pull        (c, 1, t)     gradient of a channel's border

The levels are r = ceil(u - B): up where the fraction f exceeds B, as in the definition. u, P and
|P| <= sat are the definition's bits; B, and u - B, differ by rounding, so a level differs only
where a fraction is that close to its border. A zero may have the other sign.

Not modelled, the definition runs (`covers`): bound="clip", scale="inner", kappa <= 1,
fuse="fuse_bound", border_mask="open"; inputs that are not finite, or whose squares are not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, cast

import numpy as np

from refquant._types import Array
from refquant.kernels.buffers import short_buffers
from refquant.numerics import masked
from refquant.quantizers.border import BorderParams
from refquant.quantizers.border_options import BorderOptions


@dataclass(frozen=True)
class BorderRule:
    """One quantizer: step, ends of u-space, weight of the rounding, border.

    Parameters in the dtype of x, the step exact in it.
    """

    step: float
    low: float
    high: float
    a: float
    params: BorderParams
    options: BorderOptions

    @cached_property
    def taps(self) -> int:
        """Rows of patches that share a border, K."""
        taps = self.params.b0.shape[1]
        return taps if self.options.fuses(taps) else 1

    @cached_property
    def weights(self) -> Array:
        """alpha_j / K as (c, 1, K)."""
        found = self.params.fusion
        ones = np.ones_like(self.params.b0) if found is None else found
        return np.asarray(ones.reshape(-1, 1, self.taps) / ones.dtype.type(self.taps))

    @cached_property
    def halves(self) -> list[Array]:
        """(b0, b1, b2) / 2 as columns (f, 1), without b2 for degree 1; halving is exact."""
        return [0.5 * b.reshape(-1, 1) for b in self.params[:3] if b is not None]

    @cached_property
    def edge(self) -> float:
        """The largest |P| / 2 that has not saturated, exact in the dtype of x."""
        edge = self.options.saturation / 2.0
        near = np.asarray(edge, self.params.b0.dtype)
        return float(near if near <= edge else np.nextafter(near, near.dtype.type(0)))


class BorderShape(NamedTuple):
    """The border where it was evaluated; see the module's table."""

    q: Array
    live: Array
    unclipped: Array


class BorderCache(NamedTuple):
    """What `border_forward` leaves; `shape` is None where a = 0: the border has no effect."""

    u: Array
    x_hat: Array
    inside: Array
    shape: BorderShape | None


class BorderGrads(NamedTuple):
    """dL/dx, None if nobody wants it; dL/ds; those of the border, each (c, k)."""

    x: Array | None
    s: float
    params: BorderParams


def covers(options: BorderOptions) -> bool:
    """Return whether the kernel computes this reading of the border."""
    outer = options.bound == "sigmoid" and options.scale == "outer" and options.kappa > 1.0
    return outer and options.fuse != "fuse_bound" and options.border_mask == "closed"


@short_buffers()
def border_forward(x: Array, rule: BorderRule) -> tuple[Array, BorderCache] | None:
    """Return ``s clip(u + a (border_round(u) - u), n, p)``, and a cache for `border_backward`.

    Parameters
    ----------
    x : (n, f, ...) array, float32 or float64
        None is returned if some of it is not finite, or too large for its square.
    rule : BorderRule
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is found below
        u = np.divide(_as_rows(x), rule.step)
        p = _half_polynomial(u, rule) if rule.a else u
    if not np.isfinite(np.vdot(p, p)):
        return None
    shape, mixed = None, u
    if rule.a:
        shape, border = _border(p, rule)
        mixed = _mixed(u, border, rule, p)
    x_hat = np.clip(mixed, rule.low, rule.high)
    inside = x_hat == mixed
    if rule.options.mask == "unrounded":
        inside = (u >= rule.low) & (u <= rule.high)
    x_hat *= rule.step
    return as_map(x_hat, x.shape), BorderCache(u, x_hat, inside, shape)


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
    # u - 1 would round whole numbers down; less than 1 by what u - B can tell, none goes down.
    least = np.spacing(number(max(-rule.low, rule.high) + 1.0))
    np.clip(mean, 0.0, number(1) - least, out=mean)
    return BorderShape(q, live, unclipped), mean


def _mixed(u: Array, border: Array, rule: BorderRule, out: Array) -> Array:
    """Return u + a (r - u) with r = ceil(u - B), which is up where the fraction exceeds B."""
    np.subtract(_by_channel(u, rule.taps), border, out=_by_channel(out, rule.taps))
    np.ceil(out, out=out)
    if rule.a != 1.0:
        out -= u
        out *= rule.a
        out += u
    return out


@short_buffers()
def border_backward(
    d_x_hat: Array, cache: BorderCache, rule: BorderRule, wanted: bool = True
) -> BorderGrads:
    """Return the gradients of methods.md 13.4; `wanted`: also dL/dx.

    Parameters
    ----------
    d_x_hat : (n, f, ...) array
        dL/dx_hat, of the dtype of x.
    cache : BorderCache
    rule : BorderRule
        That of the forward.
    wanted : bool
    """
    g = _as_rows(d_x_hat)
    flow = masked(g, cache.inside)
    d_s = float(np.vdot(g, cache.x_hat)) / rule.step - float(np.vdot(flow, cache.u))
    params = _like(rule.params, [np.zeros_like(rule.params.b0)] * 4)
    if cache.shape is not None:
        pull = _pull(flow, cache, rule)
        slope = _slope(cache.shape, None if wanted else flow)  # which nobody reads any more
        attached = not rule.options.detach_border_input
        if attached and wanted:
            flow += _through(pull, slope, cache.u, rule)
        params = _border_gradients(pull, slope, cache, rule)
        d_s -= _dot_through(rule, params) / rule.step if attached else 0.0
    return BorderGrads(as_map(flow, d_x_hat.shape) if wanted else None, d_s, params)


def _pull(flow: Array, cache: BorderCache, rule: BorderRule) -> Array:
    """Return GF, from what of g M / s reaches the border."""
    reached, shape = flow, cast(BorderShape, cache.shape)
    if rule.options.gate == "support":
        reached = masked(flow, (cache.u > rule.low) & (cache.u < rule.high))
    pull = _over_taps(np.ones_like(rule.weights), reached)
    pull *= -rule.a * rule.step
    pull *= shape.unclipped
    return pull


def _slope(shape: BorderShape, room: Array | None) -> Array:
    """Return D(P) less its factor kappa / 4, in the room if there is one."""
    slope: Array = np.multiply(shape.q, shape.q, out=room)
    np.subtract(1.0, slope, out=slope)
    return masked(slope, shape.live, out=slope)


def _through(pull: Array, slope: Array, u: Array, rule: BorderRule) -> Array:
    """Return GP (2 b2 u + b1) / s, the gradient that reaches x by way of its border."""
    gain = 2.0 * _gain(rule) / pull.dtype.type(rule.step)
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
    d_fusion = number(rule.options.kappa / 2.0) * by_q + centre * pull.sum(axis=2)
    moments = []  # sums of GF D(P) u^j
    for power in range(3):
        if power:
            slope *= cache.u
        moments.append(_gain(rule) * np.matmul(_by_channel(slope, taps), steep).reshape(-1, 1))
    return _like(rule.params, [*moments, d_fusion / number(taps)])


def _like(params: BorderParams, values: Sequence[Array]) -> BorderParams:
    """Return the values in the shapes of the parameters, None where there is no parameter."""
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


def _as_rows(x: Array) -> Array:
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
