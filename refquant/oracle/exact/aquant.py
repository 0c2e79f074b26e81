"""Scalar twin of AQuant's border quantizer: one sliding block of one channel at a time.

Written from methods 13.3 and 13.4. A block is the list of the K inputs u_j (floats or Fractions)
that one channel has under one window; a tensor is nested lists x[image][channel][tap][window].
With bound "clip" everything is rational, hence exact for Fractions; the sigmoids are floats.

An infinity of the block enters a shared border as the end of the range it is quantized to, a NaN
as 0; neither passes a gradient. Imports the standard library only.
"""

import math
from fractions import Fraction
from typing import Any, NamedTuple


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


def _sigma(t: Any) -> float:
    if t >= 0:
        return 1.0 / (1.0 + math.exp(-float(t)))
    growing = math.exp(float(t))
    return growing / (1.0 + growing)


def bound(t: Any, o: Options) -> Any:
    """E(P)."""
    if o.bound == "clip":
        return min(1, max(0, Fraction(1, 2) + t if isinstance(t, Fraction) else 0.5 + t))
    if o.scale == "inner":
        return _sigma(o.kappa * t)
    if o.kappa > 1 and abs(t) >= _edge(o):
        return 1.0 if t > 0 else 0.0
    return min(1.0, max(0.0, 0.5 + o.kappa * (_sigma(t) - 0.5)))


def bound_slope(t: Any, o: Options) -> Any:
    """D(P): the derivative of E, 0 past saturation unless the border mask is open."""
    if o.bound == "clip":
        return 1 if o.border_mask == "open" or abs(t) <= Fraction(1, 2) else 0
    if o.scale == "inner":
        e = _sigma(o.kappa * t)
        return o.kappa * e * (1.0 - e)
    if o.border_mask == "closed" and o.kappa > 1 and abs(t) > _edge(o):
        return 0.0
    e = _sigma(t)
    return o.kappa * e * (1.0 - e)


def _edge(o: Options) -> float:
    """|P| at which 1/2 + kappa (sigma - 1/2) meets 0 and 1."""
    return math.log((o.kappa + 1) / (o.kappa - 1))


def polynomial(u: Any, j: int, b: Taps) -> Any:
    """P at tap j."""
    linear = b.b1[j] * u + b.b0[j]
    return linear if b.b2 is None else b.b2[j] * u * u + linear


def _mean(values: list[Any]) -> Any:
    total = sum(values)
    return total / len(values) if isinstance(total, float) else Fraction(total) / len(values)


def _unclipped_mean(block: list[Any], b: Taps, o: Options) -> Any:
    """F of a fused block: the mean whose clip (or bound) is the border."""
    taps = range(len(block))
    weight = b.alpha if b.alpha is not None else [1] * len(block)
    p = [polynomial(u, j, b) for j, u in enumerate(block)]
    if o.fuse == "fuse_bound":
        return _mean([weight[j] * p[j] for j in taps])
    e = [bound(t, o) for t in p]
    if o.fuse == "centred":
        half = Fraction(1, 2)
        return half + _mean([weight[j] * (e[j] - half) for j in taps])
    return _mean([weight[j] * e[j] for j in taps])


def borders(block: list[Any], b: Taps, o: Options) -> list[Any]:
    """B of every tap of a block of finite inputs."""
    if o.fuse == "none" or len(block) == 1:
        return [bound(polynomial(u, j, b), o) for j, u in enumerate(block)]
    mean = _unclipped_mean(block, b, o)
    shared = bound(mean, o) if o.fuse == "fuse_bound" else min(1, max(0, mean))
    return [shared] * len(block)


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
    low = math.floor(Fraction(u))
    up = Fraction(u) - low > Fraction(border)
    rounded = low + 1 if up else low
    v = rounded if r.a == 1 else u + r.a * (rounded - u)
    return v, min(r.p, max(r.n, v))


def block_forward(x: list[Any], b: Taps, r: Range, o: Options) -> tuple[list[Any], list[Any]]:
    """(x_hat, t) of one block."""
    us = [value / r.s for value in x]
    bs = borders([_seen(u, r) for u in us], b, o)
    ts = [level(u, border, r)[1] for u, border in zip(us, bs, strict=True)]
    return [r.s * t for t in ts], ts


class BlockGrads(NamedTuple):
    """Gradients of one block: x over its taps, s a number, the others over its taps."""

    x: list[Any]
    s: Any
    b0: list[Any]
    b1: list[Any]
    b2: list[Any]
    alpha: list[Any]


def _poly_gradients(
    d_border: list[Any], block: list[Any], b: Taps, o: Options
) -> tuple[list[Any], list[Any]]:
    """(GP, Galpha) of one block from GB of its elements."""
    k = len(block)
    p = [polynomial(u, j, b) for j, u in enumerate(block)]
    if o.fuse == "none" or k == 1:
        return [d * bound_slope(t, o) for d, t in zip(d_border, p, strict=True)], [0] * k
    weight = b.alpha if b.alpha is not None else [1] * k
    mean, total = _unclipped_mean(block, b, o), sum(d_border)
    if o.fuse == "fuse_bound":
        d_q = total * bound_slope(mean, o)
        return [d_q * w / k for w in weight], [d_q * t / k for t in p]
    d_f = total if o.border_mask == "open" or 0 <= mean <= 1 else 0 * total
    centre = Fraction(1, 2) if o.fuse == "centred" else 0
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
    d_p, d_alpha = _poly_gradients(d_border, seen, b, o)
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

    def one(image: Any, part: int) -> Any:
        result = []
        for channel, b in zip(image, params, strict=True):
            windows = range(len(channel[0]))
            blocks = [block_forward(_block(channel, w), b, r, o)[part] for w in windows]
            result.append([[block[j] for block in blocks] for j in range(len(channel))])
        return result

    return [one(image, 0) for image in x], [one(image, 1) for image in x]


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
