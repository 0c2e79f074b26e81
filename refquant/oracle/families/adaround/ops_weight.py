"""Descriptions of AdaRound's weight quantizer: its start, its forward, its gradient."""

from typing import Any

from refquant.oracle.exact import adaround as twin
from refquant.oracle.families.adaround import plain_weight as plain
from refquant.oracle.families.adaround.shared import (
    ALPHA_W,
    BITS,
    EDGE,
    GRID,
    ZERO_POINT,
    S,
    W,
    by_channel,
    limits,
    qparams_of,
    spread,
)
from refquant.oracle.nested import pairs
from refquant.oracle.op import Arrays, Attr, Attrs, Inputs, Op, Tensor
from refquant.quantizers.adaround import (
    INITS,
    TIES,
    adaround_backward,
    adaround_codes,
    adaround_forward,
    init_alpha,
)
from refquant.quantizers.grid import Grid, make_qparams

Numbers = dict[str, Any]
INIT = Attr(
    "alpha_init",
    "ratio",
    "ratio: the closed form; quotient: -log(1.2 / (f + 0.1) - 1); clipped: f in [1e-4, 1 - 1e-4]",
    INITS,
    dialect=True,
)
ROUNDING = Attr("rounding", "soft", "soft while learning, hard when deployed", ("soft", "hard"))
TIE = Attr("tie", "up", "the hard decision at alpha = 0", TIES, dialect=True)


def _init(inputs: Inputs, attrs: Attrs) -> Arrays:
    step = spread(inputs["s"], inputs["w"].ndim)
    qparams = make_qparams(step, 0 * step.astype(int), Grid("signed", 4))
    return {"alpha": init_alpha(inputs["w"], qparams, attrs["alpha_init"])}


def _init_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    given = {**numbers, "zero_point": 0}

    def one(w: Any, _: Any, s: Any, zero: int) -> Any:
        return twin.init_alpha(w, s, attrs["alpha_init"])

    return {"alpha": by_channel(given, ("w", "w"), one)}


def _weight(inputs: Inputs, attrs: Attrs) -> Arrays:
    w, alpha, qparams = inputs["w"], inputs["alpha"], qparams_of(inputs, attrs)
    if attrs["rounding"] == "soft":
        return {"w_hat": adaround_forward(w, alpha, qparams)[0]}
    codes = adaround_codes(w, alpha, qparams, attrs["tie"])
    return {"w_hat": qparams.step * (codes - qparams.zero_point), "codes": codes}


def _weight_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    def soft(w: Any, alpha: Any, s: Any, zero: int) -> Any:
        h = twin.rectified_sigmoid(alpha)
        return s * twin.soft_level(w, s, h, *limits(attrs["grid"], attrs["bits"], zero))

    def hard(w: Any, alpha: Any, s: Any, zero: int) -> int:
        ends = limits(attrs["grid"], attrs["bits"], zero)
        return twin.hard_level(w, s, twin.is_up(alpha, attrs["tie"]), *ends)

    if attrs["rounding"] == "soft":
        return {"w_hat": by_channel(numbers, ("w", "alpha"), soft)}
    levels = {**numbers, "level": by_channel(numbers, ("w", "alpha"), hard)}
    return {
        "w_hat": by_channel(levels, ("level", "level"), lambda q, _, s, zero: q * s),
        "codes": by_channel(levels, ("level", "level"), lambda q, _, s, zero: q + zero),
    }


def _backward(inputs: Inputs, attrs: Attrs) -> Arrays:
    qparams = qparams_of(inputs, attrs)
    _, cache = adaround_forward(inputs["w"], inputs["alpha"], qparams, attrs["edge"])
    return {"d_alpha": adaround_backward(inputs["d_w_hat"], cache)}


def _backward_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    def one(w: Any, both: tuple[Any, Any], s: Any, zero: int) -> Any:
        alpha, d_w_hat = both
        ends = limits(attrs["grid"], attrs["bits"], zero)
        slope = twin.soft_slope(w, s, twin.rectified_sigmoid(alpha), *ends)
        return d_w_hat * slope * twin.rectified_slope(alpha, attrs["edge"])

    both = pairs(numbers["alpha"], numbers["d_w_hat"], lambda alpha, d: (alpha, d))
    return {"d_alpha": by_channel({**numbers, "both": both}, ("w", "both"), one)}


OPS = (
    Op(
        name="adaround_init_alpha",
        says="The decision variables with h(alpha) = f: learning starts at the float weight.",
        formula="f = w / s - floor(w / s)\n"
        "ratio: alpha = log((1 + 10 f) / (11 - 10 f)), the double -ln 11 at f = 0\n"
        "quotient: -log(1.2 / (f + 0.1) - 1)\n"
        "clipped: log(y / (1 - y)), y = (clip(f, 1e-4, 1 - 1e-4) + 0.1) / 1.2\n"
        "f = 0 for NaN, infinities and weights too large to have a fraction",
        inputs=(W, S),
        outputs=(
            Tensor("alpha", "float", "like w", "in [-ln 11, ln 11]; ratio: exactly 0 at f = 1/2"),
        ),
        attrs=(INIT,),
        clauses=("6.3", "1.4", "D37"),
        reference=_init,
        twin=_init_twin,
        plain=plain.INIT,
        doubtful=True,
    ),
    Op(
        name="adaround_weight",
        says="AdaRound's quantized weight: soft while learning, hard with its codes afterwards.",
        formula="soft: w_hat = s clip(floor(w / s) + h(alpha), n, p)\n"
        "hard: q = clip(floor(w / s) + [alpha >= 0], n, p);  w_hat = s q;  codes = q + zero_point\n"
        "n = code_min - zero_point;  p = code_max - zero_point;  NaN rests at level 0,\n"
        "an infinity at an end, whatever alpha",
        inputs=(W, S, ZERO_POINT, ALPHA_W),
        outputs=(
            Tensor("w_hat", "float", "like w", "the quantized weight"),
            Tensor("codes", "int", "like w", "only where rounding is hard", optional=True),
        ),
        attrs=(BITS, GRID, ROUNDING, TIE),
        clauses=("6.1", "6.5", "1.2", "1.4", "D12"),
        reference=_weight,
        twin=_weight_twin,
        plain=plain.WEIGHT,
        doubtful=True,
    ),
    Op(
        name="adaround_weight_backward",
        says="The gradient of the soft weight in the decision variables.",
        formula="d_alpha = d_w_hat s [n <= floor(w / s) + h(alpha) <= p] h'(alpha)\n"
        "h'(alpha) = 1.2 sigma (1 - sigma) [|alpha| <= ln 11];  strict: < ln 11\n"
        "0 for weights that are NaN or infinite",
        inputs=(W, S, ZERO_POINT, ALPHA_W, Tensor("d_w_hat", "float", "like w", "dL/dw_hat")),
        outputs=(Tensor("d_alpha", "float", "like w", "dL/dalpha"),),
        attrs=(BITS, GRID, EDGE),
        clauses=("6.2", "P29", "D37"),
        reference=_backward,
        twin=_backward_twin,
        plain=plain.WEIGHT_BACKWARD,
        doubtful=True,
    ),
)
