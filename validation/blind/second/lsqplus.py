"""LSQ+ in both parametrisations: right versions and wrong ones of a port."""

import numpy as np

from validation.blind.second.common import along, grid_ends, to_int32, total


def _channels_last(v, shape):
    """Read parameters as if channels were the fastest axis."""
    v = np.asarray(v, np.float64).reshape(-1)
    return v[np.arange(int(np.prod(shape))) % v.size].reshape(shape)


def lsqplus_int(inputs, attrs, bug=""):
    """Quantise with a zero point that is learned as a real number and used rounded."""
    x = np.asarray(inputs["x"], np.float64)
    axis = attrs["axis"]
    s = along(inputs["s"], axis, x.shape)
    raw = along(inputs["zero_point"], axis, x.shape)
    if bug == "zero_channels_last" and axis is not None:
        raw = _channels_last(inputs["zero_point"], x.shape)
    top = 2 ** attrs["bits"] - 1
    zero = np.rint(raw)
    if bug == "zero_clipped":
        zero = np.clip(zero, 0, top)
    elif bug == "zero_half_up":
        zero = np.floor(raw + 0.5)
    elif bug == "zero_uint8":
        zero = np.mod(zero, 256)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        u = np.where(np.isnan(x), 0.0, x) / s
        r = np.rint(u) + zero
        if bug == "rounds_codes":
            r = np.rint(u + zero)
        elif bug == "int32_before_clip":
            r = to_int32(np.rint(u)) + zero
        y = s * (np.clip(r, 0, top) - zero)
        if bug == "nan_gives_zero":
            y = np.where(np.isnan(x), 0.0, y)
    return {"y": np.asarray(y)}


def lsqplus_int_backward(inputs, attrs, bug=""):
    """Give the gradients of lsqplus_int with respect to x, s and the zero point."""
    x = np.asarray(inputs["x"], np.float64)
    d_y = np.asarray(inputs["d_y"], np.float64)
    axis, scale = attrs["axis"], attrs["grad_scale"]
    s = along(inputs["s"], axis, x.shape)
    raw = along(inputs["zero_point"], axis, x.shape)
    top = 2 ** attrs["bits"] - 1
    zero = np.rint(raw)
    if bug == "zero_clipped":
        zero = np.clip(zero, 0, top)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        u = np.where(np.isnan(x), 0.0, x) / s
        r = np.rint(u) + zero
        q = np.clip(r, 0, top)
        mask = (r >= 0) & (r <= top) & np.isfinite(x)
        if bug == "mask_unrounded":
            mask = (u + zero >= 0) & (u + zero <= top) & np.isfinite(x)
        elif bug == "mask_of_codes":
            mask = (q > 0) & (q < top) & np.isfinite(x)
        elif bug == "nan_inside":
            mask = (r >= 0) & (r <= top) & ~np.isinf(x)
        level = q - zero
        through = np.where(mask, u, 0.0)
        d_s = scale * total(d_y * (level - through), axis)
        step = s if bug != "step_of_first" or axis is None else s.reshape(-1)[0]
        d_zero = total(np.where(mask, 0.0, -d_y * step), axis)
    if bug != "zero_without_grad_scale":
        d_zero = scale * d_zero
    return {"d_x": np.where(mask, d_y, 0.0), "d_s": d_s, "d_zero_point": d_zero}


def lsqplus_real(inputs, attrs, bug=""):
    """Quantise with a learned real offset."""
    x = np.asarray(inputs["x"], np.float64)
    axis = attrs["axis"]
    s = along(inputs["s"], axis, x.shape)
    o = along(inputs["offset"], axis, x.shape)
    if bug == "offset_channels_last" and axis is not None:
        o = _channels_last(inputs["offset"], x.shape)
    n, p = grid_ends(attrs["bits"], attrs["grid"])
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        known = np.where(np.isnan(x), 0.0, x)
        if bug == "infinity_as_zero":
            known = np.where(np.isfinite(x), x, 0.0)
        v = (known - o) / s
        if bug == "nan_as_level_zero":
            v = np.where(np.isnan(x), 0.0, v)
        elif bug == "two_quotients":
            v = known / s - o / s
        elif bug == "float32_difference":
            v = (known.astype(np.float32) - o.astype(np.float32)).astype(np.float64) / s
        y = s * np.clip(np.rint(v), n, p) + o
    return {"y": np.asarray(y)}


def lsqplus_real_backward(inputs, attrs, bug=""):
    """Give the gradients of lsqplus_real with respect to x, s and the offset."""
    x = np.asarray(inputs["x"], np.float64)
    d_y = np.asarray(inputs["d_y"], np.float64)
    axis, scale = attrs["axis"], attrs["grad_scale"]
    s = along(inputs["s"], axis, x.shape)
    o = along(inputs["offset"], axis, x.shape)
    n, p = grid_ends(attrs["bits"], attrs["grid"])
    finite = np.isfinite(x)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        v = (np.where(np.isnan(x), 0.0, x) - o) / s
        r = np.rint(v)
        q = np.clip(r, n, p)
        mask = (n <= r) & (r <= p) & finite
        if bug == "nan_inside":
            mask = (n <= r) & (r <= p) & ~np.isinf(x)
        elif bug == "mask_open":
            mask = (n < r) & (r < p) & finite
        elif bug == "narrow_mask_of_signed" and attrs["grid"] == "narrow":
            mask = (n - 1 <= r) & (r <= p) & finite
        through = np.where(mask, v, 0.0)
        share = d_y * (q - through)
        outside = ~mask
        if bug == "offset_mask_unrounded":
            outside = ~((n <= v) & (v <= p) & finite)
        if bug == "skips_infinite":
            share = np.where(np.isinf(x), 0.0, share)
            outside = outside & ~np.isinf(x)
        d_s = scale * total(share, axis)
        d_o = total(np.where(outside, d_y, 0.0), axis)
    if bug != "offset_without_grad_scale":
        d_o = scale * d_o
    return {"d_x": np.where(mask, d_y, 0.0), "d_s": d_s, "d_offset": d_o}


OPS = {
    "lsqplus_int": lsqplus_int,
    "lsqplus_int_backward": lsqplus_int_backward,
    "lsqplus_real": lsqplus_real,
    "lsqplus_real_backward": lsqplus_real_backward,
}
BUGS = [
    ("lsqplus_int", "zero_clipped", "a zero point outside the codes is clipped into them"),
    ("lsqplus_int", "zero_half_up", "the zero point is rounded with ties up"),
    ("lsqplus_int", "zero_uint8", "the zero point is kept in 8 bits without sign and wraps"),
    ("lsqplus_int", "rounds_codes", "rounds x/s + Z; ties move where Z is odd"),
    ("lsqplus_int", "int32_before_clip", "casts to int32 before clipping: huge x give the low end"),
    ("lsqplus_int", "nan_gives_zero", "NaN gives 0 though 0 lies outside the range"),
    ("lsqplus_int", "zero_channels_last", "zero points are read along the last axis"),
    ("lsqplus_int_backward", "zero_clipped", "a zero point outside the codes is clipped into them"),
    ("lsqplus_int_backward", "mask_unrounded", "the mask is taken before rounding"),
    ("lsqplus_int_backward", "mask_of_codes", "the end codes count as clipped"),
    ("lsqplus_int_backward", "nan_inside", "NaN, replaced by 0, passes its gradient"),
    ("lsqplus_int_backward", "step_of_first", "d_zero_point uses the first channel's step"),
    ("lsqplus_int_backward", "zero_without_grad_scale", "d_zero_point lacks grad_scale"),
    ("lsqplus_real", "infinity_as_zero", "infinities are quantised like 0, as NaN is"),
    ("lsqplus_real", "nan_as_level_zero", "NaN gives the level 0, the offset"),
    ("lsqplus_real", "two_quotients", "x/s - offset/s, rounded twice, moves ties"),
    ("lsqplus_real", "float32_difference", "x - offset is taken in float32, which cancels"),
    ("lsqplus_real", "offset_channels_last", "offsets are read along the last axis"),
    ("lsqplus_real_backward", "nan_inside", "NaN, replaced by 0, passes its gradient"),
    ("lsqplus_real_backward", "mask_open", "the end codes count as clipped"),
    ("lsqplus_real_backward", "narrow_mask_of_signed", "the narrow mask is open one code below"),
    ("lsqplus_real_backward", "offset_mask_unrounded", "d_offset masks before rounding"),
    ("lsqplus_real_backward", "skips_infinite", "infinite x are left out of both sums"),
    ("lsqplus_real_backward", "offset_without_grad_scale", "d_offset lacks grad_scale"),
]
