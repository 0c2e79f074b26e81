"""Kernels in Triton: a quantizer, AQuant's border on patches, and products on tensor cores.

A slash in Triton is a division that may be two units in the last place off; `tl.div_rn` rounds as
IEEE 754 does. `EXACT` chooses, so that the oracle can say what the difference does to codes.
"""

import triton
import triton.language as tl


@triton.jit
def nearest(u, RULE: tl.constexpr):
    """Round to whole numbers by a rule; infinities pass."""
    low = tl.floor(u)
    f = u - low  # exact but for -1/2 < u < 0, where it may round up to 1/2 or 1
    if RULE == "floor":
        return low
    if RULE == "ceil":
        return tl.ceil(u)
    if RULE == "half_up":
        up = (f >= 0.5) & ((u >= 0) | (u >= low + 0.5))
    elif RULE == "half_down":
        up = (f > 0.5) | (u > low + 0.5)
    elif RULE == "half_away":
        up = (f > 0.5) | ((f == 0.5) & (u > 0))
    else:
        odd = low - 2 * tl.floor(0.5 * low) == 1
        up = (f > 0.5) | ((f == 0.5) & odd)
    return tl.where(up, low + 1, low)


@triton.jit
def ratio(x, s, EXACT: tl.constexpr):
    """x / s, rounded once or nearly so."""
    return tl.div_rn(x, s) if EXACT else x / s


@triton.jit
def fake_quant(
    x, s, zero, y, codes, size, inner, channels, low, high,
    RULE: tl.constexpr, NAN: tl.constexpr, EXACT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Codes and values of x: (outer, channels, inner), a step and a zero point for each channel."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    on = at < size
    channel = at // inner % channels
    value = tl.load(x + at, on, 0.0)
    step, z = tl.load(s + channel, on, 1.0), tl.load(zero + channel, on, 0)
    n, p = (low - z).to(tl.float32), (high - z).to(tl.float32)
    rest = n if NAN == "low" else p if NAN == "high" else n * 0
    level = tl.minimum(tl.maximum(nearest(ratio(value, step, EXACT), RULE), n), p)
    level = tl.where(value != value, rest, level)
    tl.store(y + at, step * level, on)
    tl.store(codes + at, level.to(tl.int32) + z, on)


@triton.jit
def bound(p, kappa, BOUND: tl.constexpr, SCALE: tl.constexpr):
    """From the polynomial to a border in [0, 1]."""
    if BOUND == "clip":
        border = 0.5 + p
    elif SCALE == "inner":
        border = tl.sigmoid(kappa * p)
    else:
        border = 0.5 + kappa * (tl.sigmoid(p) - 0.5)
    return tl.minimum(tl.maximum(border, 0.0), 1.0)


@triton.jit
def shared(
    p, weight, kappa, taps, on, FUSE: tl.constexpr, BOUND: tl.constexpr, SCALE: tl.constexpr
):
    """The border that the taps of a channel share, as a row."""
    if FUSE == "fuse_bound":
        mean = tl.sum(tl.where(on, weight * p, 0.0), 0) / taps
        return bound(mean, kappa, BOUND, SCALE)[None, :]
    centre = 0.5 if FUSE == "centred" else 0.0
    part = tl.where(on, weight * (bound(p, kappa, BOUND, SCALE) - centre), 0.0)
    mean = centre + tl.sum(part, 0) / taps
    return tl.minimum(tl.maximum(mean, 0.0), 1.0)[None, :]


@triton.jit
def aquant(
    x, b0, b1, b2, fusion, x_hat, levels, border,
    s, a, n, p, kappa, channels, taps, length,
    FUSE: tl.constexpr, BOUND: tl.constexpr, SCALE: tl.constexpr,
    TAPS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Patches (image channel, tap, place), rounded up where the fraction exceeds a border."""
    image, tap = tl.program_id(0), tl.arange(0, TAPS)
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    on = (tap[:, None] < taps) & (at[None, :] < length)
    where = (image * taps + tap[:, None]) * length + at[None, :]
    value = tl.load(x + where, on, 0.0)
    u = tl.div_rn(value, s)
    inside = tl.minimum(tl.maximum(u, n), p)
    seen = tl.where(value != value, 0.0, tl.where(tl.abs(value) == float("inf"), inside, u))
    place = image % channels * taps + tap
    c0, c1 = tl.load(b0 + place, tap < taps, 0.0), tl.load(b1 + place, tap < taps, 0.0)
    c2, weight = tl.load(b2 + place, tap < taps, 0.0), tl.load(fusion + place, tap < taps, 0.0)
    poly = (c2[:, None] * seen + c1[:, None]) * seen + c0[:, None]
    if FUSE == "none" or TAPS == 1:
        own = bound(poly, kappa, BOUND, SCALE)
        tl.store(border + where, own, on)
    else:
        row = shared(poly, weight[:, None], kappa, taps, on, FUSE, BOUND, SCALE)
        tl.store(border + image * length + at[None, :], row, at[None, :] < length)
        own = tl.broadcast_to(row, (TAPS, BLOCK))
    base = tl.floor(u)
    up = tl.where((u > -0.5) & (u < 0), u > own - 1, u - base > own)
    rounded = tl.where(up, base + 1, base)
    mixed = tl.where(a == 1, rounded, u + a * (rounded - u))
    level = tl.where(value != value, 0.0, tl.minimum(tl.maximum(mixed, n), p))
    tl.store(levels + where, level, on)
    tl.store(x_hat + where, s * level, on)


@triton.jit
def product(
    a, b, y, m, n, k,
    PRECISION: tl.constexpr, WHOLE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """y = a b for each of a batch: (batch, m, k) times (batch, k, n), on tensor cores."""
    batch, inner = tl.program_id(2), tl.arange(0, BLOCK)
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    col = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    kind: tl.constexpr = tl.int32 if WHOLE else tl.float32
    total = tl.zeros((BLOCK, BLOCK), kind)
    for start in range(0, k, BLOCK):
        at = start + inner
        left = (row[:, None] < m) & (at[None, :] < k)
        right = (at[:, None] < k) & (col[None, :] < n)
        tile = tl.load(a + (batch * m + row[:, None]) * k + at[None, :], left, 0)
        other = tl.load(b + (batch * k + at[:, None]) * n + col[None, :], right, 0)
        total = tl.dot(tile, other, total, input_precision=PRECISION, out_dtype=kind)
    here = (row[:, None] < m) & (col[None, :] < n)
    tl.store(y + (batch * m + row[:, None]) * n + col[None, :], total, here)
