"""Wrong LSQ+s and wrong gradients of it."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.fake_quant import plain_lsq_plus as plain
from refquant.oracle.families.fake_quant.variants_gradient import mean, over_all
from refquant.oracle.families.fake_quant.variants_parts import as_kind, on_axis, shifted
from refquant.oracle.families.rounding import plain as nearest
from refquant.oracle.op import Variant


def on(op: str) -> Any:
    """A function that makes variants of one op."""

    def variant(name: str, says: str, source: str, **parts: Any) -> Variant:
        """A variant of the op."""
        return Variant(op, name, says, source, parts)

    return variant


def open_ends(r: Array, u: Array, low: Any, high: Any) -> Array:
    """M without its ends."""
    return np.asarray((low < r) & (r < high) & np.isfinite(u))


def everything(r: Array, u: Array, low: Any, high: Any) -> Array:
    """No mask but for NaN and infinities."""
    return np.asarray(np.isfinite(u))


def of_the_code(r: Array, u: Array, low: Any, high: Any) -> Array:
    """M of what is not rounded: r less its rounding error."""
    finite = np.where(np.isfinite(u), u, 0)
    t = r + (finite - np.rint(finite))
    return np.asarray((low <= t) & (t <= high) & np.isfinite(u))


def without_clip(r: Array, low: Any, high: Any) -> Array:
    """Finite levels are left where they are."""
    return np.where(np.isfinite(r), r, np.clip(r, low, high))


def nan_stays(u: Array, whole: Array, z: Array) -> Array:
    """NaN remains NaN."""
    return np.asarray(np.rint(u) + whole)


def added_before(u: Array, whole: Array, z: Array) -> Array:
    """rint(u + z)."""
    return np.asarray(np.rint(plain.real_number(u) + z))


integer, integer_backward = on("lsqplus_int"), on("lsqplus_int_backward")
real, real_backward = on("lsqplus_real"), on("lsqplus_real_backward")


def both(op: Any) -> tuple[Variant, ...]:
    """What goes wrong in either form, forward."""
    return (
        op("one_code_too_many", "The highest code is one too high.", "2^b in place of 2^b - 1",
           code_range=shifted(0, 1)),
        op("one_code_too_few", "The highest code is one too low.", "an exclusive end",
           code_range=shifted(0, -1)),
        op("channels_on_the_first_axis", "Parameters run along axis 0, whatever the axis.",
           "microsoft/onnxruntime#19694", along=on_axis(0)),
        op("channels_on_the_last_axis", "Parameters run along the last axis.",
           "a parameter of shape (c,) broadcast as it is", along=on_axis(-1)),
    )  # fmt: skip


def both_backward(op: Any, other: str) -> tuple[Variant, ...]:
    """What goes wrong in either form, backward; `other` is the second parameter."""
    return (
        op("ends_excluded", "Elements that are rounded to the first or last code count as clipped.",
           "pytorch/ao#4806", mask=open_ends),
        op("nothing_masked", "Clipped elements count as inside, for every gradient.",
           "eladhoffer/quantized.pytorch#5", mask=everything),
        op("mask_before_rounding", "The mask is taken before the rounding.",
           "pytorch/pytorch#49315", mask=of_the_code),
        op("no_mask_on_d_x", "Clipped elements pass their gradient to x.",
           "microsoft/nni#3160", pass_through=lambda d_y, mask: d_y),
        op("mean_for_sum", "The gradients of the parameters are means.",
           "a reduction left at its default", total=mean),
        op("one_sum_for_all", "Every channel gets the sum over all channels.",
           "a per-tensor kernel behind a per-channel interface", total=over_all),
        op("no_grad_scale", "grad_scale is not applied to the gradient of s.",
           "hustzxd/LSQuantization#1", scaled=lambda g, grad_scale: g),
        op(f"no_grad_scale_on_{other}", f"grad_scale is applied to s alone, not to the {other}.",
           "LSQ extended by a second parameter", other_scaled=lambda g, grad_scale: g),
        op("grad_scale_twice", "grad_scale is applied twice to the gradient of s.",
           "once by the caller and once by the kernel",
           scaled=lambda g, grad_scale: g * grad_scale * grad_scale),
        op(f"{other}_not_learned", f"The gradient of the {other} is 0.",
           "its rounding or clip cuts the gradient",
           other_slope=lambda s, mask: np.zeros(mask.shape, s.dtype)),
        op(f"{other}_sign", f"The gradient of the {other} has the wrong sign.",
           "the sign convention of an offset: o = -s z",
           other_scaled=lambda g, grad_scale: -g * grad_scale),
        op("channels_on_the_last_axis", "Parameters run along the last axis.",
           "a parameter of shape (c,) broadcast as it is", along=on_axis(-1)),
        op("one_code_too_many", "The highest code is one too high.", "2^b in place of 2^b - 1",
           code_range=shifted(0, 1)),
    )  # fmt: skip


INTEGER = (
    *both(integer),
    integer("zero_point_not_rounded", "The zero point is used as it is, not rounded.",
            "the rounding of z left out", whole=lambda z, top: z),
    integer("zero_point_truncated", "The zero point is cut towards zero.",
            "an integer cast in place of a rounding", whole=lambda z, top: np.trunc(z)),
    integer("zero_point_half_up", "A zero point at a tie goes up instead of to the even integer.",
            "floor(z + 1/2)", whole=lambda z, top: nearest.half_up(z)),
    integer("zero_point_in_the_codes", "The zero point is clipped to the codes before its use.",
            "the projection after the step, done in the forward pass",
            whole=lambda z, top: np.clip(np.rint(z), 0, top)),
    integer("zero_point_inside_the_round", "x / s + z is rounded as one number.",
            "pytorch/pytorch#49779", codes_of=added_before),
    integer("ties_away", "Ties go away from zero instead of to the even level.",
            "sonos/tract#2850", codes_of=lambda u, whole, z: nearest.half_away(
                plain.real_number(u)) + whole),
    integer("nan_remains", "NaN gives NaN in place of the value of 0.",
            "onnx/onnx#5879", codes_of=nan_stays),
    integer("real_zero_point_in_y", "y subtracts the zero point that is not rounded.",
            "two uses of z, one of them rounded",
            value_of_code=lambda q, whole, z, s: s * (q - z)),
    integer("zero_point_kept", "y is s times the code: Z is not subtracted.",
            "the product of a kernel for symmetric grids",
            value_of_code=lambda q, whole, z, s: s * q),
    integer("not_clipped", "Codes out of range are left there.",
            "equation 11 of AdaQTransform as printed", clip=without_clip),
)  # fmt: skip
INTEGER_BACKWARD = (
    *both_backward(integer_backward, "zero_point"),
    integer_backward("zero_point_without_step", "d_zero_point lacks the factor s.",
                     "the gradient of an offset in units of the step",
                     other_slope=lambda s, mask: np.where(mask, 0, -np.ones_like(s))),
    integer_backward("zero_point_from_inside", "d_zero_point sums over elements inside.",
                     "the mask where 1 - M belongs",
                     other_slope=lambda s, mask: np.where(mask, -s, 0)),
    integer_backward("codes_for_levels", "The zero point is not taken off the level in d_s.",
                     "codes where the formula has q - Z", level=lambda q, whole: q),
    integer_backward("residual_dropped", "Inside, s gets q - Z in place of q - Z - x / s.",
                     "round and clip both taken as straight through",
                     slope=lambda level, u, mask: level),
    integer_backward("inside_alone", "Clipped elements add nothing to d_s.",
                     "the mask applied to all of it",
                     slope=lambda level, u, mask: np.where(mask, plain.slope(level, u, mask), 0)),
    integer_backward("zero_point_not_rounded", "The zero point is used as it is, not rounded.",
                     "the rounding of z left out", whole=lambda z, top: z),
    integer_backward("nan_poisons", "A NaN in x makes d_s NaN.",
                     "NaN * 0 in the sum", codes_of=nan_stays),
)  # fmt: skip
REAL = (
    *both(real),
    real("offset_added", "The offset is added to x, not subtracted.",
         "the sign convention of an offset", shifted=lambda x, o, s: (x + o) / s),
    real("offset_not_subtracted", "The offset is not subtracted before the rounding.",
         "an offset that is only added back", shifted=lambda x, o, s: x / s),
    real("offset_in_steps", "The offset is subtracted after the division, in units of the step.",
         "o taken for a zero point", shifted=lambda x, o, s: x / s - o),
    real("offset_rounded", "The offset is rounded to a multiple of the step.",
         "the other parametrisation of LSQ+", shifted=lambda x, o, s: x / s - np.rint(o / s)),
    real("quotients_subtracted", "x / s and offset / s are rounded before they are subtracted.",
         "the offset divided in advance, once", shifted=lambda x, o, s: x / s - o / s),
    real("offset_not_added", "y lacks the offset.",
         "an offset that is only taken off", value_of_level=lambda q, o, s: s * q),
    real("offset_scaled", "y is s (q + offset).",
         "o taken for a zero point", value_of_level=lambda q, o, s: s * (q + o)),
    real("ties_away", "Ties go away from zero instead of to the even level.",
         "sonos/tract#2850",
         nearest_level=lambda v, o, s: nearest.half_away(plain.real_number(v, -o / s))),
    real("nan_is_level_0", "NaN takes level 0 in place of the level of x = 0.",
         "NaN replaced after the division",
         nearest_level=lambda v, o, s: np.rint(plain.real_number(v))),
    real("not_clipped", "Levels out of range are left there.",
         "equation 11 of AdaQTransform as printed", clip=without_clip),
    real("signed_is_narrow", "The lowest signed level is -(2^(b-1) - 1).",
         "microsoft/onnxruntime#3442", code_range=as_kind("signed", "narrow")),
    real("narrow_is_signed", "The lowest narrow level is -2^(b-1).",
         "the narrow range asked for and not applied", code_range=as_kind("narrow", "signed")),
)  # fmt: skip
REAL_BACKWARD = (
    *both_backward(real_backward, "offset"),
    real_backward("offset_from_all", "d_offset sums over all elements.",
                  "the derivative of + o, without that of the clip",
                  other_slope=lambda s, mask: np.ones(mask.shape, s.dtype)),
    real_backward("offset_from_inside", "d_offset sums over elements inside.",
                  "the mask where 1 - M belongs",
                  other_slope=lambda s, mask: np.where(mask, np.ones_like(s), 0)),
    real_backward("offset_times_step", "d_offset has a factor s.",
                  "the gradient of a zero point",
                  other_slope=lambda s, mask: np.where(mask, 0, s)),
    real_backward("quotient_without_offset", "d_s has x / s where (x - offset) / s belongs.",
                  "the formula of LSQ without its offset",
                  slope=lambda q, v, mask, o: plain.slope(q, v + o, mask)),
    real_backward("residual_dropped", "Inside, s gets q in place of q - v.",
                  "round and clip both taken as straight through",
                  slope=lambda q, v, mask, o: q),
    real_backward("inside_alone", "Clipped elements add nothing to d_s.",
                  "the mask applied to all of it",
                  slope=lambda q, v, mask, o: np.where(mask, plain.slope(q, v, mask), 0)),
    real_backward("signed_is_narrow", "The lowest signed level is -(2^(b-1) - 1).",
                  "microsoft/onnxruntime#3442", code_range=as_kind("signed", "narrow")),
    real_backward("narrow_is_signed", "The lowest narrow level is -2^(b-1).",
                  "the narrow range asked for and not applied",
                  code_range=as_kind("narrow", "signed")),
)  # fmt: skip
VARIANTS = INTEGER + INTEGER_BACKWARD + REAL + REAL_BACKWARD
