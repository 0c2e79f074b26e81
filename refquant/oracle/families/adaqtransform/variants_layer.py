"""Wrong layers of AdaQTransform, and wrong gradients."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.adaqtransform import plain_layer as plain
from refquant.oracle.families.adaround.plain_sigmoid import rectified
from refquant.oracle.op import Inputs, Variant


def layer(name: str, says: str, source: str, **parts: Any) -> Variant:
    """A wrong layer."""
    return Variant("adaqt", name, says, source, parts)


def transform_slip(name: str, says: str, source: str, transform: Any) -> Variant:
    """A wrong transform."""
    return layer(name, says, source, transform=transform)


def out_for_both(inputs: Inputs) -> Array:
    """u by the dequantization step."""
    return np.asarray(inputs["w"] / plain.out_step(inputs))


TRANSFORM = (
    transform_slip("bias_scaled", "xi multiplies the bias too.", "xi (y0 + b) + eta",
                   lambda y0, bias, xi, eta: xi * (y0 + bias) + eta),
    transform_slip("shift_scaled", "xi multiplies eta too.", "xi (y0 + eta) + b",
                   lambda y0, bias, xi, eta: xi * (y0 + eta) + bias),
    transform_slip("exchanged", "eta multiplies and xi is added.",
                   "AT introduces them in swapped order (D20)",
                   lambda y0, bias, xi, eta: eta * y0 + bias + xi),
    transform_slip("scale_forgotten", "xi is left out.", "term forgotten",
                   lambda y0, bias, xi, eta: y0 + bias + eta + 0 * xi),
    transform_slip("shift_forgotten", "eta is left out.", "term forgotten",
                   lambda y0, bias, xi, eta: xi * y0 + bias + 0 * eta),
    transform_slip("shift_subtracted", "eta is taken off instead of added.", "sign",
                   lambda y0, bias, xi, eta: xi * y0 + bias - eta),
    transform_slip("bias_forgotten", "The bias is left out: eta replaces it.",
                   "eta read as the new bias", lambda y0, bias, xi, eta: xi * y0 + eta),
    transform_slip("divides", "The product is divided by xi.", "inverse scale",
                   lambda y0, bias, xi, eta: y0 / np.where(xi == 0, 1, xi) + bias + eta),
    transform_slip("scale_positive", "The sign of xi is lost.", "a scale taken as positive (D33)",
                   lambda y0, bias, xi, eta: np.abs(xi) * y0 + bias + eta),
)  # fmt: skip
LAYER = (
    *TRANSFORM,
    layer("decision_floored", "Hard weights take floor(h): every h below 1 is rounded down.",
          "AT eq.4 as printed (D20)", hard=lambda alpha: np.floor(rectified(alpha))),
    layer("decision_strict", "Hard weights round down at alpha = 0.", "> in place of >=",
          hard=lambda alpha: (alpha > 0).astype(alpha.dtype)),
    layer("decision_soft", "Soft targets are kept at evaluation.", "yhhhli/BRECQ#1",
          hard=rectified),
    layer("decision_always", "Weights are hard while learning too.", "hard targets",
          h=lambda alpha: (alpha >= 0).astype(alpha.dtype)),
    layer("nan_rounded_up", "A NaN weight has the level h(alpha).", "NaN made 0 before h is added",
          base=lambda u: np.floor(np.where(np.isnan(u), 0, u))),
    layer("rounds_base", "h is added to rint(w / s_w) instead of floor(w / s_w).",
          "round in place of floor", base=np.rint),
    layer("truncates_base", "h is added to w / s_w cut towards zero.", "a cast", base=np.trunc),
    layer("nearest_floored", "Case 1.2 floors weights instead of rounding them.",
          "brackets scrambled (D20)", nearest=np.floor),
    layer("nearest_half_up", "Case 1.2 takes ties up.", "h = round of the fraction (section 12)",
          nearest=lambda u: np.floor(u + 0.5)),
    layer("quantized_by_out_step", "Weights are divided by s_d instead of s_w.",
          "one step for both", of_weight=out_for_both),
    layer("dequantized_by_s_w", "Levels are multiplied by s_w instead of s_d.", "one step for both",
          out_step=lambda inputs: plain.column(inputs["s_w"])),
    layer("weights_not_clipped", "Levels of weights leave [n_w, p_w].",
          "clips omitted in AT eq.3 and 6 to 13 (D20)", limit_w=lambda t, n, p: t),
    layer("weights_narrow", "The lowest level of the weights is not used.",
          "microsoft/onnxruntime#3442", limit_w=lambda t, n, p: np.clip(t, max(n, -p), p)),
    layer("inputs_not_clipped", "Levels of inputs leave [n_x, p_x].",
          "clips omitted in AT eq.3 and 6 to 13 (D20)", limit_x=lambda t, n, p: t),
    layer("nan_to_the_end", "A NaN takes the lowest level.", "ROCm/AMDMIGraphX#4914",
          limit_w=lambda t, n, p: np.clip(np.where(np.isnan(t), n, t), n, p),
          limit_x=lambda t, n, p: np.clip(np.where(np.isnan(t), n, t), n, p)),
    layer("inputs_unsigned", "Negative inputs are 0 on every grid.", "a ReLU taken for granted",
          limit_x=lambda t, n, p: np.clip(t, 0, p)),
    layer("inputs_floored", "Inputs are floored.", "brackets scrambled (D20)", round_x=np.floor),
    layer("inputs_half_up", "Ties of inputs go up.", "floor(x + 1/2)",
          round_x=lambda u: np.floor(u + 0.5)),
    layer("inputs_not_quantized", "The product takes real inputs.", "weights only",
          round_x=lambda u: u, limit_x=lambda t, n, p: t),
)  # fmt: skip


def back(name: str, says: str, source: str, **parts: Any) -> Variant:
    """A wrong gradient."""
    return Variant("adaqt_backward", name, says, source, parts)


BACKWARD = (
    back("scale_by_output", "d_xi sums d_y (xi y0 + b): the output instead of the product.",
         "y in place of y0", by_xi=lambda y0, bias, xi: xi * y0 + bias),
    back("scale_by_scaled", "d_xi sums d_y xi y0.", "the product after its scale",
         by_xi=lambda y0, bias, xi: xi * y0),
    back("shift_scaled", "d_eta is multiplied by xi.", "eta inside the bracket",
         by_eta=lambda d_y, xi: xi * d_y),
    back("bias_scaled", "d_bias is multiplied by xi.", "the bias inside the bracket",
         by_bias=lambda d_y, xi: xi * d_y),
    back("means", "d_xi and d_eta are means instead of sums.", "sum against mean",
         total=lambda terms, like: plain.total(terms, like) * (like.size / terms.size)),
    back("one_column", "d_xi and d_eta take the last column only.", "an accumulator overwritten",
         total=lambda terms, like: terms if like.ndim == 2 else terms[:, -1] if like.ndim else
             terms[-1, -1]),
    back("weights_without_scale", "The gradient of the weights lacks xi.", "factor forgotten",
         scaled_w=lambda d_y, xi: d_y),
    back("inputs_without_scale", "The gradient of the inputs lacks xi.", "factor forgotten",
         scaled_x=lambda d_y, xi: d_y),
    back("alpha_by_s_w", "d_alpha takes s_w instead of s_d.", "one step for both",
         alpha_step=lambda s_w, s_d: s_w),
    back("alpha_without_step", "d_alpha lacks the step.", "factor forgotten",
         alpha_step=lambda s_w, s_d: np.ones_like(s_d)),
    back("alpha_width_forgotten", "d_alpha lacks the width 1.2.", "zeta - gamma left out",
         width=1.0),
    back("alpha_mask_forgotten", "d_alpha passes where h is saturated.", "mask forgotten",
         inclusive=lambda alpha: np.ones_like(alpha), strict=lambda alpha: np.ones_like(alpha)),
    back("alpha_edge_strict", "d_alpha is 0 at |alpha| = ln 11.", "pytorch/ao#4806",
         inclusive=lambda alpha: np.abs(alpha) < 2.3978952727983707),
    back("alpha_edge_inclusive", "d_alpha passes at |alpha| = ln 11 where it should not.",
         "torch.clamp in place of a rectifier",
         strict=lambda alpha: np.abs(alpha) <= 2.3978952727983707),
    back("levels_unmasked", "Clipped weights pass their gradient.", "microsoft/nni#3160",
         inside_w=lambda t, n, p: np.ones(t.shape, bool)),
    back("soft_levels_unrounded", "Mask unrounded masks floor + h by w / s_w.",
         "one mask for all cases", unrounded=lambda attrs: attrs["mask"] == "unrounded"),
    back("levels_strict", "Weights whose level is an end pass no gradient.", "pytorch/ao#4806",
         inside_w=lambda t, n, p: (t > n) & (t < p)),
    back("quantizer_sign", "d_s_w of 2.1 and 2.3 has the wrong sign.", "derivative of 1 / s",
         through_levels=lambda w, s_w, s_d, m: s_d * m * w / (s_w * s_w)),
    back("quantizer_not_squared", "d_s_w of 2.1 and 2.3 divides by s_w once.",
         "derivative of 1 / s", through_levels=lambda w, s_w, s_d, m: -s_d * m * w / s_w),
    back("quantizer_by_s_w", "d_s_w of 2.1 and 2.3 is as if s_d were s_w.", "one step for both",
         through_levels=lambda w, s_w, s_d, m: -m * w / s_w),
    back("quantizer_unmasked", "d_s_w of 2.1 and 2.3 counts clipped weights.", "mask forgotten",
         through_levels=lambda w, s_w, s_d, m: -s_d * w / (s_w * s_w)),
    back("quantizer_as_tied", "d_s_w of 2.1 and 2.3 counts the levels too.",
         "s_w taken to dequantize as well",
         through_levels=lambda w, s_w, s_d, m: plain.through_both(w, s_w, np.floor(w / s_w), m)),
    back("tied_without_levels", "A tied or nearest d_s_w lacks the levels.",
         "s_w taken to quantize only",
         through_both=lambda w, s_w, levels, m: -np.where(m, w / s_w, 0).astype(w.dtype)),
    back("tied_without_weights", "A tied or nearest d_s_w lacks - w / s_w.",
         "s_w taken to dequantize only", through_both=lambda w, s_w, levels, m: levels),
    back("tied_unmasked", "A tied or nearest d_s_w takes off w / s_w outside the range too.",
         "mask forgotten", through_both=lambda w, s_w, levels, m: levels - w / s_w),
    back("tied_inside_only", "Clipped weights give a tied or nearest step no gradient.",
         "mask on both terms", through_both=lambda w, s_w, levels, m: m * (levels - w / s_w)),
    back("out_step_as_tied", "d_s_d takes off w / s_w: as if it quantized too.",
         "one step for both", by_s_d=lambda levels, w, s_w: levels - w / s_w),
    back("out_step_by_weight", "d_s_d sums d_w_hat w / s_w instead of the levels.",
         "levels before rounding", by_s_d=lambda levels, w, s_w: w / s_w),
    back("case_2_2_as_2_3", "s_w is learnt in 2.2 too, s_d in 2.1 too.", "row of the table",
         case=lambda attrs: {"2.1": "2.3", "2.2": "2.3"}.get(attrs["case"], attrs["case"])),
    back("inputs_unmasked", "Clipped inputs pass their gradient.", "Oneflow-Inc/oneflow#8649",
         inside_x=lambda t, n, p: np.ones(t.shape, bool)),
    back("inputs_strict", "Inputs whose level is an end pass no gradient.", "pytorch/ao#4806",
         inside_x=lambda t, n, p: (t > n) & (t < p)),
    back("input_step_unmasked", "d_s_x takes off x / s_x outside the range too.", "mask forgotten",
         by_s_x=lambda q, u, m: q - u),
    back("input_step_inside_only", "Clipped inputs give s_x no gradient.", "mask on both terms",
         by_s_x=lambda q, u, m: m * (q - u)),
    back("input_step_by_levels", "d_s_x lacks - x / s_x.", "term forgotten",
         by_s_x=lambda q, u, m: q),
)  # fmt: skip
VARIANTS_LAYER = LAYER + BACKWARD
