"""The scales in plain NumPy."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain


def _smoothquant(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    x, w, alpha = inputs["x_max"], inputs["w_max"], float(attrs["alpha"])
    with np.errstate(all="ignore"):
        return {"scale": part.floor_scale(part.ratio(x, part.floor_weight(w), alpha))}


SMOOTHQUANT = Plain(
    _smoothquant,
    {
        "floor_weight": lambda w: np.maximum(w, 1e-5),
        "ratio": lambda x, w, alpha: x**alpha / w ** (1 - alpha),
        "floor_scale": lambda scale: np.maximum(scale, 1e-5),
    },
)


def _osplus(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    low, high, threshold = inputs["low"], inputs["high"], float(attrs["threshold"])
    shift = part.shift(low, high)
    ends = part.shifted(low, shift), part.shifted(high, shift)
    return {"shift": shift, "scale": part.floor(part.scale(*ends, threshold))}


def scale_of(low: Array, high: Array, threshold: float) -> Array:
    """What brings both ends to the threshold."""
    return np.maximum(high / threshold, low / -threshold)


OSPLUS = Plain(
    _osplus,
    {
        "shift": lambda low, high: low / 2 + high / 2,
        "shifted": lambda end, shift: end - shift,
        "scale": scale_of,
        "floor": lambda scale: np.maximum(scale, 1),
    },
)


def _repq(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    s, zero = inputs["s"], inputs["zero_point"]
    common, whole = np.asarray(part.step(s), s.dtype), part.zero(zero)
    offset = part.offset(s, common, zero.astype(s.dtype), np.asarray(whole, s.dtype))
    return {
        "common_s": common,
        "common_zero_point": np.asarray(whole).astype(np.int64),
        "ratio": part.ratio(s, common),
        "offset": offset,
    }


REPQ = Plain(
    _repq,
    {
        "step": np.mean,
        "zero": lambda zero: np.rint(zero.mean()),
        "ratio": lambda s, common: s / common,
        "offset": lambda s, common, zero, whole: common * (whole - zero),
    },
)


def _cle(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    r1, r2 = inputs["r1"], inputs["r2"]
    dead = part.dead(r1, r2)
    with np.errstate(all="ignore"):
        scale = part.root(r2, r1)
    ends = part.ends(attrs["clip"])
    limited = scale if ends is None else np.clip(scale, *ends)
    neutral = np.float64(1) if ends is None else np.clip(1.0, *ends)
    return {"scale": np.where(dead, part.neutral(neutral), limited).astype(r1.dtype)}


CLE = Plain(
    _cle,
    {
        "dead": lambda r1, r2: (r1 == 0) | (r2 == 0),
        "root": lambda r2, r1: np.sqrt(r2 / r1),
        "ends": lambda clip: clip,
        "neutral": lambda one: one,
    },
)
