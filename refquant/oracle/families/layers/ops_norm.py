"""Descriptions of batch norm with frozen statistics, and of its folding."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from refquant.layers import batch_norm as library
from refquant.oracle.exact import batch_norm as twin
from refquant.oracle.families.layers import plain_dense as plain
from refquant.oracle.nested import each, flat
from refquant.oracle.op import Arrays, Attr, Attrs, Inputs, Op, Tensor

Numbers = dict[str, Any]


def _sd(numbers: Numbers, attrs: Numbers) -> list[Any]:
    return [twin.deviation(var, attrs["eps"]) for var in numbers["var"]]


def _channel(values: Any, function: Callable[..., Any], own: list[Any]) -> Any:
    return each(values, lambda v: function(v, *own))


def _channels(sample: list[Any], function: Callable[..., Any], *parameters: list[Any]) -> list[Any]:
    """`function` of every number and the parameters of its channel; channels on axis 0."""
    together = zip(sample, *parameters, strict=True)
    return [_channel(values, function, own) for values, *own in together]


def _parameters(numbers: Numbers, attrs: Numbers) -> tuple[list[Any], ...]:
    return numbers["gamma"], numbers["beta"], numbers["mean"], _sd(numbers, attrs)


def _bn_infer(inputs: Inputs, attrs: Attrs) -> Arrays:
    return {"y": library.batch_norm_forward(**inputs, eps=attrs["eps"])[0]}


def _bn_infer_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    own = _parameters(numbers, attrs)
    return {"y": [_channels(sample, twin.normalised, *own) for sample in numbers["x"]]}


def _bn_infer_backward(inputs: Inputs, attrs: Attrs) -> Arrays:
    forward = {name: inputs[name] for name in ("x", "gamma", "mean", "var")}
    beta = np.zeros_like(inputs["mean"])
    _, cache = library.batch_norm_forward(**forward, beta=beta, eps=attrs["eps"])
    grads = library.batch_norm_backward(inputs["d_y"], cache)
    return {"d_x": grads.x, "d_gamma": grads.gamma, "d_beta": grads.beta}


def _bn_infer_backward_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    d_y, x, gamma, mean = (numbers[name] for name in ("d_y", "x", "gamma", "mean"))
    sd = _sd(numbers, attrs)
    sums = [
        twin.batch_norm_backward(_values(d_y, c), _values(x, c), gamma[c], mean[c], sd[c])[1:]
        for c in range(len(sd))
    ]
    d_x = [_channels(sample, twin.scaled, gamma, sd) for sample in d_y]
    return {"d_x": d_x, "d_gamma": [a for a, _ in sums], "d_beta": [b for _, b in sums]}


def _values(x: list[Any], channel: int) -> list[Any]:
    """All numbers of a channel of (n, c, ...)."""
    return [v for sample in x for v in flat(sample[channel])]


def _bn_fold(inputs: Inputs, attrs: Attrs) -> Arrays:
    operands: dict[str, Any] = {"bias": None, **inputs}
    w, bias = library.fold_batch_norm(**operands, eps=attrs["eps"])
    return {"w_folded": w, "bias_folded": bias}


def _bn_fold_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    own, w = _parameters(numbers, attrs), numbers["w"]
    return {
        "w_folded": _channels(w, twin.scaled, own[0], own[3]),
        "bias_folded": _channels(numbers.get("bias", [0] * len(w)), twin.normalised, *own),
    }


MAP = Tensor("x", "float", "(n, c, ...)", "the input; channels on axis 1")
GAMMA = Tensor("gamma", "float", "(c,)", "learnable scale")
BETA = Tensor("beta", "float", "(c,)", "learnable shift")
STATISTICS = (
    Tensor("mean", "float", "(c,)", "frozen mean"),
    Tensor("var", "float", "(c,)", "frozen variance, at least 0"),
)
EPS = Attr("eps", 1e-5, "added to the variance, under the root")
OPS = (
    Op(
        name="bn_infer",
        says="Normalise every channel with frozen statistics.",
        formula="y = gamma (x - mean) / sd + beta,   sd = sqrt(var + eps) > 0",
        inputs=(MAP, GAMMA, BETA, *STATISTICS),
        outputs=(Tensor("y", "float", "like x", "the output"),),
        attrs=(EPS,),
        clauses=("4.2",),
        reference=_bn_infer,
        twin=_bn_infer_twin,
        plain=plain.BN_INFER,
    ),
    Op(
        name="bn_infer_backward",
        says="Gradients of a batch norm whose statistics are constants.",
        formula="d_x = d_y gamma / sd\n"
        "d_gamma = sum of d_y (x - mean) / sd;  d_beta = sum of d_y\n"
        "sums over every axis but the channels',   sd = sqrt(var + eps)",
        inputs=(Tensor("d_y", "float", "like x", "dL/dy"), MAP, GAMMA, *STATISTICS),
        outputs=(
            Tensor("d_x", "float", "like x", "dL/dx"),
            Tensor("d_gamma", "float", "(c,)", "dL/d gamma"),
            Tensor("d_beta", "float", "(c,)", "dL/d beta"),
        ),
        attrs=(EPS,),
        clauses=("4.2",),
        reference=_bn_infer_backward,
        twin=_bn_infer_backward_twin,
        plain=plain.BN_INFER_BACKWARD,
    ),
    Op(
        name="bn_fold",
        says="Fold a batch norm into the convolution or linear layer before it.",
        formula="w_folded[o] = w[o] gamma[o] / sd[o],   sd = sqrt(var + eps)\n"
        "bias_folded = beta + gamma (bias - mean) / sd;  no bias counts as 0",
        inputs=(
            Tensor("w", "float", "(c_out, ...)", "the filter"),
            Tensor("bias", "float", "(c_out,)", "the bias", optional=True),
            *(replace(tensor, shape="(c_out,)") for tensor in (GAMMA, BETA, *STATISTICS)),
        ),
        outputs=(
            Tensor("w_folded", "float", "like w", "the filter of the folded layer"),
            Tensor("bias_folded", "float", "(c_out,)", "its bias"),
        ),
        attrs=(EPS,),
        clauses=("4.2", "P04"),
        reference=_bn_fold,
        twin=_bn_fold_twin,
        plain=plain.BN_FOLD,
    ),
)
