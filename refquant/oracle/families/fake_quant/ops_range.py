"""Description of `range_to_qparams`."""

from typing import Any

from refquant.calibrate.qparams import DIVISORS, range_to_qparams
from refquant.oracle.exact import calibrate as twin
from refquant.oracle.families.fake_quant import plain_range as plain
from refquant.oracle.families.fake_quant.shared import BITS
from refquant.oracle.nested import each, pairs
from refquant.oracle.op import Arrays, Attr, Attrs, Inputs, Op, Tensor
from refquant.quantizers.grid import KINDS, Grid


def _reference(inputs: Inputs, attrs: Attrs) -> Arrays:
    grid = Grid(attrs["grid"], attrs["bits"])
    found = range_to_qparams(inputs["lo"], inputs["hi"], grid, attrs["divisor"], attrs["eps"])
    return {"s": found.step, "zero_point": found.zero_point}


def _twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    how = attrs["grid"], attrs["bits"], attrs["divisor"], attrs["eps"]
    found = pairs(numbers["lo"], numbers["hi"], lambda a, b: twin.range_to_qparams(a, b, *how))
    return {
        "s": each(found, lambda pair: pair[0]),
        "zero_point": each(found, lambda pair: pair[1]),
    }


OPS = (
    Op(
        name="range_to_qparams",
        says="The step and the zero point that cover a range.",
        formula="affine: a = min(lo, 0), b = max(hi, 0);  s = max((b - a) / (2^bits - 1), eps)\n"
        "  zero_point = clip(-rint(a / s), 0, 2^bits - 1)\n"
        "unsigned: s = max(max(hi, 0) / (2^bits - 1), eps)\n"
        "signed, narrow: T = max(-lo, hi); half_span: s = max(T / ((p - n) / 2), eps)\n"
        "  p: s = max(T / p, eps);  amct: s = max(hi / p, lo / n, eps);  n..p are the codes\n"
        "the other grids do not look at divisor",
        inputs=(
            Tensor("lo", "float", "any", "lower end of the range"),
            Tensor("hi", "float", "like lo", "upper end, not below lo"),
        ),
        outputs=(
            Tensor("s", "float", "like lo", "distance of two levels, units of lo"),
            Tensor("zero_point", "int", "like lo", "the code of 0; 0 unless the grid is affine"),
        ),
        attrs=(
            BITS,
            Attr("grid", "affine", "which codes there are", KINDS),
            Attr("divisor", "half_span", "what T is divided by", DIVISORS, dialect=True),
            Attr("eps", 1e-8, "the smallest step"),
        ),
        clauses=("3", "D3", "C22"),
        reference=_reference,
        twin=_twin,
        plain=plain.RANGE_TO_QPARAMS,
        doubtful=True,
    ),
)
