"""Description of `logsqrt2_quant`."""

from typing import Any

from refquant.oracle.exact import log_sqrt2 as twin
from refquant.oracle.families.fake_quant import plain_log_sqrt2 as plain
from refquant.oracle.families.fake_quant.shared import BITS
from refquant.oracle.nested import each
from refquant.oracle.op import Arrays, Attrs, Inputs, Op, Tensor
from refquant.quantizers.log_sqrt2 import log_sqrt2


def _reference(inputs: Inputs, attrs: Attrs) -> Arrays:
    return log_sqrt2(inputs["x"], inputs["scale"], attrs["bits"])._asdict()


def _twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    scale, bits = numbers["scale"], attrs["bits"]
    coded = each(numbers["x"], lambda x: twin.quantize(x, scale, bits))
    return {
        "y": each(numbers["x"], lambda x: twin.value(x, scale, bits)),
        "codes": each(coded, lambda pair: pair[0]),
        "zero": each(coded, lambda pair: pair[1]),
    }


OPS = (
    Op(
        name="logsqrt2_quant",
        says="Quantize probabilities to powers of the square root of two.",
        formula="r = rint(-2 log2(x / scale));  zero = [r >= 2^b], where x = 0 too, or\n"
        "  x / scale underflows to 0\n"
        "codes = clip(r, 0, 2^b - 1);  y = scale 2^(-codes / 2), or 0 where zero\n"
        "NaN: zero is true, the code 2^b - 1, y = 0;  an infinity, and all above scale: the code 0",
        inputs=(
            Tensor("x", "float", "any", "values >= 0, usually in (0, 1]"),
            Tensor("scale", "float", "()", "the largest level, units of x"),
        ),
        outputs=(
            Tensor("y", "float", "like x", "quantized and dequantized, units of x"),
            Tensor("codes", "int", "like x", "halves of octaves below scale; 2^b - 1 where zero"),
            Tensor("zero", "bool", "like x", "what is decoded to 0"),
        ),
        attrs=(BITS,),
        clauses=("2.6", "C8", "P64"),
        reference=_reference,
        twin=_twin,
        plain=plain.LOG_SQRT2,
        doubtful=True,
    ),
)
