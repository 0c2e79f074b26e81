"""QDrop's mix, AMixup and ASoftmax in plain NumPy."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain


def select(mask: Array, a: Array, b: Array) -> Array:
    """a where the mask holds, else b."""
    return np.where(mask, a, b)


def _qdrop(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    return {"y": part.select(part.kept(inputs["mask"]), inputs["x_q"], inputs["x"])}


def _qdrop_back(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    mask, d_y = part.kept(inputs["mask"]), inputs["d_y"]
    return {"d_x": part.past(d_y, mask), "d_x_q": part.through(d_y, mask)}


QDROP = Plain(_qdrop, {"kept": lambda mask: mask, "select": select})
QDROP_BACKWARD = Plain(
    _qdrop_back,
    {
        "kept": lambda mask: mask,
        "past": lambda d_y, mask: np.where(mask, 0, d_y).astype(d_y.dtype),
        "through": lambda d_y, mask: np.where(mask, d_y, 0).astype(d_y.dtype),
    },
)


def _amixup(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    x, x_q = inputs["x"], inputs["x_q"]
    share = np.broadcast_to(part.share(inputs["share"]), x.shape)
    return {"y": part.mix(share, part.guard(x, share == 0), part.guard(x_q, share == 1))}


AMIXUP = Plain(
    _amixup,
    {
        "share": lambda share: share,
        "mix": lambda share, a, b: share * a + (1 - share) * b,
        "guard": lambda values, unused: np.where(unused, 0, values).astype(values.dtype),
    },
)


def _amixup_back(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    share, d_y = part.share(inputs["share"]), inputs["d_y"]
    return {"d_x": part.past(d_y, share), "d_x_q": part.through(d_y, share)}


AMIXUP_BACKWARD = Plain(
    _amixup_back,
    {
        "share": lambda share: share,
        "past": lambda d_y, share: share * d_y,
        "through": lambda d_y, share: (1 - share) * d_y,
    },
)


def ends_of(inputs: Inputs, attrs: Attrs) -> tuple[Array, Array]:
    """n and p against (c_out, ...)."""
    half = 1 << (attrs["bits"] - 1)
    low, high = {
        "unsigned": (0, 2 * half - 1),
        "affine": (0, 2 * half - 1),
        "signed": (-half, half - 1),
        "narrow": (1 - half, half - 1),
    }[attrs["grid"]]
    zero = channels(inputs["zero_point"])
    return low - zero, high - zero


def channels(parameter: Array) -> Array:
    """() or (c_out,) against (c_out, k)."""
    return parameter[:, None] if parameter.ndim else parameter


def softmax(logits: Array, temperature: float) -> Array:
    """Over the last axis."""
    e = np.exp((logits - logits.max(axis=-1, keepdims=True)) / temperature)
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def soft(inputs: Inputs, attrs: Attrs, part: Any) -> tuple[Array, Array, Array]:
    """(pi, mean offset, level before the clip)."""
    w, tau = inputs["w"], float(attrs["temperature"])
    pi = part.softmax(inputs["logits"], part.tau(tau)).astype(w.dtype)
    mean = np.asarray((pi * np.array(attrs["offsets"], w.dtype)).sum(axis=-1))
    return pi, mean, part.base(w / channels(inputs["s"])) + mean


def clipped(level: Array, n: Array, p: Array) -> Array:
    """clip(level, n, p), NaN to 0."""
    return np.clip(np.where(np.isnan(level), 0, level), n, p).astype(level.dtype)


def _asoftmax(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    n, p = ends_of(inputs, attrs)
    with np.errstate(invalid="ignore"):
        level = soft(inputs, attrs, part)[2]
        best = part.best(inputs["logits"])
        hard = part.base(inputs["w"] / channels(inputs["s"]))
        hard = hard + np.array(attrs["offsets"], hard.dtype)[best]
        codes = part.clipped(hard, n, p) + part.zero(channels(inputs["zero_point"]))
    w_hat = part.step(channels(inputs["s"])) * part.clipped(level, n, p)
    return {"w_hat": w_hat, "codes": codes.astype(np.int64)}


PARTS = {
    "softmax": softmax,
    "tau": lambda tau: tau,
    "base": np.floor,
    "best": lambda logits: logits.argmax(axis=-1),
    "clipped": clipped,
    "step": lambda s: s,
    "zero": lambda zero: zero,
}
ASOFTMAX = Plain(_asoftmax, PARTS)


def _asoftmax_back(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    n, p = ends_of(inputs, attrs)
    offsets = np.array(attrs["offsets"], inputs["w"].dtype)
    with np.errstate(invalid="ignore"):
        pi, mean, level = soft(inputs, attrs, part)
        inside = part.inside(level, n, p)
    slope = part.slope(pi, offsets, mean[..., None]) / part.divisor(float(attrs["temperature"]))
    d = inputs["d_w_hat"] * part.step(channels(inputs["s"]))
    return {"d_logits": np.where(inside[..., None], d[..., None] * slope, 0).astype(d.dtype)}


ASOFTMAX_BACKWARD = Plain(
    _asoftmax_back,
    {
        **PARTS,
        "inside": lambda level, n, p: (level >= n) & (level <= p),
        "slope": lambda pi, offsets, mean: pi * (offsets - mean),
        "divisor": lambda tau: tau,
    },
)
