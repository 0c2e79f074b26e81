"""Descriptions of the two calibrators that compare histograms."""

from typing import Any

from refquant.calibrate.kl_amct import KlAmct, kl_amct
from refquant.calibrate.kl_trt import KlTrt, kl_trt
from refquant.oracle.exact import kl as twin
from refquant.oracle.families.calibrate import plain_kl as plain
from refquant.oracle.families.calibrate.shared import AXIS, BITS, STEP, by_row, per_index
from refquant.oracle.nested import flat
from refquant.oracle.op import Arrays, Attr, Attrs, Inputs, Op, Tensor
from refquant.quantizers.grid import Grid

Numbers = dict[str, Any]
WEIGHTS = Tensor("w", "float", "any", "weights that share a step, or (axis) several rows of them")
VALUES = Tensor("x", "float", "any", "the values, all of one step")
ONE_STEP = Tensor("s", "float", "()", "distance of two levels, units of x")


def _amct(inputs: Inputs, attrs: Attrs) -> Arrays:
    rule = KlAmct(attrs["bins"], attrs["searches"])
    found, _ = kl_amct(inputs["w"], Grid("signed", attrs["bits"]), rule, attrs["axis"])
    return {"s": per_index(found.step)}


def _amct_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    how = attrs["bits"], attrs["bins"], attrs["searches"]
    one = lambda row: (twin.kl_amct(row, *how),)  # noqa: E731
    return by_row(numbers["w"], attrs["axis"], ("s",), one)


def _trt(inputs: Inputs, attrs: Attrs) -> Arrays:
    found, _ = kl_trt(inputs["x"], Grid("signed", attrs["bits"]), KlTrt(attrs["bins"]))
    return {"s": found.step}


def _trt_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    return {"s": twin.kl_trt(flat(numbers["x"]), attrs["bits"], attrs["bins"])}


OPS = (
    Op(
        name="kl_scale_amct",
        says="The step whose clipped histogram diverges least from itself quantized: AMCT's form.",
        formula="T = max|w|;  histogram over [-T, T], bins [a, b), the last one closed, exactly\n"
        "P_i: the m bins [i, bins - i), the mass outside added to the end bins;  i < searches\n"
        "Q_i: bins ceil(j m / G) .. ceil((j+1) m / G) - 1 of P_i are group j < G = 2^bits - 1;\n"
        "  the mass of a group is shared equally by its non-zero bins\n"
        "P and Q, each by its own zeros, with a = 1e-4 zeros / non-zeros: zeros become 1e-4, the\n"
        "  others get plus a;  of a >= 1 neither happens;  then each is normalised\n"
        "i: the first smallest sum of P ln(P / Q)\n"
        "s = (T - i 2 T / bins) / 2^(bits-1);  1 if that is below 2^-23 or T = 0",
        inputs=(WEIGHTS,),
        outputs=(STEP,),
        attrs=(
            BITS,
            Attr("bins", 512, "of the histogram"),
            Attr("searches", 20, "windows tried; m >= 1 in each"),
            AXIS,
        ),
        clauses=("3.3", "D5", "C2", "C3", "P81"),
        reference=_amct,
        twin=_amct_twin,
        plain=plain.KL_AMCT,
    ),
    Op(
        name="kl_scale_trt",
        says="The step whose clipped histogram diverges least from itself quantized: TensorRT's.",
        formula="T = max|x|;  h: histogram of |x| over [0, T], bins [a, b), the last one closed,\n"
        "  exactly;  first of all bins below k0 = int(0.002 bins) are emptied, bin k0 set to 1\n"
        "R = L, 2 L, .. <= bins, L = 2^(bits-1)\n"
        "P: h[:R] plus the rest on its last bin, over the sum of this h;  bins >= L\n"
        "Q: h[:R] without the rest, in L groups of R / L bins, the mass of each shared equally\n"
        "  by its non-zero bins;  normalised;  an R without mass is passed over\n"
        "R: the first smallest sum of P (log10(P + 1e-30) - log10(Q + 1e-30))\n"
        "s = R (T / bins) / L;  1 if T = 0",
        inputs=(VALUES,),
        outputs=(ONE_STEP,),
        attrs=(BITS, Attr("bins", 4096, "of the histogram")),
        clauses=("3.3", "D5", "C3", "C4"),
        reference=_trt,
        twin=_trt_twin,
        plain=plain.KL_TRT,
    ),
)
