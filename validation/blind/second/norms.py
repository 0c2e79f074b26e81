"""Batch norm as an output transform and bias correction, right and wrong."""

import numpy as np


def floats(inputs, *names):
    """Inputs by name as float64 arrays."""
    return [np.asarray(inputs[name], np.float64) for name in names]


def bn_to_xieta(inputs, attrs, bug=""):
    """Output transform with the effect of training a folded batch norm."""
    gamma, beta, gamma0, beta0, mean, sd = floats(
        inputs, "gamma", "beta", "gamma0", "beta0", "mean", "sd"
    )
    bias = np.asarray(inputs.get("bias", np.zeros_like(mean)), np.float64)
    if bug == "bias_unscaled":
        bias = np.zeros_like(mean)
    xi = gamma / gamma0
    if bug == "magnitude":
        xi = gamma / np.abs(gamma0)
    growth = gamma - gamma0
    if bug == "float32_growth":
        growth = gamma.astype(np.float32) - gamma0.astype(np.float32)
    elif bug == "relative_growth":
        growth = xi - 1
    shift = (bias - mean) * growth / sd
    if bug == "variance":
        shift = shift / sd
    if bug == "no_bias_no_shift" and "bias" not in inputs:
        shift = np.zeros_like(mean)
    return {"xi": xi, "eta": (beta - beta0) + shift}


def xieta_to_bn(inputs, attrs, bug=""):
    """Batch norm with the effect of an output transform."""
    xi, eta, gamma0, beta0, mean, sd = floats(inputs, "xi", "eta", "gamma0", "beta0", "mean", "sd")
    bias = np.asarray(inputs.get("bias", np.zeros_like(mean)), np.float64)
    gamma = xi * gamma0
    growth = gamma - gamma0
    if bug == "in_place":
        growth = gamma - gamma
    elif bug == "growth_of_xi":
        growth = xi - 1
    if bug == "mean_only":
        bias = np.zeros_like(mean)
    shift = (bias - mean) * growth / sd
    if bug == "no_bias_no_shift" and "bias" not in inputs:
        shift = np.zeros_like(mean)
    return {"gamma": gamma, "beta": beta0 + eta - shift}


def bias_correct(inputs, attrs, bug=""):
    """Bias that removes the mean error of each channel."""
    y, y_hat, bias = floats(inputs, "y", "y_hat", "bias")
    if bug == "bias_twice":
        y_hat = y_hat + bias[:, None]
    if bug == "square_transposed" and y.shape[1] == y.shape[2]:
        y, y_hat = y.swapaxes(1, 2), y_hat.swapaxes(1, 2)
    if bug == "odd_sample" and y.shape[0] > 1:
        whole = y.shape[0] // 2 * 2
        y, y_hat = y[:whole], y_hat[:whole]
    if bug == "float32_means":
        means = [np.mean(v.astype(np.float32), axis=(0, 2)) for v in (y, y_hat)]
        return {"corrected": np.asarray(bias + (means[0] - means[1]), np.float64)}
    error = np.mean(y - y_hat, axis=(0, 2))
    if bug == "sum_of_positions":
        error = error * y.shape[2]
    return {"corrected": bias + error}


OPS = {"bn_to_xieta": bn_to_xieta, "xieta_to_bn": xieta_to_bn, "bias_correct": bias_correct}

BUGS = [
    ("bn_to_xieta", "bias_unscaled", "adds the layer's bias behind the norm, as eq. 10 prints"),
    ("bn_to_xieta", "magnitude", "divides by |gamma0|"),
    ("bn_to_xieta", "float32_growth", "takes gamma - gamma0 in float32, where it cancels"),
    ("bn_to_xieta", "relative_growth", "multiplies by xi - 1 instead of gamma - gamma0"),
    ("bn_to_xieta", "variance", "divides by the variance instead of its root"),
    ("bn_to_xieta", "no_bias_no_shift", "drops the mean too where there is no bias"),
    ("xieta_to_bn", "in_place", "overwrites gamma0 with gamma before it takes the difference"),
    ("xieta_to_bn", "growth_of_xi", "multiplies by xi - 1 instead of gamma - gamma0"),
    ("xieta_to_bn", "mean_only", "ignores the layer's bias"),
    ("xieta_to_bn", "no_bias_no_shift", "drops the mean too where there is no bias"),
    ("bias_correct", "bias_twice", "adds the bias to outputs that include it"),
    ("bias_correct", "square_transposed", "averages over channels where they equal positions"),
    ("bias_correct", "odd_sample", "takes samples in pairs and drops an odd last one"),
    ("bias_correct", "float32_means", "subtracts float32 means of outputs with an offset"),
    ("bias_correct", "sum_of_positions", "averages over the samples but sums over positions"),
]
