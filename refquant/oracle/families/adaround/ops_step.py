"""Description of `adaround_step`: one whole step of AdaRound, state in, state out."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.layers.linear import linear_backward, linear_forward
from refquant.losses.reconstruction import REDUCTIONS, reconstruction_loss
from refquant.optim.adam import adam_resume, adam_step
from refquant.optim.schedules import beta_schedule
from refquant.oracle.exact import adaround as twin
from refquant.oracle.exact.adaround_step import reconstruction
from refquant.oracle.families import adam_state
from refquant.oracle.families.adaround import plain_step as plain
from refquant.oracle.families.adaround.ops_schedule import (
    ANNEALING,
    LR,
    MOMENTS,
    exact_adam,
    exact_beta,
    hyper_of,
    schedule_of,
)
from refquant.oracle.families.adaround.shared import (
    BITS,
    EDGE,
    GRID,
    W_LINEAR,
    ZERO_POINT,
    S,
    by_channel,
    limits,
    qparams_of,
)
from refquant.oracle.nested import flat, pairs
from refquant.oracle.op import Arrays, Attr, Attrs, Inputs, Op, Tensor
from refquant.quantizers.adaround import adaround_backward, adaround_forward
from refquant.quantizers.rounding_regularizer import (
    rounding_regularizer_backward,
    rounding_regularizer_forward,
)

Numbers = dict[str, Any]
TARGET = Tensor("target", "float", "(n, c_out)", "outputs that are wanted")
PENALTY = Tensor("penalty", "float", "()", "regulariser, weighted; 0 in the warm-up")
LAM = Attr("lam", 0.01, "weight of the regulariser")
REDUCTION = Attr(
    "reduction",
    "channels",
    "channels: summed over the outputs and averaged over the batch; mean: averaged over both",
    REDUCTIONS,
    dialect=True,
)


def _step(inputs: Inputs, attrs: Attrs) -> Arrays:
    alpha, t = inputs["alpha"], int(inputs["t"])
    x, target = (inputs[name][inputs["indices"]] for name in ("x", "target"))
    w_hat, rounded = adaround_forward(inputs["w"], alpha, qparams_of(inputs, attrs), attrs["edge"])
    y, layer = linear_forward(x, w_hat, None)
    loss, d_y = reconstruction_loss(y, target, reduction=attrs["reduction"])
    d_alpha = adaround_backward(linear_backward(d_y, layer).w, rounded)
    penalty, push = regularized(alpha, t, attrs)
    d_alpha = d_alpha + push
    hyper, taken = hyper_of(attrs), t - attrs["first_step"]
    state = adam_resume(taken, {0: inputs["m"]}, {0: inputs["v"]}, hyper)
    moved, after = adam_step({0: alpha}, {0: d_alpha}, state, attrs["lr"], hyper)
    return {
        "loss": np.asarray(loss),
        "penalty": np.asarray(penalty),
        "d_alpha": d_alpha,
        "alpha_next": moved[0],
        "m_next": after.m[0],
        "v_next": after.v[0],
    }


def regularized(alpha: Array, t: int, attrs: Attrs) -> tuple[float, Array | float]:
    """Return (lam R, its gradient) at step t, by the library; zeros in the warm-up."""
    beta, on = beta_schedule(t, attrs["total"], schedule_of(attrs))
    if not on:
        return 0.0, 0.0
    penalty, cache = rounding_regularizer_forward(alpha, beta, attrs["lam"], attrs["edge"])
    return penalty, rounding_regularizer_backward(1.0, cache)


def _step_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    x, target = ([numbers[name][i] for i in numbers["indices"]] for name in ("x", "target"))
    places = len(x) * (len(target[0]) if attrs["reduction"] == "mean" else 1)
    loss, d_w_hat = reconstruction(soft_weights(numbers, attrs), x, target, places)
    penalty, d_alpha = alpha_gradient(numbers, d_w_hat, attrs)
    lists = numbers["alpha"], d_alpha, numbers["m"], numbers["v"]
    alpha, m, v = exact_adam(lists, numbers["t"] - attrs["first_step"] + 1, attrs)
    state = {"alpha_next": alpha, "m_next": m, "v_next": v}
    return {"loss": loss, "penalty": penalty, "d_alpha": d_alpha, **state}


def soft_weights(numbers: Numbers, attrs: Numbers) -> Any:
    """Return w_hat of the twin."""

    def soft(w: Any, alpha: Any, s: Any, zero: int) -> Any:
        ends = limits(attrs["grid"], attrs["bits"], zero)
        return s * twin.soft_level(w, s, twin.rectified_sigmoid(alpha), *ends)

    return by_channel(numbers, ("w", "alpha"), soft)


def alpha_gradient(numbers: Numbers, d_w_hat: Any, attrs: Numbers) -> tuple[Any, Any]:
    """Return (penalty, d_alpha) of the twin: through the soft weights, and of the regulariser."""

    def slope(w: Any, alpha: Any, s: Any, zero: int) -> Any:
        ends = limits(attrs["grid"], attrs["bits"], zero)
        level = twin.soft_slope(w, s, twin.rectified_sigmoid(alpha), *ends)
        return level * twin.rectified_slope(alpha, attrs["edge"])

    slopes = by_channel(numbers, ("w", "alpha"), slope)
    d_alpha = pairs(d_w_hat, slopes, lambda d, h: d * h)
    penalty, push = _penalty(numbers, attrs)
    return penalty, pairs(d_alpha, push, lambda a, b: a + b) if push else d_alpha


def _penalty(numbers: Numbers, attrs: Numbers) -> tuple[Any, Any]:
    """(lam R, its gradient) where the regulariser is on, else (0, None)."""
    beta, on = exact_beta(numbers["t"], attrs)
    if not on:
        return 0.0, None

    def push(alpha: Any, _: Any) -> Any:
        d_h = twin.regularizer_slope(twin.rectified_sigmoid(alpha), beta)
        return attrs["lam"] * d_h * twin.rectified_slope(alpha, attrs["edge"])

    terms = [twin.regularizer(twin.rectified_sigmoid(a), beta) for a in flat(numbers["alpha"])]
    return attrs["lam"] * sum(terms), pairs(numbers["alpha"], numbers["alpha"], push)


STEP = Op(
    name="adaround_step",
    says="One step of AdaRound on a fully connected layer: loss, gradient, Adam.",
    formula="w_hat = s clip(floor(w / s) + h(alpha), n, p);  y = x[indices] w_hat^T\n"
    "loss = mean over the batch of sum over the outputs of (y - target[indices])^2\n"
    "penalty = lam sum(1 - |2 h - 1|^beta) from the warm-up on, 0 before;  beta of beta_schedule\n"
    "d_alpha = d(loss + penalty) / d alpha: adaround_weight_backward and round_reg_backward, the\n"
    "  latter also where the level is clipped\n"
    "(alpha, m, v) <- Adam, whose step has number t - first_step + 1",
    inputs=(
        W_LINEAR,
        S,
        ZERO_POINT,
        Tensor("x", "float", "(n, k)", "inputs of the layer, one sample a row"),
        TARGET,
        adam_state.INDICES,
        Tensor("alpha", "float", "like w", "decision variables before the step"),
        Tensor("m", "float", "like w", "Adam's mean of the gradients"),
        Tensor("v", "float", "like w", "Adam's mean of their squares"),
        Tensor("t", "int", "()", "number of this step, first_step to the last"),
    ),
    outputs=(
        adam_state.LOSS,
        PENALTY,
        Tensor("d_alpha", "float", "like w", "gradient of loss and penalty"),
        Tensor("alpha_next", "float", "like w", "alpha after the step"),
        Tensor("m_next", "float", "like w", "m after the step"),
        Tensor("v_next", "float", "like w", "v after the step"),
    ),
    attrs=(BITS, GRID, EDGE, REDUCTION, LAM, *ANNEALING, LR, *MOMENTS),
    clauses=("6.1", "6.2", "6.4", "5.1", "5.4", "5.5", "5.7"),
    reference=_step,
    twin=_step_twin,
    composite=True,
    plain=plain.STEP,
)
OPS = (STEP,)
