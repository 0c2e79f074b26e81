"""Description of `aquant_step`: one whole step of learning a border and a step size."""

from typing import Any

import numpy as np

from refquant.layers.linear import linear_backward, linear_forward
from refquant.losses.reconstruction import reconstruction_loss
from refquant.optim.schedules import cosine_lr, rounding_schedule
from refquant.oracle.exact import aquant as twin
from refquant.oracle.exact import schedules
from refquant.oracle.families import adam_state
from refquant.oracle.families.adaround.ops_schedule import MOMENTS
from refquant.oracle.families.aquant import plain_step as plain
from refquant.oracle.families.aquant.attributes import (
    BACKWARD,
    BOUND,
    FUSE,
    MASK,
    PARAMS,
    RANGE,
    by_row,
    by_tap,
)
from refquant.oracle.families.aquant.ops_quant import (
    NAMES,
    S,
    arguments,
    border_grads,
    forward,
)
from refquant.oracle.op import Arrays, Attr, Attrs, Inputs, Op, Tensor
from refquant.quantizers.aquant import aquant_backward

STATE = {"s": "()", **dict.fromkeys(NAMES, "(c, k)")}
MEANS, AFTER = adam_state.tensors(STATE, optional=("b2", "fusion"))


def _step(inputs: Inputs, attrs: Attrs) -> Arrays:
    t, total = int(inputs["t"]), attrs["total"]
    x, target = (inputs[name][inputs["indices"]] for name in ("x", "target"))
    own = {**attrs, "a": rounding_schedule(t, total, attrs["hold"])}
    x_hat, cache = forward({**inputs, "x": x}, own)
    y, layer = linear_forward(_rows(x_hat), inputs["w_hat"], None)
    loss, d_y = reconstruction_loss(y, _rows(target))
    d_rows = linear_backward(d_y, layer).x.reshape(len(x), x.shape[2], x.shape[1])
    grads = aquant_backward(np.ascontiguousarray(d_rows.transpose(0, 2, 1)), cache)
    found = {"s": grads.s, **{k[2:]: v for k, v in border_grads(grads.border).items()}}
    rates: dict[str, float] = dict.fromkeys(found, float(attrs["lr_border"]))
    rates["s"] = cosine_lr(t - 1, total, attrs["lr_s"])
    return {"loss": np.asarray(loss), **adam_state.library(inputs, found, rates, attrs)}


def _rows(x: Any) -> Any:
    """(n, features, l) as (n l, features)."""
    return np.ascontiguousarray(x.transpose(0, 2, 1)).reshape(-1, x.shape[1])


def _step_twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    t, total, w_hat = numbers["t"], attrs["total"], numbers["w_hat"]
    x, target = ([numbers[name][i] for i in numbers["indices"]] for name in ("x", "target"))
    a = 1 if t == total else schedules.rounding_schedule(t, total, attrs["hold"])  # exactly 1
    given = arguments({**numbers, "x": x}, {**attrs, "a": a})
    x_hat = by_row(twin.forward(*given)[0])
    errors = [_errors(w_hat, *pair) for pair in zip(x_hat, target, strict=True)]
    places = len(x) * len(x[0][0])
    loss = sum(e * e for image in errors for row in image for e in row) / places
    d_x_hat = by_tap([_pulled(w_hat, image, places) for image in errors], len(numbers["b0"][0]))
    grads = twin.backward(d_x_hat, *given)
    border = zip(NAMES, (grads.b0, grads.b1, grads.b2, grads.alpha), strict=True)
    found = {"s": grads.s, **{name: value for name, value in border if name in numbers}}
    rates = dict.fromkeys(found, attrs["lr_border"])
    rates["s"] = schedules.cosine_lr(t - 1, total, attrs["lr_s"])
    return {"loss": loss, **adam_state.exact(numbers, found, rates, attrs)}


def _errors(w_hat: list[Any], x_hat: list[Any], target: list[Any]) -> list[Any]:
    """w_hat x_hat - target of one sample, [output][window]."""
    return [
        [sum(w * x[i] for w, x in zip(row, x_hat, strict=True)) - t for i, t in enumerate(wanted)]
        for row, wanted in zip(w_hat, target, strict=True)
    ]


def _pulled(w_hat: list[Any], errors: list[Any], places: int) -> list[Any]:
    """The gradient of x_hat of one sample, [input][window]."""
    pairs = list(zip(w_hat, errors, strict=True))
    return [
        [2 * sum(w[j] * e[i] for w, e in pairs) / places for i in range(len(errors[0]))]
        for j in range(len(w_hat[0]))
    ]


STEP = Op(
    name="aquant_step",
    says="One step of learning border and step size in front of a layer with fixed weights.",
    formula="a of round_schedule;  x_hat of aquant_quant(x[indices]);  y = w_hat x_hat\n"
    "loss = mean over samples and windows of sum over outputs of (y - target[indices])^2\n"
    "d_x_hat = w_hat^T dloss/dy;  gradients of aquant_quant_backward, grad_scale 1\n"
    "Adam, as adam_step, on each parameter that is given; nothing is projected, s neither\n"
    "rate of the border: lr_border;  of s: lr_s (1 + cos(pi (t - 1) / total)) / 2",
    inputs=(
        Tensor("x", "float", "(m, c k, l)", "all samples as patches, row c k + tap"),
        Tensor("target", "float", "(m, c_out, l)", "outputs that are wanted"),
        Tensor("w_hat", "float", "(c_out, c k)", "quantized weights, fixed"),
        adam_state.INDICES,
        adam_state.T,
        S,
        *PARAMS,
        *MEANS,
    ),
    outputs=(adam_state.LOSS, *AFTER),
    attrs=(
        *RANGE[:2],
        adam_state.TOTAL,
        Attr("hold", 0.2, "share of the steps with a = 0"),
        Attr("lr_border", 0.001, "learning rate of the border and its fusion weights"),
        Attr("lr_s", 4e-5, "learning rate of the step at its first step"),
        *MOMENTS,
        FUSE,
        *BOUND,
        MASK,
        *BACKWARD,
    ),
    clauses=("13.3", "13.4", "13.5", "5.1", "5.7", "D10"),
    reference=_step,
    twin=_step_twin,
    composite=True,
    plain=plain.STEP,
)
OPS = (STEP,)
