"""Mixing of real and quantized values: QDrop, annealed mixup, annealed softmax."""

import numpy as np


def qdrop_mix(inputs, attrs, bug=""):
    """Keep the quantized value where the mask says so."""
    x, x_q = np.asarray(inputs["x"], float), np.asarray(inputs["x_q"], float)
    mask = np.asarray(inputs["mask"]) != 0
    if bug == "multiplies":
        return {"y": mask * x_q + (1.0 - mask) * x}
    if bug == "rescues_nan":
        mask = mask & ~np.isnan(x_q)
    return {"y": np.where(mask, x_q, x)}


def qdrop_mix_backward(inputs, attrs, bug=""):
    """Split the gradient between both values."""
    mask = np.asarray(inputs["mask"]) != 0
    d_y = np.asarray(inputs["d_y"], float)
    d_x = np.where(mask, 0.0, d_y)
    if bug == "straight_past":
        d_x = d_y.copy()
    d_x_q = np.where(mask, d_y, 0.0)
    if bug == "dropout_scaling" and mask.any():
        d_x_q = d_x_q / mask.mean()
    return {"d_x": d_x, "d_x_q": d_x_q}


def amixup(inputs, attrs, bug=""):
    """Mix values with their quantized selves by a share."""
    x, x_q = np.asarray(inputs["x"], float), np.asarray(inputs["x_q"], float)
    share = np.broadcast_to(np.asarray(inputs["share"], float), x.shape)
    y = share * x + (1.0 - share) * x_q
    if bug == "one_product":
        y = x_q + share * (x - x_q)
    if bug == "no_selection":
        return {"y": y}
    return {"y": np.where(share == 1.0, x, np.where(share == 0.0, x_q, y))}


def amixup_backward(inputs, attrs, bug=""):
    """Split the gradient between both values by the share."""
    d_y = np.asarray(inputs["d_y"], float)
    share = np.broadcast_to(np.asarray(inputs["share"], float), d_y.shape)
    d_x_q = d_y.copy() if bug == "whole_to_quantizer" else (1.0 - share) * d_y
    return {"d_x": share * d_y, "d_x_q": d_x_q}


def _levels(inputs, attrs, bug=""):
    """Give u, steps, zero point, ends, softmax and soft level of each weight."""
    w = np.asarray(inputs["w"], float)
    bits, grid = attrs["bits"], attrs["grid"]
    low, high = {
        "unsigned": (0, 2**bits - 1),
        "affine": (0, 2**bits - 1),
        "signed": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1),
        "narrow": (-(2 ** (bits - 1)) + 1, 2 ** (bits - 1) - 1),
    }[grid]
    s, z = np.asarray(inputs["s"], float), np.asarray(inputs.get("zero_point", 0))
    shape = s.shape + (1,) * (w.ndim - 1) if s.ndim else ()
    s, z = s.reshape(shape), (z.reshape(shape) if z.ndim else z)
    logits = np.asarray(inputs["logits"], float)
    if bug == "no_shift":
        e = np.exp(logits / attrs["temperature"])
    else:
        e = np.exp((logits - logits.max(axis=-1, keepdims=True)) / attrs["temperature"])
    pi = e / e.sum(axis=-1, keepdims=True)
    offsets = np.asarray(attrs["offsets"], float)
    u = w / s
    soft = np.where(np.isnan(u), 0.0, np.floor(u) + pi @ offsets)
    if bug == "nan_plus_offset":
        soft = np.where(np.isnan(u), pi @ offsets, soft)
    return u, s, z, low - z, high - z, pi, soft, offsets


def asoftmax(inputs, attrs, bug=""):
    """Give soft weights between neighbouring levels and the hard codes."""
    u, s, z, n, p, pi, soft, offsets = _levels(inputs, attrs, bug)
    logits = np.asarray(inputs["logits"], float)
    best = np.argmax(pi if bug == "largest_share" else logits, axis=-1)
    floor = np.floor(u)
    if bug == "clips_floor":
        hard = np.clip(np.clip(floor, n, p) + offsets[best], n, p)
    else:
        hard = np.clip(floor + offsets[best], n, p)
    hard = np.where(np.isnan(u), 0.0, hard)
    return {"w_hat": s * np.clip(soft, n, p), "codes": (hard + z).astype(np.int32)}


def asoftmax_backward(inputs, attrs, bug=""):
    """Give the gradient of the logits."""
    u, s, _, n, p, pi, soft, offsets = _levels(inputs, attrs)
    d_w_hat = np.asarray(inputs["d_w_hat"], float)
    inside = (n <= soft) & (soft <= p)
    if bug == "ends_blocked":
        inside = (n < soft) & (soft < p)
    if bug == "mask_of_floor":
        inside = (n <= np.floor(u)) & (np.floor(u) <= p)
    inside = inside & np.isfinite(u)
    around = offsets - (pi @ offsets)[..., None]
    tau = 1.0 if bug == "no_temperature" else attrs["temperature"]
    front = np.where(inside, d_w_hat * s, 0.0)
    return {"d_logits": front[..., None] * pi * around / tau}


OPS = {
    "qdrop_mix": qdrop_mix,
    "qdrop_mix_backward": qdrop_mix_backward,
    "amixup": amixup,
    "amixup_backward": amixup_backward,
    "asoftmax": asoftmax,
    "asoftmax_backward": asoftmax_backward,
}

BUGS = [
    ("qdrop_mix", "multiplies", "is NaN where the value that is not kept is NaN or infinite"),
    ("qdrop_mix", "rescues_nan", "falls back to x where the kept quantized value is NaN"),
    ("qdrop_mix_backward", "straight_past", "sends the whole gradient past the quantizer too"),
    ("qdrop_mix_backward", "dropout_scaling", "divides by the share of kept values"),
    ("amixup", "one_product", "is NaN where x is infinite and the share is between 0 and 1"),
    ("amixup", "no_selection", "is NaN at share 0 or 1 where the other value is not finite"),
    ("amixup_backward", "whole_to_quantizer", "passes d_y to the quantized value unscaled"),
    ("asoftmax", "no_shift", "overflows to NaN for large logits or a low temperature"),
    ("asoftmax", "largest_share", "takes the largest rounded share, the first where they tie"),
    ("asoftmax", "clips_floor", "clips the floor first, so a weight off the grid may move inside"),
    ("asoftmax", "nan_plus_offset", "gives NaN weights the mean offset instead of level 0"),
    ("asoftmax_backward", "ends_blocked", "stops the gradient where the level is at an end"),
    ("asoftmax_backward", "mask_of_floor", "masks by the floor, not by the soft level"),
    ("asoftmax_backward", "no_temperature", "forgets to divide by the temperature"),
]
