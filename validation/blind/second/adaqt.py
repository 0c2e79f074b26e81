"""AdaQTransform's layer, its gradients, folding and least squares, right and wrong."""

import numpy as np

from validation.blind.second.common import reduce_to, sigmoid

LN11 = 2.3978952727983707


def column(v, bug=""):
    """Scalar, channels or pixels against a product of (outputs, positions)."""
    v = np.asarray(v, np.float64)
    if v.ndim == 1 and bug != "scale_by_position":
        return v[:, None]
    return v


def weight_levels(inputs, attrs, bug=""):
    """Levels before the clip, levels, and dequantization steps of the weights."""
    w = np.asarray(inputs["w"], np.float64)
    s_w = np.asarray(inputs["s_w"], np.float64)[:, None]
    low, high = attrs["n_w"], attrs["p_w"]
    u = w / s_w
    if attrs["case"] in ("1.2", "qat"):
        v = np.rint(u)
        if bug == "half_away":
            v = np.sign(u) * np.floor(np.abs(u) + 0.5)
        levels = np.clip(v, low, high)
    else:
        alpha = np.asarray(inputs["alpha"], np.float64)
        if attrs.get("hard", False):
            h = (alpha > 0 if bug == "hard_open" else alpha >= 0).astype(np.float64)
        else:
            h = 1.2 * sigmoid(alpha) - 0.1
            if bug != "stretch_not_clipped":
                h = np.clip(h, 0.0, 1.0)
        base = np.trunc(u) if bug == "truncates" else np.floor(u)
        v = base + h
        levels = np.clip(base, low, high) + h if bug == "clip_before_h" else np.clip(v, low, high)
    levels = np.where(np.isnan(u), low if bug == "nan_is_lowest" else 0.0, levels)
    s_d = s_w
    if attrs["case"] in ("2.1", "2.2", "2.3"):
        s_d = np.asarray(inputs["s_d"], np.float64)[:, None]
        if bug == "tied_2_1" and attrs["case"] == "2.1":
            s_d = s_w
    return v, levels, s_d


def input_levels(inputs, attrs, bug=""):
    """Inputs in steps and their levels."""
    u = np.asarray(inputs["x"], np.float64) / float(inputs["s_x"])
    low = 0 if bug == "unsigned_inputs" else attrs["n_x"]
    levels = np.clip(np.rint(u), low, attrs["p_x"])
    return u, np.where(np.isnan(u), low if bug == "nan_is_lowest" else 0.0, levels)


def adaqt(inputs, attrs, bug=""):
    """A layer of quantized weight and input with a transformed output."""
    _, levels, s_d = weight_levels(inputs, attrs, bug)
    _, x_levels = input_levels(inputs, attrs, bug)
    y0 = (s_d * levels) @ (float(inputs["s_x"]) * x_levels)
    if bug == "scale_by_position" and y0.shape[0] != y0.shape[1]:
        bug = ""
    xi, eta = (column(inputs[name], bug) for name in ("xi", "eta"))
    bias = column(inputs["bias"]) if "bias" in inputs else 0.0
    y = xi * (y0 + bias) + eta if bug == "scaled_bias" else xi * y0 + bias + eta
    return {"y": y, "y0": y0, "levels": levels}


def clip_masks(u, v, u_x, attrs, bug):
    """Whether weights and inputs are inside their grids, and their values in steps there."""
    edge = u if attrs["mask"] == "unrounded" else v
    inside = np.isfinite(u) & (edge >= attrs["n_w"]) & (edge <= attrs["p_w"])
    edge_x = np.rint(u_x) if attrs["mask"] == "rounded" or bug == "inputs_rounded" else u_x
    inside_x = np.isfinite(u_x) & (edge_x >= attrs["n_x"]) & (edge_x <= attrs["p_x"])
    kept = np.where(inside, u, 0.0)
    kept_x = np.where(inside_x, u_x, 0.0)
    if bug == "product_with_nan":
        with np.errstate(invalid="ignore"):
            kept, kept_x = inside * u, inside_x * u_x
    if bug == "tied_not_masked" and attrs["case"] == "tied":
        kept = np.where(np.isfinite(u), u, 0.0)
    return inside, inside_x, kept, kept_x


def adaqt_backward(inputs, attrs, bug=""):
    """Gradients of everything that a row of the table learns."""
    case = attrs["case"]
    w = np.asarray(inputs["w"], np.float64)
    s_w = np.asarray(inputs["s_w"], np.float64)[:, None]
    v, levels, s_d = weight_levels(inputs, attrs)
    u_x, x_levels = input_levels(inputs, attrs)
    s_x = float(inputs["s_x"])
    w_hat, x_hat = s_d * levels, s_x * x_levels
    y0 = w_hat @ x_hat
    d_y = np.asarray(inputs["d_y"], np.float64)
    xi = column(inputs["xi"])
    scaled = xi * d_y
    d_w_hat = (d_y if bug == "weights_without_xi" else scaled) @ x_hat.T
    d_x_hat = w_hat.T @ (d_y if bug == "inputs_without_xi" else scaled)
    inside, inside_x, kept, kept_x = clip_masks(w / s_w, v, u_x, attrs, bug)
    out = {
        "d_xi": reduce_to(d_y * y0, np.shape(inputs["xi"])),
        "d_eta": reduce_to(d_y, np.shape(inputs["eta"])),
        "d_x": np.where(inside_x, d_x_hat, 0.0),
        "d_s_x": np.asarray(np.sum(d_x_hat * (x_levels - kept_x))),
    }
    if bug == "pixels_share" and np.ndim(inputs["xi"]) == 2:
        out["d_xi"] = np.broadcast_to(np.sum(d_y * y0, axis=1, keepdims=True), y0.shape).copy()
    if "bias" in inputs:
        out["d_bias"] = np.sum(scaled if bug == "bias_behind_xi" else d_y, axis=1)
    if case not in ("1.2", "qat"):
        alpha = np.asarray(inputs["alpha"], np.float64)
        strict = attrs["edge"] == "strict" and bug != "always_inclusive"
        free = np.abs(alpha) < LN11 if strict else np.abs(alpha) <= LN11
        rise = 1.2 * sigmoid(alpha) * sigmoid(-alpha)
        step = s_w if bug == "alpha_by_s_w" else s_d
        out["d_alpha"] = np.where(inside & free, d_w_hat * step * rise, 0.0)
    if case in ("2.1", "2.3"):
        slope = np.where(inside, -np.where(inside, w, 0.0) / s_w**2, 0.0)
        step = s_w if bug == "own_step_in_2" else s_d
        out["d_s_w"] = np.sum(d_w_hat * step * slope, axis=1)
    elif case in ("tied", "1.2", "qat"):
        out["d_s_w"] = np.sum(d_w_hat * (levels - kept), axis=1)
    if case in ("2.2", "2.3"):
        reached = levels
        if bug == "s_d_inside_only":
            reached = np.where(inside, levels, 0.0)
        out["d_s_d"] = np.sum(d_w_hat * reached, axis=1)
    if case == "qat":
        out["d_w"] = np.where(inside, d_w_hat, 0.0)
    return out


def adaqt_fold(inputs, attrs, bug=""):
    """One scale and one offset behind an integer product."""
    names = ("xi", "eta", "s_w", "s_x")
    xi, eta, s_w, s_x = (np.asarray(inputs[name], np.float64) for name in names)
    bias = inputs.get("bias")
    bias = np.zeros_like(eta) if bias is None else np.asarray(bias, np.float64)
    if bug == "positive_scale":
        xi = np.abs(xi)
    st = xi * s_w * s_x
    if bug == "half_scale":
        st = (s_w * s_x).astype(np.float16).astype(np.float64) * xi
    bt = xi * bias + eta if bug == "scaled_bias" else bias + eta
    if bug == "no_bias_no_eta" and "bias" not in inputs:
        bt = np.zeros_like(eta)
    return {"st": st, "bt": bt}


def adaqt_ols(inputs, attrs, bug=""):
    """Least squares of the output transform for frozen codes."""
    y = np.asarray(inputs["y"], np.float64)
    y0 = np.asarray(inputs["y0"], np.float64)
    axes = {"channel": (0, 2), "layer": (0, 1, 2), "pixel": (0,)}[attrs["granularity"]]
    if "bias" in inputs and not (bug == "layer_without_bias" and attrs["granularity"] == "layer"):
        bias = np.asarray(inputs["bias"], np.float64)
        by_position = bug == "bias_by_position" and bias.size == y.shape[2]
        y = y - (bias if by_position else bias[:, None])
    mean, mean0 = y.mean(axis=axes, keepdims=True), y0.mean(axis=axes, keepdims=True)
    var = np.mean((y0 - mean0) ** 2, axis=axes, keepdims=True)
    cov = np.mean((y - mean) * (y0 - mean0), axis=axes, keepdims=True)
    if bug == "sample_variance":
        count = y0.size / var.size
        var = var * count / max(count - 1, 1)
    if bug == "float32_moments":
        z = y0.astype(np.float32)
        var = np.mean(z * z, axis=axes, keepdims=True) - np.mean(z, axis=axes, keepdims=True) ** 2
        var = np.maximum(var.astype(np.float64), 0.0)
    flat = np.ptp(y0, axis=axes, keepdims=True) == 0
    if bug == "small_is_flat":
        flat = flat | (var < 1e-8)
    flat = flat | (var == 0)
    xi = np.where(flat, 0.0 if bug == "flat_gives_0" else 1.0, cov / np.where(flat, 1.0, var))
    eta = mean - xi * mean0
    mse = np.mean((y - xi * y0 - eta) ** 2, axis=axes, keepdims=True)
    return {n: np.squeeze(v, axis=axes) for n, v in (("xi", xi), ("eta", eta), ("mse", mse))}


OPS = {
    "adaqt": adaqt,
    "adaqt_backward": adaqt_backward,
    "adaqt_fold": adaqt_fold,
    "adaqt_ols": adaqt_ols,
}

BUGS = [
    ("adaqt", "half_away", "rounds ties of the weights away from 0 in 1.2 and qat"),
    ("adaqt", "hard_open", "rounds alpha = 0 down"),
    ("adaqt", "stretch_not_clipped", "lets h leave [0, 1]"),
    ("adaqt", "truncates", "truncates w / s_w to an integer instead of taking its floor"),
    ("adaqt", "clip_before_h", "clips the floor and adds h to it afterwards"),
    ("adaqt", "nan_is_lowest", "gives NaN the lowest level, as fmax does"),
    ("adaqt", "tied_2_1", "dequantizes with s_w in 2.1"),
    ("adaqt", "unsigned_inputs", "takes 0 for the lowest level of the inputs"),
    ("adaqt", "scale_by_position", "applies channels to positions where they are as many"),
    ("adaqt", "scaled_bias", "multiplies the bias by xi"),
    ("adaqt_backward", "weights_without_xi", "leaves xi out of the weights' gradient"),
    ("adaqt_backward", "inputs_without_xi", "leaves xi out of the inputs' gradient"),
    ("adaqt_backward", "inputs_rounded", "ignores mask unrounded for the inputs"),
    ("adaqt_backward", "product_with_nan", "multiplies the mask by NaN and infinities"),
    ("adaqt_backward", "tied_not_masked", "takes w / s_w off where tied weights are clipped"),
    ("adaqt_backward", "pixels_share", "sums the gradient of a xi for each pixel over pixels"),
    ("adaqt_backward", "bias_behind_xi", "multiplies the gradient of the bias by xi"),
    ("adaqt_backward", "always_inclusive", "ignores the strict edge"),
    ("adaqt_backward", "alpha_by_s_w", "multiplies d_alpha by s_w where s_d is another"),
    ("adaqt_backward", "own_step_in_2", "takes s_w for s_d in the gradient of s_w"),
    ("adaqt_backward", "s_d_inside_only", "leaves clipped weights out of d_s_d"),
    ("adaqt_fold", "positive_scale", "takes the magnitude of xi, for an unsigned multiplier"),
    ("adaqt_fold", "half_scale", "multiplies the steps in float16, where they underflow"),
    ("adaqt_fold", "scaled_bias", "multiplies the bias by xi"),
    ("adaqt_fold", "no_bias_no_eta", "leaves eta out where there is no bias"),
    ("adaqt_ols", "layer_without_bias", "does not take the bias off for a layer"),
    ("adaqt_ols", "bias_by_position", "takes the bias off by position where sizes agree"),
    ("adaqt_ols", "sample_variance", "divides the variance by N - 1 but the covariance by N"),
    ("adaqt_ols", "float32_moments", "takes the variance as a float32 difference of moments"),
    ("adaqt_ols", "small_is_flat", "takes variances below 1e-8 for 0"),
    ("adaqt_ols", "flat_gives_0", "gives xi = 0 where the product does not vary"),
]
