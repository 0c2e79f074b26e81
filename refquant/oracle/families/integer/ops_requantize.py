"""Descriptions of `requant_float`, `requant_fixed` and `quantize_multiplier`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.deploy.epilogue import float_epilogue, requantize_float
from refquant.deploy.requantize import (
    ROUNDINGS,
    STAGES,
    Multiplier,
    quantize_multiplier,
    requantize_fixed,
)
from refquant.oracle.exact import requantize as twin
from refquant.oracle.families.fake_quant.shared import spread
from refquant.oracle.families.integer import plain_requantize as plain
from refquant.oracle.nested import each, flat, from_rows, rows
from refquant.oracle.op import Arrays, Attr, Attrs, Inputs, Op, Tensor
from refquant.quantizers.grid import KINDS, Grid

Numbers = dict[str, Any]
ACC = Tensor("acc", "int", "any", "int32 accumulators, integer bias included")
CODES = Tensor("codes", "int", "like acc", "codes of the output, zero point included")
ZERO_POINT = Tensor("zero_point", "int", "()", "z, the code of 0 of the output; on any grid")
ATTRS = (
    Attr("bits", 8, "width of a code, 2..16"),
    Attr("grid", "affine", "which codes there are", KINDS),
    Attr("relu", False, "fused: codes below the zero point become it", (False, True)),
    Attr("axis", None, "the axis of acc along which parameters differ; none: one for all"),
)


def _limits(attrs: Attrs, zero_point: int) -> tuple[int, int]:
    grid = Grid(attrs["grid"], attrs["bits"])
    return max(grid.code_min, zero_point) if attrs["relu"] else grid.code_min, grid.code_max


def _placed(inputs: Inputs, attrs: Attrs, *names: str) -> list[Array]:
    return [spread(inputs[name], attrs["axis"], inputs["acc"].ndim) for name in names]


def _float(inputs: Inputs, attrs: Attrs) -> Arrays:
    zero = int(inputs["zero_point"])
    real = float_epilogue(inputs["acc"], *_placed(inputs, attrs, "scale", "offset"))
    return {"codes": requantize_float(real, inputs["step"], zero, _limits(attrs, zero))}  # type: ignore[arg-type]


def _fixed(inputs: Inputs, attrs: Attrs) -> Arrays:
    zero = int(inputs["zero_point"])
    multiplier = Multiplier(*_placed(inputs, attrs, "m0", "exponent"))
    acc = inputs["acc"].astype(np.int32)
    limits = _limits(attrs, zero)
    return {"codes": requantize_fixed(acc, multiplier, zero, limits, attrs["requantize"])}


def _by_channel(
    numbers: Numbers, attrs: Numbers, names: tuple[str, str], function: Callable[..., Any]
) -> Numbers:
    """codes = function(acc, first parameter, second parameter) of every number."""
    acc, axis = numbers["acc"], attrs["axis"]
    table = zip(rows(acc, axis), *(flat(numbers[name]) for name in names), strict=True)
    return {"codes": from_rows([[function(a, *p) for a in row] for row, *p in table], acc, axis)}


def _float_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    zero, step = numbers["zero_point"], numbers["step"]
    place = step, zero, _limits(attrs, zero)
    return _by_channel(
        numbers, attrs, ("scale", "offset"),
        lambda acc, scale, offset: twin.requantize_float(acc, scale, offset, *place),
    )  # fmt: skip


def _fixed_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    zero = numbers["zero_point"]
    place = zero, _limits(attrs, zero), attrs["requantize"]
    return _by_channel(
        numbers, attrs, ("m0", "exponent"),
        lambda acc, m0, e: twin.requantize_fixed(acc, (m0, e), *place),
    )  # fmt: skip


def _multiplier(inputs: Inputs, attrs: Attrs) -> Arrays:
    return quantize_multiplier(inputs["multiplier"], attrs["mantissa_rounding"])._asdict()


def _multiplier_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    how = attrs["mantissa_rounding"]
    found = each(numbers["multiplier"], lambda m: twin.quantize_multiplier(m, how))
    return {
        "m0": each(found, lambda pair: pair[0]),
        "exponent": each(found, lambda pair: pair[1]),
    }


OPS = (
    Op(
        name="requant_float",
        says="Codes of accumulators through floats: the reference of the integer epilogues.",
        formula="real = scale acc + offset;  q = clip(rint(real / step), n, p);  codes = q + z\n"
        "n, p: ends of the codes less the zero point z; relu: n = max(n, 0)",
        inputs=(
            ACC,
            Tensor("scale", "float", "() or (c,)", "xi s_w s_x, of any sign, units of real"),
            Tensor("offset", "float", "like scale", "bias + eta, units of real"),
            Tensor("step", "float", "()", "distance of two output levels, units of real"),
            ZERO_POINT,
        ),
        outputs=(CODES,),
        attrs=ATTRS,
        clauses=("17.3", "17.5", "17.6", "P42"),
        reference=_float,
        twin=_float_twin,
        plain=plain.REQUANT_FLOAT,
        doubtful=True,
    ),
    Op(
        name="requant_fixed",
        says="Codes of accumulators in integers: a 32-bit multiplier and a shift.",
        formula="exponent < 0 shifts left first: acc = saturate32(acc 2^-exponent), exponent = 0\n"
        "double: SRDHM(acc, m0) = saturate32(trunc((acc m0 + nudge) / 2^31)),\n"
        "  nudge = 2^30 if acc m0 >= 0 else 1 - 2^30;  then x / 2^exponent, half away from zero\n"
        "single: (acc m0 + 2^(30 + exponent)) >> (31 + exponent), half up; 0 for exponent > 31\n"
        "codes = clip(result + z) to the codes, relu: not below z;  nothing overflows but where a\n"
        "  saturate32 stands",
        inputs=(
            ACC,
            Tensor("m0", "int", "() or (c,)", "mantissa, |m0| in [2^30, 2^31), or 0"),
            Tensor("exponent", "int", "like m0", "M = m0 2^(-31 - exponent)"),
            ZERO_POINT,
        ),
        outputs=(CODES,),
        attrs=(
            *ATTRS,
            Attr("requantize", "double", "stages of rounding", STAGES, dialect=True),
        ),
        clauses=("17.4", "17.5", "C15", "P57"),
        reference=_fixed,
        twin=_fixed_twin,
        plain=plain.REQUANT_FIXED,
    ),
    Op(
        name="quantize_multiplier",
        says="A real multiplier as a 32-bit mantissa and a shift.",
        formula="|M| = f 2^-e with f in [1/2, 1);  m0 = sign(M) round(f 2^31), exponent = e\n"
        "where round gives 2^31: 2^30 and e - 1;  M = 0 gives 0 and 0;  exponents are not limited",
        inputs=(Tensor("multiplier", "float", "any", "finite, either sign, subnormals too"),),
        outputs=(
            Tensor("m0", "int", "like multiplier", "|m0| in [2^30, 2^31), or 0"),
            Tensor("exponent", "int", "like multiplier", "right shift after 31 bits"),
        ),
        attrs=(
            Attr(
                "mantissa_rounding",
                "rint",
                "of |m0|; TFLite rounds half away from zero",
                ROUNDINGS,
                dialect=True,
            ),
        ),
        clauses=("17.4", "C16"),
        reference=_multiplier,
        twin=_multiplier_twin,
        plain=plain.QUANTIZE_MULTIPLIER,
    ),
)
