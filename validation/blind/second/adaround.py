"""AdaRound's functions, each with wrong versions that an engineer could write."""

import numpy as np

LN11 = 2.3978952727983707


def _sigma(alpha):
    """The logistic function, stable on both sides."""
    small = np.exp(-np.abs(alpha))
    return np.where(alpha >= 0.0, 1.0, small) / (1.0 + small)


def _h(alpha):
    """The rectified sigmoid, exactly 0 and 1 from |alpha| = ln 11 on."""
    h = np.clip(1.2 * _sigma(alpha) - 0.1, 0.0, 1.0)
    return np.where(np.abs(alpha) >= LN11, np.where(alpha > 0.0, 1.0, 0.0), h)


def _slope(alpha, edge, bug=""):
    """The derivative of the rectified sigmoid, with the mask taken from alpha."""
    sigma, size = _sigma(alpha), np.abs(alpha)
    inside = size < LN11 if edge == "strict" else size <= LN11
    if bug == "strict_ignored":
        inside = size <= LN11
    elif bug == "always_strict":
        inside = size < LN11
    elif bug == "upper_open" and edge != "strict":
        inside = (alpha >= -LN11) & (alpha < LN11)
    elif bug == "float_edge":
        with np.errstate(over="ignore"):
            stretched = (1.1 - -0.1) * (1.0 / (1.0 + np.exp(-alpha))) - 0.1
        inside = (stretched >= 0.0) & (stretched <= 1.0)
        if edge == "strict":
            inside = (stretched > 0.0) & (stretched < 1.0)
    elif bug == "mask_of_clipped" and edge != "strict":
        sigma, inside = (_h(alpha) + 0.1) / 1.2, np.ones(alpha.shape, bool)
    elif bug == "unmasked":
        inside = np.ones(alpha.shape, bool)
    elif bug == "h_for_sigma":
        sigma = _h(alpha)
    return np.where(inside, 1.2 * sigma * (1.0 - sigma), 0.0)


def rect_sigmoid(inputs, attrs, bug=""):
    """The share of a step by which a weight is rounded up."""
    alpha = np.asarray(inputs["alpha"], float)
    if bug == "exp_overflows":
        with np.errstate(over="ignore", invalid="ignore"):
            return {"h": np.clip(1.2 * (np.exp(alpha) / (1.0 + np.exp(alpha))) - 0.1, 0.0, 1.0)}
    if bug == "sigma_16_bits":
        return {"h": np.clip(1.2 * _sigma(alpha).astype(np.float16).astype(float) - 0.1, 0.0, 1.0)}
    if bug == "lower_end_open":
        return {"h": np.minimum(1.2 * _sigma(alpha) - 0.1, 1.0)}
    if bug == "ln_10":
        saturated = np.abs(alpha) >= 2.302585092994046
        return {"h": np.where(saturated, np.where(alpha > 0.0, 1.0, 0.0), _h(alpha))}
    return {"h": _h(alpha)}


def rect_sigmoid_backward(inputs, attrs, bug=""):
    """The gradient of the rectified sigmoid."""
    alpha, d_h = np.asarray(inputs["alpha"], float), np.asarray(inputs["d_h"], float)
    slope = _slope(alpha, attrs["edge"], bug)
    with np.errstate(invalid="ignore"):
        return {"d_alpha": np.where(slope == 0.0, 0.0, d_h * slope)}


def round_reg(inputs, attrs, bug=""):
    """The price of decisions that are still open, a sum."""
    alpha = np.asarray(inputs["alpha"], float)
    beta, lam = float(attrs["beta"]), float(attrs["lam"])
    h = 1.2 * _sigma(alpha) - 0.1 if bug == "unclipped" else _h(alpha)
    t = 2.0 * h - 1.0
    if bug == "beta_truncated":
        beta = float(int(beta))
    if bug == "first_block":
        t = t.reshape(-1)[:256]
    if bug == "abs_missing":
        with np.errstate(invalid="ignore"):
            return {"value": np.asarray(lam * np.sum(1.0 - t**beta))}
    if bug == "float32":
        terms = np.float32(1.0) - np.abs(t.astype(np.float32)) ** np.float32(beta)
        return {"value": np.asarray(lam * float(np.sum(terms)))}
    return {"value": np.asarray(lam * np.sum(1.0 - np.abs(t) ** beta))}


def round_reg_backward(inputs, attrs, bug=""):
    """The gradient of the rounding regulariser."""
    alpha = np.asarray(inputs["alpha"], float)
    beta, lam = float(attrs["beta"]), float(attrs["lam"])
    t, sign = 2.0 * _h(alpha) - 1.0, np.sign(2.0 * _h(alpha) - 1.0)
    if bug == "sign_of_zero":
        sign = np.where(t >= 0.0, 1.0, -1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        power = np.abs(t) ** (beta - 1.0) * sign
        if bug == "divides_by_t":
            power = np.abs(t) ** beta / t
        elif bug == "signed_power":
            power = t ** (beta - 1.0)
        return {"d_alpha": -2.0 * lam * beta * power * _slope(alpha, attrs["edge"], bug)}


def _rows(value, like, bug=""):
    """Parameters of the output channels, shaped to broadcast against weights."""
    value = np.asarray(value)
    if value.ndim == 0 or (bug == "scale_last_axis" and like.shape[-1] == value.size):
        return value
    return value.reshape((-1,) + (1,) * (like.ndim - 1))


def adaround_init_alpha(inputs, attrs, bug=""):
    """The decision variables with h(alpha) = f."""
    w = np.asarray(inputs["w"], float)
    s = _rows(inputs["s"], w, bug).astype(float)
    with np.errstate(over="ignore", invalid="ignore"):
        u = w / s
        if bug == "reciprocal":
            u = w * (1.0 / s)
        elif bug == "float32":
            u = (w.astype(np.float32) / s.astype(np.float32)).astype(float)
        base = np.floor(u)
        if bug == "floor_32_bits":
            base = np.clip(base, -(2.0**31), 2.0**31 - 1)
        f = u - base
        if bug != "nan_kept":
            f = np.where(np.isfinite(u), f, 0.0)
    if bug == "one_to_zero":
        f = np.where(f >= 1.0, 0.0, f)
    form = attrs["alpha_init"]
    with np.errstate(invalid="ignore", divide="ignore"):
        if form == "quotient":
            alpha = -np.log(1.2 / (f + 0.1) - 1.0)
        elif form == "clipped" and bug != "clip_ignored":
            y = (np.clip(f, 1e-4, 1.0 - 1e-4) + 0.1) / 1.2
            alpha = np.log(y / (1.0 - y))
        else:
            alpha = np.where(f == 0.0, -LN11, np.log((1.0 + 10.0 * f) / (11.0 - 10.0 * f)))
    return {"alpha": alpha}


def _levels(attrs, zero_point, like, bug=""):
    """Ends of the levels, n and p, shaped like the weights' parameters."""
    bits, grid = int(attrs["bits"]), attrs["grid"]
    low, high = 0, 2**bits - 1
    if grid in ("signed", "narrow"):
        high = 2 ** (bits - 1) - 1
        low = -high if grid == "narrow" and bug != "narrow_as_signed" else -high - 1
    z = _rows(zero_point, like).astype(np.int64)
    if bug == "zero_point_shared":
        z = z.reshape(-1)[0]
    elif bug == "zero_point_ignored":
        z = np.zeros_like(z)
    return low - z, high - z, z


def adaround_weight(inputs, attrs, bug=""):
    """AdaRound's quantised weight, soft or hard."""
    w, alpha = np.asarray(inputs["w"], float), np.asarray(inputs["alpha"], float)
    s = _rows(inputs["s"], w, bug).astype(float)
    n, p, z = _levels(attrs, inputs["zero_point"], w, bug)
    with np.errstate(over="ignore", invalid="ignore"):
        base = np.floor(w / s)
    hard = attrs["rounding"] == "hard"
    if not hard:
        up = _h(alpha)
    elif attrs["tie"] == "down" and bug != "tie_ignored":
        up = alpha > 0.0
    else:
        up = alpha >= 0.0
    if bug == "clip_before_h" and not hard:
        level = np.clip(base, n, p) + up
    else:
        level = np.clip(base + up, n, p)
    if bug == "rint_of_soft" and hard:
        level = np.rint(np.clip(base + _h(alpha), n, p))
    level = np.where(np.isnan(level), n if bug == "nan_to_lowest" else 0.0, level)
    outputs = {"w_hat": s * level}
    if hard:
        codes = level.astype(np.int64) + z
        if bug == "codes_recomputed":
            codes = np.trunc(outputs["w_hat"] / s).astype(np.int64) + z
        elif bug == "codes_int8":
            codes = codes.astype(np.int8).astype(np.int64)
        outputs["codes"] = codes
    return outputs


def adaround_weight_backward(inputs, attrs, bug=""):
    """The gradient of the soft weight in the decision variables."""
    w, alpha = np.asarray(inputs["w"], float), np.asarray(inputs["alpha"], float)
    d_w_hat, s = np.asarray(inputs["d_w_hat"], float), _rows(inputs["s"], w).astype(float)
    n, p, _ = _levels(attrs, inputs["zero_point"], w, bug)
    with np.errstate(over="ignore", invalid="ignore"):
        base = np.floor(w / s)
    level = base + _h(alpha)
    inside = (level >= n) & (level <= p)
    if bug == "level_open":
        inside = (level > n) & (level < p)
    elif bug == "mask_of_floor":
        inside = (base >= n) & (base <= p)
    if bug == "step_shared":
        s = s.reshape(-1)[0]
    slope = np.where(inside, _slope(alpha, attrs["edge"], bug), 0.0)
    with np.errstate(invalid="ignore"):
        return {"d_alpha": np.where(slope == 0.0, 0.0, d_w_hat * s * slope)}


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
    ("rect_sigmoid", "exp_overflows", "exp(a) / (1 + exp(a)) gives NaN for huge alpha"),
    ("rect_sigmoid", "sigma_16_bits", "the sigmoid comes from a unit of half precision"),
    ("rect_sigmoid", "lower_end_open", "only the upper end is clipped: h falls to -0.1"),
    ("rect_sigmoid", "ln_10", "the shortcut to 0 and 1 starts at ln 10 instead of ln 11"),
    ("rect_sigmoid_backward", "strict_ignored", "edge strict is ignored"),
    (
        "rect_sigmoid_backward",
        "float_edge",
        "the mask is taken from (1.1 + 0.1) sigma - 0.1, which overshoots 0 and 1 by a last bit",
    ),
    ("rect_sigmoid_backward", "upper_open", "inclusive is half open: alpha = ln 11 is masked"),
    (
        "rect_sigmoid_backward",
        "mask_of_clipped",
        "mask and sigma come from the clipped h, so that saturated elements pass a gradient",
    ),
    ("rect_sigmoid_backward", "h_for_sigma", "h (1 - h) is used for sigma (1 - sigma)"),
    ("round_reg", "unclipped", "h is not clipped: the price turns negative beyond ln 11"),
    ("round_reg", "beta_truncated", "the exponent is cast to an integer"),
    ("round_reg", "first_block", "elements beyond the first 256 are not summed"),
    ("round_reg", "abs_missing", "2 h - 1 keeps its sign, which even exponents hide"),
    ("round_reg", "float32", "1 - |2 h - 1|^beta cancels in float32"),
    ("round_reg_backward", "divides_by_t", "|t|^beta / t gives NaN at h = 1/2"),
    ("round_reg_backward", "sign_of_zero", "sign(0) is 1, seen for beta = 1 at h = 1/2"),
    (
        "round_reg_backward",
        "signed_power",
        "t^(beta - 1) without absolute value, right for even beta only",
    ),
    ("round_reg_backward", "strict_ignored", "edge strict is ignored"),
    ("round_reg_backward", "always_strict", "edge inclusive is ignored: weights on the grid rest"),
    ("round_reg_backward", "unmasked", "saturated decisions keep a gradient"),
    (
        "adaround_init_alpha",
        "reciprocal",
        "w (1 / s) lands just below integers and sends alpha from -ln 11 to ln 11",
    ),
    ("adaround_init_alpha", "float32", "w / s is taken in float32: large ones lose the fraction"),
    ("adaround_init_alpha", "floor_32_bits", "the floor saturates at 32 bits"),
    ("adaround_init_alpha", "nan_kept", "NaN and infinite weights give NaN"),
    (
        "adaround_init_alpha",
        "one_to_zero",
        "a fraction that rounds to 1 (tiny negative weights) wraps to 0",
    ),
    ("adaround_init_alpha", "clip_ignored", "alpha_init clipped does not clip f"),
    (
        "adaround_init_alpha",
        "scale_last_axis",
        "steps broadcast along the last axis wherever its size happens to agree",
    ),
    ("adaround_weight", "tie_ignored", "tie down is ignored: alpha = 0 goes up"),
    (
        "adaround_weight",
        "rint_of_soft",
        "hard weights are rint of the soft ones: h = 1/2 goes to the even level",
    ),
    ("adaround_weight", "nan_to_lowest", "NaN ends at the lowest level"),
    ("adaround_weight", "zero_point_shared", "every channel uses the first zero point"),
    ("adaround_weight", "clip_before_h", "soft: the floor is clipped, then h is added"),
    ("adaround_weight", "codes_recomputed", "codes are w_hat / s truncated, at times 1 too small"),
    ("adaround_weight", "codes_int8", "codes are stored in int8: unsigned ones from 128 wrap"),
    (
        "adaround_weight",
        "scale_last_axis",
        "steps broadcast along the last axis wherever its size happens to agree",
    ),
    ("adaround_weight_backward", "level_open", "the mask of the levels excludes its ends"),
    ("adaround_weight_backward", "mask_of_floor", "the mask tests floor(w / s) without h"),
    (
        "adaround_weight_backward",
        "float_edge",
        "the mask is taken from (1.1 + 0.1) sigma - 0.1, which overshoots 0 and 1 by a last bit",
    ),
    ("adaround_weight_backward", "step_shared", "every channel uses the first channel's step"),
    ("adaround_weight_backward", "zero_point_ignored", "the levels are not shifted by z"),
    ("adaround_weight_backward", "narrow_as_signed", "the narrow grid has one level too many"),
]
