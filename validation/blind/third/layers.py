"""Wrong versions of linear layers, frozen batch norms and ReLUs, as vector code goes wrong."""

import numpy as np

from validation.blind.third.common import estimated_rsqrt

FILTERS = 4
LANES = 8
PANEL = 64


def _arrays(inputs, *names):
    """Return the named inputs in double precision."""
    return [np.asarray(inputs[name], np.float64) for name in names]


def _channels(value, x):
    """Shape a value for each channel so that it broadcasts along axis 1 of x."""
    return value.reshape(1, -1, *[1] * (x.ndim - 2))


def _per_channel_sum(value):
    """Sum over every axis but the channels'."""
    return value.sum(axis=tuple(i for i in range(value.ndim) if i != 1))


def linear(inputs, attrs, bug=""):
    """Multiply by a matrix and add a bias."""
    x, w = _arrays(inputs, "x", "w")
    features = x.shape[1]
    y = x @ w.T
    if bug == "overlapping_tail" and features > LANES and features % LANES:
        again = slice(features - LANES, features - features % LANES)
        y = y + x[:, again] @ w[:, again].T
    if inputs.get("bias") is not None:
        panels = -(-features // PANEL) if bug == "panel_bias" else 1
        y = y + panels * np.asarray(inputs["bias"], np.float64)
    return {"y": y}


def linear_backward(inputs, attrs, bug=""):
    """Pass gradients through a linear layer."""
    d_y, x, w = _arrays(inputs, "d_y", "x", "w")
    c_out = w.shape[0]
    last = (c_out - 1) // PANEL * PANEL if bug == "panel_stored" else 0
    d_x = d_y[:, last:] @ w[last:]
    even = len(x) - len(x) % 2
    kept = slice(even if bug == "row_pairs" and even else None)
    return {"d_x": d_x, "d_w": d_y[kept].T @ x[kept], "d_bias": d_y.sum(0)}


def bn_infer(inputs, attrs, bug=""):
    """Normalise every channel with frozen statistics."""
    x, gamma, beta, mean, var = _arrays(inputs, "x", "gamma", "beta", "mean", "var")
    inverse = 1 / np.sqrt(var + attrs["eps"])
    if bug == "estimated_root":
        inverse = estimated_rsqrt(var + attrs["eps"])
    elif bug == "guarded_variance":
        inverse = 1 / np.sqrt(np.maximum(var, attrs["eps"]))
    if bug == "lane_cycle":
        channel = (np.arange(x.size) % x.shape[1]).reshape(x.shape)
        scale, shift, mean = (gamma * inverse)[channel], beta[channel], mean[channel]
    else:
        scale, shift, mean = (_channels(v, x) for v in (gamma * inverse, beta, mean))
    return {"y": scale * (x - mean) + shift}


def bn_infer_backward(inputs, attrs, bug=""):
    """Pass gradients through a batch norm whose statistics are constants."""
    d_y, x, gamma, mean, var = _arrays(inputs, "d_y", "x", "gamma", "mean", "var")
    inverse = 1 / np.sqrt(var + attrs["eps"])
    d_x = d_y * _channels(gamma * inverse, x)
    total = _per_channel_sum(d_y[-1:] if bug == "last_image" else d_y)
    centre = 0.0 if bug == "uncentred" else _channels(mean, x)
    d_gamma = _per_channel_sum(d_y * (x - centre)) * inverse
    return {"d_x": d_x, "d_gamma": d_gamma, "d_beta": total}


def bn_fold(inputs, attrs, bug=""):
    """Fold a batch norm into the convolution or linear layer before it."""
    w, gamma, beta, mean, var = _arrays(inputs, "w", "gamma", "beta", "mean", "var")
    scale = gamma / np.sqrt(var + attrs["eps"])
    factor = scale.reshape(-1, *[1] * (w.ndim - 1))
    c_out, part = len(w), len(w) % FILTERS
    if bug == "folded_twice" and part and c_out > FILTERS:
        factor = factor.copy()
        factor[c_out - FILTERS : c_out - part] **= 2
    if inputs.get("bias") is not None:
        shift = np.asarray(inputs["bias"], np.float64) - mean
    else:
        shift = 0.0 if bug == "null_bias" else -mean
    return {"w_folded": w * factor, "bias_folded": beta + scale * shift}


@np.errstate(all="ignore")
def relu(inputs, attrs, bug=""):
    """Keep what is positive, and NaN."""
    x = np.asarray(inputs["x"], np.float64)
    if bug == "max_instruction":
        return {"y": np.asarray(np.where(x > 0, x, 0.0))}
    if bug == "mask_multiplied":
        return {"y": np.asarray(x * ~(x < 0))}
    return {"y": np.asarray(np.maximum(x, 0.0))}


@np.errstate(all="ignore")
def relu_backward(inputs, attrs, bug=""):
    """Pass the gradient where x is above 0."""
    d_y, x = _arrays(inputs, "d_y", "x")
    mask = x > 0
    if bug == "sign_bit":
        mask = ~np.signbit(x) & ~np.isnan(x)
    elif bug == "unordered":
        mask = ~(x <= 0)
    elif bug == "mask_multiplied":
        return {"d_x": np.asarray(d_y * mask)}
    return {"d_x": np.asarray(np.where(mask, d_y, 0.0))}


OPS = {
    "linear": linear,
    "linear_backward": linear_backward,
    "bn_infer": bn_infer,
    "bn_infer_backward": bn_infer_backward,
    "bn_fold": bn_fold,
    "relu": relu,
    "relu_backward": relu_backward,
}

BUGS = [
    ("linear", "overlapping_tail", "loads the last 8 features again and adds those it shares"),
    ("linear", "panel_bias", "adds the bias with every panel of 64 features"),
    ("linear_backward", "panel_stored", "stores d_x for each panel of 64 outputs, never adds"),
    ("linear_backward", "row_pairs", "takes rows in pairs for d_w, without the last odd one"),
    ("bn_infer", "estimated_root", "1 / sd from the estimate of twelve bits, no Newton step"),
    ("bn_infer", "guarded_variance", "uses max(var, eps) under the root, not var + eps"),
    ("bn_infer", "lane_cycle", "parameters by flat index modulo c, right without axes after them"),
    ("bn_infer_backward", "uncentred", "sums d_y x without taking off the mean's share"),
    ("bn_infer_backward", "last_image", "overwrites d_beta with the sum of each image"),
    ("bn_fold", "folded_twice", "four filters at a time in place: the last four overlap others"),
    ("bn_fold", "null_bias", "skips the mean together with the bias where there is no bias"),
    ("relu", "max_instruction", "uses max(x, 0) with the operands so that NaN gives 0"),
    ("relu", "mask_multiplied", "multiplies by a mask, so that minus infinity gives NaN"),
    ("relu_backward", "sign_bit", "masks by the sign bit: the gradient passes at +0"),
    ("relu_backward", "unordered", "negates x <= 0: the gradient passes where x is NaN"),
    ("relu_backward", "mask_multiplied", "d_y times the mask: an infinite one gives NaN below 0"),
]
