"""AdaQTransform's output transform: folding, least squares, batch norm, bias correction."""

import numpy as np


def adaqt_fold(inputs, attrs, bug=""):
    """Fold everything behind an integer product into one scale and one offset."""
    xi, eta, s_w, s_x = (np.asarray(inputs[k], float) for k in ("xi", "eta", "s_w", "s_x"))
    bias = np.asarray(inputs.get("bias", np.zeros(eta.shape)), float)
    if bug == "bias_scaled":
        bias = xi * bias
    return {"st": xi * s_w * s_x, "bt": bias + eta}


def adaqt_ols(inputs, attrs, bug=""):
    """Fit xi and eta by least squares."""
    y, y0 = np.asarray(inputs["y"], float), np.asarray(inputs["y0"], float)
    if inputs.get("bias") is not None:
        y = y - np.asarray(inputs["bias"], float)[None, :, None]
    axes = {"channel": (0, 2), "layer": (0, 1, 2), "pixel": (0,)}[attrs["granularity"]]
    mean_y, mean_y0 = y.mean(axes, keepdims=True), y0.mean(axes, keepdims=True)
    cov = ((y - mean_y) * (y0 - mean_y0)).mean(axes)
    var = ((y0 - mean_y0) ** 2).mean(axes)
    flat = y0.max(axes) == y0.min(axes)
    if bug == "mixed_ddof":
        count = y.size // var.size
        cov = cov * count / max(count - 1, 1)
    if bug == "eps_in_var":
        var = var + 1e-5
    rest = 0.0 if bug == "flat_gives_zero" else 1.0
    xi = np.where(flat, rest, cov / np.where(flat, 1.0, var))
    full = np.expand_dims(xi, axes)
    eta = np.where(flat, (y - rest * y0).mean(axes), mean_y.reshape(xi.shape))
    eta = np.where(flat, eta, eta - xi * mean_y0.reshape(xi.shape))
    mse = ((y - full * y0 - np.expand_dims(eta, axes)) ** 2).mean(axes)
    if bug == "mse_by_correlation":
        var_y = ((y - mean_y) ** 2).mean(axes)
        rho2 = cov**2 / np.where(flat | (var_y == 0), 1.0, var * var_y)
        mse = (1.0 - np.where(flat, 1.0, rho2)) * var_y
    return {"xi": xi, "eta": eta, "mse": mse}


def _norm(inputs):
    """Give what both conversions of a batch norm read."""
    names = ("gamma0", "beta0", "mean", "sd")
    gamma0, beta0, mean, sd = (np.asarray(inputs[k], float) for k in names)
    bias = np.asarray(inputs.get("bias", np.zeros(mean.shape)), float)
    return gamma0, beta0, mean, sd, bias


def bn_to_xieta(inputs, attrs, bug=""):
    """Express a trained batch norm as an output transform."""
    gamma0, beta0, mean, sd, bias = _norm(inputs)
    gamma, beta = np.asarray(inputs["gamma"], float), np.asarray(inputs["beta"], float)
    centre = -mean if bug == "bias_unscaled" else bias - mean
    below = np.abs(gamma0) if bug == "size_of_gamma0" else gamma0
    return {"xi": gamma / below, "eta": beta - beta0 + centre * (gamma - gamma0) / sd}


def xieta_to_bn(inputs, attrs, bug=""):
    """Express an output transform as a batch norm."""
    gamma0, beta0, mean, sd, bias = _norm(inputs)
    xi, eta = np.asarray(inputs["xi"], float), np.asarray(inputs["eta"], float)
    gamma = xi * gamma0
    centre = -mean if bug == "bias_unscaled" else bias - mean
    change = xi - 1.0 if bug == "relative_change" else gamma - gamma0
    return {"gamma": gamma, "beta": beta0 + eta - centre * change / sd}


def bias_correct(inputs, attrs, bug=""):
    """Remove the mean error of each channel by its bias."""
    y, y_hat = np.asarray(inputs["y"], float), np.asarray(inputs["y_hat"], float)
    bias = np.asarray(inputs["bias"], float)
    error = (y - y_hat).mean(axis=(0, 2))
    if bug == "positions_summed":
        error = (y - y_hat).mean(axis=0).sum(axis=1)
    if bug == "replaces_bias":
        return {"corrected": error}
    return {"corrected": bias + error}


OPS = {
    "adaqt_fold": adaqt_fold,
    "adaqt_ols": adaqt_ols,
    "bn_to_xieta": bn_to_xieta,
    "xieta_to_bn": xieta_to_bn,
    "bias_correct": bias_correct,
}

BUGS = [
    ("adaqt_fold", "bias_scaled", "multiplies the bias by xi as well"),
    ("adaqt_ols", "mixed_ddof", "divides the covariance by N - 1 and the variance by N"),
    ("adaqt_ols", "eps_in_var", "adds 1e-5 to the variance, so small products get a low xi"),
    ("adaqt_ols", "flat_gives_zero", "gives xi = 0 and eta = mean(y - bias) where y0 is constant"),
    ("adaqt_ols", "mse_by_correlation", "gives mse 0 by (1 - rho^2) var(y) where y0 is constant"),
    ("bn_to_xieta", "bias_unscaled", "drops the bias from eta, as in the printed equation"),
    ("bn_to_xieta", "size_of_gamma0", "divides by |gamma0|, so xi loses its sign"),
    ("xieta_to_bn", "bias_unscaled", "drops the bias from beta, as in the printed equation"),
    ("xieta_to_bn", "relative_change", "takes xi - 1 for gamma - gamma0 in beta"),
    ("bias_correct", "replaces_bias", "returns the mean error without the old bias"),
    ("bias_correct", "positions_summed", "averages over samples and sums over positions"),
]
