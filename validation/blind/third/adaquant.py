"""Wrong versions of AdaQuant's quantizer and of logsqrt2_quant, as vector code goes wrong."""

import numpy as np

from validation.blind.third.common import spread, sum_like


@np.errstate(all="ignore")
def adaquant_quant(inputs, attrs, bug=""):
    """Clamp to a learned range, then round to codes."""
    x = np.asarray(inputs["x"], np.float64)
    span = spread(inputs["span"], x, attrs["axis"])
    minimum = spread(inputs["minimum"], x, attrs["axis"])
    top = 2 ** attrs["bits"] - 1
    s = np.clip(span, 1e-6, None if bug == "one_guard" else 1e5) / top
    packed = 255 if attrs["bits"] <= 8 else 65535
    z = np.clip(np.rint(-minimum / s), 0, packed if bug == "packed_zero_point" else top)
    if bug == "rounds_first":
        r = np.clip(np.rint(x / s) + z, 0, top)
    else:
        r = np.rint(np.clip(x / s + z, 0, top))
    y = s * (r - z)
    of_nan = -s * z if bug == "nan_clamped" else 0.0
    return {"y": np.asarray(np.where(np.isnan(x), of_nan, y))}


@np.errstate(all="ignore")
def adaquant_quant_backward(inputs, attrs, bug=""):
    """Pass gradients to x and to both numbers of the range."""
    x = np.asarray(inputs["x"], np.float64)
    d_y = np.asarray(inputs["d_y"], np.float64)
    axis = attrs["axis"]
    span = np.asarray(inputs["span"], np.float64)
    minimum = np.asarray(inputs["minimum"], np.float64)
    top = 2 ** attrs["bits"] - 1
    s = np.clip(span, 1e-6, 1e5) / top
    raw = np.rint(-minimum / s)
    z = np.clip(raw, 0, top)
    z_learns = (raw >= 0) & (raw <= top)
    if bug == "mask_from_clipped":
        z_learns = (z > 0) & (z < top)
    r_learns = (span >= 1e-6) & (span <= 1e5)
    step, zero = spread(s, x, axis), spread(z, x, axis)
    u = x / step
    t = np.rint(u) + zero if bug == "rounded_mask" else u + zero
    inside = (t >= 0) & (t <= top)
    outside = (t < 0) | (t > top) if bug == "ordered_outside" else ~inside
    level = np.rint(np.clip(u + zero, 0, top)) - zero
    level = np.where(np.isnan(x), 0.0, level)
    c = sum_like(d_y * outside, axis)
    d_s = sum_like(d_y * (level - np.where(inside, u, 0.0)), axis)
    ratio = -z if bug == "zero_point_reused" else minimum / s
    d_span = r_learns / top * (d_s - z_learns * ratio * c)
    return {
        "d_x": np.asarray(np.where(inside, d_y, 0.0)),
        "d_span": np.asarray(d_span),
        "d_minimum": np.asarray(r_learns * z_learns * c),
    }


def _log2_by_fields(u):
    """Return log2 from the fields of the doubles, with an implicit one always."""
    bits = np.asarray(u).view(np.int64)
    exponent = (bits >> 52) - 1023
    mantissa = ((bits & (2**52 - 1)) | (1023 << 52)).view(np.float64)
    return exponent + np.log2(mantissa)


@np.errstate(all="ignore")
def logsqrt2_quant(inputs, attrs, bug=""):
    """Quantize probabilities to powers of the square root of two."""
    x = np.asarray(inputs["x"], np.float64)
    scale = np.asarray(inputs["scale"], np.float64)
    top = 2 ** attrs["bits"] - 1
    u = np.asarray(x / scale)
    log2 = _log2_by_fields(u) if bug == "exponent_field" else np.log2(u)
    r = np.where(u == 0, np.inf, np.rint(-2 * log2))
    nan = np.isnan(x)
    codes = np.where(nan, top, np.clip(r, 0, top)).astype(np.int64)
    zero = (r > top) | nan
    if bug == "zero_from_codes":
        zero = codes == top
    elif bug == "ordered_zero":
        zero = r > top
    power = 2.0 ** (-codes / 2)
    if bug == "shifted_powers":
        halves = (2**31 >> np.minimum((codes + 1) // 2, 62)) / 2.0**31
        power = halves * np.where(codes % 2, np.sqrt(2), 1.0)
    y = np.where(zero, 0.0, scale * power)
    return {"y": np.asarray(y), "codes": np.asarray(codes), "zero": np.asarray(zero)}


OPS = {
    "adaquant_quant": adaquant_quant,
    "adaquant_quant_backward": adaquant_quant_backward,
    "logsqrt2_quant": logsqrt2_quant,
}

BUGS = [
    ("adaquant_quant", "one_guard", "guards the span from below only, so that 2e5 stays as it is"),
    ("adaquant_quant", "packed_zero_point", "clips Z by the pack to 8 or 16 bits alone, too wide"),
    ("adaquant_quant", "rounds_first", "rounds x / s before Z is added: ties turn where Z is odd"),
    ("adaquant_quant", "nan_clamped", "max(t, 0) turns NaN into 0, the lower end of the range"),
    ("adaquant_quant_backward", "mask_from_clipped", "0 < Z < Lv: minimum = 0 does not learn"),
    ("adaquant_quant_backward", "rounded_mask", "masks by the rounded level: half a step too wide"),
    ("adaquant_quant_backward", "ordered_outside", "two ordered compares leave NaN out of c"),
    ("adaquant_quant_backward", "zero_point_reused", "the rounded -Z for minimum / s in d_span"),
    ("logsqrt2_quant", "exponent_field", "reads the exponent's field, wrong for subnormal ratios"),
    ("logsqrt2_quant", "zero_from_codes", "decodes the last code to 0 always: codes alone stay"),
    ("logsqrt2_quant", "ordered_zero", "r > 2^b - 1 is false for NaN, decoded to the last level"),
    ("logsqrt2_quant", "shifted_powers", "shifts a 32-bit one right: codes beyond 62 give y = 0"),
]
