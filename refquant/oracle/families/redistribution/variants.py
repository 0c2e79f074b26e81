"""Wrong scales."""

from typing import Any

import numpy as np

from refquant.oracle.op import Variant


def smooth(name: str, says: str, source: str, **parts: Any) -> Variant:
    """A wrong scale of SmoothQuant."""
    return Variant("smoothquant_scale", name, says, source, parts)


def osplus(name: str, says: str, source: str, **parts: Any) -> Variant:
    """A wrong shift or scale of Outlier Suppression+."""
    return Variant("osplus_shift_scale", name, says, source, parts)


def repq(name: str, says: str, source: str, **parts: Any) -> Variant:
    """A wrong reparametrisation."""
    return Variant("repq_reparam", name, says, source, parts)


def cle(name: str, says: str, source: str, **parts: Any) -> Variant:
    """A wrong equalization."""
    return Variant("cle_scale", name, says, source, parts)


VARIANTS = (
    smooth("strengths_exchanged", "alpha is the weight's exponent, 1 - alpha the activation's.",
           "the exponents exchanged", ratio=lambda x, w, alpha: x ** (1 - alpha) / w ** alpha),
    smooth("inverse", "The scale is the inverse: activations grow.",
           "x * scale in place of x / scale",
           ratio=lambda x, w, alpha: w ** (1 - alpha) / np.where(x == 0, 1e-05, x) ** alpha),
    smooth("same_exponent", "Both maxima are raised to alpha.", "1 - alpha forgotten",
           ratio=lambda x, w, alpha: (x / w) ** alpha),
    smooth("always_half", "alpha is 1/2 whatever is asked for.", "a constant in the code",
           ratio=lambda x, w, alpha: np.sqrt(x / w)),
    smooth("weights_ignored", "The scale is that of the activations alone.", "term forgotten",
           ratio=lambda x, w, alpha: x ** alpha),
    smooth("product", "The scale multiplies by the weight's power.", "* in place of /",
           ratio=lambda x, w, alpha: x ** alpha * w ** (1 - alpha)),
    smooth("dead_weights", "A channel without weights has an infinite scale.", "no floor of w_max",
           floor_weight=lambda w: w),
    smooth("silent_channel", "A channel without activations has the scale 0.",
           "no floor of the scale", floor_scale=lambda scale: scale),
    smooth("floor_added", "1e-5 is added to w_max instead of bounding it.", "an epsilon",
           floor_weight=lambda w: w + w.dtype.type(1e-05)),
    smooth("other_floor", "The floors are 1e-8.", "the floor of quantization steps",
           floor_weight=lambda w: np.maximum(w, 1e-08),
           floor_scale=lambda scale: np.maximum(scale, 1e-08)),
    osplus("not_shifted", "The scale is that of the ranges before the shift.",
           "order of shift and scale (C9)", shifted=lambda end, shift: end),
    osplus("half_span", "The shift is half the span instead of the middle.", "sign",
           shift=lambda low, high: high / 2 - low / 2),
    osplus("no_shift", "Channels are not shifted.", "LSQ+ and SmoothQuant have none",
           shift=lambda low, high: 0 * low),
    osplus("shift_not_halved", "The shift is the sum of the ends.", "factor forgotten",
           shift=lambda low, high: low + high),
    osplus("shift_is_middle_of_sizes", "The shift is the mean of the ends' sizes.",
           "absolute values", shift=lambda low, high: np.abs(low) / 2 + np.abs(high) / 2),
    osplus("shrinks_below_one", "Channels inside the threshold are stretched.",
           "max(1, .) forgotten", floor=lambda scale: scale),
    osplus("threshold_ignored", "The scale is the channel's own maximum.", "threshold forgotten",
           scale=lambda low, high, threshold: np.maximum(high, -low)),
    osplus("threshold_multiplies", "The scale is multiplied by the threshold.", "* in place of /",
           scale=lambda low, high, threshold: np.maximum(high, -low) * threshold),
    osplus("sign_of_low", "The lower end is divided by t instead of -t: it never counts.", "sign",
           scale=lambda low, high, threshold: low / threshold),
    osplus("whole_span", "The scale is the span over the threshold.", "span in place of its half",
           scale=lambda low, high, threshold: (high - low) / threshold),
    repq("largest_step", "The common step is the largest.", "max in place of mean", step=np.max),
    repq("first_step", "The common step is that of the first channel.", "step[0]",
         step=lambda s: s[0]),
    repq("median_step", "The common step is the median.", "a robust mean", step=np.median),
    repq("zero_point_floored", "The common zero point is a floor.", "a cast",
         zero=lambda zero: np.floor(zero.mean())),
    repq("zero_point_half_up", "A tie of the mean zero point goes up.", "floor(z + 1/2)",
         zero=lambda zero: np.floor(zero.mean() + 0.5)),
    repq("zero_point_half_down", "A tie of the mean zero point goes down.", "ceil(z - 1/2)",
         zero=lambda zero: np.ceil(zero.mean() - 0.5)),
    repq("sum_in_a_byte", "The sum of the zero points wraps at 256.", "an accumulator of bytes",
         zero=lambda zero: np.rint(zero.sum() % 256 / zero.size)),
    repq("gap_in_a_byte", "The difference of zero points wraps at 128.", "signed bytes",
         offset=lambda s, common, zero, whole: common * ((whole - zero + 128) % 256 - 128)),
    repq("offset_fractional", "The offset is that of a mean zero point that is not rounded.",
         "zkkli/RepQ-ViT as released (D21)",
         offset=lambda s, common, zero, whole: common * (zero.mean() - zero)),
    repq("ratio_reversed", "The ratio is the common step over the channel's.", "inverse",
         ratio=lambda s, common: common / s),
    repq("offset_reversed", "The offset has the wrong sign.", "sign",
         offset=lambda s, common, zero, whole: common * (zero - whole)),
    repq("offset_of_channel", "The offset takes the channel's step.", "s_c in place of s~",
         offset=lambda s, common, zero, whole: s * (whole - zero)),
    repq("offset_without_step", "The offset is in codes.", "factor forgotten",
         offset=lambda s, common, zero, whole: whole - zero),
    repq("offset_of_ratio", "-z_c s_c / r is not divided by r.", "the formula as printed, r lost",
         offset=lambda s, common, zero, whole: whole * common - zero * s),
    cle("inverse", "The scale is sqrt(r1 / r2).", "the layers exchanged",
        root=lambda r2, r1: np.sqrt(r1 / r2)),
    cle("not_rooted", "The scale is r2 / r1: the first layer takes the range of the second.",
        "root forgotten", root=lambda r2, r1: r2 / r1),
    cle("of_product", "The scale is sqrt(r1 r2), the common range.", "range in place of scale",
        root=lambda r2, r1: np.sqrt(r1 * r2)),
    cle("root_of_product", "Tiny ranges give 0, huge ones infinity.", "sqrt(r1 r2) / r1",
        root=lambda r2, r1: np.sqrt(r1 * r2) / r1),
    cle("silent_is_zero", "A channel that is silent in the second layer has the scale 0.",
        "no guard (C10)", dead=lambda r1, r2: r1 == 0),
    cle("dead_is_infinite", "A channel that is dead in the first layer has an infinite scale.",
        "no guard (C10)", dead=lambda r1, r2: r2 == 0),
    cle("small_is_dead", "Ranges below 1e-8 count as silent.", "a threshold in place of == 0 (C10)",
        dead=lambda r1, r2: (r1 < 1e-8) | (r2 < 1e-8)),
    cle("dead_is_zero", "A silent or dead channel has the scale 0.", "0 in place of 1 (C10)",
        neutral=lambda one: 0 * one),
    cle("neutral_unclipped", "The 1 of a silent channel is not clipped.", "order of 1 and clip",
        neutral=lambda one: one / one),
    cle("clip_ignored", "The scale is not clipped.", "option ignored", ends=lambda clip: None),
    cle("always_clipped", "The scale is clipped to [0.1, 10] unasked.", "PPQ in place of AIMET",
        ends=lambda clip: [0.1, 10.0] if clip is None else clip),
    cle("square_clipped", "The clip is that of the square.", "order of root and clip",
        ends=lambda clip: None if clip is None else [end ** 0.5 for end in clip]),
)  # fmt: skip
