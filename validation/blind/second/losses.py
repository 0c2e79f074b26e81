"""Reconstruction losses and a divergence, each with wrong versions that an engineer could write."""

import numpy as np


def _pair(inputs, bug=""):
    """The two outputs as floats, and their difference."""
    z, t = np.asarray(inputs["z"], float), np.asarray(inputs["t"], float)
    if bug == "float32_difference":
        return z, t, (z.astype(np.float32) - t.astype(np.float32)).astype(float)
    return z, t, z - t


def _positions(shape, attrs, bug=""):
    """The number of positions that a loss is averaged over."""
    size = int(np.prod(shape))
    if bug == "batch_only":
        return shape[0]
    if bug == "square_maps" and len(shape) == 4:
        return shape[0] * shape[2] * shape[2]
    if bug == "all_elements":
        return size
    axis = 1 if bug == "axis_ignored" else int(attrs["channel_axis"])
    if attrs.get("reduction") == "mean" and bug != "mean_ignored":
        return size
    return size // shape[axis]


def lp_rec_loss(inputs, attrs, bug=""):
    """The p-th power of the output error."""
    z, t, d = _pair(inputs, bug)
    p = float(attrs["p"])
    if bug == "exponent_truncated":
        p = float(int(p))
    with np.errstate(invalid="ignore"):
        powers = d**p if bug == "abs_missing" else np.abs(d) ** p
    if bug == "square_expanded" and p == 2.0:
        powers = z * z - 2.0 * z * t + t * t
    return {"loss": np.asarray(powers.sum() / _positions(z.shape, attrs, bug))}


def lp_rec_loss_backward(inputs, attrs, bug=""):
    """The gradient of the reconstruction loss."""
    z, _, d = _pair(inputs, bug)
    p, sign = float(attrs["p"]), np.sign(d)
    if bug == "sign_of_zero":
        sign = np.where(d >= 0.0, 1.0, -1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = p * np.abs(d) ** (p - 1.0) * sign
        if bug == "factor_two":
            slope = 2.0 * np.abs(d) ** (p - 1.0) * sign
        elif bug == "divides_by_error":
            slope = p * np.abs(d) ** p / d
        elif bug == "log_with_eps":
            slope = p * np.exp((p - 1.0) * np.log(np.abs(d) + 1e-8)) * sign
    return {"d_z": slope / _positions(z.shape, attrs, bug)}


def _weights(inputs, bug=""):
    """The weights of the elements."""
    g = np.asarray(inputs["g"], float)
    if bug == "adds_one":
        return g + 1.0
    if bug == "first_sample":
        return np.broadcast_to(g[:1], g.shape)
    return g


def fisher_diag(inputs, attrs, bug=""):
    """Reconstruction loss weighted element by element."""
    z, _, d = _pair(inputs, bug)
    g = _weights(inputs, bug) ** (1 if bug == "weight_once" else 2)
    return {"loss": np.asarray(np.sum(d**2 * g) / _positions(z.shape, attrs, bug))}


def fisher_diag_backward(inputs, attrs, bug=""):
    """The gradient of the loss weighted element by element."""
    z, _, d = _pair(inputs, bug)
    return {"d_z": 2.0 * d * _weights(inputs, bug) ** 2 / _positions(z.shape, attrs, bug)}


def _rank_one(inputs, bug=""):
    """Error, weighted size of the error, and its sum over every sample."""
    z, _, d = _pair(inputs, bug)
    g, sized = np.asarray(inputs["g"], float), np.abs(d)
    if bug == "sign_kept":
        sized = d
    a = np.abs(d * g) if bug == "size_of_product" else sized * g
    if bug == "batch_summed":
        return d, g, a, a.sum()
    if bug == "channels_summed":
        return d, g, a, a.sum(axis=1, keepdims=True)
    s = a.reshape(z.shape[0], -1).sum(axis=1)
    if bug == "last_axis" and z.shape[-1] == z.shape[0]:
        return d, g, a, s
    return d, g, a, s.reshape((-1,) + (1,) * (z.ndim - 1))


def fisher_full(inputs, attrs, bug=""):
    """Reconstruction loss weighted by a matrix of rank one for each sample."""
    _, _, a, s = _rank_one(inputs, bug)
    if bug == "batch_only":
        return {"loss": np.asarray(np.sum(s * a) / a.shape[0] / 100.0)}
    return {"loss": np.asarray(np.mean(s * a) / 100.0)}


def fisher_full_backward(inputs, attrs, bug=""):
    """The gradient of the loss weighted by a matrix of rank one for each sample."""
    d, g, _, s = _rank_one(inputs, bug)
    sign = np.where(d >= 0.0, 1.0, -1.0) if bug == "sign_of_zero" else np.sign(d)
    factor = 1.0 if bug == "sum_detached" else 2.0
    if bug == "size_of_product":
        g = np.abs(g)
    return {"d_z": sign * factor * s * g / (100.0 * d.size)}


def _log_softmax(logits, temperature, bug=""):
    """Logarithms of the probabilities."""
    u = np.asarray(logits, float) / temperature
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        u = u - (u.max() if bug == "global_maximum" else u.max(axis=1, keepdims=True))
        e = np.exp(u)
        if bug == "last_warp_lost" and e.shape[1] > 32:
            e = e[:, : e.shape[1] // 32 * 32]
        total = e.sum(axis=1, keepdims=True)
        if bug == "log_of_softmax":
            return np.log(np.exp(u) / total)
        return u - np.log(total)


def kl_logits(inputs, attrs, bug=""):
    """Divergence of the predictions of two networks."""
    temperature = float(attrs["temperature"])
    log_z = _log_softmax(inputs["z"], temperature, bug)
    log_t = _log_softmax(inputs["t"], temperature, bug)
    n, c = log_z.shape
    if bug == "swapped":
        log_z, log_t = log_t, log_z
    with np.errstate(invalid="ignore", divide="ignore"):
        if bug == "eps_in_log":
            terms = np.exp(log_t) * (np.log(np.exp(log_t) + 1e-8) - np.log(np.exp(log_z) + 1e-8))
        elif bug == "entropy_dropped":
            terms = -np.exp(log_t) * log_z
        else:
            terms = np.exp(log_t) * (log_t - log_z)
        if bug == "temperature_squared":
            terms = terms * temperature**2
        return {"loss": np.asarray(terms.sum() / (n * c if bug == "classes_averaged" else n))}


def kl_logits_backward(inputs, attrs, bug=""):
    """The gradient of the divergence in the logits of the quantised network."""
    temperature = float(attrs["temperature"])
    p_z = np.exp(_log_softmax(inputs["z"], temperature, bug))
    p_t = np.exp(_log_softmax(inputs["t"], temperature, bug))
    if bug == "float32":
        p_z, p_t = p_z.astype(np.float32), p_t.astype(np.float32)
    d = (p_z - p_t).astype(float)
    scale = d.shape[0] * temperature
    if bug == "temperature_missing":
        scale = d.shape[0]
    elif bug == "temperature_squared":
        scale = d.shape[0] / temperature
    elif bug == "classes_averaged":
        scale = d.size * temperature
    return {"d_z": d / scale}


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
    ("lp_rec_loss", "axis_ignored", "channels are always axis 1, wrong for tokens"),
    ("lp_rec_loss", "mean_ignored", "reduction mean is ignored"),
    ("lp_rec_loss", "exponent_truncated", "p is cast to an integer: 2.4 becomes 2"),
    ("lp_rec_loss", "abs_missing", "the error keeps its sign, which even exponents hide"),
    ("lp_rec_loss", "square_expanded", "z^2 - 2 z t + t^2 cancels for large outputs"),
    ("lp_rec_loss", "batch_only", "divides by the batch only, right for rows but not for maps"),
    ("lp_rec_loss_backward", "sign_of_zero", "sign(0) is 1, seen for p = 1"),
    ("lp_rec_loss_backward", "factor_two", "the factor is 2 whatever p is"),
    ("lp_rec_loss_backward", "divides_by_error", "|d|^p / d gives NaN where z = t"),
    (
        "lp_rec_loss_backward",
        "log_with_eps",
        "the power is exp((p - 1) log(|d| + 1e-8)), off for small errors",
    ),
    ("lp_rec_loss_backward", "axis_ignored", "channels are always axis 1, wrong for tokens"),
    ("lp_rec_loss_backward", "mean_ignored", "reduction mean is ignored"),
    ("fisher_diag", "adds_one", "1 is added to weights that have it already"),
    ("fisher_diag", "first_sample", "every sample uses the weights of the first"),
    ("fisher_diag", "weight_once", "the weight is not squared"),
    ("fisher_diag", "axis_ignored", "channels are always axis 1, wrong for tokens"),
    ("fisher_diag", "batch_only", "divides by the batch only, right for rows but not for maps"),
    ("fisher_diag_backward", "axis_ignored", "channels are always axis 1, wrong for tokens"),
    ("fisher_diag_backward", "all_elements", "divides by all elements, channels included"),
    ("fisher_diag_backward", "square_maps", "counts positions as n h h, right for square maps"),
    ("fisher_diag_backward", "float32_difference", "z - t is taken in float32 and cancels"),
    ("fisher_full", "batch_summed", "S sums over the whole batch, right for one sample"),
    ("fisher_full", "channels_summed", "S sums over the channels only, right for rows"),
    ("fisher_full", "sign_kept", "z - t keeps its sign"),
    ("fisher_full", "size_of_product", "|(z - t) g| hides the sign of negative weights"),
    ("fisher_full", "last_axis", "S broadcasts along the last axis where its size is the batch's"),
    ("fisher_full_backward", "sum_detached", "S is held constant: the factor 2 is missing"),
    ("fisher_full_backward", "batch_summed", "S sums over the whole batch"),
    (
        "fisher_full_backward",
        "last_axis",
        "S broadcasts along the last axis where its size is the batch's",
    ),
    ("fisher_full_backward", "sign_of_zero", "sign(0) is 1: exact elements get a gradient"),
    ("fisher_full_backward", "size_of_product", "|g| stands for g"),
    (
        "kl_logits",
        "global_maximum",
        "the maximum of the whole batch is subtracted: low rows underflow to NaN",
    ),
    ("kl_logits", "log_of_softmax", "log of an underflown softmax: infinite or NaN"),
    ("kl_logits", "eps_in_log", "1e-8 is added to probabilities before the logarithm"),
    ("kl_logits", "swapped", "the two networks change places"),
    ("kl_logits", "temperature_squared", "multiplies by T^2, as in distillation"),
    ("kl_logits", "classes_averaged", "averages over classes too, as kl_div does by default"),
    (
        "kl_logits_backward",
        "global_maximum",
        "the maximum of the whole batch is subtracted: low rows underflow to NaN",
    ),
    ("kl_logits_backward", "temperature_missing", "1 / T of the chain rule is missing"),
    ("kl_logits_backward", "temperature_squared", "multiplies by T^2, as in distillation"),
    ("kl_logits_backward", "float32", "the difference of probabilities cancels in float32"),
    (
        "kl_logits_backward",
        "last_warp_lost",
        "more than 32 classes: the sum misses those beyond the last full warp",
    ),
]
