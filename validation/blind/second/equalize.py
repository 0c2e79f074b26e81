"""Redistribution between layers: scales and shifts, right and wrong."""

import numpy as np


def smoothquant_scale(inputs, attrs, bug=""):
    """Scale of each channel by SmoothQuant."""
    x_max = np.asarray(inputs["x_max"], np.float64)
    w_max = np.asarray(inputs["w_max"], np.float64)
    alpha = attrs["alpha"]
    rest = 1 - alpha
    if bug == "square_roots":
        alpha, rest = 0.5, 0.5
    elif bug == "swapped_strengths":
        alpha, rest = rest, alpha
    floor = 1e-8 if bug == "smaller_weight_floor" else 1e-5
    if bug == "inputs_floored":
        x_max = np.maximum(x_max, 1e-5)
    w_max = np.maximum(w_max, floor)
    if bug == "by_logarithms":
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = np.exp(alpha * np.log(x_max) - rest * np.log(w_max))
    else:
        scale = x_max**alpha / w_max**rest
    return {"scale": scale if bug == "no_floor" else np.maximum(scale, 1e-5)}


def osplus_shift_scale(inputs, attrs, bug=""):
    """Middle of each channel and its scale at a threshold."""
    low = np.asarray(inputs["low"], np.float64)
    high = np.asarray(inputs["high"], np.float64)
    threshold = attrs["threshold"]
    if bug == "half_sum":
        with np.errstate(over="ignore"):
            shift = ((low.astype(np.float16) + high.astype(np.float16)) / 2).astype(np.float64)
    else:
        shift = (high + low) / 2
    top, bottom = high - shift, low - shift
    if bug == "ends_not_shifted":
        top, bottom = high, low
    with np.errstate(invalid="ignore"):
        scale = np.maximum(top / threshold, bottom / -threshold)
    if bug == "one_scale":
        scale = np.full_like(scale, scale.max())
    least = threshold if bug == "floor_at_threshold" else 1.0
    return {"shift": shift, "scale": scale if bug == "no_floor" else np.maximum(least, scale)}


def repq_reparam(inputs, attrs, bug=""):
    """One step and zero point for all channels, and the change that leads there."""
    s = np.asarray(inputs["s"], np.float64)
    zero = np.asarray(inputs["zero_point"], np.int64)
    common = np.mean(s)
    middle = np.mean(zero)
    if bug == "byte_sum":
        middle = float(np.sum(zero) % 256) / zero.size
    rounded = np.rint(middle)
    if bug == "half_up":
        rounded = np.floor(middle + 0.5)
    elif bug == "truncated":
        rounded = np.trunc(middle)
    gap = (middle if bug == "fractional_offset" else rounded) - zero
    if bug == "byte_gap":
        gap = (rounded - zero).astype(np.int64).astype(np.int8).astype(np.float64)
    step = s if bug == "offset_by_own_step" else common
    return {
        "common_s": np.asarray(common),
        "common_zero_point": np.asarray(rounded).astype(np.int64),
        "ratio": s / common,
        "offset": step * gap,
    }


def cle_scale(inputs, attrs, bug=""):
    """Scale that gives both layers the same range."""
    r1 = np.asarray(inputs["r1"], np.float64)
    r2 = np.asarray(inputs["r2"], np.float64)
    clip = attrs["clip"]
    if bug == "clip_of_ppq" and clip is None:
        clip = [0.1, 10.0]
    zero = (r1 == 0) | (r2 == 0)
    if bug == "first_layer_only":
        zero = r1 == 0
    elif bug == "near_zero":
        zero = (r1 < 1e-8) | (r2 < 1e-8)
    divisor = r1 + 1e-8 if bug == "padded" else np.where(zero, 1.0, r1)
    scale = np.sqrt(r2 / divisor)
    scale = np.where(zero, 1.0, scale)
    if clip is not None:
        if bug == "squares_clipped":
            scale = np.sqrt(np.clip(scale**2, clip[0], clip[1]))
        else:
            scale = np.clip(scale, clip[0], clip[1])
    return {"scale": scale}


OPS = {
    "smoothquant_scale": smoothquant_scale,
    "osplus_shift_scale": osplus_shift_scale,
    "repq_reparam": repq_reparam,
    "cle_scale": cle_scale,
}

BUGS = [
    ("smoothquant_scale", "square_roots", "takes square roots whatever alpha is"),
    ("smoothquant_scale", "swapped_strengths", "gives weights alpha and inputs 1 - alpha"),
    ("smoothquant_scale", "smaller_weight_floor", "floors the weights at 1e-8"),
    ("smoothquant_scale", "inputs_floored", "floors the activations at 1e-5 as well"),
    ("smoothquant_scale", "by_logarithms", "takes logarithms, NaN for 0^0"),
    ("smoothquant_scale", "no_floor", "does not floor the scale, 0 for dead channels"),
    ("osplus_shift_scale", "half_sum", "adds the ends in float16, where they overflow"),
    ("osplus_shift_scale", "ends_not_shifted", "scales by the ends before the shift"),
    ("osplus_shift_scale", "one_scale", "takes the largest scale for all channels"),
    ("osplus_shift_scale", "floor_at_threshold", "floors the scale at the threshold, not at 1"),
    ("osplus_shift_scale", "no_floor", "widens channels that are within the threshold"),
    ("repq_reparam", "byte_sum", "adds the zero points in a byte"),
    ("repq_reparam", "half_up", "rounds ties of the common zero point up"),
    ("repq_reparam", "truncated", "truncates the common zero point"),
    ("repq_reparam", "fractional_offset", "takes the offset with the mean before rounding"),
    ("repq_reparam", "byte_gap", "takes the difference of zero points in a signed byte"),
    ("repq_reparam", "offset_by_own_step", "multiplies the offset by the channel's own step"),
    ("cle_scale", "clip_of_ppq", "clips to [0.1, 10] where there is no clip"),
    ("cle_scale", "first_layer_only", "gives 0 where only the second range is 0"),
    ("cle_scale", "near_zero", "takes ranges below 1e-8 for 0"),
    ("cle_scale", "padded", "adds 1e-8 to the first range"),
    ("cle_scale", "squares_clipped", "clips the ratio before its root"),
]
