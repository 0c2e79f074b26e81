"""`qdrop_step` in plain NumPy, assembled from the parts of its operations."""

from typing import Any

import numpy as np

from refquant.oracle.families import adam_state
from refquant.oracle.families.adaround.plain_schedule import cosine
from refquant.oracle.families.adaround.plain_sigmoid import slope
from refquant.oracle.families.adaround.plain_step import STEP as ADAROUND_STEP
from refquant.oracle.families.adaround.plain_step import priced, weights
from refquant.oracle.families.fake_quant.plain_uniform import FAKE_QUANT, FAKE_QUANT_BACKWARD
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain


def rates(attrs: Attrs, t: int, part: Any) -> dict[str, float]:
    """Of alpha and of the step."""
    return {"alpha": attrs["lr_alpha"], "s_x": attrs["lr_s"] * part.fall((t - 1) / attrs["total"])}


def quantizer_attrs(attrs: Attrs) -> dict[str, Any]:
    """What the quantizer of the inputs is asked for."""
    how = {"axis": None, "rounding": "rint", "nan": "zero_point"}
    own = {"bits": attrs["act_bits"], "grid": attrs["act_grid"]}
    return how | own | {name: attrs[name] for name in ("mask", "grad_scale")}


def _step(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    t, alpha, how = int(inputs["t"]), inputs["alpha"], quantizer_attrs(attrs)
    x, x_q, target = (part.pick(inputs[n], inputs["indices"]) for n in ("x", "x_q", "target"))
    entered, kept = part.masks(inputs["mask_input"], inputs["mask_element"])
    x_in = part.enter(entered, x_q, x)
    given = {"x": x_in, "s": inputs["s_x"], "zero_point": inputs["z_x"]}
    x_hat = part.drop(kept, FAKE_QUANT(given, how, part.forward)["y"], x_in)
    w_hat, d_h = weights(inputs, attrs, part)
    error = x_hat @ w_hat.T - target
    d_y = (part.two * error / part.divisor_of(error)).astype(x.dtype)
    d_alpha = (d_y.T @ x_hat) * d_h * slope(alpha, attrs, part)
    fixed = {"curve": "linear", "first_step": 1, "arrive": "total"}
    penalty, d_alpha = priced(d_alpha, alpha, t, {**attrs, **fixed}, part)
    given["d_y"] = part.through(kept, d_y @ w_hat)
    d_s_x = FAKE_QUANT_BACKWARD(given, how, part.backward)["d_s"]
    grads = {"alpha": d_alpha, "s_x": d_s_x}
    state = adam_state.plain(inputs, grads, part.rates(attrs, t, part), attrs, part)
    loss = np.sum(error * error) / part.divisor_of(error)
    return {"loss": loss, "penalty": penalty, **state}


STEP = Plain(
    _step,
    {
        **ADAROUND_STEP.parts,
        "masks": lambda entered, kept: (entered, kept),
        "enter": np.where,
        "drop": np.where,
        "through": lambda kept, d_x_hat: np.where(kept, d_x_hat, 0).astype(d_x_hat.dtype),
        "forward": {},
        "backward": {},
        "divisor_of": len,
        "fall": cosine,
        "rates": rates,
    },
)
