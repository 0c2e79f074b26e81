"""AdaQTransform: a layer in the general paradigm, its gradients, one step of learning."""

import numpy as np

from validation.blind.third.common import LN11, adam, sigmoid

NEAREST = ("1.2", "qat")
DECOUPLED = ("2.1", "2.2", "2.3")


def _rect(alpha):
    """Give the rectified sigmoid h."""
    h = np.clip(1.2 * sigmoid(alpha) - 0.1, 0.0, 1.0)
    return np.where(alpha <= -LN11, 0.0, np.where(alpha >= LN11, 1.0, h))


def _rect_slope(alpha, edge):
    """Give the slope of h, with or without its edges."""
    inside = np.abs(alpha) < LN11 if edge == "strict" else np.abs(alpha) <= LN11
    return np.where(inside, 1.2 * sigmoid(alpha) * sigmoid(-alpha), 0.0)


def _weights(inputs, attrs, hard, bug=""):
    """Give w / s_w, the unclipped value v, the levels and the dequantization steps."""
    s_w = np.asarray(inputs["s_w"], float)[:, None]
    case = attrs["case"]
    u = np.asarray(inputs["w"], float) / s_w
    if case in NEAREST:
        v = np.rint(u)
    else:
        alpha = np.asarray(inputs["alpha"], float)
        up = alpha > 0 if bug == "hard_strict" else alpha >= 0
        h = np.where(up, 1.0, 0.0) if hard else _rect(alpha)
        v = np.floor(u) + h
        if bug == "nan_plus_h":
            v = np.where(np.isnan(u), h, v)
    v = np.where(np.isnan(v), 0.0, v)
    levels = np.clip(v, attrs["n_w"], attrs["p_w"])
    decoupled = case in DECOUPLED and bug != "tied_always"
    s_d = np.asarray(inputs["s_d"], float)[:, None] if decoupled else s_w
    return u, v, levels, s_d


def _inputs(inputs, attrs):
    """Give x / s_x, its nearest whole number and the level."""
    u = np.asarray(inputs["x"], float) / float(inputs["s_x"])
    v = np.rint(np.where(np.isnan(u), 0.0, u))
    return u, v, np.clip(v, attrs["n_x"], attrs["p_x"])


def _rows(t):
    """Bring (), (c_out,) or (c_out, l) to something that multiplies (c_out, l)."""
    t = np.asarray(t, float)
    return t[:, None] if t.ndim == 1 else t


def adaqt(inputs, attrs, bug=""):
    """Give the output of a layer with quantized weight and input and transformed output."""
    _, _, levels, s_d = _weights(inputs, attrs, attrs["hard"], bug)
    y0 = (s_d * levels) @ (float(inputs["s_x"]) * _inputs(inputs, attrs)[2])
    bias = _rows(inputs["bias"]) if inputs.get("bias") is not None else 0.0
    if bug == "bias_scaled":
        y = _rows(inputs["xi"]) * (y0 + bias) + _rows(inputs["eta"])
    else:
        y = _rows(inputs["xi"]) * y0 + bias + _rows(inputs["eta"])
    return {"y": y, "y0": y0, "levels": levels}


def _shared(t, like):
    """Sum (c_out, l) over what shares a parameter."""
    return {0: t.sum, 1: lambda: t.sum(axis=1), 2: t.copy}[np.ndim(like)]()


def _weight_gradients(inputs, attrs, d_w_hat, bug):
    """Give the gradients of alpha, the steps and the weights, where they are learnt."""
    case = attrs["case"]
    u, v, levels, s_d = _weights(inputs, attrs, False)
    s_w = np.asarray(inputs["s_w"], float)[:, None]
    masked = v
    if attrs["mask"] == "unrounded" and (case in NEAREST or bug == "unrounded_soft"):
        masked = u
    mask = np.isfinite(u) & (masked >= attrs["n_w"]) & (masked <= attrs["p_w"])
    ratio = np.where(mask, u, 0.0)
    out = {}
    if case not in NEAREST:
        slope = _rect_slope(np.asarray(inputs["alpha"], float), attrs["edge"])
        out["d_alpha"] = np.where(mask, d_w_hat * s_d * slope, 0.0)
    if case in ("2.2", "2.3"):
        out["d_s_d"] = (d_w_hat * levels).sum(axis=1)
    if case in ("2.1", "2.3"):
        step = s_w if bug == "own_step" else s_d
        out["d_s_w"] = (d_w_hat * step * -ratio / s_w).sum(axis=1)
    if case in ("tied", "1.2", "qat"):
        out["d_s_w"] = (d_w_hat * (levels - ratio)).sum(axis=1)
    if case == "qat":
        out["d_w"] = np.where(mask, d_w_hat, 0.0)
    return out


def adaqt_backward(inputs, attrs, bug=""):
    """Give the gradients of everything that a case learns."""
    d_y = np.asarray(inputs["d_y"], float)
    xi, s_x = _rows(inputs["xi"]), float(inputs["s_x"])
    _, _, levels, s_d = _weights(inputs, attrs, False)
    w_hat = s_d * levels
    u, v, q = _inputs(inputs, attrs)
    y0 = w_hat @ (s_x * q)
    out = {"d_xi": _shared(d_y * y0, inputs["xi"]), "d_eta": _shared(d_y, inputs["eta"])}
    if inputs.get("bias") is not None:
        out["d_bias"] = (xi * d_y if bug == "bias_by_xi" else d_y).sum(axis=1)
    d_w_hat = (xi * d_y) @ (s_x * q).T
    out.update(_weight_gradients(inputs, attrs, d_w_hat, bug))
    d_x_hat = w_hat.T @ (xi * d_y)
    masked = u if attrs["mask"] == "unrounded" else v
    mask = np.isfinite(u) & (masked >= attrs["n_x"]) & (masked <= attrs["p_x"])
    out["d_x"] = np.where(mask, d_x_hat, 0.0)
    inner = q - np.where(mask, u, 0.0)
    if bug == "ends_dropped":
        inner = np.where(mask, inner, 0.0)
    out["d_s_x"] = np.float64((d_x_hat * inner).sum())
    return out


def adaqt_step(inputs, attrs, bug=""):
    """Learn a fully connected layer by one step."""
    case = attrs["case"]
    names = ["alpha", "s_x", "xi", "eta"]
    if case == "2.2":
        names = ["alpha", "s_x", "s_d"] + ["bias"] * (inputs.get("bias") is not None)
    t = int(inputs["t"])
    chosen = np.asarray(inputs["indices"])
    given = {
        k: inputs[k]
        for k in ("w", "s_w", "alpha", "s_d", "s_x", "xi", "eta", "bias")
        if inputs.get(k) is not None
    }
    given["x"] = np.asarray(inputs["x"], float)[chosen].T
    if bug == "neutral_transform" and case == "2.2":
        given["xi"], given["eta"] = np.ones(len(inputs["xi"])), np.zeros(len(inputs["eta"]))
    inner = dict(attrs, case="1.1" if case == "adaqt" else case, hard=False)
    error = adaqt(given, inner)["y"] - np.asarray(inputs["target"], float)[chosen].T
    count = error.size if bug == "outputs_averaged" else len(chosen)
    given["d_y"] = 2.0 * error / count
    back = adaqt_backward(given, inner)
    out = {"loss": (error**2).sum() / count}
    cosine = (1.0 + np.cos(np.pi * (t - 1) / attrs["total"])) / 2.0
    for k in names:
        lr = attrs["lr_alpha"] if k == "alpha" else attrs["lr"] * cosine
        if bug == "alpha_cosine" and k == "alpha":
            lr = lr * cosine
        if bug == "bias_at_alpha_rate" and k in ("bias", "eta"):
            lr = attrs["lr_alpha"]
        g = out["d_" + k] = back["d_" + k]
        x, m, v = (np.asarray(inputs[key], float) for key in (k, "m_" + k, "v_" + k))
        out[k + "_next"], out[f"m_{k}_next"], out[f"v_{k}_next"] = adam(x, g, m, v, t, lr, attrs)
    return out


OPS = {"adaqt": adaqt, "adaqt_backward": adaqt_backward, "adaqt_step": adaqt_step}

BUGS = [
    ("adaqt", "bias_scaled", "multiplies the bias by xi too"),
    ("adaqt", "tied_always", "dequantizes by s_w in the decoupled cases"),
    ("adaqt", "hard_strict", "rounds down where alpha is exactly 0"),
    ("adaqt", "nan_plus_h", "gives a NaN weight the level h(alpha) instead of 0"),
    ("adaqt_backward", "bias_by_xi", "multiplies the gradient of the bias by xi"),
    ("adaqt_backward", "unrounded_soft", "masks floor plus h by w / s_w where mask is unrounded"),
    ("adaqt_backward", "own_step", "takes s_w for s_d in d_s_w of 2.1 and 2.3"),
    ("adaqt_backward", "ends_dropped", "leaves clipped inputs out of d_s_x"),
    ("adaqt_step", "neutral_transform", "ignores the given xi and eta in 2.2"),
    ("adaqt_step", "outputs_averaged", "averages the loss over the outputs too"),
    ("adaqt_step", "alpha_cosine", "lets the rate of alpha fall by the cosine"),
    ("adaqt_step", "bias_at_alpha_rate", "learns eta and the bias at the rate of alpha"),
]
