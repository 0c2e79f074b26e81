"""The schedule, A-rounding and SQuant in plain NumPy."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain


def _schedule(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    total, hold = attrs["total"], float(attrs["hold"])
    t = part.step(inputs["t"]).astype(np.float64)
    ramp = (t - part.start(total, hold)) / part.length(total, hold)
    return {"a": part.clip(ramp)}


SCHEDULE = Plain(
    _schedule,
    {
        "step": lambda t: t,
        "start": lambda total, hold: hold * total,
        "length": lambda total, hold: (1 - hold) * total,
        "clip": lambda ramp: np.clip(ramp, 0, 1),
    },
)


def free(u: Array, r: Array, sign: float, n: int, p: int) -> Array:
    """Elements that may be flipped against the sign."""
    return (r * sign > 0) & ((u > n) if sign > 0 else (u < p))


def largest_first(r: Array, allowed: Array) -> list[int]:
    """Allowed positions by falling |r|, ties by index."""
    return sorted(np.flatnonzero(allowed).tolist(), key=lambda j: (-abs(r[j]), j))


def offer(order: list[int], flips: int, total: float, sign: float) -> tuple[int, float] | None:
    """The candidate of a channel and its move."""
    if flips > 0 and flips >= abs(total):
        return order[flips - 1], sign
    return (order[flips], -sign) if flips < len(order) else None


def flip_channel(
    u: Array, q: Array, ends: tuple[int, int], part: Any
) -> tuple[Array, tuple[int, float] | None]:
    """Stage 2 of one channel."""
    r = q - u
    total = r.sum()
    sign = float(np.sign(total))
    order = part.order(r, part.free(u, r, sign, *ends))
    flips = min(int(part.count(abs(total))), len(order))
    levels = q.copy()
    levels[order[:flips]] += part.direction * sign
    return levels, part.offer(order, flips, total, sign)


def flip_vector(u: Array, q: Array, offers: list[Any], part: Any) -> Array:
    """Stage 3 of one vector, (c, k)."""
    r = q - u
    total = float(part.vector_sum(r))
    useful = [
        (-abs(r[i, one[0]]), i, one)
        for i, one in enumerate(offers)
        if one is not None and part.helps(one[1], total)
    ]
    levels = q.copy()
    for _, i, (j, move) in part.chosen(useful)[: int(part.vector_count(abs(total)))]:
        levels[i, j] += move
    return levels


def nearest(u: Array) -> Array:
    """Stage 1."""
    return np.rint(u)


def stages(u: Array, ends: tuple[int, int], part: Any, both: bool = True) -> Array:
    """Levels of one vector, (c, k), before the clip."""
    q = part.nearest(u)
    pairs = [flip_channel(row, level, ends, part) for row, level in zip(u, q, strict=True)]
    flipped = np.stack([levels for levels, _ in pairs])
    return flip_vector(u, flipped, [one for _, one in pairs], part) if both else flipped


def clipped(q: Array, u: Array, ends: tuple[int, int]) -> Array:
    """Levels in [n, p]; infinities at the ends."""
    return np.clip(np.where(np.isinf(u), u, q), *ends)


def _a_rounding(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    u, ends = inputs["u"], (attrs["n"], attrs["p"])
    finite = np.where(part.usable(u), u, 0).astype(u.dtype)
    q = np.stack([stages(vector, ends, part) for vector in finite])
    levels = part.clipped(q, u, ends)
    return {"q": levels.astype(np.int64), "r": part.residual(q, levels) - finite}


STAGE_PARTS = {
    "nearest": nearest,
    "free": free,
    "order": largest_first,
    "count": np.rint,
    "direction": -1,
    "offer": offer,
    "vector_sum": np.sum,
    "vector_count": np.rint,
    "helps": lambda move, total: move * total < 0,
    "chosen": sorted,
    "clipped": clipped,
}
A_ROUNDING = Plain(
    _a_rounding, {**STAGE_PARTS, "usable": np.isfinite, "residual": lambda q, levels: q}
)


def _squant(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    w, top = inputs["w"], (1 << attrs["bits"]) - 1
    low, high = part.lowest(w), part.highest(w)
    step = np.maximum((high - low) / part.top(top), part.smallest).astype(w.dtype)
    zero = np.clip(-part.zero(low / step), 0, top).astype(np.int64)
    kernel, channel = part.switches(attrs)
    codes = np.empty(w.shape, np.int64)
    for i, z in enumerate(zero.tolist()):
        u, ends = w[i] / step[i], (-z, top - z)
        rows = u.reshape(1, -1) if channel and not kernel else u
        if kernel or channel:
            q = stages(rows, ends, part, both=kernel and channel).reshape(u.shape)
        else:
            q = part.nearest(u)
        codes[i] = part.clipped(q, u, ends) + z
    return {"codes": codes, "s": step, "zero_point": zero}


SQUANT = Plain(
    _squant,
    {
        **STAGE_PARTS,
        "lowest": lambda w: np.minimum(w.min(axis=(1, 2)), 0),
        "highest": lambda w: np.maximum(w.max(axis=(1, 2)), 0),
        "top": lambda top: top,
        "smallest": 1e-8,
        "zero": np.rint,
        "switches": lambda attrs: (attrs["kernel"], attrs["channel"]),
    },
)
