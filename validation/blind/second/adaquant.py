"""AdaQuant's and the logarithmic quantiser: right versions and wrong ones of a port."""

import numpy as np

from validation.blind.second.common import along, total

SMALLEST, LARGEST = 1e-6, 1e5


def adaquant_quant(inputs, attrs, bug=""):
    """Clamp to a learned range, then round to codes."""
    x = np.asarray(inputs["x"], np.float64)
    axis = attrs["axis"]
    span = along(inputs["span"], axis, x.shape)
    m = along(inputs["minimum"], axis, x.shape)
    top = 2 ** attrs["bits"] - 1
    clipped = np.clip(span, SMALLEST, LARGEST)
    s = clipped / top
    if bug == "floor_on_step":
        s = np.maximum(np.minimum(span, LARGEST) / top, SMALLEST)
    elif bug == "no_ceiling":
        s = np.maximum(span, SMALLEST) / top
    elif bug == "reciprocal_levels":
        s = clipped * (1 / top)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        shift = -m / s
        if bug == "zero_of_raw_span":
            shift = -m / (span / top)
        zero = np.clip(np.rint(shift), 0, top)
        if bug == "zero_half_up":
            zero = np.clip(np.floor(shift + 0.5), 0, top)
        elif bug == "zero_unclipped":
            zero = np.rint(shift)
        code = np.rint(np.clip(x / s + zero, 0, top))
        if bug == "rounds_before_shift":
            code = np.clip(np.rint(x / s) + zero, 0, top)
        y = s * (code - zero)
        y = np.where(np.isnan(x), -s * zero if bug == "nan_low" else 0.0, y)
    return {"y": np.asarray(y)}


def adaquant_quant_backward(inputs, attrs, bug=""):
    """Give the gradients of adaquant_quant with respect to x and both numbers of the range."""
    x = np.asarray(inputs["x"], np.float64)
    d_y = np.asarray(inputs["d_y"], np.float64)
    axis = attrs["axis"]
    span = along(inputs["span"], axis, x.shape)
    m = along(inputs["minimum"], axis, x.shape)
    top = 2 ** attrs["bits"] - 1
    s = np.clip(span, SMALLEST, LARGEST) / top
    span, m = np.asarray(inputs["span"], np.float64), np.asarray(inputs["minimum"], np.float64)
    flat = s.reshape(np.shape(span))
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        shift = -m / flat
        zero = np.clip(np.rint(shift), 0, top)
        learns_zero = (np.rint(shift) >= 0) & (np.rint(shift) <= top)
        if bug == "zero_mask_unrounded":
            learns_zero = (shift >= 0) & (shift <= top)
        learns = (span >= SMALLEST) & (span <= LARGEST)
        if bug == "range_mask_open":
            learns = (span > SMALLEST) & (span < LARGEST)
        wide = along(zero, axis, x.shape)
        t = np.where(np.isnan(x), wide, x / s + wide)
        mask = (t >= 0) & (t <= top) & np.isfinite(x)
        if bug == "mask_rounded":
            mask = (np.rint(t) >= 0) & (np.rint(t) <= top) & np.isfinite(x)
        code = np.rint(np.clip(t, 0, top))
        if bug == "nan_low":
            code = np.where(np.isnan(x), 0.0, code)
        through = np.where(mask, x / s, 0.0)
        c = total(np.where(mask, 0.0, d_y), axis)
        first = total(d_y * (code - wide - through), axis)
    second = learns_zero * (m / flat) * c
    if bug == "span_forgets_zero":
        second = 0 * c
    elif bug == "span_without_zero_mask":
        second = m / flat * c
    d_minimum = learns * learns_zero * c
    if bug == "minimum_by_autodiff":
        d_minimum = learns_zero * c
    elif bug == "minimum_without_zero_mask":
        d_minimum = learns * c
    d_span = np.where(learns, (first - second) / top, 0.0)
    return {
        "d_x": np.where(mask, d_y, 0.0),
        "d_span": np.asarray(d_span),
        "d_minimum": np.asarray(d_minimum),
    }


def logsqrt2_quant(inputs, attrs, bug=""):
    """Quantise probabilities to powers of the square root of two."""
    x = np.asarray(inputs["x"], np.float64)
    scale = np.asarray(inputs["scale"], np.float64)
    top = 2 ** attrs["bits"] - 1
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        ratio = x / scale
        if bug == "log_of_epsilon":
            ratio = np.where(np.isnan(x), x, np.maximum(ratio, 1e-12))
        r = np.rint(-2 * np.log2(ratio))
        nan = np.isnan(x)
        zero = (r >= top + 1) | nan
        if bug == "zero_one_early":
            zero = (r >= top) | nan
        elif bug == "infinity_is_zero":
            zero = zero | np.isinf(x)
        codes = np.where(zero, top, np.clip(r, 0, top))
        if bug == "negative_wraps":
            wrapped = np.mod(np.where(np.isfinite(r), r, 0.0), top + 1)
            codes = np.where(r < 0, wrapped, codes)
        elif bug == "uint8_codes":
            codes = np.mod(codes, 256)
        elif bug == "nan_code_zero":
            zero = np.where(nan, False, zero)
            codes = np.where(nan, 0, codes)
        y = scale * 2.0 ** (-codes / 2)
        if bug == "short_constant":
            y = scale * 2.0 ** -np.ceil(codes / 2) * (1 + np.mod(codes, 2) * 0.4142)
        y = np.where(zero, 0.0, y)
    return {"y": y, "codes": codes.astype(np.int64), "zero": np.asarray(zero, bool)}


OPS = {
    "adaquant_quant": adaquant_quant,
    "adaquant_quant_backward": adaquant_quant_backward,
    "logsqrt2_quant": logsqrt2_quant,
}
BUGS = [
    ("adaquant_quant", "floor_on_step", "1e-6 bounds the step from below, not the span"),
    ("adaquant_quant", "no_ceiling", "spans above 1e5 are not clipped"),
    ("adaquant_quant", "reciprocal_levels", "s = R' times 1/Lv, rounded twice, moves ties"),
    ("adaquant_quant", "zero_of_raw_span", "the zero point is taken from the unclipped span"),
    ("adaquant_quant", "zero_half_up", "the zero point is rounded with ties up"),
    ("adaquant_quant", "zero_unclipped", "a zero point outside the codes is kept"),
    ("adaquant_quant", "rounds_before_shift", "rounds x/s before adding Z; ties move for odd Z"),
    ("adaquant_quant", "nan_low", "NaN gives the low end"),
    ("adaquant_quant_backward", "zero_mask_unrounded", "MZ is taken before rounding"),
    ("adaquant_quant_backward", "range_mask_open", "spans of exactly 1e-6 or 1e5 do not learn"),
    ("adaquant_quant_backward", "mask_rounded", "M is taken after rounding"),
    ("adaquant_quant_backward", "nan_low", "NaN counts as the low end in d_span"),
    ("adaquant_quant_backward", "span_forgets_zero", "d_span lacks the way through Z"),
    ("adaquant_quant_backward", "span_without_zero_mask", "d_span's last term lacks MZ"),
    ("adaquant_quant_backward", "minimum_by_autodiff", "d_minimum lacks MR"),
    ("adaquant_quant_backward", "minimum_without_zero_mask", "d_minimum lacks MZ"),
    ("logsqrt2_quant", "log_of_epsilon", "the logarithm is taken of max(ratio, 1e-12), also of 0"),
    ("logsqrt2_quant", "zero_one_early", "r = 2^b - 1 is decoded to 0 already"),
    ("logsqrt2_quant", "infinity_is_zero", "an infinity is decoded to 0, as NaN is"),
    ("logsqrt2_quant", "negative_wraps", "codes below 0 wrap to the other end"),
    ("logsqrt2_quant", "uint8_codes", "codes are kept in 8 bits and wrap"),
    ("logsqrt2_quant", "nan_code_zero", "NaN gives the code 0 and the largest level"),
    ("logsqrt2_quant", "short_constant", "sqrt(2) - 1 is written 0.4142"),
]
