"""AdaRound's variables and weights as autograd functions, each op with its plausible mistakes."""

import numpy as np

from validation.blind.third.common import LN11, level_ends, sigmoid


def rectified(alpha):
    """The share of a step, exactly 0 or 1 from ln 11 on."""
    h = np.clip(1.2 * sigmoid(alpha) - 0.1, 0.0, 1.0)
    return np.where(np.abs(alpha) >= LN11, alpha > 0, h)


def slope(alpha, edge):
    """Derivative of the rectified sigmoid."""
    size = np.abs(alpha)
    mask = size <= LN11 if edge == "inclusive" else size < LN11
    return np.where(mask, 1.2 * sigmoid(alpha) * sigmoid(-alpha), 0.0)


def centred(alpha):
    """2 h - 1."""
    t = np.clip(1.2 * np.tanh(alpha / 2), -1.0, 1.0)
    return np.where(np.abs(alpha) >= LN11, np.sign(alpha), t)


def rect_sigmoid(inputs, attrs, bug=""):
    """The rectified sigmoid."""
    alpha = np.asarray(inputs["alpha"], np.float64)
    if bug == "exp_ratio":
        with np.errstate(over="ignore", invalid="ignore"):
            e = np.exp(alpha)
            return {"h": np.clip(1.2 * (e / (1.0 + e)) - 0.1, 0.0, 1.0)}
    if bug == "clip_before_stretch":
        return {"h": 1.2 * np.clip(sigmoid(alpha), 0.0, 1.0) - 0.1}
    return {"h": rectified(alpha)}


def rect_sigmoid_backward(inputs, attrs, bug=""):
    """The gradient of the rectified sigmoid."""
    alpha = np.asarray(inputs["alpha"], np.float64)
    d_h = np.asarray(inputs["d_h"], np.float64)
    h = rectified(alpha)
    if bug == "mask_of_output":
        return {"d_alpha": np.where((h > 0) & (h < 1), d_h * slope(alpha, "inclusive"), 0.0)}
    if bug == "sigma_from_output":
        sigma = (h + 0.1) / 1.2
        return {"d_alpha": d_h * 1.2 * sigma * (1.0 - sigma)}
    if bug == "edge_in_float32":
        limit, size = np.float64(np.float32(LN11)), np.abs(alpha)
        mask = size <= limit if attrs["edge"] == "inclusive" else size < limit
        return {"d_alpha": d_h * 1.2 * sigmoid(alpha) * sigmoid(-alpha) * mask}
    return {"d_alpha": d_h * slope(alpha, attrs["edge"])}


def round_reg(inputs, attrs, bug=""):
    """The price of decisions that are still open."""
    alpha = np.asarray(inputs["alpha"], np.float64)
    t = np.abs(centred(alpha))
    if bug == "abs_dropped":
        t = centred(alpha)
    if bug == "stretch_unclipped":
        t = np.abs(1.2 * np.tanh(alpha / 2))
    with np.errstate(invalid="ignore"):
        return {"value": attrs["lam"] * np.sum(1.0 - t ** attrs["beta"])}


def round_reg_backward(inputs, attrs, bug=""):
    """The gradient of the rounding regulariser."""
    alpha = np.asarray(inputs["alpha"], np.float64)
    beta, t = attrs["beta"], centred(alpha)
    power = np.abs(t) ** (beta - 1.0) * np.sign(t)
    if bug == "power_times_t":
        with np.errstate(divide="ignore", invalid="ignore"):
            power = np.abs(t) ** (beta - 2.0) * t
    if bug == "sign_by_where":
        power = np.abs(t) ** (beta - 1.0) * np.where(t >= 0, 1.0, -1.0)
    h_slope = slope(alpha, attrs["edge"])
    if bug == "clip_passes":
        h_slope = 1.2 * sigmoid(alpha) * sigmoid(-alpha)
    return {"d_alpha": -2.0 * attrs["lam"] * beta * power * h_slope}


def per_channel(param, w):
    """A parameter of shape () or (c_out,), shaped to broadcast along axis 0."""
    param = np.asarray(param)
    return param if param.ndim == 0 else param.reshape((-1,) + (1,) * (w.ndim - 1))


def units(w, s):
    """Weights in steps."""
    with np.errstate(over="ignore", invalid="ignore"):
        return w / s


def adaround_init_alpha(inputs, attrs, bug=""):
    """The decision variables with h(alpha) = f."""
    w, s = np.asarray(inputs["w"], np.float64), np.asarray(inputs["s"], np.float64)
    if not (bug == "trailing_axis" and s.ndim == 1 and w.shape[-1] == s.size):
        s = per_channel(s, w)
    u = units(w, s)
    with np.errstate(invalid="ignore", divide="ignore"):
        f = u - (np.trunc(u) if bug == "torch_frac" else np.floor(u))
        f = np.where(np.isnan(w) if bug == "infinity_left" else ~np.isfinite(u), 0.0, f)
        if attrs["alpha_init"] == "ratio":
            alpha = np.where(f == 0, -LN11, np.log((1.0 + 10.0 * f) / (11.0 - 10.0 * f)))
        elif attrs["alpha_init"] == "quotient":
            alpha = -np.log(1.2 / (f + 0.1) - 1.0)
        else:
            y = (np.clip(f, 1e-4, 1.0 - 1e-4) + 0.1) / 1.2
            alpha = np.log(y / (1.0 - y))
    return {"alpha": alpha}


def adaround_weight(inputs, attrs, bug=""):
    """AdaRound's quantized weight, soft or hard."""
    w, alpha = (np.asarray(inputs[k], np.float64) for k in ("w", "alpha"))
    s = per_channel(np.asarray(inputs["s"], np.float64), w)
    z = np.asarray(inputs["zero_point"], np.int64)
    if bug == "first_zero_point":
        z = np.full_like(z, z.flat[0])
    n, p = level_ends(per_channel(z, w), attrs)
    floor = np.floor(units(w, s))
    if bug == "casts_first":
        floor = np.where(np.isfinite(floor), floor, -(2.0**63))
    hard = attrs["rounding"] == "hard"
    if not hard:
        up = rectified(alpha)
    elif bug == "rounds_h":
        up = np.rint(rectified(alpha))
    else:
        up = alpha >= 0 if attrs["tie"] == "up" else alpha > 0
    level = np.clip(floor, n, p) + up if bug == "clips_floor" else np.clip(floor + up, n, p)
    level = np.where(np.isnan(level), 0.0, level)
    if not hard:
        return {"w_hat": s * level}
    return {"w_hat": s * level, "codes": level.astype(np.int64) + per_channel(z, w)}


def adaround_weight_backward(inputs, attrs, bug=""):
    """The gradient of the soft weight in the decision variables."""
    w, alpha, d_w_hat = (np.asarray(inputs[k], np.float64) for k in ("w", "alpha", "d_w_hat"))
    s = per_channel(np.asarray(inputs["s"], np.float64), w)
    n, p = level_ends(per_channel(np.asarray(inputs["zero_point"], np.int64), w), attrs)
    floor = np.floor(units(w, s))
    level = floor + rectified(alpha)
    mask = (n <= level) & (level <= p)
    if bug == "strict_levels":
        mask = (n < level) & (level < p)
    if bug == "mask_of_floor":
        mask = (n <= floor) & (floor <= p)
    if bug == "mask_of_clipped":
        mask = ~((level < n) | (level > p))
    return {"d_alpha": np.where(mask, d_w_hat * s * slope(alpha, attrs["edge"]), 0.0)}


OPS = {
    "rect_sigmoid": rect_sigmoid,
    "rect_sigmoid_backward": rect_sigmoid_backward,
    "round_reg": round_reg,
    "round_reg_backward": round_reg_backward,
    "adaround_init_alpha": adaround_init_alpha,
    "adaround_weight": adaround_weight,
    "adaround_weight_backward": adaround_weight_backward,
}
BUGS = [
    ("rect_sigmoid", "exp_ratio", "exp(a) / (1 + exp(a)) is NaN once exp(a) overflows"),
    ("rect_sigmoid", "clip_before_stretch", "the clip moved inside: h leaves [0, 1]"),
    ("rect_sigmoid_backward", "mask_of_output", "masks 0 < h < 1: strict where inclusive is asked"),
    ("rect_sigmoid_backward", "sigma_from_output", "sigma from the saved h: never 0 outside"),
    ("rect_sigmoid_backward", "edge_in_float32", "ln 11 as a float32: strict passes the edge"),
    ("round_reg", "abs_dropped", "(2 h - 1)^beta: right at beta = 2, else NaN or odd"),
    ("round_reg", "stretch_unclipped", "h is not clipped, the price falls below 0"),
    ("round_reg_backward", "power_times_t", "|t|^(beta - 2) t is NaN at alpha = 0, beta < 2"),
    ("round_reg_backward", "sign_by_where", "sign(0) = 1: a gradient at alpha = 0, beta = 1"),
    ("round_reg_backward", "clip_passes", "the gradient passes where h is clipped"),
    ("adaround_init_alpha", "torch_frac", "f = u - trunc(u): negative for negative weights"),
    ("adaround_init_alpha", "trailing_axis", "steps broadcast along the last axis where it fits"),
    ("adaround_init_alpha", "infinity_left", "guards NaN alone: infinite weights give NaN"),
    ("adaround_weight", "first_zero_point", "the first channel's zero point holds for all"),
    ("adaround_weight", "casts_first", "NaN and inf are cast to the least integer, then clipped"),
    ("adaround_weight", "rounds_h", "the hard decision is rint(h): alpha = 0 goes down"),
    ("adaround_weight", "clips_floor", "clips before h is added: levels above p"),
    ("adaround_weight_backward", "strict_levels", "no gradient where the level is n or p"),
    ("adaround_weight_backward", "mask_of_floor", "tests the saved floor, not floor + h"),
    ("adaround_weight_backward", "mask_of_clipped", "masks what is outside: NaN weights pass"),
]
