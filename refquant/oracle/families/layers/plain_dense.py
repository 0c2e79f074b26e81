"""Linear, batch norm and ReLU in plain NumPy."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain


def wide(per_channel: Array, x: Array) -> Array:
    """(c,) against (n, c, ...)."""
    return per_channel.reshape(-1, *[1] * (x.ndim - 2))


def total(x: Array) -> Array:
    """Sum over every axis but the channels'."""
    return np.asarray(x.sum(axis=(0, *range(2, x.ndim))))


def deviation(var: Array, eps: float) -> Array:
    """sqrt(var + eps)."""
    return np.asarray(np.sqrt(var + var.dtype.type(eps)))


def _linear(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    y = part.product(inputs["x"], inputs["w"])
    return {"y": part.add_bias(y, inputs["bias"]) if "bias" in inputs else y}


def _linear_backward(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    d_y, x, w = inputs["d_y"], inputs["x"], inputs["w"]
    d_x, d_w = part.product_x(d_y, w), part.product_w(d_y, x)
    return {"d_x": d_x, "d_w": d_w, "d_bias": part.sum_bias(d_y)}


def _bn_infer(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    x, gamma, beta = inputs["x"], part.gamma(inputs["gamma"]), part.beta(inputs["beta"])
    scale = gamma / part.deviation(inputs["var"], attrs["eps"])
    centred = part.centred(x, part.wide(inputs["mean"], x))
    return {"y": part.wide(scale, x) * centred + part.wide(beta, x)}


def _bn_infer_backward(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    d_y, x = inputs["d_y"], inputs["x"]
    sd = part.deviation(inputs["var"], attrs["eps"])
    d_x = part.d_x(d_y * part.wide(part.gamma(inputs["gamma"]) / sd, x))
    centred = part.centred(x, part.wide(inputs["mean"], x))
    x_hat = part.x_hat(centred, part.wide(sd, x))
    return {"d_x": d_x, "d_gamma": part.moment(d_y * x_hat), "d_beta": part.total(d_y)}


def _bn_fold(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    w, gamma, mean = inputs["w"], inputs["gamma"], inputs["mean"]
    scale = gamma / part.deviation(inputs["var"], attrs["eps"])
    bias = inputs.get("bias", np.zeros_like(mean))
    folded = part.bias(bias, part.mean(mean), scale, inputs["beta"])
    return {"w_folded": part.scaled(w, scale), "bias_folded": folded}


def scaled(w: Array, scale: Array) -> Array:
    """Every filter times its number: output channels are on axis 0."""
    return np.asarray(w * scale.reshape(-1, *[1] * (w.ndim - 1)))


def folded_bias(bias: Array, mean: Array, scale: Array, beta: Array) -> Array:
    """What the normalisation makes of the bias."""
    return np.asarray((bias - mean) * scale + beta)


def _relu(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    return {"y": part.clip(inputs["x"])}


def _relu_backward(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    return {"d_x": part.gate(inputs["d_y"], part.mask(inputs["x"]))}


def gate(d_y: Array, mask: Array) -> Array:
    """The gradient where the mask holds, 0 elsewhere: not a product, which makes inf * 0 NaN."""
    return np.where(mask, d_y, d_y.dtype.type(0))


LINEAR = Plain(_linear, {"product": lambda x, w: x @ w.T, "add_bias": lambda y, bias: y + bias})
LINEAR_BACKWARD = Plain(
    _linear_backward,
    {
        "product_x": lambda d_y, w: d_y @ w,
        "product_w": lambda d_y, x: d_y.T @ x,
        "sum_bias": lambda d_y: d_y.sum(axis=0),
    },
)
BN_INFER = Plain(
    _bn_infer,
    {
        "gamma": np.asarray,
        "beta": np.asarray,
        "deviation": deviation,
        "centred": np.subtract,
        "wide": wide,
    },
)
BN_INFER_BACKWARD = Plain(
    _bn_infer_backward,
    {
        "gamma": np.asarray,
        "deviation": deviation,
        "centred": np.subtract,
        "x_hat": np.divide,
        "d_x": np.asarray,
        "total": total,
        "moment": total,
        "wide": wide,
    },
)
BN_FOLD = Plain(
    _bn_fold,
    {"deviation": deviation, "mean": np.asarray, "scaled": scaled, "bias": folded_bias},
)
RELU = Plain(_relu, {"clip": lambda x: np.maximum(x, x.dtype.type(0))})
RELU_BACKWARD = Plain(_relu_backward, {"mask": lambda x: x > 0, "gate": gate})
RELU6 = Plain(_relu, {"clip": lambda x: np.clip(x, x.dtype.type(0), x.dtype.type(6))})
RELU6_BACKWARD = Plain(_relu_backward, {"mask": lambda x: (x > 0) & (x < 6), "gate": gate})
