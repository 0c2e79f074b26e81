"""Descriptions of the losses; each loss has a second op for its gradient."""

from collections.abc import Callable
from typing import Any

import numpy as np

from refquant.losses.fisher import fisher_diag_loss, fisher_full_loss
from refquant.losses.kl_logits import kl_logits_loss
from refquant.losses.reconstruction import REDUCTIONS, reconstruction_loss
from refquant.oracle.exact import kl_logits as kl_twin
from refquant.oracle.exact import losses as twin
from refquant.oracle.families.losses import plain
from refquant.oracle.op import Arrays, Attr, Attrs, Inputs, Op, Tensor

Numbers = dict[str, Any]
Z = Tensor("z", "float", "any", "output of the quantized unit")
TARGET = Tensor("t", "float", "like z", "output of the float unit")
G = Tensor("g", "float", "like z", "weights, |dL_KL/dz| + 1 in BRECQ")
LOSS = Tensor("loss", "float", "()", "the loss")
D_Z = Tensor("d_z", "float", "like z", "dL/dz")
AXIS = Attr("channel_axis", 1, "the axis that is summed: 1 for maps and rows, -1 for tokens")
P = Attr("p", 2.0, "exponent, at least 1; 2.4 where BRECQ learns activation steps")
REDUCTION = Attr(
    "reduction",
    "channels",
    "channels: summed over channel_axis, averaged over the rest; mean: averaged over all",
    REDUCTIONS,
    dialect=True,
)
TEMPERATURE = Attr("temperature", 1.0, "T > 0; 4 in PD-Quant")
Pair = Callable[[Any, Any], tuple[Any, Any]]


def _lp(inputs: Any, attrs: Any) -> tuple[Any, Any]:
    how = attrs["p"], attrs["channel_axis"], attrs["reduction"]
    return reconstruction_loss(inputs["z"], inputs["t"], *how)


def _lp_twin(numbers: Numbers, attrs: Numbers) -> tuple[Any, Any]:
    how = attrs["p"], attrs["channel_axis"], attrs["reduction"]
    return twin.reconstruction_loss(numbers["z"], numbers["t"], *how)


def _diag(inputs: Any, attrs: Any) -> tuple[Any, Any]:
    return fisher_diag_loss(inputs["z"], inputs["t"], inputs["g"], attrs["channel_axis"])


def _diag_twin(numbers: Numbers, attrs: Numbers) -> tuple[Any, Any]:
    return twin.fisher_diag_loss(numbers["z"], numbers["t"], numbers["g"], attrs["channel_axis"])


def _full(inputs: Any, attrs: Any) -> tuple[Any, Any]:
    return fisher_full_loss(inputs["z"], inputs["t"], inputs["g"])


def _full_twin(numbers: Numbers, attrs: Numbers) -> tuple[Any, Any]:
    return twin.fisher_full_loss(numbers["z"], numbers["t"], numbers["g"])


def _kl(inputs: Any, attrs: Any) -> tuple[Any, Any]:
    return kl_logits_loss(inputs["z"], inputs["t"], attrs["temperature"])


def _kl_twin(numbers: Numbers, attrs: Numbers) -> tuple[Any, Any]:
    return kl_twin.kl_logits(numbers["z"], numbers["t"], attrs["temperature"])


def _value(pair: Pair) -> Callable[[Inputs, Attrs], Arrays]:
    return lambda inputs, attrs: {"loss": np.asarray(pair(inputs, attrs)[0])}


def _gradient(pair: Pair) -> Callable[[Inputs, Attrs], Arrays]:
    return lambda inputs, attrs: {"d_z": pair(inputs, attrs)[1]}


def _twin_value(pair: Pair) -> Callable[[Numbers, Numbers], Numbers]:
    return lambda numbers, attrs: {"loss": pair(numbers, attrs)[0]}


def _twin_gradient(pair: Pair) -> Callable[[Numbers, Numbers], Numbers]:
    return lambda numbers, attrs: {"d_z": pair(numbers, attrs)[1]}


OPS = (
    Op(
        name="lp_rec_loss",
        says="Reconstruction loss: the p-th power of the output error.",
        formula="loss = mean over all axes but the channels of\n"
        "  (sum over the channels of |z - t|^p)\n"
        "reduction mean: mean over all axes of |z - t|^p",
        inputs=(Z, TARGET),
        outputs=(LOSS,),
        attrs=(P, AXIS, REDUCTION),
        clauses=("5.1", "P52"),
        reference=_value(_lp),
        twin=_twin_value(_lp_twin),
        plain=plain.LP,
    ),
    Op(
        name="lp_rec_loss_backward",
        says="The gradient of the reconstruction loss.",
        formula="d_z = p |z - t|^(p - 1) sign(z - t) / (numel / c), c channels;  sign(0) = 0\n"
        "reduction mean: / numel",
        inputs=(Z, TARGET),
        outputs=(D_Z,),
        attrs=(P, AXIS, REDUCTION),
        clauses=("5.1", "P88"),
        reference=_gradient(_lp),
        twin=_twin_gradient(_lp_twin),
        plain=plain.LP_BACKWARD,
    ),
    Op(
        name="fisher_diag",
        says="Reconstruction loss weighted element by element.",
        formula="loss = mean over all axes but the channels of\n"
        "  (sum over the channels of (z - t)^2 g^2)",
        inputs=(Z, TARGET, G),
        outputs=(LOSS,),
        attrs=(AXIS,),
        clauses=("5.2", "P87", "C14"),
        reference=_value(_diag),
        twin=_twin_value(_diag_twin),
        plain=plain.DIAG,
    ),
    Op(
        name="fisher_diag_backward",
        says="The gradient of the loss weighted element by element.",
        formula="d_z = 2 (z - t) g^2 / (numel / c), c channels",
        inputs=(Z, TARGET, G),
        outputs=(D_Z,),
        attrs=(AXIS,),
        clauses=("5.2", "P87", "C14"),
        reference=_gradient(_diag),
        twin=_twin_gradient(_diag_twin),
        plain=plain.DIAG_BACKWARD,
    ),
    Op(
        name="fisher_full",
        says="Reconstruction loss weighted by a matrix of rank one for each sample.",
        formula="S_n = sum over sample n (axis 0) of |z - t| g;  loss = mean(S_n |z - t| g) / 100",
        inputs=(Z, TARGET, G),
        outputs=(LOSS,),
        clauses=("5.2", "C14"),
        reference=_value(_full),
        twin=_twin_value(_full_twin),
        plain=plain.FULL,
    ),
    Op(
        name="fisher_full_backward",
        says="The gradient of the loss weighted by a matrix of rank one for each sample.",
        formula="d_z = sign(z - t) 2 S_n g / (100 numel);  sign(0) = 0;  S_n: fisher_full",
        inputs=(Z, TARGET, G),
        outputs=(D_Z,),
        clauses=("5.2", "C14"),
        reference=_gradient(_full),
        twin=_twin_gradient(_full_twin),
        plain=plain.FULL_BACKWARD,
    ),
    Op(
        name="kl_logits",
        says="Divergence of the predictions of two networks.",
        formula="loss = mean over samples of sum over classes of P_t (log P_t - log P_z)\n"
        "P = softmax(logits / T), finite logits",
        inputs=(
            Tensor("z", "float", "(n, c)", "logits of the quantized network"),
            Tensor("t", "float", "(n, c)", "logits of the float network"),
        ),
        outputs=(LOSS,),
        attrs=(TEMPERATURE,),
        clauses=("5.3", "P86"),
        reference=_value(_kl),
        twin=_twin_value(_kl_twin),
        plain=plain.KL,
    ),
    Op(
        name="kl_logits_backward",
        says="The gradient of the divergence in the logits of the quantized network.",
        formula="d_z = (softmax(z / T) - softmax(t / T)) / (T n)",
        inputs=(
            Tensor("z", "float", "(n, c)", "logits of the quantized network"),
            Tensor("t", "float", "(n, c)", "logits of the float network"),
        ),
        outputs=(D_Z,),
        attrs=(TEMPERATURE,),
        clauses=("5.3", "P86"),
        reference=_gradient(_kl),
        twin=_twin_gradient(_kl_twin),
        plain=plain.KL_BACKWARD,
    ),
)
