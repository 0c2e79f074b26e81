"""Wrong foldings, fits, maps of batch norms and bias corrections."""

from typing import Any

import numpy as np

from refquant.oracle.families.adaqtransform import plain_closed as plain
from refquant.oracle.op import Variant


def fold(name: str, says: str, source: str, **parts: Any) -> Variant:
    """A wrong folding."""
    return Variant("adaqt_fold", name, says, source, parts)


FOLD = (
    fold("bias_scaled", "The bias is multiplied by xi.", "xi (y0 + b) + eta",
         offset=lambda bias, eta, xi: xi * bias + eta),
    fold("shift_scaled", "eta is multiplied by xi.", "xi (y0 + eta) + b",
         offset=lambda bias, eta, xi: bias + xi * eta),
    fold("shift_forgotten", "eta is left out of the offset.", "term forgotten",
         offset=lambda bias, eta, xi: bias + 0 * eta),
    fold("bias_forgotten", "The bias is left out of the offset.", "eta read as the new bias",
         offset=lambda bias, eta, xi: eta + 0 * bias),
    fold("scale_forgotten", "xi is left out of the scale.", "factor forgotten",
         scale=lambda xi, s_w, s_x: s_w * s_x),
    fold("input_step_forgotten", "s_x is left out of the scale.", "factor forgotten",
         scale=lambda xi, s_w, s_x: xi * s_w),
    fold("weight_step_forgotten", "s_w is left out of the scale.", "factor forgotten",
         scale=lambda xi, s_w, s_x: xi * s_x),
    fold("scale_positive", "The sign of xi is lost.", "fixed-point scales are positive (D33)",
         scale=lambda xi, s_w, s_x: np.abs(xi) * s_w * s_x),
)  # fmt: skip


def ols(name: str, says: str, source: str, **parts: Any) -> Variant:
    """A wrong fit."""
    return Variant("adaqt_ols", name, says, source, parts)


def sample_variance(variance: Any, p: Any, t: Any, axes: Any) -> Any:
    """Divided by n - 1."""
    n = int(np.prod([p.shape[axis] for axis in axes]))
    return variance * n / max(n - 1, 1)


OLS = (
    ols("not_centred", "Covariance and variance are taken about 0.",
        "regression through the origin", centre=lambda mean: 0 * mean),
    ols("bias_kept", "The bias is not taken off y.", "term forgotten",
        target=lambda y, bias: y + 0 * bias),
    ols("bias_by_position", "The bias is taken off by position where the sizes agree.",
        "broadcasting along the last axis",
        target=lambda y, bias: y - (bias[:, 0] if bias.size == y.shape[2] else bias)),
    ols("variance_padded", "1e-8 is added to the variance.", "an epsilon",
        variance=lambda variance, p, t, axes: variance + 1e-8),
    ols("bias_added", "The bias is added to y.", "sign", target=lambda y, bias: y + bias),
    ols("sample_variance", "The variance is divided by n - 1, the covariance by n.",
        "ddof (convention 5)", variance=sample_variance),
    ols("regression_reversed", "y0 is regressed on y.", "the roles exchanged",
        slope=lambda covariance, variance, of_target: of_target / covariance),
    ols("variance_of_target", "The covariance is divided by the variance of y.",
        "the roles exchanged",
        slope=lambda covariance, variance, of_target: covariance / of_target),
    ols("ratio_of_deviations", "xi is the ratio of standard deviations.", "moments matched",
        slope=lambda covariance, variance, of_target: np.sqrt(of_target / variance)),
    ols("flat_is_zero", "xi is 0 where y0 does not vary.", "0 / 0 guarded by a zero (C20)",
        if_flat=0),
    ols("flat_is_nan", "xi is NaN where y0 does not vary.", "no guard of the division (C20)",
        flat=lambda same: np.zeros_like(same)),
    ols("shift_of_means", "eta is mean(y - b - y0), whatever xi.", "bias correction",
        eta=lambda t_mean, xi, p_mean: t_mean - p_mean),
    ols("shift_scaled", "eta is mean(y - b) / xi - mean(y0): inside the scale.", "xi (y0 + eta)",
        eta=lambda t_mean, xi, p_mean: t_mean / np.where(xi == 0, 1, xi) - p_mean),
    ols("sum_of_squares", "mse is a sum.", "sum against mean",
        mse=lambda error, axes: (error * error).sum(axis=axes, keepdims=True)),
    ols("rmse", "mse is its root.", "root",
        mse=lambda error, axes: np.sqrt((error * error).mean(axis=axes, keepdims=True))),
    ols("always_per_channel", "The fit of a layer is that of its first channel.",
        "granularity ignored",
        axes=lambda kind: plain.AXES["channel" if kind == "pixel" else kind]),
)  # fmt: skip


def norms(name: str, says: str, source: str, **parts: Any) -> tuple[Variant, Variant]:
    """The same slip in both maps."""
    pair = ("bn_to_xieta", "xieta_to_bn")
    first, second = (Variant(op, name, says, source, parts) for op in pair)
    return first, second


NORMS = (
    *norms("bias_ignored", "The layer's bias is left out.", "a convolution without bias",
           centre=lambda inputs: -inputs["mean"]),
    *norms("bias_unscaled", "The layer's bias is added without gamma / sd.",
           "AT eq.10 as printed (D19)",
           moved=lambda centre, d_gamma, inputs: -inputs["mean"] * d_gamma / inputs["sd"] +
               plain.bias_of(inputs, d_gamma)),
    *norms("mean_forgotten", "The mean of the norm is left out.", "term forgotten",
           centre=lambda inputs: plain.bias_of(inputs, inputs["mean"])),
    *norms("mean_added", "The mean of the norm is added instead of taken off.", "sign",
           centre=lambda inputs: plain.bias_of(inputs, inputs["mean"]) + inputs["mean"]),
    *norms("sd_forgotten", "The change of gamma is not divided by sd.", "factor forgotten",
           moved=lambda centre, d_gamma, inputs: centre * d_gamma),
    *norms("by_variance", "The change of gamma is divided by sd^2.", "var in place of sd",
           moved=lambda centre, d_gamma, inputs: centre * d_gamma / inputs["sd"] ** 2),
    *norms("change_forgotten", "The move of the mean is left out: only shifts count.",
           "term forgotten", moved=lambda centre, d_gamma, inputs: 0 * d_gamma),
    *norms("move_reversed", "The move of the mean has the wrong sign.", "sign",
           moved=lambda centre, d_gamma, inputs: -centre * d_gamma / inputs["sd"]),
    Variant("bn_to_xieta", "scale_reversed", "xi is gamma0 / gamma.", "the roles exchanged",
            {"scale": lambda gamma, gamma0: gamma0 / gamma}),
    Variant("bn_to_xieta", "scale_is_gamma", "xi is gamma itself.", "an un-folded weight",
            {"scale": lambda gamma, gamma0: gamma}),
    Variant("bn_to_xieta", "shift_is_beta", "eta holds beta instead of beta - beta0.",
            "the folded bias counted twice", {"shift": lambda beta, beta0: beta}),
    Variant("xieta_to_bn", "scale_divides", "gamma is gamma0 / xi.", "the roles exchanged",
            {"scale": lambda xi, gamma0: gamma0 / xi}),
    Variant("xieta_to_bn", "shift_is_eta", "beta is eta without beta0.", "term forgotten",
            {"shift": lambda eta, beta0: eta}),
    Variant("xieta_to_bn", "shift_reversed", "beta is beta0 - eta.", "sign",
            {"shift": lambda eta, beta0: beta0 - eta}),
)  # fmt: skip


def bias(name: str, says: str, source: str, **parts: Any) -> Variant:
    """A wrong bias correction."""
    return Variant("bias_correct", name, says, source, parts)


BIAS = (
    bias("reversed", "The mean error is taken off instead of added: it doubles.", "sign",
         error=lambda y, y_hat, bias: y_hat - y),
    bias("replaced", "The new bias is the mean error alone.", "term forgotten",
         corrected=lambda bias, mean: mean),
    bias("counted_twice", "y_hat is taken to come without its bias.", "the bias counted twice",
         error=lambda y, y_hat, bias: y - y_hat - bias),
    bias("sum", "Errors are added instead of averaged.", "sum against mean",
         mean=lambda error: error.sum(axis=(0, 2))),
    bias("mean_of_layer", "All channels share one correction.", "axis",
         mean=lambda error: np.full(error.shape[1], error.mean(), error.dtype)),
    bias("mean_over_samples", "Only the first position is averaged.", "axis",
         mean=lambda error: error[:, :, 0].mean(axis=0)),
    bias("one_warp", "Only the first 32 errors of a channel are added.", "a reduction of one warp",
         mean=lambda error: np.moveaxis(error, 1, 0).reshape(error.shape[1], -1)[:, :32].sum(1) /
             error[:, 0].size),
    bias("mean_of_sizes", "The mean of the errors' sizes is added.", "an absolute value",
         error=lambda y, y_hat, bias: np.abs(y - y_hat)),
    bias("median", "The median error is added.", "a robust mean",
         mean=lambda error: np.median(error, axis=(0, 2))),
)  # fmt: skip
VARIANTS_CLOSED = FOLD + OLS + NORMS + BIAS
