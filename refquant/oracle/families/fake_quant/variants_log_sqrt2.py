"""Wrong log-sqrt2 quantizers."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.fake_quant import plain_log_sqrt2 as plain
from refquant.oracle.op import Variant


def variant(name: str, says: str, source: str, equivalent: str = "", **parts: Any) -> Variant:
    """A variant of the op."""
    return Variant("logsqrt2_quant", name, says, source, parts, equivalent)


def two_factors(rounding: Any, root: float) -> Any:
    """2^-rounding(q/2) (1 + (q mod 2) (root - 1)) d."""

    def decode(q: Array, d: Array) -> Array:
        factor = 1 + (q % 2) * d.dtype.type(root - 1)
        return np.asarray(np.ldexp(d * factor, -rounding(q / 2).astype(np.int64)))

    return decode


def unlimited(r: Array, zero: Array, bits: int) -> Array:
    """Codes below 0 for values beyond the scale."""
    top = 2**bits - 1
    return np.where(zero, top, np.where(np.isfinite(r), r, 0)).astype(np.int64)


def field(x: Array, d: Array) -> Array:
    """-2 log2 from the fields of a double: a mantissa always has its implicit one."""
    bits = np.asarray(x / d, np.float64).view(np.int64)
    mantissa = ((bits & (2**52 - 1)) | (1023 << 52)).view(np.float64)
    exponent = np.where(bits == 0, -np.inf, (bits >> 52) - 1023.0)
    r = -2 * (exponent + np.log2(mantissa))
    return np.asarray(np.where(np.isfinite(x), r, plain.halvings(x, d)))


VARIANTS = (
    variant("natural_logarithm", "The logarithm is the natural one.",
            "log in place of log2", halvings=lambda x, d: -2 * np.log(x / d)),
    variant("whole_octaves", "Codes count octaves: the factor 2 of the logarithm is missing.",
            "the log2 quantizer in place of log-sqrt2", halvings=lambda x, d: -np.log2(x / d)),
    variant("scale_ignored", "x is not divided by the scale.",
            "probabilities taken to reach 1", halvings=lambda x, d: -2 * np.log2(x)),
    variant("epsilon_in_the_logarithm", "1e-8 is added to x / scale.",
            "a guard against log(0)",
            halvings=lambda x, d: -2 * np.log2(x / d + x.dtype.type(1e-8))),
    variant("subnormal_as_normal", "Ratios below the normal doubles get the codes of normal ones.",
            "the exponent read from its field", halvings=field),
    variant("rounded_down", "Codes are rounded down.", "an integer cast", rounded=np.floor),
    variant("rounded_up", "Codes are rounded up.",
            "the ceil of the decoder, in the encoder", rounded=np.ceil),
    variant("no_zero", "Values too small keep the last level instead of 0.",
            "convention 8 left out", no_value=np.zeros_like),
    variant("zero_flag_lost", "The mask of zeros is false everywhere; values are right.",
            "an output that only codes were expected of",
            is_zero=lambda r, bits: np.zeros_like(plain.is_zero(r, bits))),
    variant("zero_from_the_last_code", "The last code is decoded to 0.",
            "> 2^b - 2 in place of > 2^b - 1", is_zero=lambda r, bits: ~(r < 2**bits - 1)),
    variant("zero_one_later", "Values one code beyond the last keep it.",
            "> in place of >=", is_zero=lambda r, bits: ~(r <= 2**bits)),
    variant("zero_is_code_0", "x = 0 gets code 0: the cast of an infinity comes before the clip.",
            "pytorch/pytorch#113861",
            rounded=lambda r: np.where(np.isposinf(r), -np.inf, np.rint(r))),
    variant("nan_is_the_scale", "NaN is decoded to the scale.",
            "a comparison that NaN fails the other way", is_zero=lambda r, bits: r >= 2**bits,
            clipped=lambda r, zero, bits: plain.clipped(np.where(np.isnan(r), 0, r), zero, bits)),
    variant("beyond_the_scale", "Values above the scale get codes below 0.",
            "no clip from below", clipped=unlimited),
    variant("scale_not_applied", "y lacks the factor scale.",
            "probabilities taken to reach 1", decoded=lambda q, d: plain.decoded(
                q, np.ones_like(d))),
    variant("decoded_in_octaves", "y is scale 2^-codes.",
            "the log2 quantizer's decoder", decoded=lambda q, d: np.ldexp(d, -q)),
    variant("odd_codes_down", "Odd codes are decoded to the even level below them.",
            "a shift by ceil(q / 2) without the factor sqrt(2)",
            decoded=lambda q, d: np.ldexp(d, -((q + 1) // 2))),
    variant("odd_codes_too_large", "Odd codes are decoded twice too large: floor for ceil.",
            "q >> 1 in place of (q + 1) >> 1", decoded=two_factors(np.floor, 2.0**0.5)),
    variant("root_is_three_halves", "sqrt(2) is taken as 3/2.",
            "a decoder of shifts and additions", decoded=two_factors(np.ceil, 1.5)),
    variant("root_in_half_precision", "sqrt(2) is rounded to half precision.",
            "a table of levels in float16",
            decoded=two_factors(np.ceil, float(np.float16(2.0**0.5)))),
    variant("two_factors", "", "zkkli/RepQ-ViT: the form of the released code",
            "2^-ceil(q/2) (1 + (q mod 2)(sqrt2 - 1)) is the same number (P64), within the bound",
            decoded=two_factors(np.ceil, 2.0**0.5)),
)  # fmt: skip
