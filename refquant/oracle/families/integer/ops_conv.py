"""Description of `int_conv_acc`."""

from typing import Any

from refquant.deploy.integer_conv import integer_conv_accumulate
from refquant.oracle.exact import integer_conv as twin
from refquant.oracle.families.integer import plain_conv as plain
from refquant.oracle.families.layers.windows import GROUPS, SIZES, WINDOWS, fields, geometry
from refquant.oracle.nested import shape_of
from refquant.oracle.op import Arrays, Attrs, Inputs, Op, Tensor


def _reference(inputs: Inputs, attrs: Attrs) -> Arrays:
    x, w, zero = inputs["x_codes"], inputs["w"], int(inputs["zero_point"])
    return {"acc": integer_conv_accumulate(x, w, zero, geometry(attrs, w.shape[2:]))}


def _twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    x, w, zero = numbers["x_codes"], numbers["w"], numbers["zero_point"]
    return {"acc": twin.integer_conv(x, w, zero, fields(attrs, shape_of(w)[2:]))}


OPS = (
    Op(
        name="int_conv_acc",
        says="Accumulate a convolution of codes; what lies outside the map reads the zero point.",
        formula="acc[n, o, p, q] = sum_{c, i, j} w[o, c, i, j] (x[n, g c_in/groups + c, row, col]"
        " - z)\n"
        "g = o // (c_out/groups);  row = p stride_h + i dilation_h - top\n"
        "col = q stride_w + j dilation_w - left;  z = zero_point, outside the map too\n"
        "sum |w| |x - z| < 2^31 for every output, so that 32 bits hold every partial sum\n"
        f"{SIZES}",
        inputs=(
            Tensor("x_codes", "int", "(n, c_in, h, w)", "codes, zero point included"),
            Tensor("w", "int", "(c_out, c_in/groups, k_h, k_w)", "weight levels, not flipped"),
            Tensor("zero_point", "int", "()", "the code of 0 of x"),
        ),
        outputs=(Tensor("acc", "int", "(n, c_out, h_o, w_o)", "accumulators"),),
        attrs=(*WINDOWS, GROUPS),
        clauses=("17.1", "17.2", "P58", "P01"),
        reference=_reference,
        twin=_twin,
        plain=plain.INT_CONV_ACC,
    ),
)
