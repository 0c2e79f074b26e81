"""A layer of AdaQTransform and its gradients in plain NumPy."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.adaround import plain_sigmoid
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain

NEAREST = ("1.2", "qat")


def column(step: Array) -> Array:
    """(c_out,) against (c_out, k)."""
    return step[:, None]


def spread(parameter: Array) -> Array:
    """xi or eta against (c_out, l)."""
    return parameter[:, None] if parameter.ndim == 1 else parameter


def up(alpha: Array, attrs: Attrs, part: Any) -> Array:
    """h(alpha), or the hard decision."""
    return np.asarray(part.hard(alpha) if attrs.get("hard") else part.h(alpha))


def unclipped(inputs: Inputs, attrs: Attrs, part: Any) -> Array:
    """floor(w / s_w) + h, or rint(w / s_w)."""
    u = part.of_weight(inputs)
    if attrs["case"] in NEAREST:
        return np.asarray(part.nearest(u))
    return np.asarray(part.base(u) + up(inputs["alpha"], attrs, part))


def out_step(inputs: Inputs) -> Array:
    """s_d, or s_w where it is tied."""
    return column(inputs.get("s_d", inputs["s_w"]))


def limited(t: Array, n: int, p: int) -> Array:
    """clip(t, n, p), NaN to 0."""
    return np.clip(np.where(np.isnan(t), 0, t), n, p).astype(t.dtype)


def forward(inputs: Inputs, attrs: Attrs, part: Any) -> SimpleNamespace:
    """Everything that forward and backward use."""
    raw = unclipped(inputs, attrs, part)
    levels = part.limit_w(raw, attrs["n_w"], attrs["p_w"])
    w_hat = part.out_step(inputs) * levels
    u = inputs["x"] / inputs["s_x"]
    q = part.limit_x(part.round_x(u), attrs["n_x"], attrs["p_x"])
    x_hat = inputs["s_x"] * q
    return SimpleNamespace(raw=raw, levels=levels, w_hat=w_hat, u=u, q=q, x_hat=x_hat,
                           y0=w_hat @ x_hat)  # fmt: skip


def _layer(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    with np.errstate(invalid="ignore"):
        f = forward(inputs, attrs, part)
    bias = inputs["bias"][:, None] if "bias" in inputs else np.zeros((len(f.y0), 1), f.y0.dtype)
    y = part.transform(f.y0, bias, spread(inputs["xi"]), spread(inputs["eta"]))
    return {"y": y, "y0": f.y0, "levels": f.levels}


PARTS = {
    "of_weight": lambda inputs: inputs["w"] / column(inputs["s_w"]),
    "nearest": np.rint,
    "base": np.floor,
    "h": plain_sigmoid.rectified,
    "hard": lambda alpha: (alpha >= 0).astype(alpha.dtype),
    "limit_w": limited,
    "out_step": out_step,
    "round_x": np.rint,
    "limit_x": limited,
    "transform": lambda y0, bias, xi, eta: xi * y0 + bias + eta,
}
LAYER = Plain(_layer, PARTS)


def total(terms: Array, parameter: Array) -> Array:
    """Summed over what shares the parameter."""
    if parameter.ndim == 2:
        return terms
    return np.asarray(terms.sum(axis=1) if parameter.ndim else terms.sum())


def inside(t: Array, n: int, p: int) -> Array:
    """Where a clip passes its gradient."""
    return np.asarray((t >= n) & (t <= p))


def weight_mask(f: SimpleNamespace, inputs: Inputs, attrs: Attrs, part: Any) -> Array:
    """M of the weights."""
    at = inputs["w"] / column(inputs["s_w"]) if part.unrounded(attrs) else f.raw
    return np.asarray(part.inside_w(at, attrs["n_w"], attrs["p_w"]))


def through_levels(w: Array, s_w: Array, s_d: Array, m: Array) -> Array:
    """d w_hat / d s_w through the floor alone."""
    return np.asarray(-s_d * np.where(m, w, 0) / (s_w * s_w)).astype(w.dtype)


def through_both(w: Array, s_w: Array, levels: Array, m: Array) -> Array:
    """d w_hat / d s_w through the product and the levels."""
    return np.asarray(levels - np.where(m, w / s_w, 0).astype(w.dtype))


def weight_grads(
    f: SimpleNamespace, inputs: Inputs, attrs: Attrs, d_w_hat: Array, part: Any
) -> Arrays:
    """Of alpha, steps and weights."""
    case, m = part.case(attrs), weight_mask(f, inputs, attrs, part)
    w, s_w, s_d = inputs["w"], column(inputs["s_w"]), out_step(inputs)
    found: Arrays = {}
    if case not in NEAREST:
        slope = plain_sigmoid.slope(inputs["alpha"], attrs, part)
        found["alpha"] = d_w_hat * part.alpha_step(s_w, s_d) * m * slope
    if case in ("2.1", "2.3"):
        found["s_w"] = (d_w_hat * part.through_levels(w, s_w, s_d, m)).sum(axis=1)
    if case in ("tied", *NEAREST):
        found["s_w"] = (d_w_hat * part.through_both(w, s_w, f.levels, m)).sum(axis=1)
    if case in ("2.2", "2.3"):
        found["s_d"] = (d_w_hat * part.by_s_d(f.levels, w, s_w)).sum(axis=1)
    if case == "qat":
        found["w"] = d_w_hat * m
    return found


def _backward(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    f = forward(inputs, attrs, part)
    d_y, xi, eta = inputs["d_y"], inputs["xi"], inputs["eta"]
    bias = inputs["bias"][:, None] if "bias" in inputs else np.zeros_like(d_y[:, :1])
    found = {"xi": part.total(d_y * part.by_xi(f.y0, bias, spread(xi)), xi)}
    found["eta"] = part.total(part.by_eta(d_y, spread(xi)), eta)
    if "bias" in inputs:
        found["bias"] = part.by_bias(d_y, spread(xi)).sum(axis=1)
    d_w_hat = part.scaled_w(d_y, spread(xi)) @ f.x_hat.T
    found |= weight_grads(f, inputs, attrs, d_w_hat.astype(d_y.dtype), part)
    d_x_hat = (f.w_hat.T @ part.scaled_x(d_y, spread(xi))).astype(d_y.dtype)
    m = part.inside_x(f.u if attrs["mask"] == "unrounded" else np.rint(f.u),
                      attrs["n_x"], attrs["p_x"])  # fmt: skip
    found["x"] = np.where(m, d_x_hat, 0).astype(d_y.dtype)
    found["s_x"] = (d_x_hat * part.by_s_x(f.q, f.u, m)).sum()
    return {f"d_{name}": value for name, value in found.items()}


BACKWARD = Plain(
    _backward,
    {
        **plain_sigmoid.SLOPE,
        **PARTS,
        "total": total,
        "by_xi": lambda y0, bias, xi: y0,
        "by_eta": lambda d_y, xi: d_y,
        "by_bias": lambda d_y, xi: d_y,
        "scaled_w": lambda d_y, xi: xi * d_y,
        "scaled_x": lambda d_y, xi: xi * d_y,
        "unrounded": lambda attrs: attrs["mask"] == "unrounded" and attrs["case"] in NEAREST,
        "inside_w": inside,
        "inside_x": inside,
        "case": lambda attrs: attrs["case"],
        "alpha_step": lambda s_w, s_d: s_d,
        "through_levels": through_levels,
        "through_both": through_both,
        "by_s_d": lambda levels, w, s_w: levels,
        "by_s_x": lambda q, u, m: q - np.where(m, u, 0).astype(u.dtype),
    },
)
