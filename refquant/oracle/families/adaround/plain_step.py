"""One step of AdaRound in plain NumPy, assembled from the parts of its operations."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.adaround.plain_schedule import MOMENTS, SCHEDULE, adam, exponent
from refquant.oracle.families.adaround.plain_sigmoid import SLOPE, openness, push, rectified, slope
from refquant.oracle.families.adaround.plain_weight import PLACE, clip, inside, per_channel
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain


def divisor(batch: int, outputs: int, reduction: str) -> int:
    """What the sum of squares is divided by."""
    return batch * outputs if reduction == "mean" else batch


def weights(inputs: Inputs, attrs: Attrs, part: Any) -> tuple[Array, Array]:
    """The soft weight and its derivative in h."""
    w = inputs["w"]
    s, zero = (per_channel(inputs[name], w) for name in ("s", "zero_point"))
    low, high = part.ends_of(attrs["grid"], attrs["bits"])
    n, p = ((v - part.offset(zero)).astype(w.dtype) for v in (low, high))
    level = part.base(w / s) + part.seen(inputs["alpha"])
    return s * part.clip(level, n, p), part.factor(s) * part.inside(level, n, p)


def priced(d_alpha: Array, alpha: Array, t: int, attrs: Attrs, part: Any) -> tuple[Array, Array]:
    """The regulariser at step t, and the gradient with its own joined to it."""
    beta, on = exponent(np.asarray(float(part.schedule_step(t))), attrs, part)
    if not on:
        return np.zeros((), alpha.dtype), d_alpha
    h = part.h(alpha)
    penalty = attrs["lam"] * part.gather(part.openness(h, float(beta)))
    pull = attrs["lam"] * part.push(h, float(beta)) * slope(alpha, attrs, part)
    return penalty, part.join(d_alpha, pull)


def _step(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    alpha, t, first = inputs["alpha"], int(inputs["t"]), attrs["first_step"]
    x, target = (part.pick(inputs[name], inputs["indices"]) for name in ("x", "target"))
    w_hat, d_h = weights(inputs, attrs, part)
    error = x @ w_hat.T - target
    places = part.places(*error.shape, attrs["reduction"])
    d_w_hat = part.two * error.T @ x / places
    d_alpha = d_w_hat * d_h * slope(alpha, attrs, part)
    penalty, d_alpha = priced(d_alpha, alpha, t, attrs, part)
    given = {"x": alpha, "d_x": d_alpha, "m": inputs["m"], "v": inputs["v"]}
    moved, m, v = adam(given, part.adam_step(t, first), attrs, part)
    return {
        "loss": np.sum(error * error) / places,
        "penalty": penalty,
        "d_alpha": d_alpha,
        "alpha_next": moved,
        "m_next": m,
        "v_next": v,
    }


STEP = Plain(
    _step,
    {
        **SLOPE,
        **SCHEDULE,
        **MOMENTS,
        "ends_of": PLACE["ends"],
        "base": PLACE["base"],
        "offset": PLACE["offset"],
        "clip": clip,
        "inside": inside,
        "factor": lambda s: s,
        "h": rectified,
        "seen": rectified,
        "openness": openness,
        "gather": np.sum,
        "push": push,
        "pick": lambda rows, indices: rows[indices],
        "places": divisor,
        "two": 2.0,
        "join": lambda loss, penalty: loss + penalty,
        "schedule_step": lambda t: t,
        "adam_step": lambda t, first: t - first + 1,
    },
)
