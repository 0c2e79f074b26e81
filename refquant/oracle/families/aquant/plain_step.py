"""`aquant_step` in plain NumPy, assembled from the parts of its operations."""

from typing import Any

import numpy as np

from refquant.oracle.families import adam_state
from refquant.oracle.families.adaround.plain_schedule import MOMENTS, cosine
from refquant.oracle.families.aquant import plain_quant, plain_rounding
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain


def rates(attrs: Attrs, t: int, part: Any) -> dict[str, float]:
    """Of all parameters."""
    step = attrs["lr_s"] * part.fall((t - 1) / attrs["total"])
    return {"s": step, **dict.fromkeys(("b0", "b1", "b2", "fusion"), attrs["lr_border"])}


def _step(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    t = int(inputs["t"])
    x, target = (part.pick(inputs[name], inputs["indices"]) for name in ("x", "target"))
    given = {"t": np.asarray([part.schedule_step(t)])}
    a = float(plain_rounding.SCHEDULE(given, attrs, part.schedule)["a"][0])
    own = {**attrs, "a": a, "grad_scale": 1.0}
    quantizer = plain_quant.QUANT(_named({**inputs, "x": x}), own)
    error = inputs["w_hat"] @ part.used(quantizer["x_hat"], x) - target
    places = part.places(error)
    d_x_hat = (part.two * part.back(inputs["w_hat"]) @ error / places).astype(x.dtype)
    back = plain_quant.BACKWARD({**_named({**inputs, "x": x}), "d_x_hat": d_x_hat}, own,
                                part.backward)  # fmt: skip
    grads = {name[2:]: value for name, value in back.items() if name != "d_x"}
    own_rates = part.rates(attrs, t, part)
    state = adam_state.plain(inputs, grads, own_rates, attrs, part)
    return {"loss": np.sum(error * error) / places, **state}


def _named(inputs: Inputs) -> Inputs:
    """What the quantizer takes."""
    return {k: v for k, v in inputs.items() if k in ("x", "s", "b0", "b1", "b2", "fusion")}


STEP = Plain(
    _step,
    {
        **MOMENTS,
        "pick": lambda rows, indices: rows[indices],
        "schedule_step": lambda t: t,
        "schedule": {},
        "backward": {},
        "used": lambda x_hat, x: x_hat,
        "two": 2.0,
        "back": lambda w_hat: w_hat.T,
        "places": lambda error: error.shape[0] * error.shape[2],
        "fall": cosine,
        "rates": rates,
    },
)
