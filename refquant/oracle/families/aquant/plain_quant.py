"""AQuant's quantizer and its gradients in plain NumPy."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.aquant import plain_border as border
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain


def is_above(u: Array, base: Array, limit: Array) -> Array:
    """Whether the fraction exceeds the border; u > border - 1 where u - floor(u) is not exact."""
    return np.where((u > -0.5) & (u < 0), u > limit - 1, u - base > limit)


def round_at(u: Array, limit: Array, part: Any) -> Array:
    """floor(u) + [fraction > border]."""
    base = np.floor(u)
    return np.asarray(base + part.is_above(u, base, limit))


def seen(u: Array, attrs: Attrs) -> Array:
    """What the border sees of u."""
    return np.nan_to_num(u, nan=0.0, neginf=attrs["n"], posinf=attrs["p"])


def polynomial(u: Array, inputs: Inputs) -> Array:
    """P."""
    b0, b1 = border.spread(inputs["b0"]), border.spread(inputs["b1"])
    p = b1 * u + b0
    return p + border.spread(inputs["b2"]) * (u * u) if "b2" in inputs else p


def mix(u: Array, r: Array, a: float, attrs: Attrs) -> Array:
    """u + a (r - u); r itself at a = 1."""
    return r if a == 1 else np.where(np.isfinite(u), u + a * (r - u), u)


def limit_levels(v: Array, u: Array, attrs: Attrs) -> Array:
    """clip(v, n, p), NaN to 0."""
    return np.clip(np.where(np.isnan(v), 0, v), attrs["n"], attrs["p"]).astype(v.dtype)


def forward(inputs: Inputs, attrs: Attrs, part: Any) -> SimpleNamespace:
    """Everything that forward and backward use, as (n, c, k, l)."""
    x, s = inputs["x"], inputs["s"]
    c, k = inputs["b0"].shape
    with np.errstate(all="ignore"):
        u = part.discrete(x, s).reshape(len(x), c, k, -1)
        eye = part.seen(u, attrs)
        p = part.polynomial(part.argument(eye, s), inputs)
        b = border.fuse(p, part.weights_of(inputs, p), attrs, part)
        v = part.mix(u, round_at(u, b, part), part.weight(attrs), attrs)
        return SimpleNamespace(s=s, u=u, seen=eye, p=p, b=b, v=v, t=part.levels(v, u, attrs))


def _quant(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    f = forward(inputs, attrs, part)
    shape = inputs["x"].shape
    x_hat = part.dequantize(f.t, f.s).reshape(shape)
    return {"x_hat": x_hat, "levels": f.t.reshape(shape), "border": f.b}


PARTS = {
    **border.FUSE_PARTS,
    "discrete": lambda x, s: x / s,
    "seen": seen,
    "argument": lambda u, s: u,
    "polynomial": polynomial,
    "is_above": is_above,
    "weight": lambda attrs: float(attrs["a"]),
    "mix": mix,
    "levels": limit_levels,
    "dequantize": lambda t, s: s * t,
}
QUANT = Plain(_quant, PARTS)


def inside(f: SimpleNamespace, attrs: Attrs) -> Array:
    """The clip mask."""
    at = f.v if attrs["mask"] == "rounded" else f.u
    return np.asarray((at >= attrs["n"]) & (at <= attrs["p"]))


def gate(f: SimpleNamespace, attrs: Attrs) -> Array:
    """Where the border gets a gradient."""
    return np.asarray((f.u > attrs["n"]) & (f.u < attrs["p"]) | (attrs["gate"] == "literal"))


def gather(d: Array, f: SimpleNamespace) -> Array:
    """Gradient of the shared border: the sum over its taps."""
    return d if d.shape == f.b.shape else np.asarray(d.sum(axis=2, keepdims=True))


def curve(f: SimpleNamespace, inputs: Inputs) -> Array:
    """dP/du."""
    b1 = border.spread(inputs["b1"]) + np.zeros_like(f.seen)
    return np.asarray(2 * border.spread(inputs["b2"]) * f.seen + b1 if "b2" in inputs else b1)


def through(f: SimpleNamespace, d_p: Array, inputs: Inputs, attrs: Attrs) -> Array:
    """Gradient of u by way of the border."""
    live = np.isfinite(f.u) & (not attrs["detach_border_input"])
    return np.asarray(np.where(live, d_p * curve(f, inputs), 0), f.seen.dtype)


def step_gradient(f: SimpleNamespace, g: Array, m: Array, way: Array) -> Any:
    """sum g (t - M u) - sum way u / s."""
    direct = g * (f.t - np.where(m, f.u, 0).astype(g.dtype))
    return direct.sum() - (way * f.seen).sum() / f.s


def _backward(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    f = forward(inputs, attrs, part)
    g = inputs["d_x_hat"].reshape(f.u.shape)
    with np.errstate(all="ignore"):
        m = part.inside(f, attrs)
        d_v = part.d_v(np.where(m, g, 0).astype(g.dtype), f)
        d_b = np.where(part.gate(f, attrs), part.d_border(d_v, attrs["a"]), 0).astype(g.dtype)
        weights = part.weights_of(inputs, f.p)
        d_p, terms = border.fuse_backward(f.p, weights, part.gather(d_b, f), attrs, part)
        way = part.through(f, d_p, inputs, attrs)
        d_x = part.d_x(d_v, way, f)
        d_s = part.step_gradient(f, g, m, way) * part.grad_scale(attrs)
    powers = {"b0": 1, "b1": part.first(f), "b2": part.second(f)}
    found = {f"d_{n}": part.total(d_p * u) for n, u in powers.items() if n in inputs}
    if "fusion" in inputs:
        found["d_fusion"] = part.total(terms)
    return {"d_x": d_x.reshape(inputs["x"].shape), "d_s": np.asarray(d_s, g.dtype), **found}


BACK_PARTS = {
    **border.FUSE_BACK_PARTS,
    **PARTS,
    "inside": inside,
    "gate": gate,
    "d_v": lambda g, f: f.s * g,
    "d_border": lambda d_v, a: -float(a) * d_v,
    "gather": gather,
    "through": through,
    "d_x": lambda d_v, way, f: (d_v + way) / f.s,
    "step_gradient": step_gradient,
    "grad_scale": lambda attrs: float(attrs["grad_scale"]),
    "first": lambda f: f.seen,
    "second": lambda f: f.seen * f.seen,
}
BACKWARD = Plain(_backward, BACK_PARTS)
