"""Descriptions of `round` and `border_round`."""

from typing import Any

from refquant.oracle.exact import rounding as twin
from refquant.oracle.families.rounding import plain
from refquant.oracle.nested import each, pairs
from refquant.oracle.op import Arrays, Attr, Attrs, Inputs, Op, Tensor
from refquant.quantizers.rounding import ROUNDINGS, border_round, round_to


def _round(inputs: Inputs, attrs: Attrs) -> Arrays:
    return {"y": round_to(inputs["x"], attrs["mode"])}


def _round_twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    return {"y": each(numbers["x"], lambda x: twin.round_to(x, attrs["mode"]))}


def _border_round(inputs: Inputs, attrs: Attrs) -> Arrays:
    return {"y": border_round(inputs["u"], inputs["border"])}


def _border_round_twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    return {"y": pairs(numbers["u"], numbers["border"], twin.border_round)}


OPS = (
    Op(
        name="round",
        says="Round to whole numbers, by one of six rules.",
        formula="rint: nearest, ties to even;  half_up: floor(x + 1/2);  half_down: ceil(x - 1/2)\n"
        "half_away: sign(x) floor(|x| + 1/2);  floor;  ceil;  all exactly: x + 1/2 is not rounded",
        inputs=(Tensor("x", "float", "any", "values, in units of the step"),),
        outputs=(Tensor("y", "float", "like x", "whole numbers; NaN and infinities pass through"),),
        attrs=(Attr("mode", "rint", "the rule", tuple(ROUNDINGS), dialect=True),),
        clauses=("1.1", "1.4"),
        reference=_round,
        twin=_round_twin,
        plain=plain.ROUND,
    ),
    Op(
        name="border_round",
        says="Round up where the fraction exceeds the border.",
        formula="y = floor(u) + [u - floor(u) > border];  at the border: down\n"
        "the comparison is exact, also for -1/2 < u < 0, where u - floor(u) would round",
        inputs=(
            Tensor("u", "float", "any", "values, in units of the step"),
            Tensor("border", "float", "like u", "borders in [0, 1]"),
        ),
        outputs=(Tensor("y", "float", "like u", "whole numbers; NaN and infinities pass through"),),
        clauses=("1.1", "1.4", "D1", "P09", "P66"),
        reference=_border_round,
        twin=_border_round_twin,
        plain=plain.BORDER_ROUND,
    ),
)
