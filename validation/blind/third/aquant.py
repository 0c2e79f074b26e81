"""AQuant: bound and fusion of the border, the quantizer with gradients, one step of learning."""

import numpy as np

from validation.blind.third.common import adam, sigmoid


def _bound(p, attrs, bug=""):
    """Bring the polynomial to a border in [0, 1]."""
    kappa = attrs["kappa"]
    if attrs["bound"] == "clip":
        return np.clip(0.5 + (kappa * p if bug == "clip_by_kappa" else p), 0.0, 1.0)
    if attrs["scale"] == "inner":
        return sigmoid((2.5 if bug == "kappa_fixed" else kappa) * p)
    e = 0.5 + kappa * (sigmoid(p) - 0.5)
    return e if bug == "unclipped" else np.clip(e, 0.0, 1.0)


def _slope(p, attrs, bug=""):
    """Give the slope of the bound, D."""
    kappa, closed = attrs["kappa"], attrs["border_mask"] == "closed"
    outer = 0.5 + kappa * (sigmoid(p) - 0.5)
    if attrs["bound"] == "clip":
        slope, raw = np.ones(p.shape), 0.5 + p
        closed = closed or bug == "open_for_sigmoid"
    elif attrs["scale"] == "inner":
        t = p if bug == "sigma_of_p" else kappa * p
        slope, raw = kappa * sigmoid(t) * sigmoid(-t), None
        raw = outer if bug == "inner_masked" else None
    else:
        slope, raw = kappa * sigmoid(p) * sigmoid(-p), outer
    if not closed or raw is None:
        return slope
    if bug == "open_ends":
        return np.where((raw > 0) & (raw < 1), slope, 0.0)
    return np.where((raw >= 0) & (raw <= 1), slope, 0.0)


def border_bound(inputs, attrs, bug=""):
    """Give the border of a polynomial."""
    return {"e": _bound(np.asarray(inputs["p"], float), attrs, bug)}


def border_bound_backward(inputs, attrs, bug=""):
    """Give the gradient through the bound."""
    p = np.asarray(inputs["p"], float)
    return {"d_p": np.asarray(inputs["d_e"], float) * _slope(p, attrs, bug)}


def _weights(inputs, p):
    """Give the fusion weights, broadcast to patches."""
    fusion = inputs.get("fusion")
    fusion = np.ones(p.shape[1:3]) if fusion is None else np.asarray(fusion, float)
    return fusion[None, :, :, None]


def _fused(p, attrs):
    """Say whether the taps share a border."""
    return attrs["fuse"] != "none" and p.shape[2] > 1


def border_fuse(inputs, attrs, bug=""):
    """Bound the borders and share them among the taps."""
    p = np.asarray(inputs["p"], float)
    if not _fused(p, attrs):
        return {"border": _bound(p, attrs)}
    weights = _weights(inputs, p)
    below = weights.sum(axis=2, keepdims=True) if bug == "weighted_mean" else p.shape[2]

    def mean(t):
        return (weights * t).sum(axis=2, keepdims=True) / below

    if attrs["fuse"] == "fuse_bound":
        return {"border": _bound(mean(p), attrs)}
    e = _bound(p, attrs)
    if attrs["fuse"] == "centred" and bug != "centred_plain":
        border = 0.5 + mean(e - 0.5)
    elif bug == "clips_each":
        border = np.clip(weights * e, 0.0, 1.0).sum(axis=2, keepdims=True) / below
    else:
        border = mean(e)
    return {"border": border if bug == "unclipped_mean" else np.clip(border, 0.0, 1.0)}


def border_fuse_backward(inputs, attrs, bug=""):
    """Give the gradients through fusion and bound."""
    p, d_border = np.asarray(inputs["p"], float), np.asarray(inputs["d_border"], float)
    if not _fused(p, attrs):
        return {"d_p": d_border * _slope(p, attrs)}
    weights, k = _weights(inputs, p), p.shape[2]
    if attrs["fuse"] == "fuse_bound":
        what = p
        front = d_border * _slope((weights * p).sum(axis=2, keepdims=True) / k, attrs)
        d_p = np.broadcast_to(front * weights / k, p.shape).copy()
    else:
        half = 0.5 if attrs["fuse"] == "centred" else 0.0
        what = _bound(p, attrs) - half
        f = (weights * what).sum(axis=2, keepdims=True) / k
        f = f if bug == "mask_without_half" else f + half
        idle = (f >= 0) & (f <= 1)
        if attrs["border_mask"] == "open" and bug != "open_inside_only":
            idle = np.ones(f.shape, bool)
        front = np.where(idle, d_border, 0.0)
        d_p = front * weights / k * _slope(p, attrs)
    if bug == "plain_e" and attrs["fuse"] == "centred":
        what = what + 0.5
    out = {"d_p": d_p}
    if inputs.get("fusion") is not None:
        out["d_fusion"] = (front * what).sum(axis=(0, 3)) / (1 if bug == "fusion_summed" else k)
    return out


def _forward(inputs, attrs, bug=""):
    """Give u, u as the border sees it, b1 and b2, P, the border and v (n, c, k, l)."""
    x, s = np.asarray(inputs["x"], float), float(inputs["s"])
    b0 = np.asarray(inputs["b0"], float)
    c, k = b0.shape
    u = (x / s).reshape(len(x), c, k, -1)
    n, top = float(attrs["n"]), float(attrs["p"])
    seen = np.where(np.isnan(u), 0.0, np.where(u == np.inf, top, np.where(u == -np.inf, n, u)))
    where = u if bug == "raw_infinities" else seen * s if bug == "border_of_x" else seen
    b1 = np.asarray(inputs["b1"], float)[None, :, :, None]
    b2 = np.asarray(inputs.get("b2", np.zeros((c, k))), float)[None, :, :, None]
    p = (b2 * where + b1) * where + b0[None, :, :, None]
    border = border_fuse({"p": p, "fusion": inputs.get("fusion")}, attrs)["border"]
    floor = np.floor(seen)
    up = np.where((seen > -0.5) & (seen < 0), seen > border - 1.0, seen - floor > border)
    if bug == "up_at_border":
        up = seen - floor >= border
    r = floor + up
    if bug == "ceil_form":
        r = np.ceil(seen - border)
    if bug == "clips_before_blend":
        r = np.clip(r, n, top)
    a = attrs["a"]
    v = r if a == 1 else seen + a * (r - seen)
    v = np.where(np.isfinite(u), v, seen)
    return u, seen, b1, b2, p, border, v


def aquant_quant(inputs, attrs, bug=""):
    """Quantize patches, rounding up where the fraction exceeds the border."""
    shape = np.shape(inputs["x"])
    *_, border, v = _forward(inputs, attrs, bug)
    levels = v if bug == "clips_before_blend" else np.clip(v, attrs["n"], attrs["p"])
    levels = levels.reshape(shape)
    return {"x_hat": float(inputs["s"]) * levels, "levels": levels, "border": border}


def aquant_quant_backward(inputs, attrs, bug=""):
    """Give straight-through gradients of input, step and border."""
    u, seen, b1, b2, p, _, v = _forward(inputs, attrs)
    s, n, top = float(inputs["s"]), attrs["n"], attrs["p"]
    d_x_hat = np.asarray(inputs["d_x_hat"], float).reshape(u.shape)
    finite = np.isfinite(u)
    masked = v if attrs["mask"] == "rounded" else seen
    g_v = np.where((masked >= n) & (masked <= top) & finite, s * d_x_hat, 0.0)
    g_b = -g_v if bug == "without_a" else -attrs["a"] * g_v
    if attrs["gate"] == "support":
        inside = (seen > n) & (seen < top)
        if bug == "gate_closed":
            inside = (seen >= n) & (seen <= top)
        g_b = np.where(inside, g_b, 0.0)
    if _fused(p, attrs):
        mean = bug == "taps_averaged"
        g_b = (g_b.mean if mean else g_b.sum)(axis=2, keepdims=True)
    back = border_fuse_backward({"p": p, "fusion": inputs.get("fusion"), "d_border": g_b}, attrs)
    g_p = back["d_p"]
    through = np.where(finite, g_p * (2.0 * b2 * seen + b1), 0.0)
    g_u = g_v if attrs["detach_border_input"] else g_v + through
    levels = np.clip(v, n, top)
    if bug == "finite_alone":
        levels = np.where(finite, levels, 0.0)
    g_us = g_v + through if bug == "detaches_x_alone" else g_u
    d_s = (d_x_hat * levels).sum() - (np.where(finite, g_us * seen, 0.0)).sum() / s
    out = {
        "d_x": (g_u / s).reshape(np.shape(inputs["x"])),
        "d_s": np.float64(attrs["grad_scale"] * d_s),
        "d_b0": g_p.sum(axis=(0, 3)),
        "d_b1": (g_p * seen).sum(axis=(0, 3)),
    }
    if inputs.get("b2") is not None:
        out["d_b2"] = (g_p * seen * seen).sum(axis=(0, 3))
    if "d_fusion" in back:
        out["d_fusion"] = back["d_fusion"]
    return out


def aquant_step(inputs, attrs, bug=""):
    """Learn border and step size by one step in front of a layer with fixed weights."""
    t, total = int(inputs["t"]), attrs["total"]
    chosen = np.asarray(inputs["indices"])
    if bug == "distinct_samples":
        chosen = np.unique(chosen)
    held = attrs["hold"] * total
    a = min(max((t - held) / (total - held), 0.0), 1.0)
    names = [k for k in ("s", "b0", "b1", "b2", "fusion") if inputs.get(k) is not None]
    given = {k: inputs[k] for k in names}
    given["x"] = np.asarray(inputs["x"], float)[chosen]
    attrs = dict(attrs, a=a, grad_scale=1.0)
    w_hat = np.asarray(inputs["w_hat"], float)
    y = w_hat @ aquant_quant(given, attrs)["x_hat"]
    error = y - np.asarray(inputs["target"], float)[chosen]
    count = len(error) if bug == "windows_summed" else len(error) * error.shape[2]
    given["d_x_hat"] = w_hat.T @ (2.0 * error / count)
    back = aquant_quant_backward(given, attrs)
    out = {"loss": (error**2).sum() / count}
    age = t if bug == "cosine_of_t" else t - 1
    cosine = (1.0 + np.cos(np.pi * age / total)) / 2.0
    for k in names:
        lr = attrs["lr_s"] * cosine if k == "s" else attrs["lr_border"]
        if bug == "border_cosine" and k != "s":
            lr = lr * cosine
        g = out["d_" + k] = back["d_" + k]
        x, m, v = (np.asarray(inputs[key], float) for key in (k, "m_" + k, "v_" + k))
        out[k + "_next"], out[f"m_{k}_next"], out[f"v_{k}_next"] = adam(x, g, m, v, t, lr, attrs)
    return out


OPS = {
    "border_bound": border_bound,
    "border_bound_backward": border_bound_backward,
    "border_fuse": border_fuse,
    "border_fuse_backward": border_fuse_backward,
    "aquant_quant": aquant_quant,
    "aquant_quant_backward": aquant_quant_backward,
    "aquant_step": aquant_step,
}

BUGS = [
    ("border_bound", "clip_by_kappa", "multiplies P by kappa in the clip bound too"),
    ("border_bound", "kappa_fixed", "keeps 2.5 inside the sigmoid, whatever kappa is"),
    ("border_bound", "unclipped", "leaves [0, 1] where the scaled sigmoid does"),
    ("border_bound_backward", "open_ends", "is 0 where the border is at an end but not clipped"),
    ("border_bound_backward", "sigma_of_p", "takes the slope at P instead of kappa P in inner"),
    ("border_bound_backward", "inner_masked", "masks inner, which never clips, as outer"),
    ("border_bound_backward", "open_for_sigmoid", "still masks the clip bound where open"),
    ("border_fuse", "weighted_mean", "divides by the sum of the weights instead of k"),
    ("border_fuse", "centred_plain", "fuses centred without taking 1/2 off"),
    ("border_fuse", "unclipped_mean", "leaves [0, 1] where the fusion weights do"),
    ("border_fuse", "clips_each", "clips the weighted borders before their mean"),
    ("border_fuse_backward", "fusion_summed", "does not divide d_fusion by k"),
    ("border_fuse_backward", "plain_e", "takes E for E - 1/2 in d_fusion of centred"),
    ("border_fuse_backward", "open_inside_only", "still masks the clip of the mean where open"),
    ("border_fuse_backward", "mask_without_half", "masks centred by the mean without its 1/2"),
    ("aquant_quant", "up_at_border", "rounds up where the fraction equals the border"),
    ("aquant_quant", "ceil_form", "rounds by ceil(u - B), which moves whole u at B = 1"),
    ("aquant_quant", "border_of_x", "evaluates the polynomial at x, not in units of the step"),
    ("aquant_quant", "clips_before_blend", "clips the rounded value alone, not the blend"),
    ("aquant_quant", "raw_infinities", "lets the border see NaN and infinities as they are"),
    ("aquant_quant_backward", "without_a", "forgets a in the gradient of the border"),
    ("aquant_quant_backward", "gate_closed", "lets u = n and u = p through the support gate"),
    ("aquant_quant_backward", "taps_averaged", "averages over the taps that share a border"),
    ("aquant_quant_backward", "detaches_x_alone", "keeps the border's term of d_s when detached"),
    ("aquant_quant_backward", "finite_alone", "leaves infinite inputs out of d_s"),
    ("aquant_step", "cosine_of_t", "takes the step's rate at t instead of t - 1"),
    ("aquant_step", "windows_summed", "sums the loss over windows"),
    ("aquant_step", "border_cosine", "lets the rate of the border fall like that of the step"),
    ("aquant_step", "distinct_samples", "counts a sample that is drawn twice once"),
]
