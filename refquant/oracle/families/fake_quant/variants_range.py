"""Wrong steps and zero points of a range."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.fake_quant import plain_range as plain
from refquant.oracle.families.fake_quant.variants_parts import as_kind, shifted
from refquant.oracle.families.rounding import plain as nearest
from refquant.oracle.op import Variant


def variant(name: str, says: str, source: str, equivalent: str = "", **parts: Any) -> Variant:
    """A variant of the op."""
    return Variant("range_to_qparams", name, says, source, parts, equivalent)


def zero_by(rounding: Any) -> Any:
    """The zero point by another rounding of -a / s."""

    def zero_of(a: Array, s: Array, b: Array, top: int) -> Array:
        return np.asarray(np.clip(rounding(-a / s), 0, top).astype(np.int64))

    return zero_of


VARIANTS = (
    variant("zero_not_in_the_range", "A range above or below 0 is not stretched to hold it.",
            "vllm-project/compressed-tensors#9", with_zero=lambda lo, hi: (lo, hi)),
    variant("zero_below_alone", "A range below 0 is not stretched to hold it.",
            "min(lo, 0) without max(hi, 0)", with_zero=lambda lo, hi: (np.minimum(lo, 0), hi)),
    variant("affine_by_2_to_the_b", "The width is divided by 2^b.",
            "2^b in place of 2^b - 1", affine=lambda a, b, p: (b - a) / (p + 1)),
    variant("affine_is_symmetric", "The width is twice the larger end.",
            "AutoGPTQ/AutoGPTQ#293: symmetric ranges with a zero point in the middle",
            affine=lambda a, b, p: 2 * np.maximum(-a, b) / p),
    variant("zero_point_half_away", "The zero point of a tie goes away from zero.",
            "std::round; sonos/tract#2850", zero_of=zero_by(nearest.half_away)),
    variant("zero_point_truncated", "The zero point is cut towards zero.",
            "an integer cast in place of a rounding", zero_of=zero_by(np.trunc)),
    variant("zero_point_sign", "The zero point is rint(a / s), clipped: 0.",
            "the sign convention of an offset", zero_of=zero_by(lambda t: np.rint(-t))),
    variant("zero_point_from_above", "The zero point is 2^b - 1 - rint(b / s).",
            "counted from the upper end", zero_of=lambda a, s, b, top: np.clip(
                top - np.rint(b / s), 0, top).astype(np.int64)),
    variant("zero_point_of_the_code_minimum", "The zero point is shifted by 2^(b-1).",
            "the zero point of int8 codes in place of uint8",
            zero_of=lambda a, s, b, top: plain.zero_of(a, s, b, top) - (top + 1) // 2),
    variant("negated_before_the_rounding", "", "rint(-a / s) in place of -rint(a / s)",
            "half to even is symmetric", zero_of=zero_by(np.rint)),
    variant("no_floor", "Steps have no floor: a range of 0 gives a step of 0.",
            "ml-explore/mlx#1028", at_least=lambda s, eps: s),
    variant("floor_added", "The floor is added to the step.",
            "eps in the denominator", at_least=lambda s, eps: s + s.dtype.type(eps)),
    variant("floor_of_float32", "The floor is 1.19e-7.",
            "the smallest step of learning", at_least=lambda s, eps: np.maximum(
                s, s.dtype.type(2.0**-23))),
    variant("unsigned_by_the_larger_end", "Unsigned steps cover max(-lo, hi).",
            "the symmetric formula for unsigned codes",
            unsigned=lambda lo, hi, n, p: np.maximum(-lo, hi) / p),
    variant("unsigned_by_half", "Unsigned steps are T / (p / 2): half of the codes unused.",
            "the symmetric formula for unsigned codes",
            unsigned=lambda lo, hi, n, p: np.maximum(hi, 0) / (p / 2)),
    variant("unsigned_by_the_width", "Unsigned steps cover hi - lo.",
            "the affine formula without a zero point",
            unsigned=lambda lo, hi, n, p: (hi - lo) / p),
    variant("half_span_is_p", "T is divided by p in place of (p - n) / 2.",
            "decision D3, the other divisor", half_span=plain.by_p),
    variant("half_span_by_the_width", "The width hi - lo is divided by p - n.",
            "min-max in place of the larger magnitude",
            half_span=lambda lo, hi, n, p: (hi - lo) / (p - n)),
    variant("p_is_half_span", "T is divided by (p - n) / 2 in place of p.",
            "decision D3, the other divisor", p=plain.half_span),
    variant("p_by_minus_n", "T is divided by -n in place of p.",
            "2^(b-1) for either end", p=lambda lo, hi, n, p: np.maximum(-lo, hi) / -n),
    variant("amct_is_p", "Both ends are divided by p.",
            "decision D3, the other divisor", amct=plain.by_p),
    variant("upper_end_alone", "T is hi: negative values are forgotten.",
            "max(x) in place of max(|x|)", half_span=lambda lo, hi, n, p: hi / ((p - n) / 2),
            p=lambda lo, hi, n, p: hi / p, amct=lambda lo, hi, n, p: hi / p),
    variant("signed_is_narrow", "Signed codes begin at -(2^(b-1) - 1).",
            "microsoft/onnxruntime#3442", code_range=as_kind("signed", "narrow")),
    variant("narrow_is_signed", "Narrow codes begin at -2^(b-1).",
            "the narrow range asked for and not applied", code_range=as_kind("narrow", "signed")),
    variant("one_code_too_many", "The highest code is one too high.",
            "2^b in place of 2^b - 1", code_range=shifted(0, 1)),
)  # fmt: skip
