"""Borders of AQuant: closed forms and the polynomial, right and wrong."""

import numpy as np


def border_eq7(inputs, attrs, bug=""):
    """Border at which one noisy product rounds without bias."""
    w = np.asarray(inputs["w"], np.float64)
    d_w = np.asarray(inputs["d_w"], np.float64)
    x_prime = np.asarray(inputs["x_prime"], np.float64)
    e = np.asarray(inputs["e"], np.float64)
    a = w + d_w
    c = d_w * x_prime + w * e
    if bug == "clean_input":
        c = d_w * (x_prime - e) + w * e
    elif bug == "noise_through_quantized":
        c = d_w * x_prime + a * e
    zero = a == 0
    if bug == "near_zero":
        zero = np.abs(a) < 1e-6
    divisor = np.abs(a) if bug == "magnitude" else a
    if bug == "no_guard":
        with np.errstate(divide="ignore", invalid="ignore"):
            border = 0.5 + c / divisor
    else:
        with np.errstate(over="ignore"):
            border = np.where(zero, 0.5, 0.5 + c / np.where(zero, 1.0, divisor))
    if attrs["clipped"] or bug == "always_clipped":
        border = np.clip(border, 0.0, 1.0)
    return {"border": border}


def border_shared_closed(inputs, attrs, bug=""):
    """Coefficients of the best border that the outputs of a group share."""
    w = np.asarray(inputs["w"], np.float64)
    a = np.asarray(inputs["w_hat"], np.float64)
    taps, groups = int(attrs["taps"]), int(attrs["groups"])
    outs, channels = w.shape[0] // groups, w.shape[1] // taps

    def split(v):
        """Array of (groups, outputs of one, channels of one, taps)."""
        if bug == "tap_major":
            return v.reshape(groups, outs, taps, channels).swapaxes(2, 3)
        if bug == "interleaved_groups":
            return v.reshape(outs, groups, channels, taps).swapaxes(0, 1)
        return v.reshape(groups, outs, channels, taps)

    w, a = split(w), split(a)
    power = np.sum(a * a, axis=1)
    cross = np.sum(a * w, axis=1)
    change = np.sum(a * (a - w), axis=1)
    if bug == "groups_pile_up":
        power, cross, change = (np.cumsum(v, axis=0) for v in (power, cross, change))
    if bug == "padded_power":
        power = power + 1e-8
    used = power != 0
    safe = np.where(used, power, 1.0)
    ratio = np.where(used, cross / safe, 0.0)
    slope = np.where(used, change / safe, 0.0)
    if bug == "mean_of_ratios":
        each = np.where(a != 0, w / np.where(a != 0, a, 1.0), 0.0)
        ratio = each.mean(axis=1)
    elif bug == "float_power":
        own = np.sum(w * w, axis=1)
        ratio = np.where(used & (own != 0), cross / np.where(own != 0, own, 1.0), 0.0)
    ratio = ratio.reshape(groups * channels, taps)
    slope = slope.reshape(groups * channels, taps)
    zero = np.zeros_like(ratio)
    e0, e1, e2 = (np.asarray(inputs.get(name, zero), np.float64) for name in ("e0", "e1", "e2"))
    b1 = slope + e1 * ratio
    if bug == "no_e1_no_b1" and "e1" not in inputs:
        b1 = zero
    return {"b0": e0 * ratio, "b1": b1, "b2": e2 * ratio}


def border_poly(inputs, attrs, bug=""):
    """Polynomial of the border in u."""
    u = np.asarray(inputs["u"], np.float64)
    b0, b1 = (np.asarray(inputs[name], np.float64) for name in ("b0", "b1"))
    b2 = inputs.get("b2")
    b2 = np.zeros_like(b0) if b2 is None else np.asarray(b2, np.float64)
    if bug == "square_transposed" and b0.shape[0] == b0.shape[1]:
        b0, b1, b2 = b0.T, b1.T, b2.T
    if bug == "half_coefficients":
        b0, b1, b2 = (b.astype(np.float16).astype(np.float64) for b in (b0, b1, b2))
    b0, b1, b2 = (b[None, :, :, None] for b in (b0, b1, b2))
    if bug == "float32_sum":
        u, b0, b1, b2 = (v.astype(np.float32) for v in (u, b0, b1, b2))
    if bug == "tap_from_window":
        tap = np.arange(u.shape[3]) % u.shape[2]
        b0, b1, b2 = (b[:, :, tap, 0][:, :, None, :] for b in (b0, b1, b2))
    square = u * u
    if bug == "power_by_logarithm":
        with np.errstate(divide="ignore", invalid="ignore"):
            square = np.exp(2 * np.log(u))
    p = b1 * u + b0
    if "b2" in inputs:
        p = b2 * square + p
    return {"p": np.asarray(p, np.float64)}


OPS = {
    "border_eq7": border_eq7,
    "border_shared_closed": border_shared_closed,
    "border_poly": border_poly,
}

BUGS = [
    ("border_eq7", "clean_input", "multiplies the weight's error by x instead of x'"),
    ("border_eq7", "noise_through_quantized", "multiplies the noise by w + dw instead of w"),
    ("border_eq7", "near_zero", "gives 1/2 wherever |A| is below 1e-6, not only at 0"),
    ("border_eq7", "magnitude", "divides by |A|, so that negative products mirror the border"),
    ("border_eq7", "no_guard", "divides by A = 0, which gives 0, 1, infinities or NaN"),
    ("border_eq7", "always_clipped", "clips even where clipped is False"),
    ("border_shared_closed", "tap_major", "reads column tap c_in + c instead of c k + tap"),
    ("border_shared_closed", "interleaved_groups", "takes output o to be of group o mod g"),
    ("border_shared_closed", "groups_pile_up", "does not clear its sums between the groups"),
    ("border_shared_closed", "padded_power", "adds 1e-8 to sum A^2, felt by small weights"),
    ("border_shared_closed", "mean_of_ratios", "averages w / A over the outputs for R"),
    ("border_shared_closed", "float_power", "divides R by sum w^2 instead of sum A^2"),
    ("border_shared_closed", "no_e1_no_b1", "drops all of b1 where e1 is left out"),
    ("border_poly", "square_transposed", "swaps channels and taps where they are as many"),
    ("border_poly", "half_coefficients", "stores the coefficients in float16"),
    ("border_poly", "float32_sum", "adds in float32, where large terms cancel"),
    ("border_poly", "tap_from_window", "takes the tap's coefficients from the window's index"),
    ("border_poly", "power_by_logarithm", "squares by exp and log, NaN for negative u"),
]
