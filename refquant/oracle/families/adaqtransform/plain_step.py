"""`adaqt_step` in plain NumPy, assembled from the parts of its operations."""

from typing import Any

import numpy as np

from refquant.oracle.families import adam_state
from refquant.oracle.families.adaqtransform import plain_layer
from refquant.oracle.families.adaround.plain_schedule import MOMENTS, cosine
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain

LEARNT = {"adaqt": ("alpha", "s_x", "xi", "eta"), "2.2": ("alpha", "s_x", "s_d", "bias")}


def rates(attrs: Attrs, t: int, part: Any) -> dict[str, float]:
    """Of all parameters that the case learns."""
    rate = attrs["lr"] * part.fall((t - 1) / attrs["total"])
    return dict.fromkeys(LEARNT[attrs["case"]], rate) | {"alpha": attrs["lr_alpha"]}


def _step(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    t, indices = int(inputs["t"]), inputs["indices"]
    x, target = (part.pick(inputs[name], indices).T for name in ("x", "target"))
    own = {**attrs, "case": "1.1" if attrs["case"] == "adaqt" else attrs["case"], "hard": False}
    given = {**inputs, "x": x}
    error = plain_layer.LAYER(given, own, part.forward)["y"] - target
    places = part.places(error)
    d_y = (part.two * error / places).astype(x.dtype)
    found = plain_layer.BACKWARD({**given, "d_y": d_y}, own, part.backward)
    own_rates = part.rates(attrs, t, part)
    grads = {name: found[f"d_{name}"] for name in own_rates}
    state = adam_state.plain(inputs, grads, own_rates, attrs, part)
    return {"loss": np.sum(error * error) / places, **state}


STEP = Plain(
    _step,
    {
        **MOMENTS,
        "pick": lambda rows, indices: rows[indices],
        "forward": {},
        "backward": {},
        "two": 2.0,
        "places": lambda error: error.shape[1],
        "fall": cosine,
        "rates": rates,
    },
)
