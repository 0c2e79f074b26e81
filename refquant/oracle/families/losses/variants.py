"""Wrong losses."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.losses import plain
from refquant.oracle.op import Attrs, Variant


def all_elements(z: Array, attrs: Attrs) -> int:
    """The mean over everything."""
    return int(z.size)


def samples(z: Array, attrs: Attrs) -> int:
    """The number of samples."""
    return len(z)


def one(z: Array, attrs: Attrs) -> int:
    """No mean."""
    return 1


def last_axis(z: Array, attrs: Attrs) -> int:
    """As if channels came last."""
    return int(z.size // z.shape[-1])


def axis_one(z: Array, attrs: Attrs) -> int:
    """As if channels were axis 1, whatever was asked for."""
    return plain.places(z, {**attrs, "channel_axis": 1})


PLACES: tuple[tuple[str, str, str, Any], ...] = (
    ("mean_over_all", "The loss is averaged over the channels too.", "onnxsim/onnxsim#718",
     all_elements),
    ("mean_over_samples", "The loss is averaged over the samples only: positions are summed.",
     "batchmean taken for the mean over positions", samples),
    ("sum", "Nothing is averaged.", "a sum in place of a mean", one),
    ("channels_last", "The last axis is taken for the channels.", "a layout of NHWC", last_axis),
    ("channels_first", "Axis 1 is taken for the channels, of tokens too.", "a layout of NCHW",
     axis_one),
)  # fmt: skip


def of_places(op: str) -> tuple[Variant, ...]:
    """Everything that may go wrong with the mean."""
    return tuple(Variant(op, name, says, why, {"places": f}) for name, says, why, f in PLACES)


def batch_dot(felt: Array) -> Array:
    """One sum for the whole batch."""
    return np.full((1,) * felt.ndim, np.sum(felt), felt.dtype)


def channel_dot(felt: Array) -> Array:
    """One sum for each position, over the channels."""
    return np.asarray(np.sum(felt, axis=1, keepdims=True))


def mean_dot(felt: Array) -> Array:
    """The mean in place of the sum."""
    return np.asarray(plain.per_sample(felt) / (felt.size / len(felt)))


def overflowing(logits: Array) -> Array:
    """Without the shift by the largest logit."""
    weights = np.exp(logits)
    return np.asarray(weights / np.sum(weights, axis=1, keepdims=True))


def over_samples(logits: Array) -> Array:
    """Along the wrong axis."""
    return plain.softmax(logits.T).T


def reversed_terms(log_t: Array, log_z: Array) -> Array:
    """KL(z || t)."""
    return plain.forward_terms(log_z, log_t)


def flipped(a: Array, b: Array) -> Array:
    """b - a."""
    return b - a


def last_axis_dot(felt: Array) -> Array:
    """One sum for each sample, along the last axis where it is as long."""
    sums = plain.per_sample(felt)
    return sums.ravel() if felt.shape[-1] == len(felt) else sums


def full_warps(shifted: Array) -> Array:
    """Sum of exp over the classes in whole groups of 32."""
    kept = shifted.shape[1] // 32 * 32 or shifted.shape[1]
    return np.asarray(np.sum(np.exp(shifted[:, :kept]), axis=1, keepdims=True))


def warped_log(logits: Array) -> Array:
    """log softmax of the classes in whole groups of 32."""
    shifted = logits - np.max(logits, axis=1, keepdims=True)
    return np.asarray(shifted - np.log(full_warps(shifted)))


def log_of_softmax(logits: Array) -> Array:
    """The logarithm of what may have underflowed."""
    return np.asarray(np.log(plain.softmax(logits)))


def expanded(z: Array, t: Array) -> Array:
    """z^2 - 2 z t + t^2, its root."""
    return np.asarray(np.sqrt(np.abs(z * z - 2.0 * z * t + t * t)))


WARPS = (
    "classes_in_full_warps",
    "The softmax leaves out classes after whole groups of 32.",
    "a reduction by warps without a loop for the rest",
)
FITS = (
    "sum_along_the_last_axis",
    "S runs along the last axis where that is as long as the batch.",
    "a sum of shape (n,) broadcast as it is",
)
SIGN = "The gradient has the wrong sign."
TARGET_MINUS = "target minus output"
NO_TWO = "The factor 2 is missing."
COOL = "The logits are not divided by T."
HALVED = "a loss defined with 1/2"
DOTS: tuple[tuple[str, str, str, Any], ...] = (
    ("sum_over_batch", "S is summed over the whole batch.", "the sample axis not left out",
     batch_dot),
    ("sum_over_channels", "S is summed over the channels only.", "one axis of the sum",
     channel_dot),
    ("mean_in_place_of_sum", "S is a mean.", "mean in place of sum", mean_dot),
    (*FITS, last_axis_dot),
)  # fmt: skip
LP = (
    *of_places("lp_rec_loss"),
    Variant("lp_rec_loss", "squares_whatever_p", "The exponent is 2 whatever p is.",
            "p not handed on",
            {"exponent": lambda attrs: 2.0}),
    Variant("lp_rec_loss", "square_expanded", "Squares are z^2 - 2 z t + t^2: they cancel.",
            "a distance computed from products of matrices", {"size": expanded}),
    Variant("lp_rec_loss", "nan_ignored", "NaN errors are left out.", "ROCm/rocm-libraries#12362",
            {"power": lambda size, p: np.nan_to_num(size**p, posinf=np.inf)}),
    Variant("lp_rec_loss", "divided_by_p", "The loss is divided by p.", HALVED,
            {"power": lambda size, p: size**p / p}),
    *of_places("lp_rec_loss_backward"),
    Variant("lp_rec_loss_backward", "squares_whatever_p", "The exponent is 2 whatever p is.",
            "p not handed on", {"exponent": lambda attrs: 2.0}),
    Variant("lp_rec_loss_backward", "exponent", "The exponent is p, not p - 1.",
            "half of the power rule", {"lower": lambda p: p}),
    Variant("lp_rec_loss_backward", "no_p", "The factor p is missing.", HALVED,
            {"factor": lambda p: 1.0}),
    Variant("lp_rec_loss_backward", "two_in_place_of_p", "The factor is 2 whatever p is.",
            "the gradient of squares", {"factor": lambda p: 2.0}),
    Variant("lp_rec_loss_backward", "no_sign", "Every gradient is positive.",
            "the derivative of an absolute value without its sign", {"sign": np.ones_like}),
    Variant("lp_rec_loss_backward", "sign", SIGN, TARGET_MINUS, {"error": flipped}),
    Variant("lp_rec_loss_backward", "sign_of_zero",
            "An error of 0 has the gradient of a positive one.",
            "where(d >= 0, 1, -1)",
            {"sign": lambda d: np.where(d >= 0, 1.0, -1.0).astype(d.dtype)}),
)  # fmt: skip
FISHER = (
    *of_places("fisher_diag"),
    Variant("fisher_diag", "not_squared", "The weights are not squared.", "g in place of g^2",
            {"weight": np.abs}),
    Variant("fisher_diag", "unweighted", "The weights are ignored.",
            "the plain reconstruction loss",
            {"weight": np.ones_like}),
    Variant("fisher_diag", "one_added", "1 is added to the weights once more.",
            "|dL/dz| + 1 taken for |dL/dz|", {"weight": lambda g: (np.abs(g) + 1.0) ** 2}),
    *of_places("fisher_diag_backward"),
    Variant("fisher_diag_backward", "not_squared", "The weights are not squared.",
            "g in place of g^2",
            {"weight": np.abs}),
    Variant("fisher_diag_backward", "unweighted", "The weights are ignored.",
            "the gradient of the plain loss", {"weight": np.ones_like}),
    Variant("fisher_diag_backward", "no_two", NO_TWO, HALVED, {"two": 1.0}),
    Variant("fisher_diag_backward", "sign", SIGN, TARGET_MINUS, {"error": flipped}),
    *(Variant("fisher_full", name, says, why, {"dots": f}) for name, says, why, f in DOTS),
    Variant("fisher_full", "no_hundred", "The divisor 100 is missing.",
            "a constant of BRECQ's code",
            {"hundred": 1.0}),
    Variant("fisher_full", "signed", "Errors are summed with their signs.",
            "the absolute value left out",
            {"size": lambda d: d}),
    Variant("fisher_full", "summed", "The loss is summed, not averaged.",
            "a sum in place of the mean",
            {"gather": np.sum}),
    Variant("fisher_full", "mean_over_samples", "The loss is averaged over the samples only.",
            "batchmean", {"gather": lambda terms: np.sum(terms) / len(terms)}),
    *(Variant("fisher_full_backward", name, says, why, {"dots": f}) for name, says, why, f in DOTS),
    Variant("fisher_full_backward", "no_two", "S is held constant: the factor 2 is missing.",
            "half of the product rule", {"two": 1.0}),
    Variant("fisher_full_backward", "no_hundred", "The divisor 100 is missing.",
            "a constant of BRECQ's code", {"hundred": 1.0}),
    Variant("fisher_full_backward", "signed", "Errors are summed with their signs.",
            "the absolute value left out", {"size": lambda d: d}),
    Variant("fisher_full_backward", "no_sign", "The sign of the error is missing.",
            "the derivative of an absolute value without its sign", {"sign": np.ones_like}),
    Variant("fisher_full_backward", "sign", SIGN, TARGET_MINUS, {"error": flipped}),
    Variant("fisher_full_backward", "no_weight", "The outer factor g is missing.",
            "half of the chain rule", {"weight": np.ones_like}),
    Variant("fisher_full_backward", "summed", "The gradient is that of a sum.",
            "a sum in place of the mean", {"count": lambda d: 1}),
    Variant("fisher_full_backward", "mean_over_samples",
            "The loss is averaged over the samples only.",
            "batchmean", {"count": len}),
)  # fmt: skip
KL = (
    Variant("kl_logits", "reversed", "The divergence is the other one: KL(quantized || float).",
            "the arguments of kl_div exchanged", {"terms": reversed_terms}),
    Variant("kl_logits", "cross_entropy", "The entropy of the target is not subtracted.",
            "cross-entropy in place of KL", {"terms": lambda a, b: -np.exp(a) * b}),
    Variant("kl_logits", "mean_over_all", "The loss is averaged over the classes too.",
            "reduction mean in place of batchmean", {"gather": np.mean}),
    Variant("kl_logits", "sum", "The loss is summed over the samples.", "reduction sum",
            {"gather": np.sum}),
    Variant("kl_logits", "not_softened", COOL, "the temperature left out",
            {"cool": lambda logits, temperature: logits}),
    Variant("kl_logits", "multiplied_by_temperature", "The logits are multiplied by T.",
            "an inverse temperature", {"cool": lambda logits, temperature: logits * temperature}),
    Variant("kl_logits", "distillation_factor", "The loss is multiplied by T^2.",
            "knowledge distillation", {"scale": lambda temperature: temperature**2}),
    Variant("kl_logits", "over_samples", "The softmax runs over the samples.",
            "axis 0 in place of 1",
            {"log_softmax": lambda logits: plain.log_softmax(logits.T).T}),
    Variant("kl_logits", "overflows", "Large logits give NaN.",
            "exp without the shift by the maximum",
            {"log_softmax": lambda logits: np.log(overflowing(logits))}),
    Variant("kl_logits", *WARPS, {"log_softmax": warped_log}),
    Variant("kl_logits", "log_of_softmax", "Probabilities that underflow give infinity or NaN.",
            "log(softmax) in place of log_softmax", {"log_softmax": log_of_softmax}),
    Variant("kl_logits_backward", *WARPS, {"softmax": lambda logits: np.exp(warped_log(logits))}),
    Variant("kl_logits_backward", "sign", SIGN, TARGET_MINUS, {"error": flipped}),
    Variant("kl_logits_backward", "no_temperature", "The factor 1/T is missing.",
            "the chain rule through logits / T", {"divisor": lambda temperature, n, c: n}),
    Variant("kl_logits_backward", "distillation_factor", "The gradient is multiplied by T^2.",
            "knowledge distillation", {"divisor": lambda temperature, n, c: n / temperature}),
    Variant("kl_logits_backward", "sum", "The gradient is that of a sum over the samples.",
            "reduction sum", {"divisor": lambda temperature, n, c: temperature}),
    Variant("kl_logits_backward", "mean_over_all", "The loss is averaged over the classes too.",
            "reduction mean in place of batchmean",
            {"divisor": lambda temperature, n, c: temperature * n * c}),
    Variant("kl_logits_backward", "not_softened", COOL, "the temperature left out",
            {"cool": lambda logits, temperature: logits}),
    Variant("kl_logits_backward", "over_samples", "The softmax runs over the samples.",
            "axis 0 in place of 1", {"softmax": over_samples}),
    Variant("kl_logits_backward", "sigmoid",
            "Each class is compared on its own: a sigmoid, no softmax.",
            "binary cross-entropy on logits",
            {"softmax": lambda logits: 1.0 / (1.0 + np.exp(-logits))}),
    Variant("kl_logits_backward", "overflows", "Large logits give NaN.",
            "exp without the shift by the maximum", {"softmax": overflowing}),
)  # fmt: skip
VARIANTS = (*LP, *FISHER, *KL)
