"""Descriptions of the rectified sigmoid and of the rounding regulariser."""

from typing import Any

import numpy as np

from refquant.oracle.exact import adaround as twin
from refquant.oracle.families.adaround import plain_sigmoid as plain
from refquant.oracle.families.adaround.shared import ALPHA, EDGE
from refquant.oracle.nested import each, flat, pairs
from refquant.oracle.op import Arrays, Attr, Attrs, Inputs, Op, Tensor
from refquant.quantizers.rectified_sigmoid import (
    rectified_sigmoid_backward,
    rectified_sigmoid_forward,
)
from refquant.quantizers.rounding_regularizer import (
    rounding_regularizer_backward,
    rounding_regularizer_forward,
)

Numbers = dict[str, Any]
D_ALPHA = Tensor("d_alpha", "float", "like alpha", "dL/dalpha")
BETA = Attr("beta", 2.0, "exponent, at least 1: large is flat, small pushes h to 0 and 1")
LAM = Attr("lam", 1.0, "weight of the term")


def _sigmoid(inputs: Inputs, attrs: Attrs) -> Arrays:
    return {"h": rectified_sigmoid_forward(inputs["alpha"])[0]}


def _sigmoid_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    return {"h": each(numbers["alpha"], twin.rectified_sigmoid)}


def _backward(inputs: Inputs, attrs: Attrs) -> Arrays:
    _, cache = rectified_sigmoid_forward(inputs["alpha"], attrs["edge"])
    return {"d_alpha": rectified_sigmoid_backward(inputs["d_h"], cache)}


def _backward_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    def one(a: Any, d: Any) -> Any:
        return d * twin.rectified_slope(a, attrs["edge"])

    return {"d_alpha": pairs(numbers["alpha"], numbers["d_h"], one)}


def _round_reg(inputs: Inputs, attrs: Attrs) -> Arrays:
    value, _ = rounding_regularizer_forward(inputs["alpha"], attrs["beta"], attrs["lam"])
    return {"value": np.asarray(value)}


def _round_reg_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    terms = [
        twin.regularizer(twin.rectified_sigmoid(a), attrs["beta"]) for a in flat(numbers["alpha"])
    ]
    return {"value": attrs["lam"] * sum(terms)}


def _round_reg_backward(inputs: Inputs, attrs: Attrs) -> Arrays:
    how = attrs["beta"], attrs["lam"], attrs["edge"]
    _, cache = rounding_regularizer_forward(inputs["alpha"], *how)
    return {"d_alpha": rounding_regularizer_backward(1.0, cache)}


def _round_reg_backward_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    def one(a: Any) -> Any:
        d_h = twin.regularizer_slope(twin.rectified_sigmoid(a), attrs["beta"])
        return attrs["lam"] * d_h * twin.rectified_slope(a, attrs["edge"])

    return {"d_alpha": each(numbers["alpha"], one)}


OPS = (
    Op(
        name="rect_sigmoid",
        says="The rectified sigmoid: the share of a step by which a weight is rounded up.",
        formula="h = clip(1.2 sigma(alpha) - 0.1, 0, 1);  sigma(a) = 1 / (1 + exp(-a))",
        inputs=(ALPHA,),
        outputs=(Tensor("h", "float", "like alpha", "in [0, 1], 0 or 1 from |alpha| = ln 11 on"),),
        clauses=("6.1", "P21"),
        reference=_sigmoid,
        twin=_sigmoid_twin,
        plain=plain.RECT_SIGMOID,
    ),
    Op(
        name="rect_sigmoid_backward",
        says="The gradient of the rectified sigmoid.",
        formula="d_alpha = d_h 1.2 sigma (1 - sigma) [|alpha| <= ln 11];  strict: < ln 11",
        inputs=(ALPHA, Tensor("d_h", "float", "like alpha", "dL/dh")),
        outputs=(D_ALPHA,),
        attrs=(EDGE,),
        clauses=("6.2", "D37"),
        reference=_backward,
        twin=_backward_twin,
        plain=plain.RECT_SIGMOID_BACKWARD,
    ),
    Op(
        name="round_reg",
        says="The rounding regulariser: the price of decisions that are still open. A sum.",
        formula="R = lam sum(1 - |2 h - 1|^beta);  h = clip(1.2 sigma(alpha) - 0.1, 0, 1)",
        inputs=(ALPHA,),
        outputs=(Tensor("value", "float", "()", "R"),),
        attrs=(BETA, LAM),
        clauses=("5.4", "P20", "P23"),
        reference=_round_reg,
        twin=_round_reg_twin,
        plain=plain.ROUND_REG,
    ),
    Op(
        name="round_reg_backward",
        says="The gradient of the rounding regulariser.",
        formula="d_alpha = -2 lam beta |2 h - 1|^(beta - 1) sign(2 h - 1) h'(alpha);  sign(0) = 0\n"
        "h'(alpha) = 1.2 sigma (1 - sigma) [|alpha| <= ln 11];  strict: < ln 11",
        inputs=(ALPHA,),
        outputs=(Tensor("d_alpha", "float", "like alpha", "dR/dalpha"),),
        attrs=(BETA, LAM, EDGE),
        clauses=("5.4", "6.2", "P23", "D37"),
        reference=_round_reg_backward,
        twin=_round_reg_backward_twin,
        plain=plain.ROUND_REG_BACKWARD,
    ),
)
