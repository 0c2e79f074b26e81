"""The border's own ops in plain NumPy."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain


def _eq7(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    w, d_w, x, e = (inputs[name] for name in ("w", "d_w", "x_prime", "e"))
    slope, offset = part.slope(w, d_w), part.offset(w, d_w, x, e)
    shift = np.where(slope == 0, part.if_flat, offset / np.where(slope == 0, 1, slope))
    border = part.half + shift.astype(w.dtype)
    return {"border": part.clip(border) if attrs["clipped"] else border}


def unit(t: Array) -> Array:
    """clip(t, 0, 1)."""
    return np.clip(t, 0, 1)


EQ7 = Plain(
    _eq7,
    {
        "slope": lambda w, d_w: w + d_w,
        "offset": lambda w, d_w, x, e: d_w * x + w * e,
        "if_flat": 0,
        "half": 0.5,
        "clip": unit,
    },
)


def grouped(w: Array, taps: int, groups: int) -> Array:
    """(c_out, c_in/g k) as (g, c_out/g, c_in/g, k)."""
    return w.reshape(groups, len(w) // groups, -1, taps)


def _closed(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    shape = (attrs["taps"], attrs["groups"])
    w, hat = part.grouped(inputs["w"], *shape), part.grouped(inputs["w_hat"], *shape)
    squares = part.squares(w, hat).sum(1)
    safe = np.where(squares == 0, 1, squares)
    ratios = (part.gain(w, hat).sum(1) / safe, part.tilt(w, hat).sum(1) / safe)
    gain, tilt = (
        np.where(squares == 0, part.if_dead, t).reshape(-1, attrs["taps"]).astype(w.dtype)
        for t in ratios
    )
    e0, e1, e2 = (inputs.get(name, np.zeros_like(gain)) for name in ("e0", "e1", "e2"))
    b0, b1, b2 = part.combine(gain, tilt, (e0, e1, e2))
    return {"b0": b0, "b1": b1, "b2": b2}


CLOSED = Plain(
    _closed,
    {
        "grouped": grouped,
        "squares": lambda w, hat: hat * hat,
        "gain": lambda w, hat: hat * w,
        "tilt": lambda w, hat: hat * (hat - w),
        "if_dead": 0,
        "combine": lambda gain, tilt, e: (e[0] * gain, tilt + e[1] * gain, e[2] * gain),
    },
)


def spread(b: Array) -> Array:
    """(c, k) against (n, c, k, l)."""
    return b[None, :, :, None]


def _poly(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    u = inputs["u"]
    p = part.linear(u, part.spread(inputs["b1"])) + part.constant(part.spread(inputs["b0"]))
    return {"p": p + part.square(u, part.spread(inputs["b2"])) if "b2" in inputs else p}


POLY = Plain(
    _poly,
    {
        "spread": spread,
        "constant": lambda b0: b0,
        "linear": lambda u, b1: b1 * u,
        "square": lambda u, b2: b2 * (u * u),
    },
)


def sigma(t: Array) -> Array:
    """The logistic function, without overflow."""
    e = np.exp(-np.abs(t))
    return np.where(t >= 0, 1 / (1 + e), e / (1 + e)).astype(t.dtype)


def kappa_of(attrs: Attrs) -> float:
    """As a Python number, which widens nothing."""
    return float(attrs["kappa"])


def outer(p: Array, kappa: float) -> Array:
    """Before the clip."""
    return np.asarray(0.5 + kappa * (sigma(p) - 0.5))


def inner(p: Array, kappa: float) -> Array:
    """sigma(kappa p)."""
    return sigma(kappa * p)


def raw(p: Array, attrs: Attrs, part: Any) -> Array:
    """The border before it is clipped."""
    if attrs["bound"] == "clip":
        return np.asarray(part.shifted(p))
    return np.asarray(getattr(part, attrs["scale"])(p, part.kappa_of(attrs)))


def bound(p: Array, attrs: Attrs, part: Any) -> Array:
    """The border."""
    return np.asarray(part.unit(raw(p, attrs, part)))


def _bound(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    return {"e": bound(inputs["p"], attrs, part)}


BOUND_PARTS = {
    "kappa_of": kappa_of,
    "outer": outer,
    "inner": inner,
    "shifted": lambda p: 0.5 + p,
    "unit": unit,
}
BOUND = Plain(_bound, BOUND_PARTS)


def outer_slope(p: Array, kappa: float) -> Array:
    """kappa sigma (1 - sigma)."""
    s = sigma(p)
    return np.asarray(kappa * s * (1 - s))


def inner_slope(p: Array, kappa: float) -> Array:
    """kappa E (1 - E)."""
    return outer_slope(kappa * p, kappa)


def closed_interval(t: Array) -> Array:
    """Where a clip to [0, 1] is idle."""
    return (t >= 0) & (t <= 1)


def slope(p: Array, attrs: Attrs, part: Any) -> Array:
    """dE/dP."""
    if attrs["bound"] == "clip":
        found = part.clip_slope(p, part.kappa_of(attrs))
    else:
        found = getattr(part, attrs["scale"] + "_slope")(p, part.kappa_of(attrs))
    idle = part.closed(raw(p, attrs, part)) | part.is_open(attrs)
    return np.asarray(np.where(idle, found, 0).astype(p.dtype))


def _bound_back(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    return {"d_p": inputs["d_e"] * slope(inputs["p"], attrs, part)}


SLOPE_PARTS = {
    **BOUND_PARTS,
    "outer_slope": outer_slope,
    "inner_slope": inner_slope,
    "clip_slope": lambda p, kappa: np.ones_like(p),
    "closed": closed_interval,
    "is_open": lambda attrs: attrs["border_mask"] == "open",
}
BOUND_BACKWARD = Plain(_bound_back, SLOPE_PARTS)


def mean_over_taps(t: Array) -> Array:
    """(n, c, 1, l)."""
    return np.asarray(t.sum(axis=2, keepdims=True) / t.shape[2])


def weights_of(inputs: Inputs, p: Array) -> Array:
    """Fusion weights against p."""
    return spread(inputs["fusion"]) if "fusion" in inputs else np.ones_like(p)


def unfused(p: Array, attrs: Attrs) -> bool:
    """Whether every tap keeps its own border."""
    return bool(attrs["fuse"] == "none" or p.shape[2] == 1)


def fused_raw(p: Array, weights: Array, attrs: Attrs, part: Any) -> Array:
    """The shared border before its clip or bound."""
    if attrs["fuse"] == "fuse_bound":
        return np.asarray(part.mean(weights * p))
    centre = part.centre(attrs)
    return np.asarray(part.mean(weights * (bound(p, attrs, part) - centre)) + part.back(centre))


def fuse(p: Array, weights: Array, attrs: Attrs, part: Any) -> Array:
    """The border, one for all taps where they share it."""
    if part.unfused(p, attrs):
        return bound(p, attrs, part)
    shared = fused_raw(p, weights, attrs, part)
    return bound(shared, attrs, part) if attrs["fuse"] == "fuse_bound" else part.limit(shared)


def _fuse(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    p = inputs["p"]
    return {"border": fuse(p, part.weights_of(inputs, p), attrs, part)}


FUSE_PARTS = {
    **BOUND_PARTS,
    "weights_of": weights_of,
    "unfused": unfused,
    "mean": mean_over_taps,
    "centre": lambda attrs: 0.5 if attrs["fuse"] == "centred" else 0.0,
    "back": lambda centre: centre,
    "limit": unit,
}
FUSE = Plain(_fuse, FUSE_PARTS)


def fuse_backward(p: Array, weights: Array, d_border: Array, attrs: Attrs, part: Any) -> Any:
    """(d_p, what d_fusion sums) from the gradient of a shared border, or of every tap's."""
    if part.unfused(p, attrs):
        return d_border * part.own_slope(p, attrs, part), None
    shared = fused_raw(p, weights, attrs, part)
    if attrs["fuse"] == "fuse_bound":
        share = part.share(d_border * part.slope_at(shared, p, attrs, part), p)
        return part.weighted(share, weights) + np.zeros_like(p), share * part.terms(p, p)
    live = part.live(shared) | part.is_open(attrs)
    share = part.share(np.where(live, d_border, 0).astype(p.dtype), p)
    own = part.weighted(share, weights) * part.own_slope(p, attrs, part)
    e = bound(p, attrs, part) - part.alpha_centre(attrs)
    return own, share * part.terms(e, p)


def _fuse_back(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    p = inputs["p"]
    weights = part.weights_of(inputs, p)
    d_p, terms = fuse_backward(p, weights, inputs["d_border"], attrs, part)
    if "fusion" not in inputs:
        return {"d_p": d_p}
    return {"d_p": d_p, "d_fusion": part.total(terms)}


FUSE_BACK_PARTS = {
    **FUSE_PARTS,
    **SLOPE_PARTS,
    "live": closed_interval,
    "slope_at": lambda shared, p, attrs, part: slope(shared, attrs, part),
    "own_slope": slope,
    "share": lambda d, p: d / p.shape[2],
    "weighted": lambda share, weights: share * weights,
    "terms": lambda e, p: e,
    "alpha_centre": lambda attrs: 0.5 if attrs["fuse"] == "centred" else 0.0,
    "total": lambda terms: terms.sum(axis=(0, 3)),
}
FUSE_BACKWARD = Plain(_fuse_back, FUSE_BACK_PARTS)
