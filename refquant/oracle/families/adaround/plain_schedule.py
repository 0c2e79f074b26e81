"""The schedules and Adam in plain NumPy."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain


def warm(t: Array, attrs: Attrs) -> Array:
    """Whether a step belongs to the warm-up."""
    return np.asarray(t < attrs["warm_up"] * attrs["total"])


def last(attrs: Attrs) -> int:
    """The step number at which the end is reached."""
    total, first = int(attrs["total"]), int(attrs["first_step"])
    return total if attrs["arrive"] == "total" else first + total - 1


def progress(t: Array, attrs: Attrs, end: int) -> Array:
    """Share of the way from the end of the warm-up to `end`; all of it where there is no way."""
    begin = attrs["warm_up"] * attrs["total"]
    return np.asarray((t - begin) / (end - begin)) if begin < end else np.ones(t.shape)


def hold(rel: Array) -> Array:
    """No further than the end."""
    return np.minimum(rel, 1.0)


def linear(rel: Array) -> Array:
    """1 to 0 along a line."""
    return 1.0 - rel


def cosine(rel: Array) -> Array:
    """1 to 0 along half a cosine."""
    return np.asarray((1.0 + np.cos(np.pi * rel)) / 2.0)


def exponent(t: Array, attrs: Attrs, part: Any) -> tuple[Array, Array]:
    """(beta, on)."""
    off = part.warm(t, attrs)
    rel = part.progress(t, attrs, part.last(attrs))
    rel = part.hold(rel) if attrs.get("after") == "hold" else rel
    left = np.where(off, 1.0, getattr(part, attrs["curve"])(rel))
    low, high = part.ends(attrs)
    return low + (high - low) * left, ~off


def ends(attrs: Attrs) -> tuple[float, float]:
    """b1 and b0."""
    return float(attrs["end"]), float(attrs["start"])


def _beta(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    beta, on = exponent(inputs["t"].astype(np.float64), attrs, part)
    return {"beta": beta, "on": part.on(on)}


def _cosine_lr(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    return {"rate": attrs["lr"] * part.fall(inputs["t"].astype(np.float64) / attrs["total"])}


def mean(old: Array, new: Array, decay: float) -> Array:
    """A running mean."""
    return decay * old + (1.0 - decay) * new


def unbiased(value: Array, decay: float, t: int) -> Array:
    """A running mean that began at 0."""
    return value / (1.0 - decay**t)


def divisor(v: Array, eps: float) -> Array:
    """What the mean gradient is divided by."""
    return np.sqrt(v) + eps


def adam(given: Inputs, t: int, attrs: Attrs, part: Any) -> tuple[Array, Array, Array]:
    """(x, m, v) after a step."""
    g = given["d_x"]
    m = part.first_mean(given["m"], g, attrs["beta1"])
    v = part.second_mean(given["v"], part.square(g), attrs["beta2"])
    moved = part.unbiased1(m, attrs["beta1"], t) / part.divisor(
        part.unbiased2(v, attrs["beta2"], t), attrs["eps"]
    )
    return given["x"] - part.rate(attrs, t) * moved, m, v


def _adam(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    x, m, v = adam(inputs, int(inputs["t"]), attrs, part)
    return {"x_next": x, "m_next": m, "v_next": v}


SCHEDULE = {
    "warm": warm,
    "last": last,
    "progress": progress,
    "hold": hold,
    "linear": linear,
    "cosine": cosine,
    "ends": ends,
}
MOMENTS = {
    "first_mean": mean,
    "second_mean": mean,
    "square": lambda g: g * g,
    "unbiased1": unbiased,
    "unbiased2": unbiased,
    "divisor": divisor,
    "rate": lambda attrs, t: attrs["lr"],
}
BETA = Plain(_beta, {**SCHEDULE, "on": lambda on: on})
COSINE_LR = Plain(_cosine_lr, {"fall": cosine})
ADAM = Plain(_adam, MOMENTS)
