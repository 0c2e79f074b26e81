"""Schedules, Adam and a step of AdaRound as a compiled graph, with their plausible mistakes."""

import numpy as np

from validation.blind.third.common import LN11, level_ends


def schedule(t, attrs, bug=""):
    """Exponents at the steps t, and whether the regulariser counts."""
    total, b0, b1 = attrs["total"], attrs["start"], attrs["end"]
    begin = attrs["warm_up"] * total
    if bug == "whole_warm_up":
        begin = int(begin)
    end = total if attrs["arrive"] == "total" else attrs["first_step"] + total - 1
    if end > begin or bug == "no_span":
        with np.errstate(divide="ignore", invalid="ignore"):
            rel = (t - begin) / np.float64(end - begin)
    else:
        rel = np.ones(t.shape)
    cosine = attrs["curve"] == "cosine"
    if attrs.get("after") == "hold" and not (bug == "cosine_not_held" and cosine):
        rel = np.minimum(rel, 1.0)
    share = (1.0 + np.cos(np.pi * rel)) / 2.0 if cosine else 1.0 - rel
    on = t >= begin
    if bug == "branch_of_first":
        on = np.broadcast_to(on[:1], on.shape).copy()
    return np.where(on, b1 + (b0 - b1) * share, b0), on


def beta_schedule(inputs, attrs, bug=""):
    """The exponent of the rounding regulariser, and whether it is on."""
    t = np.asarray(inputs["t"], np.float64)
    beta, on = schedule(t, attrs, bug)
    return {"beta": beta, "on": on}


def cosine_lr(inputs, attrs, bug=""):
    """A learning rate that falls along half a cosine."""
    t, last = np.asarray(inputs["t"], np.float64), attrs["total"]
    if bug == "own_counter":
        t = np.arange(t.size, dtype=np.float64).reshape(t.shape)
    if bug == "end_included":
        last = max(last - 1, 1)
    return {"rate": attrs["lr"] * (1.0 + np.cos(np.pi * t / last)) / 2.0}


def adam(x, g, m, v, t, attrs, bug=""):
    """One step of Adam."""
    lr, beta1, beta2, eps = (attrs[k] for k in ("lr", "beta1", "beta2", "eps"))
    if bug == "float32_decay":
        beta1, beta2 = float(np.float32(beta1)), float(np.float32(beta2))
    m = beta1 * m + (1.0 - beta1) * g
    v = beta2 * v + (1.0 - beta2) * g * g
    if bug == "counts_twice":
        t = t + 1
    fix1, fix2 = 1.0 - beta1**t, 1.0 - beta2**t
    if bug == "eps_uncorrected":
        return x - lr * np.sqrt(fix2) / fix1 * m / (np.sqrt(v) + eps), m, v
    if bug == "eps_inside":
        return x - lr * (m / fix1) / np.sqrt(v / fix2 + eps), m, v
    return x - lr * (m / fix1) / (np.sqrt(v / fix2) + eps), m, v


def adam_step(inputs, attrs, bug=""):
    """One step of Adam."""
    x, g, m, v = (np.asarray(inputs[k], np.float64) for k in ("x", "d_x", "m", "v"))
    t = int(np.asarray(inputs["t"]).reshape(()))
    x, m, v = adam(x, g, m, v, t, attrs, bug)
    return {"x_next": x, "m_next": m, "v_next": v}


def rounding_share(alpha, edge):
    """The rectified sigmoid h, 2 h - 1 and its slope h'."""
    size = np.abs(alpha)
    t = np.where(size >= LN11, np.sign(alpha), np.clip(1.2 * np.tanh(alpha / 2), -1.0, 1.0))
    mask = size <= LN11 if edge == "inclusive" else size < LN11
    e = np.exp(-size)
    return (1.0 + t) / 2.0, t, np.where(mask, 1.2 * e / (1.0 + e) ** 2, 0.0)


def batch_loss(w_hat, x, target, indices, reduction, bug=""):
    """Reconstruction loss of a batch and its gradient in the weights."""
    error = x @ w_hat.T - target
    weight = np.bincount(indices, minlength=len(x)).astype(np.float64)
    if bug == "selects_by_mask":
        weight = np.minimum(weight, 1.0)
    scale = 1.0 / len(indices)
    if reduction == "mean":
        scale /= len(w_hat)
    weight = weight[:, None]
    loss = scale * np.sum(np.where(weight > 0, weight * error**2, 0.0))
    if bug == "mean_in_loss_alone":
        scale = 1.0 / len(indices)
    chosen = weight[:, 0] > 0
    return loss, 2.0 * scale * (weight * error)[chosen].T @ x[chosen]


def adaround_step(inputs, attrs, bug=""):
    """One step of AdaRound on a fully connected layer."""
    w, x, target, alpha, m, v = (
        np.asarray(inputs[k], np.float64) for k in ("w", "x", "target", "alpha", "m", "v")
    )
    s = np.asarray(inputs["s"], np.float64).reshape(-1, 1)
    z = np.asarray(inputs["zero_point"], np.int64).reshape(-1, 1)
    indices, t = np.asarray(inputs["indices"], np.int64), int(np.asarray(inputs["t"]).reshape(()))
    n, p = level_ends(z, attrs)
    h, centred, slope = rounding_share(alpha, attrs["edge"])
    with np.errstate(over="ignore"):
        level = np.floor(w / s) + h
    inside = (n <= level) & (level <= p)
    level = np.where(np.isnan(level), 0.0, np.clip(level, n, p))
    loss, d_w_hat = batch_loss(s * level, x, target, indices, attrs["reduction"], bug)
    beta, on = (a[0] for a in schedule(np.array([t], np.float64), attrs))
    size, lam = np.abs(centred), attrs["lam"]
    penalty = lam * np.sum(1.0 - size**beta) if on else 0.0
    d_penalty = -2.0 * lam * beta * size ** (beta - 1.0) * np.sign(centred) * slope
    if not on and bug != "gates_value_alone":
        d_penalty = np.zeros_like(alpha)
    if bug == "clip_masks_penalty":
        d_penalty = np.where(inside, d_penalty, 0.0)
    d_alpha = np.where(inside, d_w_hat * s * slope, 0.0) + d_penalty
    number = t - attrs["first_step"] + 1
    if bug == "adam_counts_t":
        number = max(t, 1)
    alpha, m, v = adam(alpha, d_alpha, m, v, number, attrs)
    return {
        "loss": np.float64(loss),
        "penalty": np.float64(penalty),
        "d_alpha": d_alpha,
        "alpha_next": alpha,
        "m_next": m,
        "v_next": v,
    }


OPS = {
    "beta_schedule": beta_schedule,
    "cosine_lr": cosine_lr,
    "adam_step": adam_step,
    "adaround_step": adaround_step,
}
BUGS = [
    ("beta_schedule", "whole_warm_up", "the warm-up is cut to a whole number of steps"),
    ("beta_schedule", "no_span", "0 / 0 where the end falls together with the warm-up"),
    ("beta_schedule", "cosine_not_held", "hold clamps the line alone: the cosine rises again"),
    ("beta_schedule", "branch_of_first", "the first step decides for all whether it is on"),
    ("cosine_lr", "own_counter", "counts its calls in place of t"),
    ("cosine_lr", "end_included", "spreads the half cosine over T - 1 intervals"),
    ("adam_step", "eps_uncorrected", "eps is added to sqrt(v) before the bias correction"),
    ("adam_step", "eps_inside", "eps is added under the square root"),
    ("adam_step", "counts_twice", "corrects the bias as of step t + 1"),
    ("adam_step", "float32_decay", "1 - beta of betas that were rounded to float32"),
    ("adaround_step", "selects_by_mask", "a sample that repeats in the batch counts once"),
    ("adaround_step", "mean_in_loss_alone", "mean: the gradient is not divided by the outputs"),
    ("adaround_step", "clip_masks_penalty", "no gradient of the penalty where levels are clipped"),
    ("adaround_step", "gates_value_alone", "the penalty's gradient acts in the warm-up"),
    ("adaround_step", "adam_counts_t", "Adam is told t, also where steps count from 0"),
]
