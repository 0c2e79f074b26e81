"""Wrong versions of the two LSQ+ quantizers, as vector code goes wrong."""

import numpy as np

from validation.blind.third.common import grid_ends, sum_like


def _spread(value, x, axis, bug=""):
    """Shape parameters so that they broadcast along an axis of x."""
    value = np.asarray(value, np.float64)
    if axis is None:
        return value
    if bug == "lane_cycle":
        return np.resize(value, x.size).reshape(x.shape)
    shape = [1] * x.ndim
    shape[axis] = -1
    return value.reshape(shape)


def _arrays(inputs, names):
    """Return the named inputs in double precision."""
    return [np.asarray(inputs[name], np.float64) for name in names]


@np.errstate(all="ignore")
def lsqplus_int(inputs, attrs, bug=""):
    """Quantize with a learned zero point that is used rounded."""
    x, s, zero_point = _arrays(inputs, ("x", "s", "zero_point"))
    s, zero_point = (_spread(v, x, attrs["axis"]) for v in (s, zero_point))
    top = 2 ** attrs["bits"] - 1
    z = np.rint(zero_point)
    if bug == "truncated_zero_point":
        z = np.trunc(zero_point)
    elif bug == "zero_point_byte":
        z = np.clip(z, 0, top)
    u = np.where(np.isnan(x), 0.0, x) / s
    r = np.rint(u) + z
    if bug == "fused_rounding":
        r = np.rint(u + zero_point)
    q = np.clip(r, 0, top)
    y = s * (q - z)
    if bug == "nan_cleared":
        y = np.where(np.isnan(x), 0.0, y)
    return {"y": np.asarray(y)}


@np.errstate(all="ignore")
def lsqplus_int_backward(inputs, attrs, bug=""):
    """Pass gradients to x, the step and the zero point."""
    x, s, zero_point, d_y = _arrays(inputs, ("x", "s", "zero_point", "d_y"))
    axis, scale = attrs["axis"], attrs["grad_scale"]
    s, zero_point = (_spread(v, x, axis) for v in (s, zero_point))
    top = 2 ** attrs["bits"] - 1
    z = np.rint(zero_point)
    u = np.where(np.isnan(x), 0.0, x) / s
    r = np.rint(u) + z
    q = np.clip(r, 0, top)
    t = u + zero_point if bug == "unrounded_mask" else r
    inside = (t >= 0) & (t <= top)
    if bug != "unordered_mask":
        inside &= ~np.isnan(x)
    else:
        inside |= np.isnan(x)
    d_x = np.where(inside, d_y, 0.0)
    d_s = scale * sum_like(d_y * (q - z - np.where(inside, u, 0.0)), axis)
    d_z = sum_like(d_y * -s * ~inside, axis)
    if bug != "unscaled_zero_point":
        d_z = scale * d_z
    return {"d_x": np.asarray(d_x), "d_s": np.asarray(d_s), "d_zero_point": np.asarray(d_z)}


@np.errstate(all="ignore")
def lsqplus_real(inputs, attrs, bug=""):
    """Quantize with a learned real offset."""
    x, s, offset = _arrays(inputs, ("x", "s", "offset"))
    s, offset = (_spread(v, x, attrs["axis"], bug) for v in (s, offset))
    n, p = grid_ends(attrs["bits"], attrs["grid"])
    if bug == "saturated_narrow" and attrs["grid"] == "narrow":
        n -= 1
    clean = np.where(np.isnan(x), 0.0, x)
    r = np.rint((clean - offset) / s)
    if bug == "integer_offset":
        r = np.rint(clean / s) - np.rint(offset / s)
    q = np.clip(r, n, p)
    if bug == "nan_level":
        q = np.where(np.isnan(x), 0.0, q)
    return {"y": np.asarray(s * q + offset)}


@np.errstate(all="ignore")
def lsqplus_real_backward(inputs, attrs, bug=""):
    """Pass gradients to x, the step and the offset."""
    x, s, offset, d_y = _arrays(inputs, ("x", "s", "offset", "d_y"))
    axis, scale = attrs["axis"], attrs["grad_scale"]
    s, offset = (_spread(v, x, axis) for v in (s, offset))
    n, p = grid_ends(attrs["bits"], attrs["grid"])
    nan = np.isnan(x)
    clean = np.where(nan, 0.0, x)
    v = (clean - offset) / s
    r = np.rint(v)
    q = np.clip(r, n, p)
    inside = (r >= n) & (r <= p) & ~nan
    d_x = np.where(inside, d_y, 0.0)
    if bug == "nan_skipped":
        d_y = np.where(nan, 0.0, d_y)
    level = clean / s if bug == "offset_not_taken_off" else v
    d_s = scale * sum_like(d_y * (q - np.where(inside, level, 0.0)), axis)
    d_o = scale * sum_like(d_y * ~inside, axis)
    if bug == "difference_of_sums":
        d_o = scale * sum_like(d_y, axis) - sum_like(d_x, axis)
    return {"d_x": np.asarray(d_x), "d_s": np.asarray(d_s), "d_offset": np.asarray(d_o)}


OPS = {
    "lsqplus_int": lsqplus_int,
    "lsqplus_int_backward": lsqplus_int_backward,
    "lsqplus_real": lsqplus_real,
    "lsqplus_real_backward": lsqplus_real_backward,
}

BUGS = [
    ("lsqplus_int", "truncated_zero_point", "converts the zero point by truncation"),
    ("lsqplus_int", "zero_point_byte", "stores the zero point as a code, which clips one outside"),
    ("lsqplus_int", "fused_rounding", "rounds x / s plus the real zero point once"),
    ("lsqplus_int", "nan_cleared", "NaN gives 0, though 0 may be clipped where Z is no code"),
    ("lsqplus_int_backward", "unrounded_mask", "masks before rounding: half a step less at ends"),
    ("lsqplus_int_backward", "unordered_mask", "negated compares make NaN count as inside"),
    ("lsqplus_int_backward", "unscaled_zero_point", "grad_scale is left out for the zero point"),
    ("lsqplus_real", "integer_offset", "rounds the offset to steps and works in integers"),
    ("lsqplus_real", "nan_level", "NaN gives level 0, the offset, not the level of x = 0"),
    ("lsqplus_real", "lane_cycle", "parameters by flat index modulo c, right for inner channels"),
    ("lsqplus_real", "saturated_narrow", "clips by the saturating pack: narrow has one code more"),
    ("lsqplus_real_backward", "nan_skipped", "leaves NaN out of both sums, though it is clipped"),
    ("lsqplus_real_backward", "offset_not_taken_off", "x / s for (x - offset) / s in d_s"),
    ("lsqplus_real_backward", "difference_of_sums", "d_offset: scaled sum of d_y, unscaled of d_x"),
]
