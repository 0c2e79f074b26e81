"""AQuant's quantizer in few passes, on as many patches as the cache holds.

Definition: `refquant.quantizers.aquant` with `border`, `border_fuse` and `border_bound` (methods.md
13.3, 13.4). With q = tanh(P / 2), kappa (sigma(P) - 1/2) is (kappa / 2) q, hence

    B = clip(offset + sum_j mix_j q_j, 0, 1)      mix_j = alpha_j kappa / (2 K)
    D(P) = (kappa / 4) (1 - q^2)                  where |P| <= saturation
    d_s = sum g (t - M u) - (b1 . d_b1 + 2 b2 . d_b2) / s

    symbol       here        shape         f = c K rows, t columns (images times windows)
    x, x_hat     x           (n, f, ...)   channel-major in memory, as `im2col` makes them
    u, q         u q         (f, t)
    |P| <= sat   live        (f, t) bool   None where it holds everywhere
    M            inside      (f, t) bool
    0 <= F <= 1  unclipped   (c, 1, t)     bool; F is B before its clip
    GF           pull        (c, 1, t)     gradient of a channel's border

u, P, the masks and the comparison f > B are computed as the definition computes them, bit for bit.
B differs by rounding, so a level differs only where a fraction is that close to its border.

Not modelled, the definition runs (`covers`): bound="clip", scale="inner", kappa <= 1,
fuse="fuse_bound", border_mask="open"; inputs that are not finite.
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
    live: Array | None
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
        None is returned if some of it is not finite.
    rule : BorderRule
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is found below
        u = np.divide(_as_rows(x), rule.step)
        p = _half_polynomial(u, rule) if rule.a else u
    least, most = p.min(), p.max()
    if not (np.isfinite(least) and np.isfinite(most)):
        return None
    spare, shape, mixed = np.empty_like(u), None, u
    if rule.a:
        shape, border = _border(p, max(-least, most) > rule.edge, rule, spare)
        mixed = _mixed(u, border, rule, (spare, np.empty_like(u)))
    x_hat = np.clip(mixed, rule.low, rule.high, out=spare)
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


def _border(q: Array, saturated: bool, rule: BorderRule, spare: Array) -> tuple[BorderShape, Array]:
    """Return what the border's gradient needs, and B, (c, 1, t); uses up `q`, which is P / 2."""
    number, live, held = q.dtype.type, None, q
    if saturated:
        held = np.clip(q, -rule.edge, rule.edge, out=spare)
        live = held == q
    np.tanh(held, out=q)
    mean = _over_taps(number(rule.options.kappa / 2.0) * rule.weights, q)
    mean += 0.5 if rule.options.fuse == "centred" else 0.5 * rule.weights.sum(axis=2, keepdims=True)
    unclipped = (mean >= 0.0) & (mean <= 1.0)
    # No fraction lies between this and 1, and below 1 the ceiling in `_mixed` is never -1.
    np.clip(mean, 0.0, np.nextafter(number(1), number(0)), out=mean)
    return BorderShape(q, live, unclipped), mean


def _mixed(u: Array, border: Array, rule: BorderRule, rooms: tuple[Array, Array]) -> Array:
    """Return u + a (r - u), in the second room; r is up where the fraction exceeds the border."""
    fraction, up = rooms
    np.subtract(u, np.floor(u, out=up), out=fraction)
    np.subtract(_by_channel(fraction, rule.taps), border, out=_by_channel(up, rule.taps))
    np.ceil(up, out=up)  # 1 where f > B, else 0
    if rule.a == 1.0:
        up += np.floor(u, out=fraction)
        return up
    up -= fraction
    up *= rule.a
    up += u
    return up


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
        detached = rule.options.detach_border_input
        into = flow if wanted and not detached else None
        room = np.empty_like(flow) if wanted else flow  # which nobody reads any more
        params = _border_gradients(pull, cache, rule, (room, into))
        d_s -= 0.0 if detached else _dot_through(rule, params) / rule.step
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


def _border_gradients(
    pull: Array, cache: BorderCache, rule: BorderRule, rooms: tuple[Array, Array | None]
) -> BorderParams:
    """Return the gradients of b0, b1, b2 and alpha.

    The first room is used up; GP (2 b2 u + b1) / s is added to the second, the gradient of x.
    """
    number, taps, u = pull.dtype.type, rule.taps, cache.u
    (q, live, _), (room, into) = cast(BorderShape, cache.shape), rooms
    by_q = np.matmul(_by_channel(q, taps), pull.mT)[:, :, 0]
    centre = 0.0 if rule.options.fuse == "centred" else 0.5
    d_fusion = number(rule.options.kappa / 2.0) * by_q + centre * pull.sum(axis=2)
    grown = np.multiply(q, q, out=room)  # GP u^j less `_gain`, j = 0 and then 1
    np.subtract(1.0, grown, out=grown)
    if live is not None:
        masked(grown, live, out=grown)
    by_channel = _by_channel(grown, taps)
    by_channel *= pull
    gain, moments = _gain(rule), [grown @ np.ones(u.shape[1], u.dtype)]
    for power in (1, 2):
        moments.append(np.vecdot(grown, u))
        if into is not None and power < len(rule.halves):
            into += grown * (2.0 * power * rule.halves[power] * gain / number(rule.step))
        if power == 1:
            grown *= u
    rows = [*(gain[:, 0] * moment for moment in moments), d_fusion / number(taps)]
    return _like(rule.params, rows)


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
