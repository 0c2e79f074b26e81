"""Descriptions of QDrop's mix, AMixup and ASoftmax, with their gradients."""

from typing import Any

import numpy as np

from refquant.oracle.exact import asoftmax as softmax_twin
from refquant.oracle.exact import mixing as twin
from refquant.oracle.families.adaround.shared import (
    BITS,
    GRID,
    ZERO_POINT,
    S,
    W,
    limits,
    qparams_of,
)
from refquant.oracle.families.mixing import plain
from refquant.oracle.families.mixing.ops_step import OPS as STEP
from refquant.oracle.nested import pairs
from refquant.oracle.op import Arrays, Attr, Attrs, Inputs, Op, Tensor
from refquant.quantizers.asoftmax import asoftmax_backward, asoftmax_codes, asoftmax_forward
from refquant.quantizers.mixing import amixup_forward, mix_backward, qdrop_mix_forward

Numbers = dict[str, Any]
X = Tensor("x", "float", "any", "values, or inputs of a unit from the float network")
X_Q = Tensor("x_q", "float", "like x", "their quantized selves, or inputs from quantized layers")
D_Y = Tensor("d_y", "float", "like x", "gradient of y")
GRADS = (
    Tensor("d_x", "float", "like x", "gradient that goes past the quantizer"),
    Tensor("d_x_q", "float", "like x", "gradient that goes through it"),
)
KEEP = Tensor("mask", "bool", "like x", "where the quantized value is kept")
SHARE = Tensor("share", "float", "() or like x", "share P of x, in [0, 1]")
LOGITS = Tensor("logits", "float", "(*w, m)", "of the m candidates of each weight")
CANDIDATES = (
    Attr("temperature", 1.0, "tau, positive"),
    Attr("offsets", [0, 1], "candidates, counted from floor(w / s); distinct whole numbers"),
)


def _qdrop(inputs: Inputs, attrs: Attrs) -> Arrays:
    return {"y": qdrop_mix_forward(inputs["x"], inputs["x_q"], inputs["mask"])[0]}


def _qdrop_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    rows = zip(numbers["x"], numbers["x_q"], numbers["mask"], strict=True)
    return {"y": [twin.qdrop_mix(*row) for row in rows]}


def _qdrop_back(inputs: Inputs, attrs: Attrs) -> Arrays:
    zeros = np.zeros(inputs["mask"].shape)
    _, cache = qdrop_mix_forward(zeros, zeros, inputs["mask"])
    grads = mix_backward(inputs["d_y"], cache)
    return {"d_x": grads.x, "d_x_q": grads.x_q}


def _qdrop_back_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    rows = zip(numbers["d_y"], numbers["mask"], strict=True)
    found = [twin.qdrop_mix_backward(*row) for row in rows]
    return {"d_x": [d_x for d_x, _ in found], "d_x_q": [d_q for _, d_q in found]}


def _amixup(inputs: Inputs, attrs: Attrs) -> Arrays:
    return {"y": amixup_forward(inputs["x"], inputs["x_q"], inputs["share"])[0]}


def _shares(share: Any, like: list[Any]) -> list[Any]:
    """One share per entry."""
    return share if isinstance(share, list) else [[share] * len(row) for row in like]


def _amixup_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    shares = _shares(numbers["share"], numbers["x"])
    rows = zip(numbers["x"], numbers["x_q"], shares, strict=True)
    return {"y": [[twin.mixed(*entry) for entry in zip(*row, strict=True)] for row in rows]}


def _amixup_back(inputs: Inputs, attrs: Attrs) -> Arrays:
    zeros = np.zeros_like(inputs["d_y"])
    _, cache = amixup_forward(zeros, zeros, inputs["share"])
    grads = mix_backward(inputs["d_y"], cache)
    return {"d_x": np.array(grads.x), "d_x_q": np.array(grads.x_q)}


def _amixup_back_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    shares = _shares(numbers["share"], numbers["d_y"])
    d_x = pairs(shares, numbers["d_y"], lambda share, g: share * g)
    return {"d_x": d_x, "d_x_q": pairs(shares, numbers["d_y"], lambda share, g: (1 - share) * g)}


def _how(attrs: Attrs) -> tuple[float, tuple[int, ...]]:
    return attrs["temperature"], tuple(attrs["offsets"])


def _asoftmax(inputs: Inputs, attrs: Attrs) -> Arrays:
    grid, offsets = qparams_of(inputs, attrs), tuple(attrs["offsets"])
    w_hat, _ = asoftmax_forward(inputs["w"], inputs["logits"], grid, *_how(attrs))
    return {"w_hat": w_hat, "codes": asoftmax_codes(inputs["w"], inputs["logits"], grid, offsets)}


def _each_weight(numbers: Numbers, attrs: Numbers) -> Any:
    """Rows of (u, logits, s, zero point, ends) of every weight."""
    for i, (row, logits) in enumerate(zip(numbers["w"], numbers["logits"], strict=True)):
        s, zero = (
            v[i] if isinstance(v, list) else v for v in (numbers["s"], numbers["zero_point"])
        )
        ends = limits(attrs["grid"], attrs["bits"], zero)
        yield [(w / s, v, s, zero, ends) for w, v in zip(row, logits, strict=True)]


def _asoftmax_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    offsets, w_hat, codes = attrs["offsets"], [], []
    for row in _each_weight(numbers, attrs):
        soft = [
            s * softmax_twin.soft_level(u, softmax_twin.shares(v, attrs["temperature"]), offsets,
                                        ends)[0]
            for u, v, s, _, ends in row
        ]  # fmt: skip
        w_hat.append(soft)
        codes.append([softmax_twin.hard_level(u, v, offsets, e) + z for u, v, _, z, e in row])
    return {"w_hat": w_hat, "codes": codes}


def _asoftmax_back(inputs: Inputs, attrs: Attrs) -> Arrays:
    grid = qparams_of(inputs, attrs)
    _, cache = asoftmax_forward(inputs["w"], inputs["logits"], grid, *_how(attrs))
    return {"d_logits": asoftmax_backward(inputs["d_w_hat"], cache)}


def _asoftmax_back_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    tau, offsets, d_logits = attrs["temperature"], attrs["offsets"], []
    for row, d_row in zip(_each_weight(numbers, attrs), numbers["d_w_hat"], strict=True):
        found = []
        for (u, v, s, _, ends), d in zip(row, d_row, strict=True):
            weights = softmax_twin.shares(v, tau)
            inside = softmax_twin.soft_level(u, weights, offsets, ends)[1]
            slopes = softmax_twin.slopes(weights, offsets, tau)
            found.append([d * s * slope if inside else 0 * d for slope in slopes])
        d_logits.append(found)
    return {"d_logits": d_logits}


OPS = (
    Op(
        name="qdrop_mix",
        says="Keep the quantized value where the mask says so, else the value itself.",
        formula="y = x_q where mask, else x;  the other is not looked at, be it NaN",
        inputs=(X, X_Q, KEEP),
        outputs=(Tensor("y", "float", "like x", "mixed values"),),
        clauses=("10.1", "D26", "P30"),
        reference=_qdrop,
        twin=_qdrop_twin,
        plain=plain.QDROP,
        doubtful=True,
    ),
    Op(
        name="qdrop_mix_backward",
        says="The gradients of both values.",
        formula="d_x = (1 - mask) d_y;  d_x_q = mask d_y",
        inputs=(KEEP, D_Y),
        outputs=GRADS,
        clauses=("10.1", "P30"),
        reference=_qdrop_back,
        twin=_qdrop_back_twin,
        plain=plain.QDROP_BACKWARD,
        doubtful=True,
    ),
    Op(
        name="amixup",
        says="Mix values with their quantized selves by a share that falls from 1 to 0.",
        formula="y = share x + (1 - share) x_q;  shares of 0 and 1 select, whatever the other is",
        inputs=(X, X_Q, SHARE),
        outputs=(Tensor("y", "float", "like x", "mixed values"),),
        clauses=("11", "D14", "P85"),
        reference=_amixup,
        twin=_amixup_twin,
        plain=plain.AMIXUP,
        doubtful=True,
    ),
    Op(
        name="amixup_backward",
        says="The gradients of both values.",
        formula="d_x = share d_y;  d_x_q = (1 - share) d_y",
        inputs=(SHARE, D_Y),
        outputs=GRADS,
        clauses=("11", "P85"),
        reference=_amixup_back,
        twin=_amixup_back_twin,
        plain=plain.AMIXUP_BACKWARD,
        doubtful=True,
    ),
    Op(
        name="asoftmax",
        says="Each weight is a softmax over a few neighbouring levels, hard the largest logit.",
        formula="pi = softmax(logits / temperature);  level = floor(w / s) + sum_m pi_m offset_m\n"
        "w_hat = s clip(level, n, p);  codes = clip(floor(w / s) + offset_m, n, p) + zero_point,\n"
        "  m of the largest logit, of equal ones the first;  logits decide, not rounded pi\n"
        "a NaN weight has level 0, an infinite one an end, soft and hard",
        inputs=(W, S, ZERO_POINT, LOGITS),
        outputs=(
            Tensor("w_hat", "float", "like w", "soft weights"),
            Tensor("codes", "int", "like w", "hard codes"),
        ),
        attrs=(BITS, GRID, *CANDIDATES),
        clauses=("11", "D14", "P84", "1.4"),
        reference=_asoftmax,
        twin=_asoftmax_twin,
        plain=plain.ASOFTMAX,
        doubtful=True,
    ),
    Op(
        name="asoftmax_backward",
        says="The gradient of the logits.",
        formula="d_logits_m = d_w_hat s [n <= level <= p] pi_m (offset_m - sum pi offset) / tau\n"
        "level as in asoftmax, not clipped;  0 for weights that are NaN or infinite",
        inputs=(W, S, ZERO_POINT, LOGITS, Tensor("d_w_hat", "float", "like w", "its gradient")),
        outputs=(Tensor("d_logits", "float", "like logits", "gradient of the logits"),),
        attrs=(BITS, GRID, *CANDIDATES),
        clauses=("11", "D14", "P84"),
        reference=_asoftmax_back,
        twin=_asoftmax_back_twin,
        plain=plain.ASOFTMAX_BACKWARD,
        doubtful=True,
    ),
    *STEP,
)
