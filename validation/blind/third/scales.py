"""Scales that move ranges between tensors: SmoothQuant, OS+, RepQ-ViT, CLE."""

import numpy as np


def smoothquant_scale(inputs, attrs, bug=""):
    """Give SmoothQuant's scale of each channel."""
    x_max, w_max = np.asarray(inputs["x_max"], float), np.asarray(inputs["w_max"], float)
    alpha = attrs["alpha"]
    if bug == "alpha_of_weights":
        alpha = 1.0 - alpha
    if bug == "floors_both":
        x_max = np.maximum(x_max, 1e-5)
    w_max = np.maximum(w_max, 1e-5)
    if bug == "square_roots":
        return {"scale": np.maximum((x_max / w_max) ** alpha, 1e-5)}
    return {"scale": np.maximum(x_max**alpha / w_max ** (1.0 - alpha), 1e-5)}


def osplus_shift_scale(inputs, attrs, bug=""):
    """Give the middle of each channel and its scale at a threshold."""
    low, high = np.asarray(inputs["low"], float), np.asarray(inputs["high"], float)
    threshold = attrs["threshold"]
    shift = (high + low) / 2
    centre = 0.0 if bug == "unshifted_ends" else shift
    scale = np.maximum((high - centre) / threshold, (low - centre) / -threshold)
    least = np.where(scale > 0, scale, 1.0) if bug == "shrinks_too" else np.maximum(1.0, scale)
    return {"shift": shift, "scale": least}


def repq_reparam(inputs, attrs, bug=""):
    """Give one step and zero point for all channels, and the change that leads there."""
    s = np.asarray(inputs["s"], float)
    zero_point = np.asarray(inputs["zero_point"]).astype(float)
    common_s = s.mean()
    mean = zero_point.mean()
    common = np.floor(mean + 0.5) if bug == "half_up" else np.rint(mean)
    used = mean if bug == "fractional_offset" else common
    step = s if bug == "own_step" else common_s
    return {
        "common_s": common_s,
        "common_zero_point": np.asarray(common, dtype=np.int32),
        "ratio": s / common_s,
        "offset": step * (used - zero_point),
    }


def cle_scale(inputs, attrs, bug=""):
    """Give the scale that equalizes the ranges of two layers."""
    r1, r2 = np.asarray(inputs["r1"], float), np.asarray(inputs["r2"], float)
    dead = (r1 == 0) | (r2 == 0)
    if bug == "dead_reader":
        dead = r1 == 0
    below = np.where(dead, 1.0, r1)
    scale = np.sqrt(r2) / np.sqrt(below)
    if bug == "by_product":
        scale = np.sqrt(below * r2) / below
    if bug == "dead_not_clipped":
        low, high = attrs["clip"] or (0.0, np.inf)
        return {"scale": np.where(dead, 1.0, np.clip(scale, low, high))}
    scale = np.where(dead, 1.0, scale)
    if attrs["clip"] is not None:
        scale = np.clip(scale, *attrs["clip"])
    return {"scale": scale}


OPS = {
    "smoothquant_scale": smoothquant_scale,
    "osplus_shift_scale": osplus_shift_scale,
    "repq_reparam": repq_reparam,
    "cle_scale": cle_scale,
}

BUGS = [
    ("smoothquant_scale", "alpha_of_weights", "swaps alpha and 1 - alpha, the same at 1/2"),
    ("smoothquant_scale", "floors_both", "floors x_max at 1e-5 too, so silent channels differ"),
    ("smoothquant_scale", "square_roots", "is (x_max / w_max)^alpha, right at 1/2 alone"),
    ("osplus_shift_scale", "unshifted_ends", "scales by the ends before the shift"),
    ("osplus_shift_scale", "shrinks_too", "lets channels within the threshold scale below 1"),
    ("repq_reparam", "half_up", "rounds the mean zero point half up"),
    ("repq_reparam", "fractional_offset", "offsets to the unrounded mean, as released code does"),
    ("repq_reparam", "own_step", "multiplies the offset by the step of the channel"),
    ("cle_scale", "dead_reader", "gives 0 where only the second layer's channel is dead"),
    ("cle_scale", "by_product", "multiplies the ranges first, which under- or overflows"),
    ("cle_scale", "dead_not_clipped", "leaves 1 for dead channels where the clip excludes 1"),
]
