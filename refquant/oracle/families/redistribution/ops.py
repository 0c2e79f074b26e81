"""Descriptions of the scales of SmoothQuant, Outlier Suppression+, RepQ-ViT and CLE."""

from typing import Any

import numpy as np

from refquant.oracle.exact import redistribute as twin
from refquant.oracle.families.redistribution import plain
from refquant.oracle.op import Arrays, Attr, Attrs, Inputs, Op, Tensor
from refquant.redistribute.cle import cle_scale
from refquant.redistribute.os_plus import osplus_scale, osplus_shift
from refquant.redistribute.repq import repq_reparam
from refquant.redistribute.smoothquant import smoothquant_scale

Numbers = dict[str, Any]
C = "(c,)"


def _smoothquant(inputs: Inputs, attrs: Attrs) -> Arrays:
    return {"scale": smoothquant_scale(inputs["x_max"], inputs["w_max"], attrs["alpha"])}


def _smoothquant_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    pairs = zip(numbers["x_max"], numbers["w_max"], strict=True)
    return {"scale": [twin.smoothquant_scale(x, w, attrs["alpha"]) for x, w in pairs]}


def _osplus(inputs: Inputs, attrs: Attrs) -> Arrays:
    low, high = inputs["low"], inputs["high"]
    shift = osplus_shift(low, high)
    return {"shift": shift, "scale": osplus_scale(low - shift, high - shift, attrs["threshold"])}


def _osplus_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    shift, scale = [], []
    for low, high in zip(numbers["low"], numbers["high"], strict=True):
        shift.append(twin.osplus_shift(low, high))
        ends = low - shift[-1], high - shift[-1]
        scale.append(twin.osplus_scale(*ends, attrs["threshold"]))
    return {"shift": shift, "scale": scale}


def _repq(inputs: Inputs, attrs: Attrs) -> Arrays:
    found = repq_reparam(inputs["s"], inputs["zero_point"])
    return {
        "common_s": np.asarray(found.step),
        "common_zero_point": found.zero_point,
        "ratio": found.ratio,
        "offset": found.offset,
    }


def _repq_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    found = twin.repq_reparam(numbers["s"], numbers["zero_point"])
    return dict(zip(("common_s", "common_zero_point", "ratio", "offset"), found, strict=True))


def _cle(inputs: Inputs, attrs: Attrs) -> Arrays:
    clip = None if attrs["clip"] is None else tuple(attrs["clip"])
    return {"scale": cle_scale(inputs["r1"], inputs["r2"], clip)}


def _cle_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    pairs = zip(numbers["r1"], numbers["r2"], strict=True)
    return {"scale": [twin.cle_scale(r1, r2, attrs["clip"]) for r1, r2 in pairs]}


OPS = (
    Op(
        name="smoothquant_scale",
        says="SmoothQuant's scale of each channel: activations are divided by it.",
        formula="scale = max(x_max^alpha / max(w_max, 1e-5)^(1 - alpha), 1e-5);  0^0 = 1",
        inputs=(
            Tensor("x_max", "float", C, "largest magnitude of the channel's activations"),
            Tensor("w_max", "float", C, "largest magnitude of the weights that read it"),
        ),
        outputs=(Tensor("scale", "float", C, "of the channels"),),
        attrs=(Attr("alpha", 0.5, "migration strength in [0, 1]"),),
        clauses=("16", "P61"),
        reference=_smoothquant,
        twin=_smoothquant_twin,
        plain=plain.SMOOTHQUANT,
        doubtful=True,
    ),
    Op(
        name="osplus_shift_scale",
        says="Outlier Suppression+: the middle of each channel, and its scale at a threshold.",
        formula="shift = (high + low) / 2\n"
        "scale = max(1, (high - shift) / threshold, (low - shift) / (-threshold))",
        inputs=(
            Tensor("low", "float", C, "smallest activation of the channel"),
            Tensor("high", "float", C, "largest activation of the channel"),
        ),
        outputs=(
            Tensor("shift", "float", C, "taken off first"),
            Tensor("scale", "float", C, "then divided by"),
        ),
        attrs=(Attr("threshold", 1.0, "what no channel may exceed, positive"),),
        clauses=("16", "C9", "P60"),
        reference=_osplus,
        twin=_osplus_twin,
        plain=plain.OSPLUS,
        doubtful=True,
    ),
    Op(
        name="repq_reparam",
        says="RepQ-ViT: one step and zero point for all channels, and the change that leads there.",
        formula="common_s = mean(s);  common_zero_point = rint(mean(zero_point))\n"
        "ratio = s / common_s;  offset = common_s (common_zero_point - zero_point)",
        inputs=(
            Tensor("s", "float", C, "steps of the channels"),
            Tensor("zero_point", "int", C, "zero points of the channels"),
        ),
        outputs=(
            Tensor("common_s", "float", "()", "step of all channels"),
            Tensor("common_zero_point", "int", "()", "zero point of all channels, half to even"),
            Tensor("ratio", "float", C, "what channels are divided by"),
            Tensor("offset", "float", C, "what is taken off after that"),
        ),
        clauses=("16", "D21", "P62", "P63"),
        reference=_repq,
        twin=_repq_twin,
        plain=plain.REPQ,
    ),
    Op(
        name="cle_scale",
        says="Cross-layer equalization: the scale that gives both layers the same range.",
        formula="scale = sqrt(r2 / r1);  1 where r1 or r2 is 0;  clipped to clip if any, the 1 too",
        inputs=(
            Tensor("r1", "float", C, "range of output channel i of the first layer"),
            Tensor("r2", "float", C, "range of input channel i of the second layer"),
        ),
        outputs=(Tensor("scale", "float", C, "rows of the first layer are multiplied by it"),),
        attrs=(
            Attr("clip", None, "[low, high] of the scale; PPQ: [0.1, 10], AIMET: none", (), True),
        ),
        clauses=("16", "C10", "P65"),
        reference=_cle,
        twin=_cle_twin,
        plain=plain.CLE,
        doubtful=True,
    ),
)
