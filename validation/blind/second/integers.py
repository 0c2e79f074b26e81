"""Integer convolution and requantization, each with wrong versions that an engineer could write."""

import math

import numpy as np


def _ends(attrs, bug=""):
    """The smallest and the largest code of a grid."""
    bits, grid = int(attrs["bits"]), attrs["grid"]
    if grid in ("unsigned", "affine"):
        return 0, 2**bits - 1
    top = 2 ** (bits - 1) - 1
    return (-top if grid == "narrow" and bug != "narrow_as_signed" else -top - 1), top


def _along(value, array, axis, bug=""):
    """Parameters of an axis, shaped to broadcast against an array."""
    value = np.asarray(value)
    if value.ndim == 0:
        return value
    if bug == "last_axis" and array.shape[-1] == value.size:
        return value
    shape = [1] * array.ndim
    shape[int(axis)] = -1
    return value.reshape(shape)


def int_conv_acc(inputs, attrs, bug=""):
    """Accumulate a convolution of codes; what lies outside the map reads the zero point."""
    x, weights = np.asarray(inputs["x_codes"], np.int64), np.asarray(inputs["w"], np.int64)
    z = int(inputs["zero_point"])
    (s_h, s_w), (d_h, d_w) = map(int, attrs["stride"]), map(int, attrs["dilation"])
    top, left, bottom, right = map(int, attrs["padding"])
    (n, _, h, w), (c_out, c_g, k_h, k_w) = x.shape, weights.shape
    groups = int(attrs["groups"])
    h_o = (h + top + bottom - d_h * (k_h - 1) - 1) // s_h + 1
    w_o = (w + left + right - d_w * (k_w - 1) - 1) // s_w + 1
    if bug == "dilation_shared":
        d_w = d_h
    elif bug == "kernel_flipped":
        weights = weights[:, :, ::-1, ::-1]
    elif bug == "origin_swapped":
        top, left = left, top
    rows = np.arange(h_o)[None] * s_h + np.arange(k_h)[:, None] * d_h - top
    cols = np.arange(w_o)[None] * s_w + np.arange(k_w)[:, None] * d_w - left
    rows, cols = rows[:, None, :, None], cols[None, :, None, :]
    on_map = (rows >= 0) & (rows < h) & (cols >= 0) & (cols < w)
    taken = x[:, :, rows.clip(0, h - 1), cols.clip(0, w - 1)]
    taken = np.where(on_map, taken, 0 if bug == "zero_padding" else z)
    acc = np.zeros((n, c_out, h_o, w_o), np.int64)
    for o in range(c_out):
        group = o % groups if bug == "group_modulo" else o // (c_out // groups)
        part = taken[:, group * c_g : (group + 1) * c_g].reshape(n, c_g * k_h * k_w, h_o, w_o)
        row = weights[o].reshape(-1)
        if bug == "pairs_saturate":
            products = part * row[None, :, None, None]
            if row.size % 2:
                products = np.concatenate([products, np.zeros_like(products[:, :1])], axis=1)
            pairs = (products[:, ::2] + products[:, 1::2]).clip(-32768, 32767)
            acc[:, o] = pairs.sum(axis=1) - z * row.sum()
        elif bug == "correction_shared":
            first = weights[group * (c_out // groups)]
            acc[:, o] = np.tensordot(row, part, (0, 1)) - z * first.sum()
        elif bug == "difference_8_bits":
            acc[:, o] = np.tensordot(row, (part - z + 128) % 256 - 128, (0, 1))
        elif bug == "float32_sums":
            total = np.zeros((n, h_o, w_o), np.float32)
            for k in range(row.size):
                total = total + (part[:, k] - z).astype(np.float32) * np.float32(row[k])
            acc[:, o] = total.astype(np.int64)
        else:
            acc[:, o] = np.tensordot(row, part - z, (0, 1))
    return {"acc": acc}


def requant_float(inputs, attrs, bug=""):
    """Codes of accumulators through floats."""
    acc, z = np.asarray(inputs["acc"], np.int64), int(inputs["zero_point"])
    scale = _along(inputs["scale"], acc, attrs["axis"], bug).astype(float)
    offset = _along(inputs["offset"], acc, attrs["axis"], bug).astype(float)
    step = float(inputs["step"])
    low, high = _ends(attrs, bug)
    n, p = low - z, high - z
    if attrs["relu"] and bug not in ("relu_at_code_0", "relu_before_offset"):
        n = max(n, 0)
    if attrs["relu"] and bug == "relu_at_code_0":
        n = max(n, -z)
    real = scale * acc + offset
    if bug == "relu_before_offset" and attrs["relu"]:
        real = np.maximum(scale * acc, 0.0) + offset
    elif bug == "float32":
        real = scale.astype(np.float32) * acc.astype(np.float32) + offset.astype(np.float32)
        real, step = real.astype(np.float32), np.float32(step)
    u = real / step
    if bug == "half_away":
        q = np.copysign(np.floor(np.abs(u) + 0.5), u)
    elif bug == "zero_point_first":
        q = np.rint(u + z) - z
    elif bug == "cast_wraps":
        q = np.rint(u).clip(-(2.0**62), 2.0**62).astype(np.int64).astype(np.int32)
    else:
        q = np.rint(u)
    codes = (np.clip(q, n, p) + z).astype(np.int64)
    if bug == "stored_int16":
        codes = codes.astype(np.int16).astype(np.int64)
    return {"codes": codes}


def _wrap32(value):
    """A Python int as 32 bits hold it."""
    return (value + 2**31) % 2**32 - 2**31


def _saturate32(value):
    """A Python int clipped to 32 bits."""
    return min(max(value, -(2**31)), 2**31 - 1)


def _high_mul(a, b, bug=""):
    """Saturating, rounding, doubling: the high half of a product."""
    nudge = 2**30 if a * b >= 0 else (-(2**30) if bug == "nudge_symmetric" else 1 - 2**30)
    total = a * b + nudge
    return _saturate32(abs(total) // 2**31 * (1 if total >= 0 else -1))


def _multiply(acc, m0, exponent, single, bug):
    """An accumulator times a fixed-point multiplier."""
    late = 0
    if exponent < 0:
        if bug == "left_shift_last":
            late, exponent = -exponent, 0
        else:
            shifted = acc * 2**-exponent
            acc = _wrap32(shifted) if bug == "left_shift_wraps" else _saturate32(shifted)
            exponent = 0
    if single and bug != "always_double":
        if exponent > 31 and bug != "shift_masked":
            return 0
        half = 2 ** (30 + exponent)
        if bug == "half_32_bits":
            half = _wrap32(half)
        return _saturate32(((acc * m0 + half) >> (31 + exponent) % 64) * 2**late)
    x = _saturate32(_high_mul(acc, m0, bug) * 2**late)
    if bug == "shift_masked":
        exponent %= 32
    if exponent == 0:
        return x
    if bug == "shift_half_up":
        return (x + 2 ** (exponent - 1)) >> exponent
    return (abs(x) + 2 ** (exponent - 1) >> exponent) * (1 if x >= 0 else -1)


def requant_fixed(inputs, attrs, bug=""):
    """Codes of accumulators in integers: a 32-bit multiplier and a shift."""
    acc, z = np.asarray(inputs["acc"], np.int64), int(inputs["zero_point"])
    m0 = _along(inputs["m0"], acc, attrs["axis"], bug)
    exponent = _along(inputs["exponent"], acc, attrs["axis"], bug)
    if bug == "exponent_shared":
        exponent = exponent.reshape(-1)[0]
    low, high = _ends(attrs, bug)
    if attrs["relu"] and bug != "relu_on_acc":
        low = max(low, z)
    elif attrs["relu"]:
        acc = np.maximum(acc, 0)
    codes = np.zeros(acc.shape, np.int64)
    m0, exponent = np.broadcast_to(m0, acc.shape), np.broadcast_to(exponent, acc.shape)
    for index in np.ndindex(acc.shape):
        result = (
            _multiply(
                int(acc[index]),
                int(m0[index]),
                int(exponent[index]),
                attrs["requantize"] == "single",
                bug,
            )
            + z
        )
        if bug == "sum_wraps":
            result = _wrap32(result)
        codes[index] = min(max(result, low), high)
    return {"codes": codes}


def quantize_multiplier(inputs, attrs, bug=""):
    """A real multiplier as a 32-bit mantissa and a shift."""
    multiplier = np.asarray(inputs["multiplier"], float)
    m0, exponent = np.zeros((2, *multiplier.shape), np.int64)
    for index in np.ndindex(multiplier.shape):
        value = float(multiplier[index])
        if bug == "through_float32":
            value = float(np.float32(value))
        if value == 0.0:
            continue
        f, power = math.frexp(abs(value))
        if bug == "exponent_field" and abs(value) < 2.0**-1022:
            f, power = (1.0 + abs(value) * 2.0**1022) / 2, -1022
        scaled, sign, e = f * 2.0**31, (1 if value > 0 else -1), -power
        if bug == "half_up_signed" and attrs["mantissa_rounding"] == "half_away":
            m = sign * math.floor(sign * scaled + 0.5)
        elif attrs["mantissa_rounding"] == "half_away" and bug != "always_rint":
            m = math.floor(scaled + 0.5)
        else:
            m = round(scaled)
        if m == 2**31:
            if bug == "carry_saturates":
                m = 2**31 - 1
            else:
                m, e = 2**30, (e + 1 if bug == "carry_backwards" else e - 1)
        if bug == "flush_above_31" and e > 31:
            m, e = 0, 0
        m0[index], exponent[index] = sign * m, e
    return {"m0": m0, "exponent": exponent}


OPS = {
    "int_conv_acc": int_conv_acc,
    "requant_float": requant_float,
    "requant_fixed": requant_fixed,
    "quantize_multiplier": quantize_multiplier,
}

BUGS = [
    ("int_conv_acc", "zero_padding", "padding reads code 0, which is not the zero point"),
    (
        "int_conv_acc",
        "pairs_saturate",
        "products of codes are added in pairs that saturate at 16 bits, as pmaddubsw does",
    ),
    (
        "int_conv_acc",
        "correction_shared",
        "z sum w is folded with the weights of the group's first output channel",
    ),
    ("int_conv_acc", "difference_8_bits", "x - z is kept in 8 bits and wraps"),
    ("int_conv_acc", "float32_sums", "accumulates in float32, exact up to 2^24 only"),
    ("int_conv_acc", "kernel_flipped", "the kernel is flipped, as in a true convolution"),
    ("int_conv_acc", "group_modulo", "output channel o reads group o mod groups"),
    ("int_conv_acc", "dilation_shared", "the dilation of the rows is used for columns too"),
    ("int_conv_acc", "origin_swapped", "rows start at minus left and columns at minus top"),
    ("requant_float", "half_away", "roundf: ties go away from zero"),
    (
        "requant_float",
        "zero_point_first",
        "the zero point is added before rounding, so ties go the other way where it is odd",
    ),
    ("requant_float", "float32", "works in float32: large accumulators lose their last bits"),
    ("requant_float", "cast_wraps", "casts to 32 bits before clipping, so huge values wrap"),
    ("requant_float", "relu_at_code_0", "relu clips at code 0 instead of the zero point"),
    ("requant_float", "relu_before_offset", "relu comes before the offset is added"),
    (
        "requant_float",
        "last_axis",
        "parameters broadcast along the last axis wherever its size happens to agree",
    ),
    ("requant_float", "narrow_as_signed", "the narrow grid has the lowest code of the signed one"),
    ("requant_float", "stored_int16", "codes pass through int16: 16-bit unsigned ones wrap"),
    ("requant_fixed", "shift_half_up", "the shift rounds halves up: negative ties differ"),
    ("requant_fixed", "nudge_symmetric", "the nudge of negative products is -2^30"),
    ("requant_fixed", "left_shift_wraps", "the left shift wraps instead of saturating"),
    (
        "requant_fixed",
        "left_shift_last",
        "the left shift comes after the multiplication, which has dropped the low bits",
    ),
    ("requant_fixed", "shift_masked", "shifts count modulo 32 (64): huge exponents act small"),
    ("requant_fixed", "half_32_bits", "single: 1 << (30 + exponent) is computed in 32 bits"),
    ("requant_fixed", "sum_wraps", "result + zero_point wraps in 32 bits before the clip"),
    ("requant_fixed", "relu_on_acc", "relu acts on acc, wrong where the multiplier is negative"),
    ("requant_fixed", "exponent_shared", "every channel uses the first channel's exponent"),
    ("requant_fixed", "always_double", "single is ignored: always two stages of rounding"),
    ("quantize_multiplier", "carry_saturates", "a mantissa of 2^31 becomes 2^31 - 1"),
    ("quantize_multiplier", "carry_backwards", "a mantissa of 2^31 gives 2^30 and e + 1"),
    ("quantize_multiplier", "always_rint", "half_away is ignored"),
    ("quantize_multiplier", "flush_above_31", "exponents above 31 give 0 and 0, as in TFLite"),
    (
        "quantize_multiplier",
        "exponent_field",
        "reads exponent and mantissa from the bits, wrong for subnormal multipliers",
    ),
    (
        "quantize_multiplier",
        "half_up_signed",
        "half_away rounds the signed mantissa half up: negative ties differ",
    ),
    ("quantize_multiplier", "through_float32", "the multiplier is cast to float32 first"),
]
