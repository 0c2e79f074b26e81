"""Wrong AdaQuant quantizers and wrong gradients of them."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.fake_quant import plain_adaquant as plain
from refquant.oracle.families.fake_quant.variants_gradient import mean, over_all
from refquant.oracle.families.fake_quant.variants_parts import on_axis
from refquant.oracle.families.rounding import plain as nearest
from refquant.oracle.op import Variant


def forward(name: str, says: str, source: str, equivalent: str = "", **parts: Any) -> Variant:
    """A variant of `adaquant_quant`."""
    return Variant("adaquant_quant", name, says, source, parts, equivalent)


def backward(name: str, says: str, source: str, **parts: Any) -> Variant:
    """A variant of `adaquant_quant_backward`."""
    return Variant("adaquant_quant_backward", name, says, source, parts)


def outside_the_round(u: Array, zero: Array, top: int) -> Array:
    """clip(rint(u) + Z, 0, Lv)."""
    return np.asarray(np.clip(np.rint(np.where(np.isnan(u), 0, u)) + zero, 0, top))


def rounded_first(u: Array, zero: Array, top: int) -> Array:
    """clip(rint(u + Z), 0, Lv)."""
    return np.where(np.isnan(u), zero, np.clip(np.rint(u + zero), 0, top))


def ties_up(u: Array, zero: Array, top: int) -> Array:
    """floor(t + 1/2)."""
    return np.where(np.isnan(u), zero, nearest.half_up(np.clip(u + zero, 0, top)))


def rounded_mask(u: Array, zero: Array, top: int) -> Array:
    """The mask on the rounded code."""
    return np.asarray((np.rint(u + zero) >= 0) & (np.rint(u + zero) <= top) & np.isfinite(u))


def open_mask(u: Array, zero: Array, top: int) -> Array:
    """The mask without its ends."""
    return np.asarray((u + zero > 0) & (u + zero < top))


FORWARD = (
    forward("zero_point_outside_the_round",
            "The zero point is added after the rounding, which moves ties where it is odd.",
            "the order of the other quantizers", codes_of=outside_the_round),
    forward("rounded_then_clamped", "", "the order of clamp and rounding",
            "0 and Lv are whole and the rounding is monotone: it commutes with the clamp",
            codes_of=rounded_first),
    forward("ties_up", "Ties go to the upper code instead of the even one.",
            "triton-lang/triton-ascend#285", codes_of=ties_up),
    forward("nan_lowest", "NaN takes the lowest code.", "ROCm/AMDMIGraphX#4914",
            codes_of=lambda u, zero, top: plain.codes_of(
                np.where(np.isnan(u), -np.inf, u), zero, top)),
    forward("zero_point_not_rounded", "The zero point is not rounded: 0 is no level.",
            "vllm-project/compressed-tensors#9", raw_zero=lambda minimum, s: -minimum / s),
    forward("zero_point_truncated", "The zero point is cut towards zero.",
            "an integer cast in place of a rounding",
            raw_zero=lambda minimum, s: np.trunc(-minimum / s)),
    forward("zero_point_half_up", "A zero point at a tie goes up instead of to the even code.",
            "floor(-m / s + 1/2)", raw_zero=lambda minimum, s: nearest.half_up(-minimum / s)),
    forward("zero_point_sign", "The zero point has the wrong sign.",
            "rint(m / s), an offset", raw_zero=lambda minimum, s: np.rint(minimum / s)),
    forward("zero_point_not_clipped", "The zero point may lie outside the codes.",
            "a clip left out", zero=lambda raw, top: raw),
    forward("levels_2_to_the_b", "The step is R / 2^b.", "2^b in place of 2^b - 1",
            step_of=lambda span, bits: span / 2**bits),
    forward("width_not_limited", "A width below 1e-6 or above 1e5 is used as it is.",
            "the projection left to the optimiser", limited=lambda span: span),
    forward("width_not_limited_above", "A width above 1e5 is used as it is.",
            "a floor and no ceiling", limited=lambda span: np.maximum(span, 1e-6)),
    forward("minimum_added", "y is s q + m: the lower end itself is a level.",
            "a range that need not hold 0", value_of=lambda q, zero, s, minimum: s * q + minimum),
    forward("zero_point_kept", "y is s q: the zero point is not subtracted.",
            "the product of a kernel for symmetric grids",
            value_of=lambda q, zero, s, minimum: s * q),
    forward("channels_on_the_first_axis", "Ranges run along axis 0, whatever the axis.",
            "microsoft/onnxruntime#19694", along=on_axis(0)),
    forward("channels_on_the_last_axis", "Ranges run along the last axis.",
            "a parameter of shape (c,) broadcast as it is", along=on_axis(-1)),
)  # fmt: skip
BACKWARD = (
    backward("mask_on_the_rounded", "The mask is taken after the rounding.",
             "the convention of the other quantizers", inside=rounded_mask),
    backward("ends_excluded", "Elements at the ends of the range count as clipped.",
             "pytorch/ao#4806", inside=open_mask),
    backward("no_mask_on_d_x", "Clipped elements pass their gradient to x.",
             "microsoft/nni#3160", pass_through=lambda d_y, mask: d_y),
    backward("minimum_not_learned", "The gradient of m is 0.",
             "the rounding of the zero point cuts the gradient",
             d_minimum=lambda clipped, zero_inside, s: 0 * clipped),
    backward("minimum_sign", "The gradient of m has the wrong sign.",
             "Z = rint(-m / s) and its sign",
             d_minimum=lambda clipped, zero_inside, s: -np.where(zero_inside, clipped, 0)),
    backward("minimum_by_the_zero_point", "The gradient of m is that of Z: -s c.",
             "the factor -1 / s left out",
             d_minimum=lambda clipped, zero_inside, s: np.where(zero_inside, -s * clipped, 0)),
    backward("minimum_from_inside", "The gradient of m sums over elements inside.",
             "the mask where 1 - M belongs", outside=lambda mask: mask),
    backward("zero_point_mask_dropped", "m and R act through Z even where Z is clipped.",
             "the clip of the zero point taken as straight through",
             zero_inside=lambda raw, top: np.ones(raw.shape, bool)),
    backward("width_by_the_step_alone", "R does not act through the zero point.",
             "the zero point taken as a constant",
             by_step=lambda d_s, ratio, clipped, zero_inside: d_s),
    backward("width_by_the_zero_point_turned", "What R does through Z has the wrong sign.",
             "the sign of m / s",
             by_step=lambda d_s, ratio, clipped, zero_inside:
             d_s + np.where(zero_inside, ratio, 0) * clipped),
    backward("gradient_of_the_step", "d_span is the gradient of s: not divided by Lv.",
             "the derivative of R / Lv left out", d_span=lambda d_s, top: d_s),
    backward("width_over_2_to_the_b", "d_span is divided by 2^b.",
             "2^b in place of 2^b - 1", d_span=lambda d_s, top: d_s / (top + 1)),
    backward("limited_width_learns", "A width outside [1e-6, 1e5] gets a gradient.",
             "the limits taken as straight through",
             span_inside=lambda span: np.ones(span.shape, bool)),
    backward("residual_dropped", "Inside, s gets the level in place of level - x / s.",
             "round and clip both taken as straight through",
             slope=lambda level, u, mask: level),
    backward("inside_alone", "Clipped elements add nothing to the gradient of R by s.",
             "the mask applied to all of it",
             slope=lambda level, u, mask: np.where(mask, plain.slope(level, u, mask), 0)),
    backward("mean_for_sum", "The gradients of the range are means.",
             "a reduction left at its default", total=mean),
    backward("one_sum_for_all", "Every channel gets the sum over all channels.",
             "a per-tensor kernel behind a per-channel interface", total=over_all),
    backward("zero_point_outside_the_round", "The zero point is added after the rounding.",
             "the order of the other quantizers", codes_of=outside_the_round),
    backward("channels_on_the_last_axis", "Ranges run along the last axis.",
             "a parameter of shape (c,) broadcast as it is", along=on_axis(-1)),
)  # fmt: skip
VARIANTS = FORWARD + BACKWARD
