"""Wrong gradients of `fake_quant`."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.fake_quant import plain_uniform as plain
from refquant.oracle.families.fake_quant.variants_parts import as_kind, on_axis, shifted
from refquant.oracle.families.rounding import plain as nearest
from refquant.oracle.op import Variant

TORCH = "pytorch/pytorch#41968"


def masked_by(rule: Any) -> Any:
    """A mask from r, u, n and p, whatever the convention asked for."""
    return lambda r, u, ends, mask: np.asarray(rule(r, u, *ends)) & np.isfinite(u)


def open_ends(r: Array, u: Array, ends: tuple[Array, Array], mask: str) -> Array:
    """The mask without its ends."""
    t = r if mask == "rounded" else u
    return np.asarray((ends[0] < t) & (t < ends[1]))


def half_open(r: Array, u: Array, ends: tuple[Array, Array], mask: str) -> Array:
    """The mask without its upper end."""
    t = r if mask == "rounded" else u
    return np.asarray((ends[0] <= t) & (t < ends[1]))


def no_zero_point(r: Array, ends: tuple[Array, Array], z: Array) -> Array:
    """The code in place of the level."""
    return np.asarray(plain.level(r, ends, z) + z.astype(r.dtype))


def over_all(shares: Array, axis: int | None) -> Array:
    """One sum for all channels."""
    own = plain.total(shares, axis)
    return np.full_like(own, shares.sum())


def mean(shares: Array, axis: int | None) -> Array:
    """The mean in place of the sum."""
    own = plain.total(shares, axis)
    return np.asarray(own * own.dtype.type(own.size / shares.size))


def last_axis(shares: Array, axis: int | None) -> Array:
    """The sum kept along the last axis, cut to the number of channels."""
    own = plain.total(shares, axis)
    return own if axis is None else np.resize(plain.total(shares, shares.ndim - 1), own.shape)


def first_sample(shares: Array, axis: int | None) -> Array:
    """The sum over the first index of axis 0 alone, where axis 0 is summed."""
    cut = shares if axis == 0 or shares.ndim == 0 else shares[:1]
    return plain.total(cut, axis)


def variant(name: str, says: str, source: str, equivalent: str = "", **parts: Any) -> Variant:
    """A variant of `fake_quant_backward`."""
    return Variant("fake_quant_backward", name, says, source, parts, equivalent)


MASKED = (
    variant("no_mask", "Clipped elements pass their gradient to x.",
            "Oneflow-Inc/oneflow#8649", pass_through=lambda d_y, inside: d_y),
    variant("nothing_masked", "Every finite element counts as inside, for x and for s.",
            "microsoft/nni#3160", is_inside=masked_by(lambda r, u, n, p: np.ones(r.shape, bool))),
    variant("ends_excluded", "Elements that are rounded to n or p lose their gradient.",
            "pytorch/ao#4806", is_inside=open_ends),
    variant("upper_end_excluded", "Elements at p lose their gradient, those at n keep it.",
            "a half-open range of levels", is_inside=half_open),
    variant("mask_of_the_quotient", "The mask is taken before the rounding.",
            "pytorch/pytorch#49315",
            is_inside=masked_by(lambda r, u, n, p: (n <= u) & (u <= p))),
    variant("mask_of_the_level", "The mask is taken after the rounding, whatever was asked for.",
            "the gradient of clamp(round(u)) left to automatic differentiation",
            is_inside=masked_by(lambda r, u, n, p: (n <= r) & (r <= p))),
    variant("half_a_step_more", "Everything up to half a step beyond n and p is inside.",
            "the range of x in place of that of its levels",
            is_inside=masked_by(lambda r, u, n, p: (n - 0.5 <= u) & (u <= p + 0.5))),
    variant("mask_of_symmetric_levels", "The mask is |u| <= p.",
            "a clip at both signs of one end",
            is_inside=masked_by(lambda r, u, n, p: np.abs(r) <= p)),
    variant("only_above", "Only elements above p are masked.",
            "a clip for activations after a ReLU",
            is_inside=masked_by(lambda r, u, n, p: r <= p)),
    variant("mask_multiplied", "An infinite quotient times a mask of 0 makes the step NaN.",
            "q - M u written as a product", slope=lambda q, u, inside, s: q - inside * u),
    variant("infinities_pass", "Infinite elements pass their gradient; that of s is infinite.",
            "a mask that looks for what is outside, and finds no comparison true",
            is_inside=lambda r, u, ends, mask: plain.is_inside(r, u, ends, mask) | np.isinf(u)),
)  # fmt: skip

SLOPES = (
    variant("residual_dropped", "Inside, s gets q in place of q - u.",
            "round and clip both taken as straight through",
            slope=lambda q, u, inside, s: q),
    variant("residual_turned_round", "Inside, s gets u - q in place of q - u.",
            "the error counted from the other side",
            slope=lambda q, u, inside, s: np.where(inside, u - q, q)),
    variant("clipped_alone", "Only clipped elements add to the gradient of s.",
            "the rounding error taken for 0", slope=lambda q, u, inside, s: np.where(inside, 0, q)),
    variant("residual_in_units_of_x", "Inside, s gets s (q - u): the error in units of x.",
            "y - x not divided by s",
            slope=lambda q, u, inside, s: np.where(
                inside, s * (q - np.where(inside, u, 0)), q).astype(q.dtype)),
    variant("slope_over_the_step", "The gradient of s is divided by s.",
            "the gradient of log s, or of 1/s up to its sign",
            slope=lambda q, u, inside, s: plain.slope(q, u, inside, s) / s),
    variant("residual_of_the_clipped", "Everywhere s gets q - u: the whole error.",
            "no mask in the gradient of s",
            slope=lambda q, u, inside, s: q - np.where(np.isfinite(u), u, 0)),
    variant("codes_for_levels", "The zero point is not taken off the level.",
            "codes where the formula has q", level=no_zero_point),
    variant("masked_d_y", "Clipped elements add nothing to the gradient of s: d_x is summed.",
            TORCH, share=lambda d_y, slope, inside: d_y * inside * slope),
    variant("d_y_forgotten", "The gradient of s does not depend on d_y.",
            TORCH, share=lambda d_y, slope, inside: slope),
)  # fmt: skip

SUMS = (
    variant("mean_for_sum", "The gradient of s is a mean.",
            "a reduction left at its default", total=mean),
    variant("one_sum_for_all", "Every channel gets the sum over all channels.",
            "a per-tensor kernel behind a per-channel interface", total=over_all),
    variant("summed_along_the_wrong_axis", "The sum keeps the last axis in place of the channels.",
            "OpenPPL/ppq#339", total=last_axis),
    variant("first_sample_alone", "Only the first index of axis 0 is summed.",
            "a loop over samples that returns too early", total=first_sample),
    variant("no_grad_scale", "grad_scale is not applied.",
            "hustzxd/LSQuantization#1", scaled=lambda d_s, grad_scale, x: d_s),
    variant("grad_scale_twice", "grad_scale is applied twice.",
            "once by the caller and once by the kernel",
            scaled=lambda d_s, grad_scale, x: d_s * grad_scale * grad_scale),
    variant("grad_scale_inverted", "The sum is divided by grad_scale.",
            "sqrt(N p) passed where 1 / sqrt(N p) is expected",
            scaled=lambda d_s, grad_scale, x: d_s / x.dtype.type(grad_scale)),
    variant("grad_scale_over_size", "The sum is also divided by the number of elements.",
            "a normalised loss and a normalised sum",
            scaled=lambda d_s, grad_scale, x: d_s * grad_scale / x.dtype.type(x.size)),
)  # fmt: skip

PLACED = (
    variant("rint_half_up", "Ties go up instead of to the even level.",
            "triton-lang/triton-ascend#285", rint=nearest.half_up),
    variant("rint_half_away", "Ties go away from zero: levels and mask change.",
            "intel/torch-xpu-ops#5349", rint=nearest.half_away),
    variant("always_rint", "Ties go to the even level, whatever was asked for.",
            "a backward pass that does not know the rule of the forward pass",
            half_up=np.rint, half_down=np.rint, half_away=np.rint, floor=np.rint, ceil=np.rint),
    variant("zero_point_inside_the_round",
            "The zero point is added before the rounding, which moves ties where it is odd.",
            "pytorch/pytorch#49779; measured in the learnable kernels of torch 2.13",
            rounded=lambda rounding, u, z: rounding(u + z) - z),
    variant("plus_infinity_low", "+inf counts as clipped to n: the cast comes before the clip.",
            "pytorch/pytorch#111471",
            divide=lambda x, s: np.where(np.isposinf(x), -np.inf, x / s).astype(x.dtype)),
    variant("nan_low", "NaN adds n to the gradient of s: the cast comes before the clip.",
            "pytorch/pytorch#111471",
            level=lambda r, ends, z: np.clip(np.where(np.isnan(r), -np.inf, r), *ends)),
    variant("cast_before_the_clip", "NaN and both infinities count as clipped to n, for s too.",
            "the int64 cast on x86; measured in the learnable kernels of torch 2.13",
            divide=lambda x, s: np.where(np.isfinite(x), x / s, -np.inf).astype(x.dtype)),
    variant("signed_is_narrow", "The lowest signed code is -(2^(b-1) - 1).",
            "microsoft/onnxruntime#3442", code_range=as_kind("signed", "narrow")),
    variant("narrow_is_signed", "The lowest narrow code is -2^(b-1).",
            "the narrow range asked for and not applied", code_range=as_kind("narrow", "signed")),
    variant("one_code_too_many", "The highest code is one too high.",
            "2^b in place of 2^b - 1", code_range=shifted(0, 1)),
    variant("unsigned_is_signed", "Unsigned codes end at 2^(b-1) - 1 and begin below 0.",
            "int8 in place of uint8", code_range=as_kind("unsigned", "signed")),
    variant("channels_on_the_last_axis", "Parameters run along the last axis.",
            "a parameter of shape (c,) broadcast as it is",
            step_along=on_axis(-1), zero_along=on_axis(-1)),
    variant("channels_on_the_first_axis", "Parameters run along axis 0, whatever the axis.",
            "microsoft/onnxruntime#19694", step_along=on_axis(0), zero_along=on_axis(0)),
    variant("nan_poisons_the_step", "A NaN in x makes the gradient of s NaN.",
            "NaN * 0 in the sum", level=lambda r, ends, z: np.clip(r, *ends)),
    variant("reciprocal", "", "pytorch/pytorch#47468", divide=lambda x, s: x * (1 / s),
            equivalent="within the bounds, which count a quotient as two roundings; no level of "
            "these cases is in doubt"),
)  # fmt: skip

VARIANTS = MASKED + SLOPES + SUMS + PLACED
