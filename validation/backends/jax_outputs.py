"""Mixing, output transforms and redistribution in JAX, forwards."""

import jax
import jax.numpy as jnp

from validation.backends.common import CODES, per_row
from validation.backends.jax_tools import Given, clip


def amixup(x: Given, a: Given) -> Given:
    """Shares of 0 and 1 select."""
    share = x["share"]
    kept = jnp.where(share == 0, 0.0, share * x["x"])
    return {"y": kept + jnp.where(share == 1, 0.0, (1 - share) * x["x_q"])}


def asoftmax(x: Given, a: Given) -> Given:
    """The mean of the candidates, and the one of the largest logit."""
    w, s, z = x["w"], per_row(x["s"], x["w"]), per_row(x["zero_point"], x["w"])
    n, p = (code - z for code in CODES[a["grid"]](a["bits"]))
    base, rests = jnp.floor(w / s), jnp.isnan(w)
    offsets = jnp.asarray(a["offsets"], w.dtype)
    shares = jax.nn.softmax(x["logits"] / a["temperature"], -1)
    soft = clip(base + (shares * offsets).sum(-1), n, p)
    hard = clip(base + offsets[x["logits"].argmax(-1)], n, p)
    codes = jnp.where(rests, 0, hard).astype(jnp.int64) + z
    return {"w_hat": s * jnp.where(rests, 0.0, soft), "codes": codes}


def bn_to_xieta(x: Given, a: Given) -> Given:
    """What the norm's new scale and shift do to the folded layer."""
    moved = (x.get("bias", 0.0) - x["mean"]) * (x["gamma"] - x["gamma0"]) / x["sd"]
    return {"xi": x["gamma"] / x["gamma0"], "eta": x["beta"] - x["beta0"] + moved}


def xieta_to_bn(x: Given, a: Given) -> Given:
    """The other way."""
    gamma = x["xi"] * x["gamma0"]
    moved = (x.get("bias", 0.0) - x["mean"]) * (gamma - x["gamma0"]) / x["sd"]
    return {"gamma": gamma, "beta": x["beta0"] + x["eta"] - moved}


def adaqt_fold(x: Given, a: Given) -> Given:
    """One scale and one offset behind an integer product."""
    return {"st": x["xi"] * x["s_w"] * x["s_x"], "bt": x.get("bias", 0.0) + x["eta"]}


def smoothquant_scale(x: Given, a: Given) -> Given:
    """x_max^alpha / w_max^(1 - alpha)."""
    weights = jnp.maximum(x["w_max"], 1e-5) ** (1 - a["alpha"])
    return {"scale": jnp.maximum(x["x_max"] ** a["alpha"] / weights, 1e-5)}


def osplus_shift_scale(x: Given, a: Given) -> Given:
    """The largest magnitude after the shift, in thresholds."""
    shift = (x["high"] + x["low"]) / 2
    reach = jnp.maximum(x["high"] - shift, shift - x["low"])
    return {"shift": shift, "scale": jnp.maximum(reach / a["threshold"], 1)}


def cle_scale(x: Given, a: Given) -> Given:
    """sqrt(r2 / r1)."""
    dead = (x["r1"] == 0) | (x["r2"] == 0)
    scale = jnp.where(dead, 1.0, jnp.sqrt(x["r2"] / x["r1"]))
    return {"scale": scale if a["clip"] is None else jnp.clip(scale, *a["clip"])}


def border_eq7(x: Given, a: Given) -> Given:
    """1/2 + c / A."""
    total = x["w"] + x["d_w"]
    border = 0.5 + (x["d_w"] * x["x_prime"] + x["w"] * x["e"]) / total
    border = jnp.clip(border, 0, 1) if a["clipped"] else border
    return {"border": jnp.where(total == 0, 0.5, border)}


def border_bound(x: Given, a: Given) -> Given:
    """From P to a border, closed at its ends or open."""
    p = x["p"]
    if a["bound"] == "sigmoid" and a["scale"] == "inner":
        return {"e": jax.nn.sigmoid(a["kappa"] * p)}
    whole = 0.5 + (p if a["bound"] == "clip" else a["kappa"] * (jax.nn.sigmoid(p) - 0.5))
    limited = clip(whole, 0.0, 1.0)
    if a.get("border_mask") == "open":
        limited = whole + jax.lax.stop_gradient(limited - whole)
    return {"e": limited}


FORWARD = {
    "qdrop_mix": lambda x, a: {"y": jnp.where(x["mask"].astype(bool), x["x_q"], x["x"])},
    "amixup": amixup,
    "asoftmax": asoftmax,
    "bn_to_xieta": bn_to_xieta,
    "xieta_to_bn": xieta_to_bn,
    "adaqt_fold": adaqt_fold,
    "bias_correct": lambda x, a: {"corrected": x["bias"] + (x["y"] - x["y_hat"]).mean((0, 2))},
    "smoothquant_scale": smoothquant_scale,
    "osplus_shift_scale": osplus_shift_scale,
    "cle_scale": cle_scale,
    "border_eq7": border_eq7,
    "border_bound": border_bound,
}
