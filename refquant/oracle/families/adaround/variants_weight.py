"""Wrong AdaRound weights."""

import numpy as np

from refquant._types import Array
from refquant.oracle.families.adaround import plain_sigmoid, plain_weight
from refquant.oracle.families.adaround.variants_sigmoid import NO_MASK, live_everywhere
from refquant.oracle.op import Variant


def plain_logit(f: Array) -> Array:
    """log(f / (1 - f))."""
    return np.asarray(np.log(f / (1.0 - f)))


def away(u: Array) -> Array:
    """u - rint(u), from -1/2 to 1/2."""
    return np.where(np.isfinite(u), u - np.rint(u), 0.0).astype(u.dtype)


def cut(u: Array) -> Array:
    """u - trunc(u), negative for a negative u."""
    return np.where(np.isfinite(u), u - np.trunc(u), 0.0).astype(u.dtype)


def wrapped(level: Array, n: Array, p: Array) -> Array:
    """Modulo the number of levels."""
    return np.asarray(n + np.mod(level - n, p - n + 1.0))


def nan_kept(level: Array, n: Array, p: Array) -> Array:
    """np.clip alone."""
    return np.asarray(np.clip(level, n, p))


def nan_lowest(level: Array, n: Array, p: Array) -> Array:
    """NaN rests at the lowest level."""
    return np.asarray(np.clip(np.where(np.isnan(level), n, level).astype(level.dtype), n, p))


def one_more(grid: str, bits: int) -> tuple[int, int]:
    """The highest code one too high."""
    low, high = plain_weight.ends(grid, bits)
    return low, high + 1


def never_narrow(grid: str, bits: int) -> tuple[int, int]:
    """-2^(b-1) on the narrow grid too."""
    return plain_weight.ends("signed" if grid == "narrow" else grid, bits)


def eight_bits(grid: str, bits: int) -> tuple[int, int]:
    """8 bits whatever was asked for."""
    return plain_weight.ends(grid, 8)


def last_if_it_fits(parameter: Array, w: Array) -> Array:
    """Steps along the last axis where that is as long."""
    fits = parameter.ndim and w.shape[-1] == parameter.size
    return parameter if fits else plain_weight.per_channel(parameter, w)


INIT, WEIGHT, BACKWARD = "adaround_init_alpha", "adaround_weight", "adaround_weight_backward"
BASE_ROUND = "The base is the nearest level, not the floor."
BASE_TRUNC = "Negative weights are cut towards zero: their base is one too high."
VARIANTS = (
    Variant(INIT, "plain_logit", "alpha is log(f / (1 - f)): the stretch is not inverted.",
            "the inverse of a plain sigmoid",
            {"ratio": plain_logit, "quotient": plain_logit,
             "clipped": lambda f: plain_logit(np.clip(f, 1e-4, 1.0 - 1e-4))}),
    Variant(INIT, "sign", "alpha has the wrong sign: h(alpha) = 1 - f.",
            "log of the inverse quotient",
            {"ratio": lambda f: -plain_weight.ratio(f),
             "quotient": lambda f: -plain_weight.quotient(f),
             "clipped": lambda f: -plain_weight.clipped(f)}),
    Variant(INIT, "zeros", "alpha is 0 everywhere: learning does not start at the float weight.",
            "an initialisation left out",
            {"ratio": lambda f: 0.0 * f, "quotient": lambda f: 0.0 * f,
                                           "clipped": lambda f: 0.0 * f}),
    Variant(INIT, "fraction_of_nearest", "The fraction counts from the nearest level.",
            "w / s - round(w / s)", {"fraction": away}),
    Variant(INIT, "fraction_truncated", "Fractions of negative weights are negative.",
            "an integer cast in place of floor", {"fraction": cut}),
    Variant(INIT, "by_multiplication", "w is multiplied by s.",
            "a reciprocal step taken for the step",
            {"base_of": lambda w, s: w * s}),
    Variant(INIT, "last_step", "The step of the last channel serves all channels.",
            "a broadcast along the wrong axis",
            {"base_of": lambda w, s: w / (s.reshape(-1)[-1] if s.ndim else s)}),
    Variant(INIT, "steps_along_the_last_axis",
            "Steps run along the last axis where that is as long.",
            "a step of shape (c,) broadcast as it is", {"per_channel": last_if_it_fits}),
    Variant(INIT, "one_becomes_zero", "A fraction that is rounded to 1 becomes 0.",
            "a fraction taken modulo 1", {"fraction": lambda u: plain_weight.fraction(u) % 1.0}),
    Variant(INIT, "nan", "NaN and infinite weights have no alpha.", "the fraction of an infinity",
            {"fraction": lambda u: u - np.floor(u)}),
    Variant(INIT, "quotient_one_wide", "zeta stands in place of zeta - gamma.",
            "the width of the stretch", {"quotient": lambda f: -np.log(1.1 / (f + 0.1) - 1.0)}),
    Variant(INIT, "not_clipped", "The fraction is not kept away from 0 and 1.",
            "the closed form in place of the clipped one", {"clipped": plain_weight.ratio}),
    Variant(WEIGHT, "base_rounded", BASE_ROUND, "round in place of floor",
            {"base": np.rint}),
    Variant(WEIGHT, "base_truncated", BASE_TRUNC, "an integer cast in place of floor",
            {"base": np.trunc}),
    Variant(WEIGHT, "strictly_positive", "alpha = 0 goes down.",
            "a comparison with > in place of >=, as Brevitas has it",
            {"decide": lambda alpha, tie: alpha > 0.0}),
    Variant(WEIGHT, "tie_up", "alpha = 0 goes up.", ">= in place of >",
            {"decide": lambda alpha, tie: alpha >= 0.0}),
    Variant(WEIGHT, "decision_inverted", "Weights go up where alpha is negative.",
            "the sign of V inverted", {"decide": lambda alpha, tie: alpha < 0.0}),
    Variant(WEIGHT, "soft_when_deployed", "The soft weight is deployed: codes are not whole.",
            "yhhhli/BRECQ#1",
            {"decide": lambda alpha, tie: plain_sigmoid.rectified(alpha),
             "code": lambda level, zero: np.floor(level).astype(np.int64) + zero}),
    Variant(WEIGHT, "always_nearest", "alpha is ignored: hard weights are floored.",
            "SonySemiconductorSolutions/mct-model-optimization#619",
            {"decide": lambda alpha, tie: np.zeros_like(alpha)}),
    Variant(WEIGHT, "plain_sigmoid", "h is the plain sigmoid: soft weights never reach a level.",
            "the stretch left out", {"h": plain_sigmoid.logistic}),
    Variant(WEIGHT, "wraps", "Levels beyond the range wrap round.", "onnx/onnx#7835",
            {"clip": wrapped}),
    Variant(WEIGHT, "not_limited", "Levels beyond the range are kept.", "the clip left out",
            {"clip": lambda level, n, p: plain_weight.clip(level, n - np.inf, p + np.inf)}),
    Variant(WEIGHT, "nan_kept", "NaN weights stay NaN.", "onnx/onnx#5879", {"clip": nan_kept}),
    Variant(WEIGHT, "nan_lowest", "NaN weights take the lowest code.", "ROCm/AMDMIGraphX#4914",
            {"clip": nan_lowest}),
    Variant(WEIGHT, "highest_code_too_high", "The range has one level too many at its top.",
            "2^b in place of 2^b - 1", {"ends": one_more}),
    Variant(WEIGHT, "narrow_ignored", "The narrow grid has the lowest code of the signed one.",
            "microsoft/onnxruntime#3442", {"ends": never_narrow}),
    Variant(WEIGHT, "always_8_bits", "The range is that of 8 bits.", "qualcomm/aimet#504",
            {"ends": eight_bits}),
    Variant(WEIGHT, "zero_point_ignored", "The range is not shifted by the zero point.",
            "intel/neural-compressor#1611", {"offset": lambda zero: 0 * zero}),
    Variant(WEIGHT, "zero_point_of_first", "All channels are limited with the first zero point.",
            "microsoft/onnxruntime#8890",
            {"offset": lambda zero: zero.reshape(-1)[:1] if zero.ndim else zero}),
    Variant(WEIGHT, "codes_without_zero_point", "The zero point is not added to the codes.",
            "levels taken for codes", {"code": lambda level, zero: level.astype(np.int64)}),
    Variant(BACKWARD, "no_step", "The factor s is missing.", "the gradient in units of the step",
            {"factor": np.ones_like}),
    Variant(BACKWARD, "no_level_mask", "The gradient also passes where the level is clipped.",
            "hustzxd/LSQuantization#1", {"inside": lambda level, n, p: np.ones_like(level)}),
    Variant(BACKWARD, "mask_of_floor", "The mask is that of floor(w / s), without h.",
            "the soft share left out of the mask", {"h": np.zeros_like}),
    Variant(BACKWARD, "mask_of_ceiling", "The mask is that of floor(w / s) + 1.",
            "ceil in place of the soft level", {"h": np.ones_like}),
    Variant(BACKWARD, "nan_learns", "NaN weights have a gradient.", "a mask of what is clipped",
            {"inside": lambda level, n, p: ~((level < n) | (level > p))}),
    Variant(BACKWARD, "no_saturation_mask", NO_MASK, "the clip of h left out of the gradient",
            {"inclusive": live_everywhere, "strict": live_everywhere}),
    Variant(BACKWARD, "no_width", "The factor zeta - gamma = 1.2 is missing.",
            "the gradient of a sigmoid that is not stretched", {"width": 1.0}),
    Variant(BACKWARD, "zero_point_ignored", "The mask is not shifted by the zero point.",
            "intel/neural-compressor#1611", {"offset": lambda zero: 0 * zero}),
    Variant(BACKWARD, "base_rounded", BASE_ROUND, "round in place of floor", {"base": np.rint}),
    Variant(BACKWARD, "edge_frozen", "Weights that lie on the grid have no gradient.",
            "pytorch/ao#4806", {"inclusive": plain_sigmoid.strict}),
    Variant(BACKWARD, "edge_passes", "Weights that lie on the grid have a gradient.",
            "torch.clamp in place of a strict comparison", {"strict": plain_sigmoid.inclusive}),
)  # fmt: skip
