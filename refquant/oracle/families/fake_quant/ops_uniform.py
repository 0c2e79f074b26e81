"""Descriptions of `fake_quant` and `fake_quant_backward`."""

import math
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.exact import fake_quant as twin
from refquant.oracle.families.fake_quant import plain_uniform as plain
from refquant.oracle.families.fake_quant.shared import (
    AXIS,
    BITS,
    GRAD_SCALE,
    GRID,
    STEP,
    X,
    spread,
)
from refquant.oracle.nested import each, flat, from_rows, rows
from refquant.oracle.op import Arrays, Attr, Attrs, Inputs, Op, Tensor
from refquant.quantizers.fake_quant import (
    MASKS,
    fake_quant_backward,
    fake_quant_forward,
    quantize,
)
from refquant.quantizers.grid import Grid, QParams, make_qparams
from refquant.quantizers.rounding import ROUNDINGS

ZERO_POINT = Tensor("zero_point", "int", "like s", "the code of 0; 0 unless the grid is affine")
ROUNDING = Attr("rounding", "rint", "how x / s is rounded", tuple(ROUNDINGS), dialect=True)
NAN = Attr(
    "nan",
    "zero_point",
    "the code of NaN; low is what a cast on x86 gives, zero_point what ARM and CUDA give",
    ("zero_point", "low", "high"),
    dialect=True,
)
MASK = Attr(
    "mask",
    "rounded",
    "which elements pass their gradient: n <= round(u) <= p, or n <= u <= p",
    MASKS,
    dialect=True,
)
STANDS_FOR = {"zero_point": math.nan, "low": -math.inf, "high": math.inf}


def _qparams(inputs: Inputs, attrs: Attrs) -> QParams:
    axis, ndim = attrs["axis"], inputs["x"].ndim
    step, zero_point = (spread(inputs[name], axis, ndim) for name in ("s", "zero_point"))
    return make_qparams(step, zero_point, Grid(attrs["grid"], attrs["bits"]))


def _fake_quant(inputs: Inputs, attrs: Attrs) -> Arrays:
    x: Array = inputs["x"]
    x = np.where(np.isnan(x), STANDS_FOR[attrs["nan"]], x)
    qparams, rounding = _qparams(inputs, attrs), attrs["rounding"]
    y, _ = fake_quant_forward(x, qparams, rounding)
    return {"y": y, "codes": quantize(x, qparams, rounding)}


def _backward(inputs: Inputs, attrs: Attrs) -> Arrays:
    qparams = _qparams(inputs, attrs)
    how = attrs["rounding"], attrs["mask"], attrs["grad_scale"]
    _, cache = fake_quant_forward(inputs["x"], qparams, *how)
    grads = fake_quant_backward(inputs["d_y"], cache)
    return {"d_x": grads.x, "d_s": grads.s.reshape(inputs["s"].shape)}


def _limits(attrs: Attrs) -> tuple[int, int]:
    grid = Grid(attrs["grid"], attrs["bits"])
    return grid.code_min, grid.code_max


def _fake_quant_twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    x, axis, grid = numbers["x"], attrs["axis"], _limits(attrs)
    x = each(x, lambda v: v if v == v else STANDS_FOR[attrs["nan"]])
    steps, zeros = flat(numbers["s"]), flat(numbers["zero_point"])
    codes, values = [], []
    for row, step, zero in zip(rows(x, axis), steps, zeros, strict=True):
        codes.append([twin.quantize(v, step, zero, grid, attrs["rounding"]) for v in row])
        values.append([twin.dequantize(code, step, zero) for code in codes[-1]])
    return {"y": from_rows(values, x, axis), "codes": from_rows(codes, x, axis)}


def _backward_twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    x, axis, grid = numbers["x"], attrs["axis"], _limits(attrs)
    table = rows(x, axis), rows(numbers["d_y"], axis), flat(numbers["s"])
    convention = attrs["rounding"], attrs["mask"]
    found = [
        twin.row_backward(row, d_row, step, zero, grid, convention)
        for row, d_row, step, zero in zip(*table, flat(numbers["zero_point"]), strict=True)
    ]
    d_s = [attrs["grad_scale"] * pair[1] for pair in found]
    d_x = from_rows([pair[0] for pair in found], x, axis)
    return {"d_x": d_x, "d_s": d_s[0] if axis is None else d_s}


OPS = (
    Op(
        name="fake_quant",
        says="Quantize to integer codes and back.",
        formula="u = x / s;  q = clip(round(u), n, p);  codes = q + zero_point;  y = s q\n"
        "n = code_min - zero_point;  p = code_max - zero_point\n"
        "unsigned, affine: codes 0..2^b - 1;  signed: -2^(b-1)..2^(b-1) - 1\n"
        "narrow: -(2^(b-1) - 1)..2^(b-1) - 1;  an infinity takes an end of the range\n"
        "NaN: the code that the attribute nan names, and its y",
        inputs=(X, STEP, ZERO_POINT),
        outputs=(
            Tensor("y", "float", "like x", "s q, units of x"),
            Tensor("codes", "int", "like x", "codes, zero point included"),
        ),
        attrs=(BITS, GRID, AXIS, ROUNDING, NAN),
        clauses=("1.1", "1.2", "1.4", "2.1", "P05", "P07"),
        reference=_fake_quant,
        twin=_fake_quant_twin,
        plain=plain.FAKE_QUANT,
        doubtful=True,
    ),
    Op(
        name="fake_quant_backward",
        says="Gradients of `fake_quant`, straight through the rounding, with respect to x and s.",
        formula="u, q as in fake_quant;  M = [n <= round(u) <= p] (mask rounded) or [n <= u <= p]\n"
        "d_x = d_y M;  d_s = grad_scale * sum d_y (q - M u), over the elements that share s\n"
        "NaN and infinities have M = 0; NaN has q = 0, whatever code the forward pass gives it",
        inputs=(X, STEP, ZERO_POINT, Tensor("d_y", "float", "like x", "dL/dy")),
        outputs=(
            Tensor("d_x", "float", "like x", "dL/dx"),
            Tensor("d_s", "float", "like s", "dL/ds, times grad_scale"),
        ),
        attrs=(BITS, GRID, AXIS, ROUNDING, MASK, GRAD_SCALE),
        clauses=("1.3", "2.1", "D2", "C21", "P55", "P56"),
        reference=_backward,
        twin=_backward_twin,
        plain=plain.FAKE_QUANT_BACKWARD,
    ),
)
