"""AQuant's quantizer, its gradients and its schedule, right and wrong."""

import numpy as np

from validation.blind.second.common import bound, slope


def fuse_borders(p, fusion, attrs):
    """Bounded borders, shared among the taps of a channel."""
    if attrs["fuse"] == "none" or p.shape[2] == 1:
        return bound(p, attrs)
    if attrs["fuse"] == "fuse_bound":
        return bound(np.mean(fusion * p, axis=2, keepdims=True), attrs)
    start = 0.5 if attrs["fuse"] == "centred" else 0.0
    mean = np.mean(fusion * (bound(p, attrs) - start), axis=2, keepdims=True)
    return np.clip(start + mean, 0.0, 1.0)


def fuse_gradients(p, fusion, d_border, attrs):
    """Gradients of the polynomial and of the fusion weights."""
    k = p.shape[2]
    if attrs["fuse"] == "none" or k == 1:
        return d_border * slope(p, attrs), None
    if attrs["fuse"] == "fuse_bound":
        shared = d_border * slope(np.mean(fusion * p, axis=2, keepdims=True), attrs)
        return shared * fusion / k, np.sum(shared * p / k, axis=(0, 3))
    start = 0.5 if attrs["fuse"] == "centred" else 0.0
    seen = bound(p, attrs) - start
    real = start + np.mean(fusion * seen, axis=2, keepdims=True)
    idle = (real >= 0) & (real <= 1) | (attrs["border_mask"] == "open")
    shared = np.where(idle, d_border, 0.0)
    return shared * fusion / k * slope(p, attrs), np.sum(shared * seen / k, axis=(0, 3))


def coefficients(inputs):
    """Coefficients and fusion weights, of shape (1, c, k, 1), neutral where left out."""
    b0 = np.asarray(inputs["b0"], np.float64)
    out = []
    for name, neutral in (("b0", 0.0), ("b1", 0.0), ("b2", 0.0), ("fusion", 1.0)):
        value = inputs.get(name)
        value = np.full(b0.shape, neutral) if value is None else np.asarray(value, np.float64)
        out.append(value[None, :, :, None])
    return out


def round_up(u, border, bug=""):
    """Whether u is rounded up: its fraction exceeds the border, exactly."""
    fraction = u - np.floor(u)
    if bug == "ties_up":
        return fraction >= border
    up = fraction > border
    if bug != "rounded_fraction":
        up = np.where((u > -0.5) & (u < 0), u > border - 1, up)
    return up


def aquant_quant(inputs, attrs, bug=""):
    """Quantize patches with a border for each element."""
    x = np.asarray(inputs["x"], np.float64)
    s = float(inputs["s"])
    low, high, a = float(attrs["n"]), float(attrs["p"]), attrs["a"]
    b0, b1, b2, fusion = coefficients(inputs)
    samples, _, windows = x.shape
    channels, taps = b0.shape[1:3]
    with np.errstate(over="ignore"):
        u = x * (1 / s) if bug == "reciprocal" else x / s
    if bug == "tap_major":
        u = u.reshape(samples, taps, channels, windows).swapaxes(1, 2)
    else:
        u = u.reshape(samples, channels, taps, windows)
    seen = np.where(np.isnan(u), 0.0, u)
    if bug == "clipped_polynomial":
        seen = np.clip(seen, low, high)
    if bug != "infinite_polynomial":
        seen = np.where(seen == np.inf, high, np.where(seen == -np.inf, low, seen))
    with np.errstate(over="ignore", invalid="ignore"):
        border = fuse_borders((b2 * seen + b1) * seen + b0, fusion, attrs)
        r = np.floor(u) + round_up(u, border, bug)
        if bug == "ceil_form":
            r = np.ceil(u - border)
        if bug == "mirrored":
            r = np.sign(u) * (np.floor(np.abs(u)) + round_up(np.abs(u), border))
        v = r if a == 1 else u + a * (r - u)
        levels = np.clip(np.where(np.isinf(u), u, v), low, high)
    levels = np.where(np.isnan(u), low if bug == "nan_is_lowest" else 0.0, levels)
    if bug == "tap_major":
        levels = levels.swapaxes(1, 2)
    levels = levels.reshape(x.shape)
    return {"x_hat": s * levels, "levels": levels, "border": border}


def aquant_quant_backward(inputs, attrs, bug=""):
    """Straight-through gradients of input, step and border."""
    x = np.asarray(inputs["x"], np.float64)
    d_x_hat = np.asarray(inputs["d_x_hat"], np.float64)
    s = float(inputs["s"])
    low, high, a = float(attrs["n"]), float(attrs["p"]), attrs["a"]
    b0, b1, b2, fusion = coefficients(inputs)
    grid = (x.shape[0], *b0.shape[1:3], x.shape[2])
    u = (x / s).reshape(grid)
    d_x_hat = d_x_hat.reshape(grid)
    finite = np.isfinite(u)
    seen = np.where(np.isnan(u), 0.0, np.where(finite, u, np.where(u > 0, high, low)))
    p = (b2 * seen + b1) * seen + b0
    border = fuse_borders(p, fusion, attrs)
    r = np.floor(seen) + round_up(seen, border)
    v = r if a == 1 else seen + a * (r - seen)
    levels = np.where(np.isnan(u), 0.0, np.clip(v, low, high))
    edge = u if attrs["mask"] == "unrounded" and bug != "always_rounded" else v
    mask = finite & (edge >= low) & (edge <= high)
    if bug == "open_clip":
        mask = finite & (edge > low) & (edge < high)
    d_v = np.where(mask, s * d_x_hat, 0.0)
    d_border = -d_v if bug == "without_weight" else -a * d_v
    if attrs["gate"] == "support":
        if bug == "closed_gate":
            d_border = np.where((u >= low) & (u <= high), d_border, 0.0)
        else:
            d_border = np.where((u > low) & (u < high), d_border, 0.0)
    if border.shape[2] != grid[2]:
        gather = np.mean if bug == "mean_over_taps" else np.sum
        d_border = gather(d_border, axis=2, keepdims=True)
    d_p, d_fusion = fuse_gradients(p, fusion, d_border, attrs)
    if bug == "masked_polynomial":
        d_p = np.where(mask, d_p, 0.0)
    twice = 1 if bug == "half_quadratic" else 2
    through = np.where(finite, d_p * (twice * b2 * seen + b1), 0.0)
    d_u = d_v if attrs["detach_border_input"] else d_v + through
    steps = d_v + through if bug == "detached_input_only" else d_u
    hits = np.sum(d_x_hat * levels)
    if bug == "inside_only":
        hits = np.sum(np.where(mask, d_x_hat * levels, 0.0))
    d_s = attrs["grad_scale"] * (hits - np.sum(steps * seen) / s)
    if bug == "scaled_in_part":
        d_s = attrs["grad_scale"] * hits - np.sum(steps * seen) / s
    out = {"d_x": (d_u / s).reshape(x.shape), "d_s": np.asarray(d_s, np.float64)}
    for name, power in (("b0", 0), ("b1", 1), ("b2", 2)):
        if name in inputs:
            out["d_" + name] = np.sum(d_p * seen**power, axis=(0, 3))
    if "fusion" in inputs and d_fusion is not None:
        out["d_fusion"] = d_fusion
    return out


def round_schedule(inputs, attrs, bug=""):
    """Weight of the rounding at each step."""
    t = np.asarray(inputs["t"], np.int64).astype(np.float64)
    total, hold = attrs["total"], attrs["hold"]
    if bug == "fixed_hold":
        hold = 0.2
    start = hold * total
    if bug == "whole_start":
        start = float(int(start))
    if bug == "from_zero":
        t = t - 1
    span = total if bug == "whole_span" else total - start
    a = (t - start) / span
    return {"a": np.minimum(a, 1.0) if bug == "not_held" else np.clip(a, 0.0, 1.0)}


OPS = {
    "aquant_quant": aquant_quant,
    "aquant_quant_backward": aquant_quant_backward,
    "round_schedule": round_schedule,
}

BUGS = [
    ("aquant_quant", "ties_up", "rounds up where the fraction equals the border"),
    ("aquant_quant", "rounded_fraction", "compares u - floor(u) even where it is rounded"),
    ("aquant_quant", "reciprocal", "multiplies by 1 / s, which can miss a tie by a bit"),
    ("aquant_quant", "tap_major", "reads row tap c + channel instead of channel k + tap"),
    ("aquant_quant", "clipped_polynomial", "clips u to [n, p] before the polynomial"),
    ("aquant_quant", "infinite_polynomial", "lets infinities into the border of their channel"),
    ("aquant_quant", "ceil_form", "takes ceil(u - B), which moves whole u at B = 1"),
    ("aquant_quant", "mirrored", "rounds |u| by the border and puts the sign back"),
    ("aquant_quant", "nan_is_lowest", "gives NaN the lowest level, as fmax does"),
    ("aquant_quant_backward", "always_rounded", "ignores mask unrounded"),
    ("aquant_quant_backward", "open_clip", "blocks the gradient at the levels n and p"),
    ("aquant_quant_backward", "without_weight", "leaves a out of the border's gradient"),
    ("aquant_quant_backward", "closed_gate", "lets u = n and u = p through the support gate"),
    ("aquant_quant_backward", "mean_over_taps", "averages the gradients of a shared border"),
    ("aquant_quant_backward", "masked_polynomial", "blocks GP where its own tap is clipped"),
    ("aquant_quant_backward", "half_quadratic", "takes b2 u for the derivative of b2 u^2"),
    ("aquant_quant_backward", "detached_input_only", "detaches x from the border but not s"),
    ("aquant_quant_backward", "inside_only", "leaves saturated elements out of d_s"),
    ("aquant_quant_backward", "scaled_in_part", "scales only the first sum of d_s"),
    ("round_schedule", "fixed_hold", "holds for 0.2 of the steps whatever hold is"),
    ("round_schedule", "whole_start", "truncates the number of held steps"),
    ("round_schedule", "from_zero", "counts the steps from 0"),
    ("round_schedule", "whole_span", "divides by all steps, so that a never gets to 1"),
    ("round_schedule", "not_held", "does not clip at 0, so that held steps are negative"),
]
