"""Wrong multipliers of the fixed-point requantization."""

import numpy as np

from refquant._types import Array
from refquant.oracle.families.integer.variants_requantize import on
from refquant.oracle.families.rounding import plain as nearest

multiplier = on("quantize_multiplier")


def by_31_bits(m: Array) -> tuple[Array, Array]:
    """Mantissa in [1, 2)."""
    f, e = np.frexp(m)
    return np.where(f == 0, 0, 2 * f), np.where(f == 0, 0, e - 1)


VARIANTS = (
    multiplier("mantissa_from_one", "The mantissa is taken in [1, 2): m0 does not fit 32 bits.",
               "1.f in place of 0.f", split=by_31_bits),
    multiplier("subnormal_is_zero", "Subnormal multipliers count as 0.",
               "flush-to-zero arithmetic, or a test of the exponent field",
               split=lambda m: np.frexp(np.where(m < 2.0**-1022, 0.0, m))),
    multiplier("subnormal_of_float32_is_zero", "Multipliers below 2^-126 count as 0.",
               "flush-to-zero arithmetic in float32",
               split=lambda m: np.frexp(np.where(m < 2.0**-126, 0.0, m))),
    multiplier("truncated", "The mantissa is cut, not rounded.", "an integer cast",
               rint=np.trunc, half_away=np.trunc),
    multiplier("ties_away", "Ties of the mantissa go away from zero.",
               "std::round in TFLite, where half to even is declared", rint=nearest.half_away),
    multiplier("ties_even", "Ties of the mantissa go to the even number.",
               "nearbyint where std::round is declared", half_away=np.rint),
    multiplier("full_mantissa_kept", "A mantissa that rounds to 2^31 is kept: it overflows.",
               "the renormalisation left out", normalised=lambda m0, e: (m0, e)),
    multiplier("full_mantissa_saturated", "A mantissa that rounds to 2^31 becomes 2^31 - 1.",
               "saturation in place of renormalisation",
               normalised=lambda m0, e: (np.minimum(m0, 2**31 - 1), e)),
    multiplier("full_mantissa_shift", "A mantissa of 2^31 becomes 2^30 with the shift kept.",
               "half of the renormalisation",
               normalised=lambda m0, e: (np.where(m0 == 2**31, 2**30, m0), e)),
    multiplier("sign_lost", "The sign of the multiplier is lost.", "OpenPPL/ppq#518",
               signed=lambda m0, m: m0),
    multiplier("left_shift", "The exponent is that of a left shift.",
               "the sign convention of TFLite's shift", exponent=lambda e, m: -e),
    multiplier("shift_of_the_product", "The exponent includes the 31 bits of the mantissa.",
               "31 + e, the whole shift", exponent=lambda e, m: e + 31),
    multiplier("exponent_of_zero", "Zero gets an exponent of 31.",
               "a shift that clears the register, for zero",
               exponent=lambda e, m: np.where(m == 0, 31, e)),
    multiplier("mantissa_of_float32", "The mantissa has 24 bits.",
               "a multiplier kept as float32",
               split=lambda m: np.frexp(m.astype(np.float32).astype(np.float64))),
    multiplier("mantissa_of_15_bits", "The mantissa has 15 bits.",
               "the multiplier of 16-bit kernels",
               split=lambda m: (np.rint(np.ldexp(np.frexp(m)[0], 15)) / 2**15, np.frexp(m)[1])),
)  # fmt: skip
