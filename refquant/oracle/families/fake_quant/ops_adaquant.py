"""Descriptions of AdaQuant's quantizer, whose range is learned, and of its gradients."""

from typing import Any

from refquant.oracle.exact import adaquant as twin
from refquant.oracle.families.fake_quant import plain_adaquant as plain
from refquant.oracle.families.fake_quant.shared import AXIS, BITS, X, spread
from refquant.oracle.nested import flat, from_rows, rows
from refquant.oracle.op import Arrays, Attrs, Inputs, Op, Tensor
from refquant.quantizers.adaquant import adaquant_backward, adaquant_forward

Numbers = dict[str, Any]


def _forward(inputs: Inputs, attrs: Attrs) -> Any:
    x = inputs["x"]
    span, minimum = (spread(inputs[name], attrs["axis"], x.ndim) for name in ("span", "minimum"))
    return adaquant_forward(x, span, minimum, attrs["bits"])


def _backward(inputs: Inputs, attrs: Attrs) -> Arrays:
    _, cache = _forward(inputs, attrs)
    grads, shape = adaquant_backward(inputs["d_y"], cache), inputs["span"].shape
    return {
        "d_x": grads.x,
        "d_span": grads.span.reshape(shape),
        "d_minimum": grads.minimum.reshape(shape),
    }


def _forward_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    x, axis, bits = numbers["x"], attrs["axis"], attrs["bits"]
    ranges = zip(rows(x, axis), flat(numbers["span"]), flat(numbers["minimum"]), strict=True)
    y = [[twin.forward(v, span, low, bits) for v in row] for row, span, low in ranges]
    return {"y": from_rows(y, x, axis)}


def _backward_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    x, axis = numbers["x"], attrs["axis"]
    ranges = flat(numbers["span"]), flat(numbers["minimum"])
    table = zip(rows(x, axis), rows(numbers["d_y"], axis), *ranges, strict=True)
    found = [twin.backward(*parts, attrs["bits"]) for parts in table]
    d_span, d_minimum = ([row[i] for row in found] for i in (1, 2))
    if axis is None:
        d_span, d_minimum = d_span[0], d_minimum[0]
    d_x = from_rows([row[0] for row in found], x, axis)
    return {"d_x": d_x, "d_span": d_span, "d_minimum": d_minimum}


SPAN = Tensor("span", "float", "() or (c,)", "R, width of the range, units of x")
MINIMUM = Tensor("minimum", "float", "like span", "m, lower end of the range, units of x")
FORMULA = (
    "R' = clip(span, 1e-6, 1e5);  Lv = 2^b - 1;  s = R' / Lv, one correctly rounded division\n"
    "Z = clip(rint(-minimum / s), 0, Lv);  t = clip(x / s + Z, 0, Lv);  y = s (rint(t) - Z)\n"
    "NaN gives y = 0: rint(t) - Z is 0"
)

OPS = (
    Op(
        name="adaquant_quant",
        says="AdaQuant's quantizer: clamp to a learned range, then round to codes.",
        formula=FORMULA,
        inputs=(X, SPAN, MINIMUM),
        outputs=(Tensor("y", "float", "like x", "quantized and dequantized, units of x"),),
        attrs=(BITS, AXIS),
        clauses=("2.3", "1.1"),
        reference=lambda inputs, attrs: {"y": _forward(inputs, attrs)[0]},
        twin=_forward_twin,
        plain=plain.ADAQUANT,
    ),
    Op(
        name="adaquant_quant_backward",
        says="Gradients of `adaquant_quant` with respect to x and both numbers of the range.",
        formula=f"{FORMULA}\n"
        "M = [0 <= x / s + Z <= Lv], 0 for NaN and infinities: c counts them like what is clipped\n"
        "MZ = [0 <= rint(-m / s) <= Lv]\n"
        "MR = [1e-6 <= R <= 1e5];  c = sum d_y (1 - M);  d_x = d_y M;  d_minimum = MR MZ c\n"
        "d_span = MR / Lv (sum d_y (rint(t) - Z - M x / s) - MZ (m / s) c)\n"
        "By convention neither end of a clipped range learns: MR stands before d_minimum too,\n"
        "though y depends on m through Z there, and autodiff of y alone gives MZ c",
        inputs=(X, SPAN, MINIMUM, Tensor("d_y", "float", "like x", "dL/dy")),
        outputs=(
            Tensor("d_x", "float", "like x", "dL/dx"),
            Tensor("d_span", "float", "like span", "dL/dR"),
            Tensor("d_minimum", "float", "like span", "dL/dm"),
        ),
        attrs=(BITS, AXIS),
        clauses=("2.3", "1.3", "C12", "P55"),
        reference=_backward,
        twin=_backward_twin,
        plain=plain.ADAQUANT_BACKWARD,
    ),
)
