"""Schedules, Adam and a step of AdaRound, each with wrong versions that an engineer could write."""

import numpy as np

LN11 = 2.3978952727983707


def _schedule(t, attrs, bug=""):
    """Exponents of the regulariser at steps t, and whether it is on."""
    total, first = int(attrs["total"]), int(attrs["first_step"])
    b0, b1, share = float(attrs["start"]), float(attrs["end"]), float(attrs["warm_up"])
    last = first + total - 1
    if bug == "first_step_ignored":
        last = total - 1
    end = last if attrs["arrive"] == "last" and bug != "arrive_ignored" else total
    warm = share * total
    if bug == "warm_up_truncated":
        warm = int(warm)
    elif bug == "warm_up_of_arrival":
        warm = share * end
    t = np.asarray(t, float)
    if bug == "next_step":
        t = t + 1.0
    on = t > warm if bug == "warm_up_closed" else t >= warm
    with np.errstate(invalid="ignore", divide="ignore"):
        rel = (t - warm) / (end - warm)
        if bug == "hold_after_total":
            rel = np.where(t > total, (total - warm) / (end - warm), rel)
        elif attrs.get("after", "refuse") != "continue" or bug == "always_hold":
            rel = np.where(t > end, 1.0, rel)
        if attrs["curve"] == "linear":
            beta = b1 + (b0 - b1) * (1.0 - rel)
        elif bug == "cosine_whole_run":
            beta = b1 + (b0 - b1) * (1.0 + np.cos(np.pi * np.minimum(t / end, 1.0))) / 2.0
        else:
            beta = b1 + (b0 - b1) * (1.0 + np.cos(np.pi * rel)) / 2.0
    return np.where(t < warm, b0, beta), on


def beta_schedule(inputs, attrs, bug=""):
    """The exponent of the rounding regulariser at a step, and whether it is on."""
    beta, on = _schedule(inputs["t"], attrs, bug)
    return {"beta": beta, "on": on}


def cosine_lr(inputs, attrs, bug=""):
    """A learning rate that falls to 0 along half a cosine."""
    t, total, lr = np.asarray(inputs["t"], float), int(attrs["total"]), float(attrs["lr"])
    if bug == "float32":
        angle = np.float32(np.pi) * t.astype(np.float32) / np.float32(total)
        return {"rate": lr * ((np.float32(1.0) + np.cos(angle)) / np.float32(2.0)).astype(float)}
    if bug == "pi_short":
        return {"rate": lr * (1.0 + np.cos(3.14159 * t / total)) / 2.0}
    if bug == "counts_from_one":
        t = t + 1.0
    elif bug == "arrives_early":
        total = max(total - 1, 1)
    return {"rate": lr * (1.0 + np.cos(np.pi * t / total)) / 2.0}


def _adam(x, g, m, v, t, attrs, bug=""):
    """One step of Adam: x, m and v after it."""
    lr, b1, b2, eps = (float(attrs[name]) for name in ("lr", "beta1", "beta2", "eps"))
    if bug == "step_16_bits":
        t = t % 65536
    elif bug == "step_late":
        t = t + 1
    square, stale = g**2, v
    if bug == "square_float32":
        with np.errstate(over="ignore", under="ignore"):
            square = (g.astype(np.float32) ** 2).astype(float)
    m, v = b1 * m + (1.0 - b1) * g, b2 * v + (1.0 - b2) * square
    c1, c2 = 1.0 - b1**t, 1.0 - b2**t
    if bug == "correction_float32":
        c1 = float(np.float32(1.0) - np.float32(b1) ** np.float32(t))
        c2 = float(np.float32(1.0) - np.float32(b2) ** np.float32(t))
    with np.errstate(divide="ignore", invalid="ignore"):
        if bug == "eps_inside":
            step = lr * (m / c1) / np.sqrt(v / c2 + eps)
        elif bug == "eps_uncorrected":
            step = lr * np.sqrt(c2) / c1 * m / (np.sqrt(v) + eps)
        else:
            step = lr * (m / c1) / (np.sqrt((stale if bug == "stale_v" else v) / c2) + eps)
    return x - step, m, v


def adam_step(inputs, attrs, bug=""):
    """One step of Adam."""
    x, g, m, v = (np.asarray(inputs[name], float) for name in ("x", "d_x", "m", "v"))
    x, m, v = _adam(x, g, m, v, int(inputs["t"]), attrs, bug)
    return {"x_next": x, "m_next": m, "v_next": v}


def _rect_sigmoid(alpha, edge):
    """The rectified sigmoid and its derivative."""
    small = np.exp(-np.abs(alpha))
    sigma = np.where(alpha >= 0.0, 1.0, small) / (1.0 + small)
    h = np.clip(1.2 * sigma - 0.1, 0.0, 1.0)
    h = np.where(np.abs(alpha) >= LN11, np.where(alpha > 0.0, 1.0, 0.0), h)
    inside = np.abs(alpha) < LN11 if edge == "strict" else np.abs(alpha) <= LN11
    return h, np.where(inside, 1.2 * sigma * (1.0 - sigma), 0.0)


def adaround_step(inputs, attrs, bug=""):
    """One step of AdaRound on a fully connected layer."""
    w, x, target, alpha, m, v = (
        np.asarray(inputs[name], float) for name in ("w", "x", "target", "alpha", "m", "v")
    )
    s, z = np.asarray(inputs["s"], float), np.asarray(inputs["zero_point"], np.int64)
    rows, t, bits = np.asarray(inputs["indices"], np.int64), int(inputs["t"]), int(attrs["bits"])
    if bug == "repeats_once":
        rows = np.unique(rows)
    if bug == "zero_point_ignored":
        z = np.zeros_like(z)
    if s.ndim and not (bug == "scale_last_axis" and w.shape[1] == s.size):
        s = s[:, None]
    z = z[:, None] if z.ndim else z
    low, high = 0, 2**bits - 1
    if attrs["grid"] in ("signed", "narrow"):
        high = 2 ** (bits - 1) - 1
        low = -high - (attrs["grid"] == "signed")
    h, slope = _rect_sigmoid(alpha, attrs["edge"])
    level = np.floor(w / s) + h
    inside = (level >= low - z) & (level <= high - z)
    w_hat = s * np.clip(level, low - z, high - z)
    error = x[rows] @ w_hat.T - target[rows]
    count = float(x.shape[0] if bug == "all_samples" else rows.size)
    scale = count * (w.shape[0] if attrs["reduction"] == "mean" else 1)
    loss = np.sum(error**2) / scale
    d_w_hat = 2.0 * error.T @ x[rows] / (count if bug == "mean_in_loss_only" else scale)
    names = {"penalty_late": "warm_up_closed", "beta_of_next_step": "next_step"}
    beta, on = (value.item() for value in _schedule(t, attrs, names.get(bug, "")))
    if bug == "beta_of_next_step":
        on = _schedule(t, attrs)[1].item()
    lam, u = float(attrs["lam"]), 2.0 * h - 1.0
    penalty = lam * np.sum(1.0 - np.abs(u) ** beta) if on else 0.0
    d_penalty = -2.0 * lam * beta * np.abs(u) ** (beta - 1.0) * np.sign(u) * slope
    if not on and bug != "penalty_in_warm_up":
        d_penalty = np.zeros_like(alpha)
    if bug == "penalty_masked":
        d_penalty = np.where(inside, d_penalty, 0.0)
    d_alpha = np.where(inside, d_w_hat * s * slope, 0.0) + d_penalty
    number = t if bug == "adam_counts_t" else t - int(attrs["first_step"]) + 1
    alpha, m, v = _adam(alpha, d_alpha, m, v, number, attrs)
    return {
        "loss": np.asarray(loss),
        "penalty": np.asarray(penalty),
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
    ("beta_schedule", "warm_up_truncated", "the length of the warm-up is cast to an integer"),
    ("beta_schedule", "warm_up_closed", "the step at warm_up T is still off"),
    (
        "beta_schedule",
        "warm_up_of_arrival",
        "the warm-up is a share of the step that reaches b1, not of the number of steps",
    ),
    (
        "beta_schedule",
        "arrive_ignored",
        "arrive last is ignored: the last of T steps from 0 misses b1",
    ),
    ("beta_schedule", "first_step_ignored", "the last step is T - 1 also where steps count from 1"),
    ("beta_schedule", "always_hold", "after continue holds b1"),
    (
        "beta_schedule",
        "hold_after_total",
        "holding clamps the step to T, not to the step that reached b1",
    ),
    (
        "beta_schedule",
        "cosine_whole_run",
        "the cosine runs over the whole training, so beta jumps at the end of the warm-up",
    ),
    ("cosine_lr", "float32", "1 + cos cancels in float32 near the end"),
    ("cosine_lr", "pi_short", "pi is 3.14159, wrong near the end of long runs"),
    ("cosine_lr", "counts_from_one", "the first step already has t = 1"),
    ("cosine_lr", "arrives_early", "the last step reaches 0"),
    ("adam_step", "eps_inside", "eps is added under the square root"),
    (
        "adam_step",
        "eps_uncorrected",
        "both corrections go into the rate, so eps is added to an uncorrected root",
    ),
    ("adam_step", "step_late", "the corrections use t + 1"),
    ("adam_step", "stale_v", "the step divides by v before its update"),
    ("adam_step", "correction_float32", "1 - beta^t cancels in float32"),
    ("adam_step", "step_16_bits", "the step counter wraps at 65536"),
    ("adam_step", "square_float32", "g^2 overflows or underflows in float32"),
    ("adaround_step", "repeats_once", "repeated samples count once"),
    ("adaround_step", "zero_point_ignored", "the levels are not shifted by the zero point"),
    (
        "adaround_step",
        "scale_last_axis",
        "steps broadcast along the inputs where their number equals that of the outputs",
    ),
    ("adaround_step", "all_samples", "averages over all n samples instead of the batch"),
    ("adaround_step", "mean_in_loss_only", "reduction mean scales the loss, not its gradient"),
    ("adaround_step", "penalty_late", "the step at warm_up T has no penalty yet"),
    ("adaround_step", "beta_of_next_step", "the exponent is that of the step to come"),
    ("adaround_step", "penalty_in_warm_up", "the penalty's gradient acts during the warm-up"),
    ("adaround_step", "penalty_masked", "the mask of the levels also masks the penalty"),
    ("adaround_step", "adam_counts_t", "Adam's step number is t also where t counts from 0"),
]
