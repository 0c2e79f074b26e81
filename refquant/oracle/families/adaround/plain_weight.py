"""AdaRound's weight quantizer in plain NumPy."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.adaround.plain_sigmoid import LN11, SLOPE, rectified, slope
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain


def per_channel(parameter: Array, w: Array) -> Array:
    """A parameter of shape () or (c_out,) beside w."""
    return parameter.reshape((-1,) + (1,) * (w.ndim - 1)) if parameter.ndim else parameter


def fraction(u: Array) -> Array:
    """u - floor(u), 0 where u is not finite."""
    return np.where(np.isfinite(u), u - np.floor(u), 0.0).astype(u.dtype)


def ratio(f: Array) -> Array:
    """log((1 + 10 f) / (11 - 10 f)), and -ln 11 itself at f = 0."""
    at_zero = np.asarray(-LN11, f.dtype)
    return np.where(f == 0.0, at_zero, np.log((1.0 + 10.0 * f) / (11.0 - 10.0 * f)))


def quotient(f: Array) -> Array:
    """The published form."""
    return -np.log(1.2 / (f + 0.1) - 1.0)


def clipped(f: Array) -> Array:
    """The logit of the stretched fraction, kept away from 0 and 1."""
    share = (np.clip(f, 1e-4, 1.0 - 1e-4) + 0.1) / 1.2
    return np.asarray(np.log(share / (1.0 - share)))


def ends(grid: str, bits: int) -> tuple[int, int]:
    """Lowest and highest code."""
    if grid in ("unsigned", "affine"):
        return 0, 2**bits - 1
    return (1 if grid == "narrow" else 0) - 2 ** (bits - 1), 2 ** (bits - 1) - 1


def clip(level: Array, n: Array, p: Array) -> Array:
    """Level limited to [n, p]; NaN rests at 0."""
    return np.asarray(np.clip(np.where(np.isnan(level), 0.0, level).astype(level.dtype), n, p))


def is_up(alpha: Array, tie: str) -> Array:
    """The hard decision."""
    return alpha >= 0.0 if tie == "up" else alpha > 0.0


def inside(level: Array, n: Array, p: Array) -> Array:
    """Which levels are not clipped."""
    return (n <= level) & (level <= p)


def _init(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    w = inputs["w"]
    f = part.fraction(part.base_of(w, part.per_channel(inputs["s"], w)))
    return {"alpha": getattr(part, attrs["alpha_init"])(f)}


def _place(inputs: Inputs, attrs: Attrs, part: Any) -> tuple[Array, Array, Array, Array, Array]:
    """s, zero point, n, p and floor(w / s)."""
    w = inputs["w"]
    s, zero = (per_channel(inputs[name], w) for name in ("s", "zero_point"))
    low, high = part.ends(attrs["grid"], attrs["bits"])
    base = part.base(w / s)
    return s, zero, *((v - part.offset(zero)).astype(w.dtype) for v in (low, high)), base


def _weight(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    s, zero, n, p, base = _place(inputs, attrs, part)
    alpha = inputs["alpha"]
    if attrs["rounding"] == "soft":
        return {"w_hat": s * part.clip(base + part.h(alpha), n, p)}
    level = part.clip(base + part.decide(alpha, attrs["tie"]).astype(s.dtype), n, p)
    return {"w_hat": s * level, "codes": part.code(level, zero)}


def _backward(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    s, _, n, p, base = _place(inputs, attrs, part)
    alpha = inputs["alpha"]
    live = part.inside(base + part.h(alpha), n, p)
    return {"d_alpha": inputs["d_w_hat"] * part.factor(s) * live * slope(alpha, attrs, part)}


PLACE = {"ends": ends, "base": np.floor, "offset": lambda zero: zero}
INIT = Plain(
    _init,
    {
        "per_channel": per_channel,
        "base_of": lambda w, s: w / s,
        "fraction": fraction,
        "ratio": ratio,
        "quotient": quotient,
        "clipped": clipped,
    },
)
WEIGHT = Plain(
    _weight,
    {
        **PLACE,
        "h": rectified,
        "clip": clip,
        "decide": is_up,
        "code": lambda level, zero: level.astype(np.int64) + zero,
    },
)
WEIGHT_BACKWARD = Plain(
    _backward, {**PLACE, **SLOPE, "h": rectified, "inside": inside, "factor": lambda s: s}
)
