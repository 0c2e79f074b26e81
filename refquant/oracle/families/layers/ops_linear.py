"""Descriptions of `linear` and `linear_backward`."""

from typing import Any

import numpy as np

from refquant.layers import linear as library
from refquant.oracle.exact import linear as twin
from refquant.oracle.families.layers import plain_dense as plain
from refquant.oracle.op import Arrays, Attrs, Inputs, Op, Tensor

Numbers = dict[str, Any]


def _linear(inputs: Inputs, attrs: Attrs) -> Arrays:
    return {"y": library.linear_forward(inputs["x"], inputs["w"], inputs.get("bias"))[0]}


def _linear_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    return {"y": twin.linear(numbers["x"], numbers["w"], numbers.get("bias"))}


def _linear_backward(inputs: Inputs, attrs: Attrs) -> Arrays:
    x, w = inputs["x"], inputs["w"]
    _, cache = library.linear_forward(x, w, np.zeros(len(w), x.dtype))
    grads = library.linear_backward(inputs["d_y"], cache)
    return {"d_x": grads.x, "d_w": grads.w, "d_bias": np.asarray(grads.bias)}


def _linear_backward_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    grads = twin.linear_backward(numbers["d_y"], numbers["x"], numbers["w"])
    return dict(zip(("d_x", "d_w", "d_bias"), grads, strict=True))


X = Tensor("x", "float", "(n, features)", "the input")
W = Tensor("w", "float", "(c_out, features)", "the weight")
OPS = (
    Op(
        name="linear",
        says="Multiply by a matrix and add a bias.",
        formula="y[n, o] = sum over f of w[o, f] x[n, f], plus bias[o]",
        inputs=(X, W, Tensor("bias", "float", "(c_out,)", "added last", optional=True)),
        outputs=(Tensor("y", "float", "(n, c_out)", "the output"),),
        clauses=("4.1", "P03"),
        reference=_linear,
        twin=_linear_twin,
        plain=plain.LINEAR,
    ),
    Op(
        name="linear_backward",
        says="Gradients of a linear layer.",
        formula="d_x = d_y w;  d_w = d_y^T x;  d_bias = sum over n of d_y",
        inputs=(Tensor("d_y", "float", "(n, c_out)", "dL/dy"), X, W),
        outputs=(
            Tensor("d_x", "float", "like x", "dL/dx"),
            Tensor("d_w", "float", "like w", "dL/dw, summed over the batch"),
            Tensor("d_bias", "float", "(c_out,)", "dL/d bias"),
        ),
        clauses=("4.1",),
        reference=_linear_backward,
        twin=_linear_backward_twin,
        plain=plain.LINEAR_BACKWARD,
    ),
)
