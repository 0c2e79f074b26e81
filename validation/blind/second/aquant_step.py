"""One step of learning AQuant's borders, right and wrong."""

import numpy as np

from validation.blind.second.common import sigmoid

BORDER = ("b0", "b1", "b2", "fusion")


def bound_and_slope(p, attrs):
    """Borders in [0, 1] of unbounded ones and their derivative."""
    kappa = attrs["kappa"]
    if attrs["bound"] == "clip":
        real, d = 0.5 + p, np.ones_like(p)
    elif attrs["scale"] == "inner":
        return sigmoid(kappa * p), kappa * sigmoid(kappa * p) * sigmoid(-kappa * p)
    else:
        real, d = 0.5 + kappa * (sigmoid(p) - 0.5), kappa * sigmoid(p) * sigmoid(-p)
    if attrs["border_mask"] == "closed":
        d = np.where((real >= 0) & (real <= 1), d, 0.0)
    return np.clip(real, 0.0, 1.0), d


def share(p, fusion, attrs):
    """Border and, from its gradient, those of the polynomial and the fusion weights."""
    k = p.shape[2]
    e, d = bound_and_slope(p, attrs)
    if attrs["fuse"] == "none" or k == 1:
        return e, lambda g: (g * d, None)
    if attrs["fuse"] == "fuse_bound":
        e, d = bound_and_slope(np.sum(fusion * p, axis=2, keepdims=True) / k, attrs)
        return e, lambda g: (g * d * fusion / k, np.sum(g * d * p / k, axis=(0, 3)))
    start = 0.5 if attrs["fuse"] == "centred" else 0.0
    real = start + np.sum(fusion * (e - start), axis=2, keepdims=True) / k
    idle = (real >= 0) & (real <= 1) | (attrs["border_mask"] == "open")

    def gradients(g):
        """Gradients of the polynomial and of the fusion weights."""
        g = np.where(idle, g, 0.0)
        return g * fusion / k * d, np.sum(g * (e - start) / k, axis=(0, 3))

    return np.clip(real, 0.0, 1.0), gradients


def quantize(x, params, a, attrs):
    """Quantized patches and a function from their gradient to those of the parameters."""
    s, low, high = params["s"], attrs["n"], attrs["p"]
    shape = params["b0"].shape
    u = (x / s).reshape(x.shape[0], *shape, x.shape[2])
    b0, b1, b2, fusion = (
        params.get(name, np.full(shape, neutral))[None, :, :, None]
        for name, neutral in zip(BORDER, (0.0, 0.0, 0.0, 1.0), strict=True)
    )
    border, gradients = share((b2 * u + b1) * u + b0, fusion, attrs)
    up = np.where((u > -0.5) & (u < 0), u > border - 1, u - np.floor(u) > border)
    r = np.floor(u) + up
    v = r if a == 1 else u + a * (r - u)
    levels = np.clip(v, low, high)

    def backward(d_x_hat):
        """Gradients of the step and of the border."""
        d_x_hat = d_x_hat.reshape(u.shape)
        edge = u if attrs["mask"] == "unrounded" else v
        d_v = np.where((edge >= low) & (edge <= high), s * d_x_hat, 0.0)
        d_border = -a * d_v
        if attrs["gate"] == "support":
            d_border = np.where((u > low) & (u < high), d_border, 0.0)
        if border.shape[2] != u.shape[2]:
            d_border = np.sum(d_border, axis=2, keepdims=True)
        d_p, d_fusion = gradients(d_border)
        d_u = d_v if attrs["detach_border_input"] else d_v + d_p * (2 * b2 * u + b1)
        return {
            "s": np.sum(d_x_hat * levels) - np.sum(d_u * u) / s,
            "b0": np.sum(d_p, axis=(0, 3)),
            "b1": np.sum(d_p * u, axis=(0, 3)),
            "b2": np.sum(d_p * u * u, axis=(0, 3)),
            "fusion": np.zeros(shape) if d_fusion is None else d_fusion,
        }

    return (s * levels).reshape(x.shape), backward


def adam(value, grad, m, v, t, rate, attrs, bug=""):
    """One step of Adam: the value and its means."""
    beta1, beta2, eps = attrs["beta1"], attrs["beta2"], attrs["eps"]
    m = beta1 * m + (1 - beta1) * grad
    v = beta2 * v + (1 - beta2) * grad * grad
    at = t + 1 if bug == "correction_ahead" else t
    m_fair, v_fair = m / (1 - beta1**at), v / (1 - beta2**at)
    if bug == "eps_inside":
        step = rate * m_fair / np.sqrt(v_fair + eps)
    elif bug == "eps_uncorrected":
        step = rate * np.sqrt(1 - beta2**at) / (1 - beta1**at) * m / (np.sqrt(v) + eps)
    else:
        step = rate * m_fair / (np.sqrt(v_fair) + eps)
    return value - step, m, v


def aquant_step(inputs, attrs, bug=""):
    """One step of learning border and step size of a layer with fixed weights."""
    names = ["s"] + [name for name in BORDER if name in inputs]
    params = {name: np.asarray(inputs[name], np.float64) for name in names}
    indices = np.asarray(inputs["indices"], np.int64)
    t, total = int(inputs["t"]), attrs["total"]
    w_hat = np.asarray(inputs["w_hat"], np.float64)
    if bug == "repeats_once":
        indices = np.unique(indices)
    x = np.asarray(inputs["x"], np.float64)[indices]
    target = np.asarray(inputs["target"], np.float64)
    target = target[: indices.size] if bug == "first_targets" else target[indices]
    held = attrs["hold"] * total
    count = t - 1 if bug == "schedule_behind" else t
    a = min(max((count - held) / (total - held), 0.0), 1.0)
    x_hat, backward = quantize(x, params, a, attrs)
    diff = np.matmul(w_hat, x_hat) - target
    terms = diff.shape[0] * diff.shape[2]
    if bug == "mean_of_outputs":
        terms = diff.size
    loss = np.sum(diff * diff) / terms
    grads = backward(np.matmul(w_hat.T, 2 * diff / terms))
    at = t if bug == "cosine_ahead" else t - 1
    decay = (1 + np.cos(np.pi * at / total)) / 2
    out = {"loss": np.asarray(loss)}
    for name in names:
        rate = attrs["lr_s"] * decay if name == "s" else attrs["lr_border"]
        if bug == "border_decays" and name != "s":
            rate = rate * decay
        if bug == "fusion_at_step_rate" and name == "fusion":
            rate = attrs["lr_s"] * decay
        kept = "b1" if bug == "shared_means" and name == "b2" else name
        m = np.asarray(inputs["m_" + kept], np.float64)
        v = np.asarray(inputs["v_" + kept], np.float64)
        value, m, v = adam(params[name], grads[name], m, v, t, rate, attrs, bug)
        out["d_" + name] = np.asarray(grads[name], np.float64)
        out[name + "_next"] = np.asarray(value)
        out["m_" + name + "_next"] = np.asarray(m)
        out["v_" + name + "_next"] = np.asarray(v)
    return out


OPS = {"aquant_step": aquant_step}

BUGS = [
    ("aquant_step", "correction_ahead", "corrects Adam's bias for the step after this one"),
    ("aquant_step", "eps_inside", "adds eps under the square root"),
    ("aquant_step", "eps_uncorrected", "adds eps to the root before its bias is corrected"),
    ("aquant_step", "repeats_once", "counts a sample that is drawn twice once"),
    ("aquant_step", "first_targets", "takes the first targets for those of the indices"),
    ("aquant_step", "schedule_behind", "rounds with the weight of the step before"),
    ("aquant_step", "mean_of_outputs", "averages the loss over the outputs as well"),
    ("aquant_step", "cosine_ahead", "decays the rate of s from the first step on"),
    ("aquant_step", "border_decays", "decays the rate of the border as well"),
    ("aquant_step", "fusion_at_step_rate", "learns the fusion weights at the rate of s"),
    ("aquant_step", "shared_means", "gives b2 the Adam means of b1"),
]
