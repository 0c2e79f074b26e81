"""Losses as autograd functions of a tensor framework, each op with its plausible mistakes."""

import numpy as np


def floats(inputs, *names):
    """Inputs as float64."""
    return tuple(np.asarray(inputs[k], np.float64) for k in names)


def power_mean(power, axis):
    """Sum over the channels, mean over the rest."""
    return np.sum(power) * power.shape[axis] / power.size


def lp_rec_loss(inputs, attrs, bug=""):
    """Reconstruction loss: the p-th power of the output error."""
    z, t = floats(inputs, "z", "t")
    power = np.abs(z - t) ** attrs["p"]
    if attrs["reduction"] == "mean":
        return {"loss": np.mean(power)}
    if bug == "batch_mean":
        return {"loss": np.sum(power) / z.shape[0]}
    axis = 1 if bug == "second_axis" and z.ndim > 1 else attrs["channel_axis"]
    return {"loss": power_mean(power, axis)}


def lp_rec_loss_backward(inputs, attrs, bug=""):
    """The gradient of the reconstruction loss."""
    z, t = floats(inputs, "z", "t")
    p, d = attrs["p"], z - t
    axis = 1 if bug == "second_axis" and z.ndim > 1 else attrs["channel_axis"]
    count = z.size / z.shape[axis]
    if attrs["reduction"] == "mean" and bug != "mean_forgotten":
        count = z.size
    with np.errstate(divide="ignore", invalid="ignore"):
        if bug == "power_times_error":
            return {"d_z": p * np.abs(d) ** (p - 2.0) * d / count}
        return {"d_z": p * np.abs(d) ** (p - 1.0) * np.sign(d) / count}


def fisher_diag(inputs, attrs, bug=""):
    """Reconstruction loss weighted element by element."""
    z, t, g = floats(inputs, "z", "t", "g")
    axis = attrs["channel_axis"]
    if bug == "first_sample_weights":
        g = g[:1]
    power = (z - t) ** 2 * g**2
    if bug == "negative_axis_counted":
        rest = [size for i, size in enumerate(z.shape) if i != axis]
        return {"loss": np.sum(power) / np.prod(rest)}
    return {"loss": power_mean(power, axis)}


def fisher_diag_backward(inputs, attrs, bug=""):
    """The gradient of the loss weighted element by element."""
    z, t, g = floats(inputs, "z", "t", "g")
    count = z.size / z.shape[attrs["channel_axis"]]
    if bug == "batch_mean":
        count = z.shape[0]
    if bug == "inner_factor":
        return {"d_z": 2.0 * (z - t) * g / count}
    return {"d_z": 2.0 * (z - t) * g**2 / count}


def sample_sums(values, axes):
    """Sums over some axes, kept as axes of size 1."""
    return values.sum(axis=axes, keepdims=True)


def fisher_full(inputs, attrs, bug=""):
    """Reconstruction loss weighted by a matrix of rank one for each sample."""
    z, t, g = floats(inputs, "z", "t", "g")
    weighted = np.abs(z - t) * g
    sums = sample_sums(weighted, tuple(range(1, z.ndim)))
    if bug == "sums_channels" and z.ndim > 1:
        sums = sample_sums(weighted, (1,))
    if bug == "trailing_sums" and z.shape[-1] == z.shape[0]:
        sums = sums.reshape(-1)
    return {"loss": np.mean(sums * weighted) / 100.0}


def fisher_full_backward(inputs, attrs, bug=""):
    """The gradient of the loss weighted by a matrix of rank one for each sample."""
    z, t, g = floats(inputs, "z", "t", "g")
    d = z - t
    sums = sample_sums(np.abs(d) * g, tuple(range(1, z.ndim)))
    sign = np.where(d >= 0, 1.0, -1.0) if bug == "sign_by_where" else np.sign(d)
    factor = 1.0 if bug == "sum_detached" else 2.0
    return {"d_z": sign * factor * sums * g / (100.0 * z.size)}


def log_softmax(logits, axis=1):
    """Logarithms of the softmax of every row."""
    shifted = logits - logits.max(axis=axis, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def kl_logits(inputs, attrs, bug=""):
    """Divergence of the predictions of two networks."""
    z, t = (a / attrs["temperature"] for a in floats(inputs, "z", "t"))
    axis = None if bug == "one_maximum" else 1
    log_z, log_t = log_softmax(z, axis), log_softmax(t, axis)
    share = np.exp(log_t)
    with np.errstate(divide="ignore", invalid="ignore"):
        if bug == "logs_of_softmax":
            log_z, log_t = np.log(np.exp(log_z)), np.log(share)
        terms = np.where(share == 0, 0.0, share * (log_t - log_z))
    return {"loss": np.sum(terms) / (z.size if bug == "element_mean" else len(z))}


def kl_logits_backward(inputs, attrs, bug=""):
    """The gradient of the divergence in the logits of the quantized network."""
    z, t = floats(inputs, "z", "t")
    temperature = attrs["temperature"]
    teacher = t if bug == "teacher_cached" else t / temperature
    d = np.exp(log_softmax(z / temperature)) - np.exp(log_softmax(teacher))
    return {"d_z": d / len(z) if bug == "inner_temperature" else d / (temperature * len(z))}


OPS = {
    "lp_rec_loss": lp_rec_loss,
    "lp_rec_loss_backward": lp_rec_loss_backward,
    "fisher_diag": fisher_diag,
    "fisher_diag_backward": fisher_diag_backward,
    "fisher_full": fisher_full,
    "fisher_full_backward": fisher_full_backward,
    "kl_logits": kl_logits,
    "kl_logits_backward": kl_logits_backward,
}
BUGS = [
    ("lp_rec_loss", "batch_mean", "divides by the samples, not by their positions too"),
    ("lp_rec_loss", "second_axis", "takes axis 1 for the channels, also of tokens"),
    ("lp_rec_loss_backward", "power_times_error", "|d|^(p - 2) d is NaN at d = 0, p < 2"),
    ("lp_rec_loss_backward", "second_axis", "takes axis 1 for the channels, also of tokens"),
    ("lp_rec_loss_backward", "mean_forgotten", "reduction mean divides by numel / c"),
    ("fisher_diag", "first_sample_weights", "the first sample's weights are used for all"),
    ("fisher_diag", "negative_axis_counted", "axis -1 is not found: divides by all elements"),
    ("fisher_diag_backward", "batch_mean", "divides by the samples, not by their positions too"),
    ("fisher_diag_backward", "inner_factor", "the chain rule through (d g)^2 forgets a g"),
    ("fisher_full", "sums_channels", "S_n sums over the channels of a position alone"),
    ("fisher_full", "trailing_sums", "S_n of shape (n,) broadcasts along the last axis"),
    ("fisher_full_backward", "sum_detached", "S_n is taken for a constant: half the gradient"),
    ("fisher_full_backward", "sign_by_where", "sign(0) = 1: a gradient where z = t"),
    ("kl_logits", "logs_of_softmax", "log of a softmax that underflowed: infinite loss"),
    ("kl_logits", "element_mean", "divides by samples and classes"),
    ("kl_logits", "one_maximum", "subtracts one maximum of all rows: low rows underflow to NaN"),
    ("kl_logits_backward", "inner_temperature", "forgets the 1 / T of the inner derivative"),
    ("kl_logits_backward", "teacher_cached", "the teacher's softmax was cached without T"),
]
