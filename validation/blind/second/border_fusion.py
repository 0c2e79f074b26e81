"""Bound and fusion of AQuant's borders with their gradients, right and wrong."""

import numpy as np

from validation.blind.second.common import bound, sigmoid, slope


def border_bound(inputs, attrs, bug=""):
    """From the polynomial to a border in [0, 1]."""
    p = np.asarray(inputs["p"], np.float64)
    used = dict(attrs)
    if bug == "fixed_kappa":
        used["kappa"] = 2.5
    elif bug == "always_outer":
        used["scale"] = "outer"
    e = bound(p, used)
    if attrs["bound"] == "clip":
        if bug == "kappa_in_clip":
            e = np.clip(0.5 + attrs["kappa"] * p, 0.0, 1.0)
    elif bug == "naive_sigmoid":
        with np.errstate(over="ignore", invalid="ignore"):
            if attrs["scale"] == "inner":
                e = np.exp(attrs["kappa"] * p) / (1 + np.exp(attrs["kappa"] * p))
            else:
                share = np.exp(p) / (1 + np.exp(p))
                e = np.clip(0.5 + attrs["kappa"] * (share - 0.5), 0.0, 1.0)
    elif bug == "not_clipped" and attrs["scale"] == "outer":
        e = 0.5 + attrs["kappa"] * (sigmoid(p) - 0.5)
    return {"e": e}


def border_bound_backward(inputs, attrs, bug=""):
    """Gradient through the bound of the border."""
    p = np.asarray(inputs["p"], np.float64)
    d_e = np.asarray(inputs["d_e"], np.float64)
    kappa = attrs["kappa"]
    used = dict(attrs)
    if bug == "always_closed":
        used["border_mask"] = "closed"
    d = slope(p, used)
    closed = attrs["border_mask"] == "closed"
    inner = attrs["bound"] == "sigmoid" and attrs["scale"] == "inner"
    free = slope(p, {**attrs, "border_mask": "open"})
    real = 0.5 + (p if attrs["bound"] == "clip" else kappa * (sigmoid(p) - 0.5))
    if bug == "open_ends" and closed and not inner:
        d = np.where((real > 0) & (real < 1), free, 0.0)
    elif bug == "upper_end_only" and closed and not inner:
        d = np.where(real <= 1, free, 0.0)
    elif bug == "inner_masked" and closed and inner:
        d = np.where((real >= 0) & (real <= 1), d, 0.0)
    elif bug == "inner_slope_of_outer" and inner:
        d = kappa * sigmoid(p) * sigmoid(-p)
    elif bug == "kappa_in_clip" and attrs["bound"] == "clip":
        d = d * kappa
    elif bug == "naive_slope" and attrs["bound"] == "sigmoid":
        with np.errstate(over="ignore", invalid="ignore"):
            t = np.exp(-kappa * p if inner else -p)
            naive = kappa * t / (1 + t) ** 2
        d = np.where(d == 0, 0.0, naive) if closed else naive
    return {"d_p": d_e * d}


def border_fuse(inputs, attrs, bug=""):
    """Bound the borders and share them among the taps of a channel."""
    p = np.asarray(inputs["p"], np.float64)
    k = p.shape[2]
    if attrs["fuse"] == "none" or k == 1:
        return {"border": bound(p, attrs)}
    fusion = np.asarray(inputs.get("fusion", np.ones(p.shape[1:3])), np.float64)
    if bug == "first_channel":
        fusion = np.broadcast_to(fusion[:1], fusion.shape)
    count = k
    if bug == "normalized":
        count = np.sum(fusion, axis=1)[None, :, None, None]
    elif bug == "square_kernel":
        count = int(np.sqrt(k)) ** 2

    def mean(v):
        """Weighted mean over the taps of a channel."""
        terms = fusion[None, :, :, None] * v
        if bug == "one_warp":
            terms = terms[:, :, :32]
        if bug == "windows_when_equal" and k == p.shape[3]:
            return np.sum(terms, axis=3)[:, :, None, :] / count
        return np.sum(terms, axis=2, keepdims=True) / count

    fuse = attrs["fuse"]
    if bug == "one_order" and fuse == "fuse_bound":
        fuse = "bound_fuse"
    if fuse == "fuse_bound":
        return {"border": bound(mean(p), attrs)}
    e = bound(p, attrs)
    border = 0.5 + mean(e - 0.5) if fuse == "centred" else mean(e)
    if bug != "not_clipped":
        border = np.clip(border, 0.0, 1.0)
    return {"border": border}


def border_fuse_backward(inputs, attrs, bug=""):
    """Gradients through fusion and bound."""
    p = np.asarray(inputs["p"], np.float64)
    d_border = np.asarray(inputs["d_border"], np.float64)
    k = p.shape[2]
    if attrs["fuse"] == "none" or k == 1:
        return {"d_p": d_border * slope(p, attrs)}
    fusion = np.asarray(inputs.get("fusion", np.ones(p.shape[1:3])), np.float64)[None, :, :, None]
    through = np.ones_like(fusion) if bug == "weights_of_one" else fusion
    if attrs["fuse"] == "fuse_bound":
        q = np.sum(fusion * p, axis=2, keepdims=True) / k
        shared = d_border * slope(p if bug == "slope_of_taps" else q, attrs)
        d_p = shared * through / k
        seen = p
    else:
        e = bound(p, attrs)
        seen = e - 0.5 if attrs["fuse"] == "centred" else e
        start = 0.5 if attrs["fuse"] == "centred" else 0.0
        weights = np.ones_like(fusion) if bug == "mask_without_weights" else fusion
        real = start + np.sum(weights * seen, axis=2, keepdims=True) / k
        inside = (real >= 0) & (real <= 1)
        if bug == "open_ends":
            inside = (real > 0) & (real < 1)
        if attrs["border_mask"] == "open" and bug != "fusion_clip_closed":
            inside = np.ones_like(inside)
        shared = np.where(inside, d_border, 0.0)
        d_p = shared * through / k * slope(p, attrs)
        if bug == "centred_not_centred":
            seen = e
    out = {"d_p": d_p}
    if "fusion" in inputs:
        terms = np.sum(shared * seen / k, axis=3)
        out["d_fusion"] = terms[-1] if bug == "last_sample" else np.sum(terms, axis=0)
        if bug == "fusion_not_averaged":
            out["d_fusion"] = out["d_fusion"] * k
    return out


OPS = {
    "border_bound": border_bound,
    "border_bound_backward": border_bound_backward,
    "border_fuse": border_fuse,
    "border_fuse_backward": border_fuse_backward,
}

BUGS = [
    ("border_bound", "fixed_kappa", "has 2.5 built in for kappa"),
    ("border_bound", "always_outer", "ignores scale, kappa is always outside the sigmoid"),
    ("border_bound", "kappa_in_clip", "multiplies P by kappa in the clip as well"),
    ("border_bound", "naive_sigmoid", "takes exp(P) / (1 + exp(P)), NaN for large P"),
    ("border_bound", "not_clipped", "lets the scaled sigmoid leave [0, 1]"),
    ("border_bound_backward", "always_closed", "ignores the open mask"),
    ("border_bound_backward", "open_ends", "blocks the gradient where the border is 0 or 1"),
    ("border_bound_backward", "upper_end_only", "masks above 1 but not below 0"),
    ("border_bound_backward", "inner_masked", "masks the inner sigmoid as if it were clipped"),
    ("border_bound_backward", "inner_slope_of_outer", "takes sigma(P) for sigma(kappa P)"),
    ("border_bound_backward", "kappa_in_clip", "multiplies the clip's slope by kappa"),
    ("border_bound_backward", "naive_slope", "overflows to NaN for very negative P"),
    ("border_fuse", "first_channel", "gives every channel the fusion weights of the first"),
    ("border_fuse", "normalized", "divides by the sum of the weights instead of k"),
    ("border_fuse", "square_kernel", "divides by the square of a side, wrong for 2 x 3"),
    ("border_fuse", "one_warp", "adds up the first 32 taps only"),
    ("border_fuse", "windows_when_equal", "averages over windows where k equals their number"),
    ("border_fuse", "one_order", "bounds before it fuses in fuse_bound too"),
    ("border_fuse", "not_clipped", "leaves out the clip behind the fusion"),
    ("border_fuse_backward", "slope_of_taps", "takes D at each tap's P in fuse_bound, not at Q"),
    ("border_fuse_backward", "mask_without_weights", "masks by the plain mean of the borders"),
    ("border_fuse_backward", "open_ends", "blocks the gradient where the mean is 0 or 1"),
    ("border_fuse_backward", "fusion_clip_closed", "keeps the fusion's mask when it is open"),
    ("border_fuse_backward", "centred_not_centred", "takes E for E - 1/2 in d_fusion"),
    ("border_fuse_backward", "weights_of_one", "leaves the fusion weights out of d_p"),
    ("border_fuse_backward", "last_sample", "overwrites d_fusion with that of each sample"),
    ("border_fuse_backward", "fusion_not_averaged", "does not divide d_fusion by k"),
]
