"""Descriptions of the schedule of the rounding, of A-rounding and of SQuant."""

from typing import Any

import numpy as np

from refquant.optim.schedules import rounding_schedule
from refquant.oracle.exact import a_rounding as twin
from refquant.oracle.exact import schedules
from refquant.oracle.exact.real import quotient
from refquant.oracle.families.aquant import plain_rounding as plain
from refquant.oracle.nested import each
from refquant.oracle.op import Arrays, Attr, Attrs, Inputs, Op, Tensor
from refquant.quantizers.a_rounding import a_rounding
from refquant.quantizers.squant import squant


def _schedule(inputs: Inputs, attrs: Attrs) -> Arrays:
    steps = inputs["t"].tolist()
    return {"a": np.array([rounding_schedule(t, attrs["total"], attrs["hold"]) for t in steps])}


def _schedule_twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    weight = lambda t: schedules.rounding_schedule(t, attrs["total"], attrs["hold"])  # noqa: E731
    return {"a": each(numbers["t"], weight)}


def _vectors(inputs: Inputs, attrs: Attrs) -> Arrays:
    return a_rounding(inputs["u"], attrs["n"], attrs["p"])._asdict()


def _vectors_twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    found = [twin.a_rounding(vector, attrs["n"], attrs["p"]) for vector in numbers["u"]]
    return {"q": [q for q, _ in found], "r": [r for _, r in found]}


def _squant(inputs: Inputs, attrs: Attrs) -> Arrays:
    codes, qparams = squant(inputs["w"], attrs["bits"], attrs["kernel"], attrs["channel"])
    return {
        "codes": codes,
        "s": qparams.step.reshape(-1),
        "zero_point": qparams.zero_point.reshape(-1),
    }


def _squant_twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    top, stages = (1 << attrs["bits"]) - 1, (attrs["kernel"], attrs["channel"])
    found: dict[str, list[Any]] = {"codes": [], "s": [], "zero_point": []}
    for rows in numbers["w"]:
        step, zero = twin.min_max([w for row in rows for w in row], top)
        u = [[quotient(w, step) for w in row] for row in rows]
        levels, _ = twin.squant_stages(u, -zero, top - zero, *stages)
        found["codes"].append([[q + zero for q in row] for row in levels])
        found["s"].append(step)
        found["zero_point"].append(zero)
    return found


OPS = (
    Op(
        name="round_schedule",
        says="The weight of the rounding at each step of the learning.",
        formula="a = clip((t - hold total) / (total - hold total), 0, 1);  hold total: not rounded",
        inputs=(Tensor("t", "int", "(m,)", "step numbers, 1 to total"),),
        outputs=(Tensor("a", "float", "(m,)", "0: values stay real; 1: they are rounded"),),
        attrs=(
            Attr("total", 10, "number of steps"),
            Attr("hold", 0.2, "share of the steps at 0, in [0, 1)"),
        ),
        clauses=("13.3", "D10"),
        reference=_schedule,
        twin=_schedule_twin,
        plain=plain.SCHEDULE,
    ),
    Op(
        name="a_rounding",
        says="Round to nearest, then flip a few elements so that errors cancel.",
        formula="q = rint(u), r = q - u, S_i = sum_j r_ij over all elements of channel i\n"
        "its candidates: r of the sign of S_i, largest |r| first, of equal ones the first;  but\n"
        "  u >= p is passed over for flips up, u <= n for flips down\n"
        "the first rint|S_i| of them, or all, are flipped: q moves by 1 against the sign of S_i\n"
        "offer: the last flipped one, back (n, p do not forbid it), if flips were made, |S_i| or\n"
        "  more;  else the next candidate, flipped likewise;  none if there is none, or S_i = 0\n"
        "T = sum of all r after these flips;  of the offers that move against the sign of T the\n"
        "  rint|T| (or all) of largest |r|, after the flips, are taken, of equal ones the first\n"
        "  channels;  at last q is clipped\n"
        "NaN: q = 0, infinities: an end, both with r = 0, never flipped",
        inputs=(Tensor("u", "float", "(v, c, k)", "v vectors in units of the step"),),
        outputs=(
            Tensor("q", "int", "like u", "levels, clipped to [n, p]"),
            Tensor("r", "float", "like u", "q - u before the clip; 0 where u is not finite"),
        ),
        attrs=(Attr("n", -8, "lowest level"), Attr("p", 7, "highest level")),
        clauses=("14", "D18", "C18", "P36", "P37", "P38", "P39", "P77", "P78"),
        reference=_vectors,
        twin=_vectors_twin,
        plain=plain.A_ROUNDING,
    ),
    Op(
        name="squant_weight",
        says="Round weights without data so that errors cancel in each kernel and filter.",
        formula="s = max((max - min) / (2^bits - 1), 1e-8), max and min of a filter and 0;\n"
        "zero_point = clip(-rint(min / s), 0, 2^bits - 1);  u = w / s, flipped as in a_rounding:\n"
        "kernel and channel: both stages;  kernel alone: the first;  channel alone: the first,\n"
        "with the filter as one channel;  neither: q = rint(u)\n"
        "codes = clip(q, n, p) + zero_point;  n = -zero_point, p = 2^bits - 1 - zero_point",
        inputs=(Tensor("w", "float", "(c_out, c_in, k)", "filters"),),
        outputs=(
            Tensor("codes", "int", "like w", "in [0, 2^bits - 1]"),
            Tensor("s", "float", "(c_out,)", "steps"),
            Tensor("zero_point", "int", "(c_out,)", "codes of 0"),
        ),
        attrs=(
            Attr("bits", 4, "width of a code"),
            Attr("kernel", True, "errors cancel in each kernel", (True, False)),
            Attr("channel", True, "errors cancel in each filter", (True, False)),
        ),
        clauses=("14", "D18", "P36", "P38"),
        reference=_squant,
        twin=_squant_twin,
        plain=plain.SQUANT,
    ),
)
