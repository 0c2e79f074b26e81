"""Integer inference as lowered by a compiler, each op with its plausible mistakes."""

import numpy as np

from validation.blind.third.common import grid_ends

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


def along(param, like, axis):
    """A parameter of shape () or (c,), shaped to broadcast along an axis."""
    if param.ndim == 0 or axis is None:
        return param.reshape(()) if param.size == 1 else param
    return param.reshape([-1 if i == axis else 1 for i in range(like.ndim)])


def int_conv_acc(inputs, attrs, bug=""):
    """Accumulate a convolution of codes; outside the map lies the zero point."""
    x, w = np.asarray(inputs["x_codes"], np.int64), np.asarray(inputs["w"], np.int64)
    z = np.int64(np.asarray(inputs["zero_point"]).reshape(()))
    (s_h, s_w), (d_h, d_w) = attrs["stride"], attrs["dilation"]
    top, left, bottom, right = attrs["padding"]
    groups = attrs["groups"]
    n, c_in, h, width = x.shape
    c_out, _, k_h, k_w = w.shape
    h_o = (h + top + bottom - d_h * (k_h - 1) - 1) // s_h + 1
    w_o = (width + left + right - d_w * (k_w - 1) - 1) // s_w + 1
    centred = x - z
    if bug == "int8_difference":
        centred = centred.astype(np.int8).astype(np.int64)
    border = -z if bug == "pads_zero" else 0
    pads = ((0, 0), (0, 0), (top, bottom), (left, right))
    padded = np.pad(centred, pads, constant_values=border)
    rows = (np.arange(h_o) * s_h)[:, None, None, None] + (np.arange(k_h) * d_h)[:, None]
    cols = (np.arange(w_o) * s_w)[:, None, None] + np.arange(k_w) * d_w
    taps = padded[:, :, rows, cols]
    taps = taps.reshape(n, groups, c_in // groups, h_o, w_o, k_h, k_w)
    kernel = w.reshape(groups, c_out // groups, c_in // groups, k_h, k_w)
    if bug == "float32":
        taps, kernel = taps.astype(np.float32), kernel.astype(np.float32)
    acc = np.einsum("ngcpqij,gocij->ngopq", taps, kernel)
    if bug == "groups_interleaved":
        acc = acc.swapaxes(1, 2)
    return {"acc": acc.reshape(n, c_out, h_o, w_o).astype(np.int64)}


def requant_float(inputs, attrs, bug=""):
    """Codes of accumulators through floats."""
    acc = np.asarray(inputs["acc"], np.float64)
    axis = attrs["axis"]
    scale, offset = (np.asarray(inputs[k], np.float64) for k in ("scale", "offset"))
    if bug == "trailing_axis" and scale.ndim == 1 and acc.shape[-1] == scale.size:
        axis = acc.ndim - 1
    scale, offset = along(scale, acc, axis), along(offset, acc, axis)
    step = np.float64(np.asarray(inputs["step"]).reshape(()))
    z = np.int64(np.asarray(inputs["zero_point"]).reshape(()))
    low, high = grid_ends(attrs["bits"], attrs["grid"])
    n, p = low - z, high - z
    if bug == "float32":
        scale, offset, acc = (t.astype(np.float32) for t in (scale, offset, acc))
    if bug == "relu_on_acc" and attrs["relu"]:
        acc = np.maximum(acc, 0.0)
    elif attrs["relu"]:
        n = max(n, 0)
    with np.errstate(over="ignore"):
        ratio = (scale * acc + offset).astype(np.float64) / step
    if bug == "zero_point_first":
        codes = np.clip(np.rint(ratio + z), n + z, p + z)
    else:
        codes = np.clip(np.rint(ratio), n, p) + z
    return {"codes": codes.astype(np.int64)}


def high_mul(acc, m0, bug=""):
    """Saturating rounding doubling high multiplication."""
    product = acc * m0
    total = product + np.where(product >= 0, 2**30, 1 - 2**30)
    if bug == "arithmetic_shift":
        return np.clip(total >> 31, INT32_MIN, INT32_MAX)
    magnitude = np.abs(total) >> 31
    return np.clip(np.sign(total) * magnitude, INT32_MIN, INT32_MAX)


def shift_half_away(x, exponent, bug=""):
    """Divide by a power of two, half away from zero."""
    exponent = np.minimum(exponent, 40)
    half = np.where(exponent > 0, np.int64(1) << np.maximum(exponent - 1, 0), 0)
    if bug == "half_up":
        return (x + half) >> exponent
    return np.sign(x) * ((np.abs(x) + half) >> exponent)


def single_stage(acc, m0, exponent, bug=""):
    """Multiply and shift with one rounding, half up."""
    if bug == "shift_masked":
        shift, half = (31 + exponent) & 63, (30 + exponent) & 63
        return (acc * m0 + (np.int64(1) << half)) >> shift
    small = np.minimum(exponent, 31)
    out = (acc * m0 + (np.int64(1) << (30 + small))) >> (31 + small)
    return np.where(exponent > 31, 0, out)


def requant_fixed(inputs, attrs, bug=""):
    """Codes of accumulators in integers: a 32-bit multiplier and a shift."""
    acc = np.asarray(inputs["acc"], np.int64)
    m0 = along(np.asarray(inputs["m0"], np.int64), acc, attrs["axis"])
    exponent = along(np.asarray(inputs["exponent"], np.int64), acc, attrs["axis"])
    z = np.int64(np.asarray(inputs["zero_point"]).reshape(()))
    left, right = np.clip(-exponent, 0, 31), np.maximum(exponent, 0)
    if bug == "branch_of_first" and exponent.flat[0] >= 0:
        left = np.zeros_like(left)
    if bug != "shifts_left_last":
        acc = np.clip(acc << left, INT32_MIN, INT32_MAX)
    if attrs["requantize"] == "single":
        result = single_stage(acc, m0, right, bug)
    else:
        result = shift_half_away(high_mul(acc, m0, bug), right, bug)
    if bug == "shifts_left_last":
        result = np.clip(result << np.minimum(left, 31), INT32_MIN, INT32_MAX)
    low, high = grid_ends(attrs["bits"], attrs["grid"])
    if attrs["relu"]:
        low = max(low, z)
    return {"codes": np.clip(result + z, low, high).astype(np.int64)}


def quantize_multiplier(inputs, attrs, bug=""):
    """A real multiplier as a 32-bit mantissa and a shift."""
    m = np.asarray(inputs["multiplier"], np.float64)
    if bug == "flushes_subnormals":
        m = np.where(np.abs(m) < np.finfo(np.float64).tiny, 0.0, m)
    fraction, power = np.frexp(m)
    if bug == "float32_mantissa":
        fraction = fraction.astype(np.float32).astype(np.float64)
    scaled = np.abs(fraction) * 2.0**31
    if attrs["mantissa_rounding"] == "rint":
        m0 = np.sign(fraction) * np.rint(scaled)
    elif bug == "half_up_signed":
        m0 = np.floor(fraction * 2.0**31 + 0.5)
    else:
        m0 = np.sign(fraction) * np.floor(scaled + 0.5)
    m0, exponent = m0.astype(np.int64), -power.astype(np.int64)
    if bug == "saturates_carry":
        return {"m0": np.clip(m0, -INT32_MAX, INT32_MAX), "exponent": exponent}
    carry = np.abs(m0) == 2**31
    return {"m0": np.where(carry, m0 // 2, m0), "exponent": exponent - carry}


OPS = {
    "int_conv_acc": int_conv_acc,
    "requant_float": requant_float,
    "requant_fixed": requant_fixed,
    "quantize_multiplier": quantize_multiplier,
}
BUGS = [
    ("int_conv_acc", "pads_zero", "pads codes with 0, so that padding counts as -z"),
    ("int_conv_acc", "float32", "a float32 convolution that loses units above 2^24"),
    ("int_conv_acc", "groups_interleaved", "output channels alternate between the groups"),
    ("int_conv_acc", "int8_difference", "x - z wraps around where it needs nine bits"),
    ("requant_float", "zero_point_first", "adds z before rounding: ties turn where z is odd"),
    ("requant_float", "float32", "accumulators above 2^24 lose their last bits in float32"),
    ("requant_float", "relu_on_acc", "moves the ReLU before scale and offset"),
    ("requant_float", "trailing_axis", "parameters broadcast along the last axis where it fits"),
    ("requant_fixed", "arithmetic_shift", "floors negative products in the high multiplication"),
    ("requant_fixed", "half_up", "the shift after the multiplication rounds negative ties up"),
    ("requant_fixed", "shifts_left_last", "left shifts after the product was rounded"),
    ("requant_fixed", "shift_masked", "shift amounts are taken modulo 64"),
    ("requant_fixed", "branch_of_first", "shifts left only if the first channel has to"),
    ("quantize_multiplier", "saturates_carry", "a mantissa of 2^31 becomes 2^31 - 1"),
    ("quantize_multiplier", "flushes_subnormals", "subnormal multipliers become 0"),
    ("quantize_multiplier", "float32_mantissa", "the mantissa keeps 24 bits"),
    ("quantize_multiplier", "half_up_signed", "floor(m + 1/2) rounds negative ties up"),
]
