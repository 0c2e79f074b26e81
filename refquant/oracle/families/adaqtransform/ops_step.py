"""Description of `adaqt_step`: one whole step of learning rounding, steps and output transform."""

from typing import Any

import numpy as np

from refquant.losses.reconstruction import reconstruction_loss
from refquant.optim.schedules import cosine_lr
from refquant.oracle.exact import adaqt as twin
from refquant.oracle.exact import schedules
from refquant.oracle.families import adam_state
from refquant.oracle.families.adaqtransform import plain_step as plain
from refquant.oracle.families.adaqtransform.ops_layer import (
    ATTRS,
    INPUTS,
    MASK,
    arguments,
    backward,
    forward,
)
from refquant.oracle.families.adaround.ops_schedule import MOMENTS
from refquant.oracle.families.adaround.shared import EDGE
from refquant.oracle.nested import flat
from refquant.oracle.op import Arrays, Attr, Attrs, Inputs, Op, Tensor

LEARNT = {"adaqt": ("alpha", "s_x", "xi", "eta"), "2.2": ("alpha", "s_x", "s_d", "bias")}
SHAPES = {"alpha": "(c_out, k)", "s_x": "()", "xi": "(c_out,)", "eta": "(c_out,)",
          "s_d": "(c_out,)", "bias": "(c_out,)"}  # fmt: skip
OWN = {
    "alpha": Tensor("alpha", "float", "like w", "rounding variables"),
    "s_d": Tensor("s_d", "float", "(c_out,)", "dequantization steps; in 2.2 only", True),
    "xi": Tensor("xi", "float", "(c_out,)", "scale of the product; 1 is neutral"),
    "eta": Tensor("eta", "float", "(c_out,)", "shift of the output; 0 is neutral"),
}
MEANS, AFTER = adam_state.tensors(SHAPES, optional=SHAPES)


def layer_attrs(attrs: Attrs) -> dict[str, Any]:
    """Attributes of the layer."""
    return {**attrs, "case": "1.1" if attrs["case"] == "adaqt" else attrs["case"]}


def _step(inputs: Inputs, attrs: Attrs) -> Arrays:
    t, total, own = int(inputs["t"]), attrs["total"], layer_attrs(attrs)
    x, target = (np.ascontiguousarray(inputs[n][inputs["indices"]].T) for n in ("x", "target"))
    outputs, caches = forward({**inputs, "x": x}, own)
    rows, wanted = (np.ascontiguousarray(v.T) for v in (outputs["y"], target))
    loss, d_rows = reconstruction_loss(rows, wanted)
    grads = backward(np.ascontiguousarray(d_rows.T), caches, own)
    rates = dict.fromkeys(LEARNT[attrs["case"]], cosine_lr(t - 1, total, attrs["lr"]))
    rates["alpha"] = float(attrs["lr_alpha"])
    found = {name: grads[name] for name in rates}
    return {"loss": np.asarray(loss), **adam_state.library(inputs, found, rates, attrs)}


def _step_twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    t, total = numbers["t"], attrs["total"]
    picked = ([numbers[name][i] for i in numbers["indices"]] for name in ("x", "target"))
    x, target = ([list(row) for row in zip(*rows, strict=True)] for rows in picked)
    layer, _, how = arguments({**numbers, "x": x}, layer_attrs(attrs))
    y, batch = twin.forward(layer, x, how).y, len(numbers["indices"])
    errors = [[a - b for a, b in zip(*rows, strict=True)] for rows in zip(y, target, strict=True)]
    d_y = [[2 * e / batch for e in row] for row in errors]
    grads = twin.backward(layer, x, d_y, how)
    rates = dict.fromkeys(LEARNT[attrs["case"]], schedules.cosine_lr(t - 1, total, attrs["lr"]))
    rates["alpha"] = attrs["lr_alpha"]
    found = {name: grads[name] for name in rates}
    loss = sum(e * e for e in flat(errors)) / batch
    return {"loss": loss, **adam_state.exact(numbers, found, rates, attrs)}


STEP = Op(
    name="adaqt_step",
    says="One step of learning a fully connected layer by AdaQTransform, or by case 2.2.",
    formula="y of adaqt(x[indices]^T);  loss = mean over the batch of sum over the outputs of\n"
    "(y - target[indices]^T)^2;  gradients of adaqt_backward;  Adam, as adam_step, on\n"
    "each parameter:  adaqt: alpha, s_x, xi, eta;  2.2: alpha, s_x, s_d, bias, at the xi and eta\n"
    "that are given;  other parameters are used, and neither moved nor given a gradient\n"
    "nothing is projected, s_x neither\n"
    "rate of alpha: lr_alpha;  of the others: lr (1 + cos(pi (t - 1) / total)) / 2",
    inputs=(
        *(OWN.get(tensor.name, tensor) for tensor in INPUTS if tensor.name != "x"),
        Tensor("x", "float", "(m, k)", "inputs of the layer, one sample a row"),
        Tensor("target", "float", "(m, c_out)", "outputs that are wanted"),
        adam_state.INDICES,
        adam_state.T,
        *MEANS,
    ),
    outputs=(adam_state.LOSS, *AFTER),
    attrs=(
        Attr("case", "adaqt", "which parameters are learnt", tuple(LEARNT)),
        *ATTRS[1:],
        adam_state.TOTAL,
        adam_state.LR_ALPHA,
        Attr("lr", 4e-5, "learning rate of the others at the first step"),
        *MOMENTS,
        EDGE,
        MASK,
    ),
    clauses=("15.1", "15.2", "15.5", "5.1", "5.7", "D11", "P41"),
    reference=_step,
    twin=_step_twin,
    composite=True,
    plain=plain.STEP,
)
OPS = (STEP,)
