"""One step of learning a fully connected layer by AdaQTransform, right and wrong."""

import numpy as np

from validation.blind.second.common import reduce_to, sigmoid

LN11 = 2.3978952727983707
LEARNT = {"adaqt": ("alpha", "s_x", "xi", "eta"), "2.2": ("alpha", "s_x", "s_d", "bias")}


def column(v):
    """Scalar, channels or pixels against a product of (outputs, positions)."""
    v = np.asarray(v, np.float64)
    return v[:, None] if v.ndim == 1 else v


def clip_masks(u, v, low, high, attrs):
    """Whether elements are inside the grid, and their real values there."""
    edge = u if attrs["mask"] == "unrounded" else v
    inside = np.isfinite(u) & (edge >= low) & (edge <= high)
    return inside, np.where(inside, u, 0.0)


def layer(x, inputs, attrs, bug=""):
    """Output of the layer and a function from its gradient to those of the parameters."""
    w, s_w, alpha = (column(inputs[name]) for name in ("w", "s_w", "alpha"))
    s_d = column(inputs["s_d"]) if attrs["case"] == "2.2" else s_w
    s_x = float(inputs["s_x"])
    n_w, p_w, n_x, p_x = (attrs[name] for name in ("n_w", "p_w", "n_x", "p_x"))
    u = w / s_w
    v = np.floor(u) + np.clip(1.2 * sigmoid(alpha) - 0.1, 0.0, 1.0)
    levels = np.where(np.isnan(u), 0.0, np.clip(v, n_w, p_w))
    u_x = x / s_x
    x_levels = np.where(np.isnan(u_x), 0.0, np.clip(np.rint(u_x), n_x, p_x))
    x_hat = s_x * x_levels
    w_hat = s_d * levels
    y0 = w_hat @ x_hat
    xi, eta = column(inputs["xi"]), column(inputs["eta"])
    if bug == "transform_left_out" and attrs["case"] == "2.2":
        xi, eta = np.ones_like(xi), np.zeros_like(eta)
    bias = column(inputs["bias"]) if "bias" in inputs else 0.0

    def backward(d_y):
        """Gradients by the name of the parameter."""
        d_w_hat = (xi * d_y) @ x_hat.T
        d_x_hat = w_hat.T @ (xi * d_y)
        inside, _ = clip_masks(u, v, n_w, p_w, attrs)
        _, kept = clip_masks(u_x, np.rint(u_x), n_x, p_x, attrs)
        free = np.abs(alpha) < LN11 if attrs["edge"] == "strict" else np.abs(alpha) <= LN11
        rise = 1.2 * sigmoid(alpha) * sigmoid(-alpha)
        grads = {
            "alpha": np.where(inside & free, d_w_hat * s_d * rise, 0.0),
            "s_x": np.asarray(np.sum(d_x_hat * (x_levels - kept))),
            "xi": reduce_to(d_y * y0, np.shape(inputs["xi"])),
            "eta": reduce_to(d_y, np.shape(inputs["eta"])),
            "s_d": np.sum(d_w_hat * levels, axis=1),
            "bias": np.sum(d_y, axis=1),
        }
        if bug == "lsq_scale":
            grads["s_x"] = grads["s_x"] / np.sqrt(x.size * p_x)
        return grads

    return xi * y0 + bias + eta, backward


def adam(value, grad, m, v, t, rate, attrs, bug=""):
    """One step of Adam: the value and its means."""
    beta1, beta2, eps = attrs["beta1"], attrs["beta2"], attrs["eps"]
    m = beta1 * m + (1 - beta1) * grad
    v = beta2 * v + (1 - beta2) * grad * grad
    if bug == "no_correction":
        fair_m, fair_v = m, v
    elif bug == "swapped_correction":
        fair_m, fair_v = m / (1 - beta2**t), v / (1 - beta1**t)
    else:
        fair_m, fair_v = m / (1 - beta1**t), v / (1 - beta2**t)
    step = rate * fair_m / (np.sqrt(fair_v) + eps)
    return value - step, m, v


def adaqt_step(inputs, attrs, bug=""):
    """One step of learning by AdaQTransform or by case 2.2."""
    indices = np.asarray(inputs["indices"], np.int64)
    if bug == "repeats_once":
        indices = np.unique(indices)
    x = np.asarray(inputs["x"], np.float64)[indices].T
    target = np.asarray(inputs["target"], np.float64)
    target = target[: indices.size].T if bug == "first_targets" else target[indices].T
    y, backward = layer(x, inputs, attrs, bug)
    diff = y - target
    count = diff.shape[1]
    loss = np.sum(diff * diff) / count
    grads = backward(2 * diff / count)
    t, total = int(inputs["t"]), attrs["total"]
    decay = (1 + np.cos(np.pi * (t if bug == "cosine_ahead" else t - 1) / total)) / 2
    out = {"loss": np.asarray(loss)}
    for name in LEARNT[attrs["case"]]:
        if name not in inputs:
            continue
        rate = attrs["lr_alpha"] if name == "alpha" else attrs["lr"] * decay
        if bug == "alpha_decays" and name == "alpha":
            rate = rate * decay
        if bug == "constant_bias_rate" and name == "bias":
            rate = attrs["lr"]
        m = np.asarray(inputs["m_" + name], np.float64)
        v = np.asarray(inputs["v_" + name], np.float64)
        old = np.asarray(inputs[name], np.float64)
        value, m, v = adam(old, grads[name], m, v, t, rate, attrs, bug)
        if bug == "positive_step" and name == "s_x":
            value = np.maximum(np.abs(value), 1.1920929e-7)
        out["d_" + name] = grads[name]
        out[name + "_next"] = np.asarray(value)
        out["m_" + name + "_next"] = np.asarray(m)
        out["v_" + name + "_next"] = np.asarray(v)
    return out


OPS = {"adaqt_step": adaqt_step}

BUGS = [
    ("adaqt_step", "transform_left_out", "ignores the fixed xi and eta in case 2.2"),
    ("adaqt_step", "lsq_scale", "scales the gradient of s_x as LSQ does"),
    ("adaqt_step", "no_correction", "does not correct the bias of Adam's means"),
    ("adaqt_step", "swapped_correction", "corrects each mean with the decay of the other"),
    ("adaqt_step", "repeats_once", "counts a sample that is drawn twice once"),
    ("adaqt_step", "first_targets", "takes the first targets for those of the indices"),
    ("adaqt_step", "cosine_ahead", "decays the rate from the first step on"),
    ("adaqt_step", "alpha_decays", "decays the rate of alpha as well"),
    ("adaqt_step", "constant_bias_rate", "does not decay the rate of the bias"),
    ("adaqt_step", "positive_step", "keeps s_x above the float32 epsilon, as QDrop does"),
]
