"""The theory of AQuant's border: closed forms, the polynomial, the schedule of the rounding."""

import numpy as np


def border_eq7(inputs, attrs, bug=""):
    """Give the border at which one noisy product rounds without bias."""
    w, d_w, x_prime, e = (np.asarray(inputs[k], float) for k in ("w", "d_w", "x_prime", "e"))
    a = w + d_w
    x = x_prime - e if bug == "clean_input" else x_prime
    c = d_w * x + w * e
    below = w if bug == "divides_by_w" else a
    border = 0.5 + c / np.where(below == 0, 1.0, below)
    if bug == "pruned_by_sign":
        border = np.where(a == 0, 0.5 + 0.5 * np.sign(c), border)
    else:
        border = np.where(below == 0, 0.5, border)
    if attrs["clipped"]:
        border = np.clip(border, 0.0, 1.0)
    return {"border": border}


def _per_position(terms, groups, taps, bug):
    """Sum (c_out, c_in/g k) over the outputs of each group: (c_in, k)."""
    c_out, cols = terms.shape
    if bug == "interleaved_groups":
        summed = terms.reshape(c_out // groups, groups, cols).sum(axis=0)
    else:
        summed = terms.reshape(groups, c_out // groups, cols).sum(axis=1)
    if bug == "tap_major":
        return summed.reshape(groups, taps, cols // taps).swapaxes(1, 2).reshape(-1, taps)
    return summed.reshape(groups * (cols // taps), taps)


def border_shared_closed(inputs, attrs, bug=""):
    """Give the coefficients of the best border that the outputs of a group share."""
    w = np.asarray(inputs["w"], float)
    a = np.asarray(inputs["w_hat"], float)
    groups, taps = attrs["groups"], attrs["taps"]
    square = _per_position(a * a, groups, taps, bug)
    safe = np.where(square == 0, 1.0, square)
    ratio = np.where(square == 0, 0.0, _per_position(a * w, groups, taps, bug) / safe)
    if bug == "mean_of_ratios":
        each = np.where(a == 0, 0.0, w / np.where(a == 0, 1.0, a))
        ratio = _per_position(each, groups, taps, bug) / (len(w) // groups)
    error = w - a if bug == "error_sign" else a - w
    linear = np.where(square == 0, 0.0, _per_position(a * error, groups, taps, bug) / safe)
    e0, e1, e2 = (np.asarray(inputs.get(k, 0.0), float) for k in ("e0", "e1", "e2"))
    return {"b0": e0 * ratio, "b1": linear + e1 * ratio, "b2": e2 * ratio}


def border_poly(inputs, attrs, bug=""):
    """Evaluate P = b2 u^2 + b1 u + b0, one polynomial per channel and tap."""
    u = np.asarray(inputs["u"], float)
    b0, b1 = (np.asarray(inputs[k], float)[None, :, :, None] for k in ("b0", "b1"))
    if bug == "of_fraction":
        u = u - np.floor(u)
    p = b1 * u + b0
    if inputs.get("b2") is not None:
        b2 = np.asarray(inputs["b2"], float)[None, :, :, None]
        half = 0.5 if bug == "taylor" else 1.0
        p = half * b2 * u * u + p
    return {"p": p}


def round_schedule(inputs, attrs, bug=""):
    """Give the weight of the rounding at step t."""
    t = np.asarray(inputs["t"], float)
    total = attrs["total"]
    held = attrs["hold"] * total
    if bug == "whole_hold":
        held = int(held)
    span = total if bug == "ramp_over_all" else total - held
    return {"a": np.clip((t - held) / span, 0.0, 1.0)}


OPS = {
    "border_eq7": border_eq7,
    "border_shared_closed": border_shared_closed,
    "border_poly": border_poly,
    "round_schedule": round_schedule,
}

BUGS = [
    ("border_eq7", "clean_input", "multiplies the weight error with x' - e"),
    ("border_eq7", "divides_by_w", "divides by the float weight instead of the quantized one"),
    ("border_eq7", "pruned_by_sign", "is 0 or 1 by the sign of c where the quantized weight is 0"),
    ("border_shared_closed", "interleaved_groups", "takes every g-th output for a group"),
    ("border_shared_closed", "tap_major", "reads column tap c_in + c"),
    ("border_shared_closed", "mean_of_ratios", "averages w / A instead of dividing the sums"),
    ("border_shared_closed", "error_sign", "takes w - w_hat for the weight error in b1"),
    ("border_poly", "of_fraction", "evaluates at the fraction of u"),
    ("border_poly", "taylor", "halves b2 as if it were a second derivative"),
    ("round_schedule", "whole_hold", "cuts hold total to a whole step"),
    ("round_schedule", "ramp_over_all", "divides by total, so the last step is not rounded fully"),
]
