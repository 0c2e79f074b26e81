"""Scalar twin of AQuant's border quantizer: one sliding block of one channel at a time.

Written from methods 13.3 and 13.4. A block is the list of the K inputs u_j (floats, Fractions or
tracked numbers) that one channel has under one window; a tensor is nested lists
x[image][channel][tap][window]. With bound "clip" everything is rational, hence exact but for
floats; the sigmoids are right to 60 digits.

An infinity of the block enters a shared border as the end of the range it is quantized to, a NaN
as 0; neither passes a gradient. Imports the standard library only.
"""

import math
from fractions import Fraction
from typing import Any, NamedTuple

from refquant.oracle.exact import real
from refquant.oracle.exact.rounding import HALF, border_round


class Options(NamedTuple):
    """The readings of methods 13.3 and 13.4 (D16, D17, D23)."""

    bound: str = "sigmoid"
    scale: str = "outer"
    kappa: Any = 2.5
    fuse: str = "bound_fuse"
    border_mask: str = "closed"
    gate: str = "literal"
    mask: str = "rounded"
    detach: bool = False


class Taps(NamedTuple):
    """Parameters of one channel: lists over its K taps; b2 and alpha may be None."""

    b0: list[Any]
    b1: list[Any]
    b2: list[Any] | None = None
    alpha: list[Any] | None = None


class Range(NamedTuple):
    """Step, ends of u-space, and the weight of the rounding."""

    s: Any
    n: int
    p: int
    a: Any = 1


def bound(t: Any, o: Options) -> Any:
    """E(P)."""
    if o.bound == "sigmoid" and o.scale == "inner":
        return real.sigmoid(o.kappa * t)
    return real.clip(_unclipped(t, o), 0, 1)


def bound_slope(t: Any, o: Options) -> Any:
    """D(P): the derivative of E, 0 past saturation unless the border mask is open."""
    if o.bound == "sigmoid" and o.scale == "inner":
        e = real.sigmoid(o.kappa * t)
        return o.kappa * e * (1 - e)
    if o.border_mask == "closed" and not 0 <= _unclipped(t, o) <= 1:
        return 0
    if o.bound == "clip":
        return 1
    e = real.sigmoid(t)
    return o.kappa * e * (1 - e)


def _unclipped(t: Any, o: Options) -> Any:
    """E before its clip."""
    return HALF + (t if o.bound == "clip" else o.kappa * (real.sigmoid(t) - HALF))


def polynomial(u: Any, j: int, b: Taps) -> Any:
    """P at tap j."""
    linear = b.b1[j] * u + b.b0[j]
    return linear if b.b2 is None else b.b2[j] * u * u + linear


def _mean(values: list[Any]) -> Any:
    return sum(values, Fraction(0)) / len(values)


def _unclipped_mean(p: list[Any], alpha: list[Any] | None, o: Options) -> Any:
    """F of a fused block: the mean whose clip (or bound) is the border."""
    weight = alpha if alpha is not None else [1] * len(p)
    if o.fuse == "fuse_bound":
        return _mean([w * t for w, t in zip(weight, p, strict=True)])
    centre = HALF if o.fuse == "centred" else 0
    return centre + _mean([w * (bound(t, o) - centre) for w, t in zip(weight, p, strict=True)])


def fused(p: list[Any], alpha: list[Any] | None, o: Options) -> list[Any]:
    """B of every tap of a block, from its polynomials."""
    if o.fuse == "none" or len(p) == 1:
        return [bound(t, o) for t in p]
    mean = _unclipped_mean(p, alpha, o)
    return [bound(mean, o) if o.fuse == "fuse_bound" else real.clip(mean, 0, 1)] * len(p)


def borders(block: list[Any], b: Taps, o: Options) -> list[Any]:
    """B of every tap of a block of finite inputs."""
    return fused([polynomial(u, j, b) for j, u in enumerate(block)], b.alpha, o)


def _seen(u: Any, r: Range) -> Any:
    """What the border sees of u."""
    if u != u:
        return 0 * r.s
    if abs(u) == math.inf:
        return r.p + 0 * r.s if u > 0 else r.n + 0 * r.s
    return u


def level(u: Any, border: Any, r: Range) -> tuple[Any, Any]:
    """(v, t) of one input: mixed with its rounding, and clipped."""
    if u != u:
        return u, 0
    if abs(u) == math.inf:
        return u, r.p if u > 0 else r.n
    rounded = border_round(u, border)
    v = rounded if r.a == 1 else u + r.a * (rounded - u)
    return v, real.clip(v, r.n, r.p)


def block_forward(x: list[Any], b: Taps, r: Range, o: Options) -> tuple[list[Any], ...]:
    """(x_hat, t, border) of one block."""
    us = [value / r.s for value in x]
    bs = borders([_seen(u, r) for u in us], b, o)
    ts = [level(u, border, r)[1] for u, border in zip(us, bs, strict=True)]
    return [r.s * t for t in ts], ts, bs


class BlockGrads(NamedTuple):
    """Gradients of one block: x over its taps, s a number, the others over its taps."""

    x: list[Any]
    s: Any
    b0: list[Any]
    b1: list[Any]
    b2: list[Any]
    alpha: list[Any]


def fused_gradients(
    d_border: list[Any], p: list[Any], alpha: list[Any] | None, o: Options
) -> tuple[list[Any], list[Any]]:
    """(GP, Galpha) of one block from GB of its elements, or of the border they share."""
    k = len(p)
    if o.fuse == "none" or k == 1:
        return [d * bound_slope(t, o) for d, t in zip(d_border, p, strict=True)], [0] * k
    weight = alpha if alpha is not None else [1] * k
    mean, total = _unclipped_mean(p, alpha, o), sum(d_border)
    if o.fuse == "fuse_bound":
        d_q = total * bound_slope(mean, o)
        return [d_q * w / k for w in weight], [d_q * t / k for t in p]
    d_f = total if o.border_mask == "open" or 0 <= mean <= 1 else 0 * total
    centre = HALF if o.fuse == "centred" else 0
    d_alpha = [d_f * (bound(t, o) - centre) / k for t in p]
    return [d_f * w / k * bound_slope(t, o) for w, t in zip(weight, p, strict=True)], d_alpha


def block_backward(g: list[Any], x: list[Any], b: Taps, r: Range, o: Options) -> BlockGrads:
    """Gradients of one block from g = dL/dx_hat."""
    us = [value / r.s for value in x]
    seen = [_seen(u, r) for u in us]
    bs = borders(seen, b, o)
    d_v, d_border, ts = [], [], []
    for u, border, d in zip(us, bs, g, strict=True):
        v, t = level(u, border, r)
        inside = r.n <= (v if o.mask == "rounded" else u) <= r.p
        d_v.append(r.s * d if inside else 0 * d)
        blocked = o.gate == "support" and not r.n < u < r.p
        d_border.append(0 * d if blocked else -r.a * d_v[-1])
        ts.append(t)
    p = [polynomial(u, j, b) for j, u in enumerate(seen)]
    d_p, d_alpha = fused_gradients(d_border, p, b.alpha, o)
    d_x, d_s = [], 0 * r.s
    for j, u in enumerate(us):
        finite = u == u and abs(u) != math.inf
        curve = 0 if b.b2 is None else 2 * b.b2[j] * seen[j]
        through = 0 if o.detach or not finite else d_p[j] * (curve + b.b1[j])
        d_u = d_v[j] + through
        d_x.append(d_u / r.s)
        d_s += g[j] * ts[j] - (d_u * u / r.s if finite else 0)
    d_b1 = [d * v for d, v in zip(d_p, seen, strict=True)]
    d_b2 = [d * v for d, v in zip(d_b1, seen, strict=True)]
    return BlockGrads(d_x, d_s, d_p, d_b1, d_b2, d_alpha)


def _block(x: list[list[Any]], window: int) -> list[Any]:
    """The taps of one channel under one window, from rows over windows."""
    return [row[window] for row in x]


def forward(x: Any, params: list[Taps], r: Range, o: Options) -> tuple[Any, Any]:
    """(x_hat, t) of nested lists x[image][channel][tap][window]; params over channels."""
    return _each_block(x, params, (r, o), 0), _each_block(x, params, (r, o), 1)


def forward_borders(x: Any, params: list[Taps], r: Range, o: Options) -> Any:
    """B of the same nested lists; one tap of a channel where all share it."""
    shared = o.fuse != "none"
    found = _each_block(x, params, (r, o), 2)
    return [[channel[: 1 if shared else None] for channel in image] for image in found]


def _each_block(x: Any, params: list[Taps], how: tuple[Range, Options], part: int) -> Any:
    """One part of `block_forward` of every block, laid out as x."""
    result = []
    for image in x:
        rows = []
        for channel, b in zip(image, params, strict=True):
            windows = range(len(channel[0]))
            blocks = [block_forward(_block(channel, w), b, *how)[part] for w in windows]
            rows.append([[block[j] for block in blocks] for j in range(len(channel))])
        result.append(rows)
    return result


def backward(g: Any, x: Any, params: list[Taps], r: Range, o: Options) -> BlockGrads:
    """Gradients of nested lists: x like x, s a number, the others [channel][tap]."""
    zero = [[0 * r.s for _ in b.b0] for b in params]
    sums = [[list(row) for row in zero] for _ in range(4)]
    d_s, d_x = 0 * r.s, []
    for image, d_image in zip(x, g, strict=True):
        rows = []
        for c, (channel, d_channel) in enumerate(zip(image, d_image, strict=True)):
            found = [
                block_backward(_block(d_channel, w), _block(channel, w), params[c], r, o)
                for w in range(len(channel[0]))
            ]
            rows.append([[block.x[j] for block in found] for j in range(len(channel))])
            for block in found:
                d_s += block.s
                for total, part in zip(sums, block[2:], strict=True):
                    total[c] = [t + v for t, v in zip(total[c], part, strict=True)]
        d_x.append(rows)
    return BlockGrads(d_x, d_s, *sums)
