"""Descriptions of LSQ+ with an integer zero point and with a real offset, and of its gradients."""

from typing import Any

import numpy as np

from refquant.oracle.exact import lsq_plus as twin
from refquant.oracle.families.fake_quant import plain_lsq_plus as plain
from refquant.oracle.families.fake_quant.shared import (
    AXIS,
    BITS,
    GRAD_SCALE,
    GRID,
    STEP,
    X,
    spread,
)
from refquant.oracle.nested import flat, from_rows, rows
from refquant.oracle.op import Arrays, Attrs, Inputs, Op, Tensor
from refquant.quantizers.grid import Grid
from refquant.quantizers.lsq_plus import (
    lsq_plus_integer_backward,
    lsq_plus_integer_forward,
    lsq_plus_real_backward,
    lsq_plus_real_forward,
)

Numbers = dict[str, Any]
FORWARD = {"zero_point": lsq_plus_integer_forward, "offset": lsq_plus_real_forward}
BACKWARD = {"zero_point": lsq_plus_integer_backward, "offset": lsq_plus_real_backward}
FORM = {"zero_point": "integer", "offset": "real"}


def _forward(other: str, inputs: Inputs, attrs: Attrs) -> Any:
    """y and the cache; `other` is the name of the second parameter."""
    x = np.asarray(inputs["x"])
    step, second = (spread(inputs[name], attrs["axis"], x.ndim) for name in ("s", other))
    return FORWARD[other](x, step, second, _grid(attrs), attrs.get("grad_scale", 1.0))


def _grid(attrs: Attrs) -> Grid:
    return Grid(attrs.get("grid", "unsigned"), attrs["bits"])


def _backward(other: str, inputs: Inputs, attrs: Attrs) -> Arrays:
    _, cache = _forward(other, inputs, attrs)
    d_x, d_s, d_other = BACKWARD[other](inputs["d_y"], cache)
    shape = inputs["s"].shape
    return {"d_x": d_x, "d_s": d_s.reshape(shape), f"d_{other}": d_other.reshape(shape)}


def _forward_twin(other: str, numbers: Numbers, attrs: Numbers) -> Numbers:
    x, axis, grid = numbers["x"], attrs["axis"], _grid(attrs)
    form = twin.FORMS[FORM[other]]
    places = zip(rows(x, axis), flat(numbers["s"]), flat(numbers[other]), strict=True)
    y = [[form(v, s, z, grid.code_min, grid.code_max)[0] for v in row] for row, s, z in places]
    return {"y": from_rows(y, x, axis)}


def _backward_twin(other: str, numbers: Numbers, attrs: Numbers) -> Numbers:
    x, axis, grid = numbers["x"], attrs["axis"], _grid(attrs)
    ends = grid.code_min, grid.code_max
    places = zip(flat(numbers["s"]), flat(numbers[other]), strict=True)
    table = zip(rows(x, axis), rows(numbers["d_y"], axis), places, strict=True)
    found = [twin.row_backward(FORM[other], *parts, ends) for parts in table]
    sums = [[attrs["grad_scale"] * row[i] for row in found] for i in (1, 2)]
    d_s, d_other = (column[0] if axis is None else column for column in sums)
    d_x = from_rows([row[0] for row in found], x, axis)
    return {"d_x": d_x, "d_s": d_s, f"d_{other}": d_other}


D_Y = Tensor("d_y", "float", "like x", "dL/dy")
Y = Tensor("y", "float", "like x", "quantized and dequantized, units of x")
D_X = Tensor("d_x", "float", "like x", "dL/dx")
D_S = Tensor("d_s", "float", "like s", "dL/ds, times grad_scale")
ZERO_POINT = Tensor("zero_point", "float", "like s", "the code of 0, a learned real number")
OFFSET = Tensor("offset", "float", "like s", "the value of level 0, units of x")
INTEGER = (
    "Z = rint(zero_point);  r = rint(x / s) + Z;  q = clip(r, 0, 2^b - 1);  y = s (q - Z)\n"
    "NaN is quantized like x = 0, an infinity to an end; Z may lie outside the codes, which clips 0"
)
REAL = (
    "v = (x - offset) / s;  q = clip(rint(v), n, p);  y = s q + offset\n"
    "n, p: ends of the codes, the offset taking the place of a zero point\n"
    "NaN is quantized like x = 0, an infinity to an end"
)

OPS = (
    Op(
        name="lsqplus_int",
        says="LSQ+ with a zero point that is learned as a real number and used rounded.",
        formula=INTEGER,
        inputs=(X, STEP, ZERO_POINT),
        outputs=(Y,),
        attrs=(BITS, AXIS),
        clauses=("2.2", "1.1"),
        reference=lambda inputs, attrs: {"y": _forward("zero_point", inputs, attrs)[0]},
        twin=lambda numbers, attrs: _forward_twin("zero_point", numbers, attrs),
        plain=plain.INTEGER,
    ),
    Op(
        name="lsqplus_int_backward",
        says="Gradients of `lsqplus_int` with respect to x, s and the zero point.",
        formula=f"{INTEGER}\n"
        "M = [0 <= r <= 2^b - 1], 0 for NaN and infinities, which count as clipped\n"
        "d_x = d_y M\n"
        "d_s = grad_scale sum d_y (q - Z - M x / s)\n"
        "d_zero_point = grad_scale sum d_y (-s) (1 - M)",
        inputs=(X, STEP, ZERO_POINT, D_Y),
        outputs=(
            D_X,
            D_S,
            Tensor("d_zero_point", "float", "like s", "dL/d zero_point, times grad_scale"),
        ),
        attrs=(BITS, AXIS, GRAD_SCALE),
        clauses=("2.2", "D2", "C21", "P55"),
        reference=lambda inputs, attrs: _backward("zero_point", inputs, attrs),
        twin=lambda numbers, attrs: _backward_twin("zero_point", numbers, attrs),
        plain=plain.INTEGER_BACKWARD,
    ),
    Op(
        name="lsqplus_real",
        says="LSQ+ with a learned real offset.",
        formula=REAL,
        inputs=(X, STEP, OFFSET),
        outputs=(Y,),
        attrs=(BITS, GRID, AXIS),
        clauses=("2.2", "1.1"),
        reference=lambda inputs, attrs: {"y": _forward("offset", inputs, attrs)[0]},
        twin=lambda numbers, attrs: _forward_twin("offset", numbers, attrs),
        plain=plain.REAL,
    ),
    Op(
        name="lsqplus_real_backward",
        says="Gradients of `lsqplus_real` with respect to x, s and the offset.",
        formula=f"{REAL}\n"
        "M = [n <= rint(v) <= p], 0 for NaN and infinities, which count as clipped\n"
        "d_x = d_y M\n"
        "d_s = grad_scale sum d_y (q - M v);  d_offset = grad_scale sum d_y (1 - M)",
        inputs=(X, STEP, OFFSET, D_Y),
        outputs=(
            D_X,
            D_S,
            Tensor("d_offset", "float", "like s", "dL/d offset, times grad_scale"),
        ),
        attrs=(BITS, GRID, AXIS, GRAD_SCALE),
        clauses=("2.2", "D2", "C21", "P55"),
        reference=lambda inputs, attrs: _backward("offset", inputs, attrs),
        twin=lambda numbers, attrs: _backward_twin("offset", numbers, attrs),
        plain=plain.REAL_BACKWARD,
    ),
)
