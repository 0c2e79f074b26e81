"""Rounding, quantizers and AdaRound in JAX, forwards."""

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient

from validation.backends.common import CODES, along, per_row
from validation.backends.jax_tools import Given, clip, finite, nearest, straight


def half_up(x: jax.Array) -> jax.Array:
    """Nearest, ties up; x + 1/2 would be rounded itself."""
    low = jnp.floor(x)
    return jnp.where(x - low >= 0.5, low + 1, low)


def half_away(x: jax.Array) -> jax.Array:
    """Nearest, ties away from zero."""
    low = jnp.trunc(x)
    return jnp.where(jnp.abs(x - low) >= 0.5, low + jnp.sign(x), low)


ROUND = {
    "rint": jnp.round,
    "half_up": half_up,
    "half_down": lambda x: -half_up(-x),
    "half_away": half_away,
    "floor": jnp.floor,
    "ceil": jnp.ceil,
}


def border_round(x: Given, a: Given) -> Given:
    """floor(u) + [f > B], with the comparison moved where the fraction is not exact."""
    u, border = x["u"], x["border"]
    base = jnp.floor(u)
    up = jnp.where((u > -0.5) & (u < 0), u > border - 1, u - base > border)
    return {"y": jnp.where(jnp.isfinite(u), base + up, u)}


def fake_quant(x: Given, a: Given) -> Given:
    """clip(round(x / s)), or rounded after the clip."""
    s, z = (along(x[k], a["axis"], x["x"]) for k in ("s", "zero_point"))
    n, p = (code - z for code in CODES[a["grid"]](a["bits"]))
    u = finite(x["x"] / s)
    rounded = ROUND[a["rounding"]](stop_gradient(u))
    if a.get("mask") == "unrounded":
        q = straight(clip(rounded, n, p), clip(u, n, p))
    else:
        q = clip(straight(rounded, u), n, p)
    rest = {"zero_point": 0.0, "low": n, "high": p}[a.get("nan", "zero_point")]
    q = jnp.where(jnp.isnan(x["x"]), rest, q)
    return {"y": s * q, "codes": stop_gradient(q + z).astype(jnp.int64)}


def lsqplus_int(x: Given, a: Given) -> Given:
    """clip(rint(x / s) + Z), both roundings straight through."""
    s, z = (along(x[k], a["axis"], x["x"]) for k in ("s", "zero_point"))
    zero = nearest(z)
    q = clip(nearest(finite(x["x"]) / s) + zero, 0.0, 2.0 ** a["bits"] - 1)
    q = jnp.where(jnp.isnan(x["x"]), stop_gradient(q), q)  # NaN counts as clipped
    return {"y": s * (q - zero)}


def lsqplus_real(x: Given, a: Given) -> Given:
    """clip(rint((x - o) / s)), and the offset added again."""
    s, offset = (along(x[k], a["axis"], x["x"]) for k in ("s", "offset"))
    q = clip(nearest((finite(x["x"]) - offset) / s), *CODES[a["grid"]](a["bits"]))
    q = jnp.where(jnp.isnan(x["x"]), stop_gradient(q), q)
    return {"y": s * q + offset}


def adaquant_quant(x: Given, a: Given) -> Given:
    """A step and a zero point of a range, clamped before they round."""
    span, minimum = (along(x[k], a["axis"], x["x"]) for k in ("span", "minimum"))
    top = 2.0 ** a["bits"] - 1
    s = clip(span, 1e-6, 1e5) / top
    zero = clip(nearest(-minimum / s), 0.0, top)
    t = clip(finite(x["x"]) / s + zero, 0.0, top)
    q = jnp.where(jnp.isnan(x["x"]), stop_gradient(jnp.round(t)), nearest(t))
    return {"y": s * (q - zero)}


def logsqrt2_quant(x: Given, a: Given) -> Given:
    """Halves of octaves below the scale."""
    r = jnp.round(-2 * jnp.log2(x["x"] / x["scale"]))
    r = jnp.where(jnp.isnan(r), jnp.inf, r)
    zero, codes = r >= 2 ** a["bits"], jnp.clip(r, 0, 2 ** a["bits"] - 1)
    y = jnp.where(zero, 0.0, x["scale"] * jnp.exp2(-codes / 2))
    return {"y": y, "codes": codes.astype(jnp.int64), "zero": zero}


def soft(x: Given, a: Given) -> jax.Array:
    """h: the stretched sigmoid, with both kinds of ends."""
    t = jax.nn.sigmoid(x["alpha"]) * 1.2 - 0.1
    if a.get("edge") == "strict":
        return jnp.where(t <= 0, 0.0, jnp.where(t >= 1, 1.0, t))
    return clip(t, 0.0, 1.0)


def round_reg(x: Given, a: Given) -> Given:
    """lam * sum(1 - |2h - 1|^beta)."""
    return {"value": a["lam"] * (1 - jnp.abs(2 * soft(x, a) - 1) ** a["beta"]).sum()}


def adaround_init_alpha(x: Given, a: Given) -> Given:
    """h of it is the fraction of w / s."""
    u = x["w"] / per_row(x["s"], x["w"])
    f = jnp.nan_to_num(u - jnp.floor(u))
    if a["alpha_init"] == "quotient":
        return {"alpha": -jnp.log(1.2 / (f + 0.1) - 1)}
    if a["alpha_init"] == "clipped":
        return {"alpha": jax.scipy.special.logit((jnp.clip(f, 1e-4, 1 - 1e-4) + 0.1) / 1.2)}
    return {"alpha": jnp.log((1 + 10 * f) / (11 - 10 * f))}


def adaround_weight(x: Given, a: Given) -> Given:
    """floor(w / s) + h, or the decisions instead of h."""
    w, s, z = x["w"], per_row(x["s"], x["w"]), per_row(x["zero_point"], x["w"])
    n, p = (code - z for code in CODES[a["grid"]](a["bits"]))
    base = jnp.where(jnp.isnan(w), 0.0, jnp.floor(w / s))
    if a.get("rounding", "soft") == "soft":
        level = clip(base + soft(x, a), n, p)
        return {"w_hat": s * jnp.where(jnp.isnan(w), 0.0, level)}
    up = x["alpha"] >= 0 if a["tie"] == "up" else x["alpha"] > 0
    level = jnp.where(jnp.isnan(w), 0.0, clip(base + up, n, p))
    return {"w_hat": s * level, "codes": (level + z).astype(jnp.int64)}


FORWARD = {
    "round": lambda x, a: {"y": ROUND[a["mode"]](x["x"])},
    "border_round": border_round,
    "fake_quant": fake_quant,
    "lsqplus_int": lsqplus_int,
    "lsqplus_real": lsqplus_real,
    "adaquant_quant": adaquant_quant,
    "logsqrt2_quant": logsqrt2_quant,
    "rect_sigmoid": lambda x, a: {"h": soft(x, a)},
    "round_reg": round_reg,
    "adaround_init_alpha": adaround_init_alpha,
    "adaround_weight": adaround_weight,
}
