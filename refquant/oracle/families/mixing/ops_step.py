"""Description of `qdrop_step`: one whole step of QDrop, its masks given."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.layers.linear import linear_backward, linear_forward
from refquant.losses.reconstruction import reconstruction_loss
from refquant.optim.schedules import cosine_lr
from refquant.oracle.exact import fake_quant as quantizer_twin
from refquant.oracle.exact import mixing as twin
from refquant.oracle.exact import schedules
from refquant.oracle.exact.adaround_step import reconstruction
from refquant.oracle.families import adam_state
from refquant.oracle.families.adaround.ops_schedule import ANNEALING, MOMENTS
from refquant.oracle.families.adaround.ops_step import (
    LAM,
    PENALTY,
    TARGET,
    alpha_gradient,
    regularized,
    soft_weights,
)
from refquant.oracle.families.adaround.shared import (
    BITS,
    EDGE,
    GRID,
    W_LINEAR,
    ZERO_POINT,
    S,
    qparams_of,
)
from refquant.oracle.families.fake_quant.ops_uniform import MASK
from refquant.oracle.families.fake_quant.shared import GRAD_SCALE
from refquant.oracle.families.mixing import plain_step as plain
from refquant.oracle.nested import flat
from refquant.oracle.op import Arrays, Attr, Attrs, Inputs, Op, Tensor
from refquant.quantizers.adaround import adaround_backward, adaround_forward
from refquant.quantizers.fake_quant import fake_quant_backward, fake_quant_forward
from refquant.quantizers.grid import KINDS, Grid, make_qparams
from refquant.quantizers.mixing import mix_backward, qdrop_mix_forward

Numbers = dict[str, Any]
STATE = {"alpha": "(c_out, k)", "s_x": "()"}
MEANS, AFTER = adam_state.tensors(STATE)
SCHEDULE = {"curve": "linear", "first_step": 1, "arrive": "total"}  # QDrop's own


def _step(inputs: Inputs, attrs: Attrs) -> Arrays:
    t, total, alpha = int(inputs["t"]), attrs["total"], inputs["alpha"]
    x, x_q, target = (inputs[name][inputs["indices"]] for name in ("x", "x_q", "target"))
    x_in, _ = qdrop_mix_forward(x, x_q, inputs["mask_input"])
    grid = make_qparams(inputs["s_x"], inputs["z_x"], Grid(attrs["act_grid"], attrs["act_bits"]))
    quantized, dropped = fake_quant_forward(x_in, grid, "rint", attrs["mask"], attrs["grad_scale"])
    x_hat, mixed = qdrop_mix_forward(x_in, quantized, inputs["mask_element"])
    w_hat, rounded = adaround_forward(inputs["w"], alpha, qparams_of(inputs, attrs), attrs["edge"])
    y, layer = linear_forward(x_hat, w_hat, None)
    loss, d_y = reconstruction_loss(y, target)
    d_layer = linear_backward(d_y, layer)
    penalty, push = regularized(alpha, t, {**attrs, **SCHEDULE})
    d_s_x = fake_quant_backward(mix_backward(d_layer.x, mixed).x_q, dropped).s
    found: dict[str, Array] = {"alpha": adaround_backward(d_layer.w, rounded) + push, "s_x": d_s_x}
    rates = {"alpha": attrs["lr_alpha"], "s_x": cosine_lr(t - 1, total, attrs["lr_s"])}
    state = adam_state.library(inputs, found, rates, attrs)
    return {"loss": np.asarray(loss), "penalty": np.asarray(penalty), **state}


def _step_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    attrs, s_x, z_x = {**attrs, **SCHEDULE}, numbers["s_x"], numbers["z_x"]
    x, x_q, target = ([numbers[n][i] for i in numbers["indices"]] for n in ("x", "x_q", "target"))
    grid = Grid(attrs["act_grid"], attrs["act_bits"])
    codes, keep = (grid.code_min, grid.code_max), numbers["mask_element"]
    x_in = [twin.qdrop_mix(*rows) for rows in zip(x, x_q, numbers["mask_input"], strict=True)]
    quantized, _ = quantizer_twin.forward(x_in, [s_x] * len(x_in), z_x, codes)
    x_hat = [twin.qdrop_mix(*rows) for rows in zip(x_in, quantized, keep, strict=True)]
    w_hat = soft_weights(numbers, attrs)
    loss, d_w_hat = reconstruction(w_hat, x_hat, target, len(x_hat))
    outputs = [list(column) for column in zip(*target, strict=True)]
    _, d_x_hat = reconstruction(x_hat, w_hat, outputs, len(x_hat))  # the loss is symmetric in both
    through = [twin.qdrop_mix_backward(*rows)[1] for rows in zip(d_x_hat, keep, strict=True)]
    convention = "rint", attrs["mask"]
    _, d_s_x = quantizer_twin.row_backward(flat(x_in), flat(through), s_x, z_x, codes, convention)
    penalty, d_alpha = alpha_gradient(numbers, d_w_hat, attrs)
    found = {"alpha": d_alpha, "s_x": attrs["grad_scale"] * d_s_x}
    rate = schedules.cosine_lr(numbers["t"] - 1, attrs["total"], attrs["lr_s"])
    state = adam_state.exact(numbers, found, {"alpha": attrs["lr_alpha"], "s_x": rate}, attrs)
    return {"loss": loss, "penalty": penalty, **state}


STEP = Op(
    name="qdrop_step",
    says="One step of QDrop on a fully connected layer: rounding and step learnt, masks given.",
    formula="input: x_in = x_q[indices] where mask_input, x[indices] elsewhere\n"
    "elements: x_hat = y of fake_quant(x_in, s_x, z_x) where mask_element, x_in elsewhere\n"
    "w_hat = s clip(floor(w / s) + h(alpha), n, p);  y = x_hat w_hat^T\n"
    "loss = mean over the batch of sum over the outputs of (y - target[indices])^2\n"
    "penalty and d_alpha of adaround_step, linear schedule from step 1 to b1 at total\n"
    "d_s_x of fake_quant_backward from d_x_hat where mask_element, from 0 elsewhere\n"
    "Adam, as adam_step, on alpha and s_x;  nothing is projected\n"
    "rate of alpha: lr_alpha;  of s_x: lr_s (1 + cos(pi (t - 1) / total)) / 2",
    inputs=(
        W_LINEAR,
        S,
        ZERO_POINT,
        Tensor("x", "float", "(n, k)", "inputs from the float network, one sample a row"),
        Tensor("x_q", "float", "(n, k)", "the same inputs from the quantized layers before"),
        TARGET,
        adam_state.INDICES,
        Tensor("mask_input", "bool", "(batch, k)", "where the input is that of x_q"),
        Tensor("mask_element", "bool", "(batch, k)", "where the quantized value is kept"),
        Tensor("alpha", "float", "(c_out, k)", "decision variables before the step"),
        Tensor("s_x", "float", "()", "step of the inputs before the step of learning"),
        Tensor("z_x", "int", "()", "the code of 0 of the inputs; 0 unless act_grid is affine"),
        adam_state.T,
        *MEANS,
    ),
    outputs=(
        adam_state.LOSS,
        PENALTY,
        *AFTER,
    ),
    attrs=(
        BITS,
        GRID,
        EDGE,
        Attr("act_bits", 4, "width of a code of the inputs, 2..16"),
        Attr("act_grid", "affine", "which codes of the inputs there are", KINDS),
        MASK,
        GRAD_SCALE,
        LAM,
        *ANNEALING[:4],
        adam_state.LR_ALPHA,
        Attr("lr_s", 4e-5, "learning rate of s_x at the first step"),
        *MOMENTS,
    ),
    clauses=("10.1", "10.2", "6.2", "2.1", "5.1", "5.5", "5.7", "D26", "P30"),
    reference=_step,
    twin=_step_twin,
    composite=True,
    plain=plain.STEP,
)
OPS = (STEP,)
