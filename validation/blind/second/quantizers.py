"""The uniform quantiser and its gradient: right versions and wrong ones of a port."""

import numpy as np

from validation.blind.second.common import grid_ends, to_int32


def _round(u, mode):
    """Round by one of six rules; NaN and infinities pass through."""
    if mode == "rint":
        return np.rint(u)
    if mode == "floor":
        return np.floor(u)
    if mode == "ceil":
        return np.ceil(u)
    v = u if mode == "half_up" else -u if mode == "half_down" else np.abs(u)
    low = np.floor(v)
    v = low + (v - low >= 0.5)
    return v if mode == "half_up" else -v if mode == "half_down" else np.sign(u) * v


def _along(v, axis, shape, by_size=False):
    """Shape parameters so that they broadcast along an axis of x."""
    v = np.asarray(v, np.float64)
    if axis is None:
        return v
    if by_size and shape[-1] == v.size:
        axis = -1
    sizes = [1] * len(shape)
    sizes[axis] = -1
    return v.reshape(sizes)


def fake_quant(inputs, attrs, bug=""):
    """Quantise to integer codes and back."""
    x = np.asarray(inputs["x"], np.float64)
    axis = attrs["axis"]
    steps = np.asarray(inputs["s"], np.float64)
    zeros = np.asarray(inputs["zero_point"], np.float64)
    if bug == "vector_tail" and axis is not None and steps.size > 4:
        steps = steps[np.arange(steps.size) % (steps.size - steps.size % 4)]
    s = _along(steps, axis, x.shape, bug == "axis_by_size")
    z = _along(zeros, axis, x.shape, bug == "axis_by_size")
    grid = attrs["grid"]
    if bug == "narrow_ignored" and grid == "narrow":
        grid = "signed"
    low, high = grid_ends(attrs["bits"], grid)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        u = x * (1 / s) if bug == "reciprocal" else x / s
        r = _round(u, attrs["rounding"])
        if bug == "zero_point_before_rounding":
            r = _round(u + z, attrs["rounding"]) - z
        if bug == "int32_before_clip":
            r = np.where(np.isnan(r), r, to_int32(r))
        q = np.clip(r, low - z, high - z)
        nan_code = {"zero_point": z, "low": low + 0 * z, "high": high + 0 * z}[attrs["nan"]]
        if bug == "nan_code_zero" and attrs["nan"] == "zero_point":
            nan_code = 0 * z
        if bug == "nan_low_is_zero" and attrs["nan"] == "low":
            nan_code = 0 * z
        q = np.where(np.isnan(x), nan_code - z, q)
        codes = q + z
        if bug == "int16_codes":
            codes = codes.astype(np.int64).astype(np.int16).astype(np.float64)
            q = codes - z
        y = s * q
        if bug == "dequant_float32":
            t = (s + 0 * q).astype(np.float32)
            y = t * codes.astype(np.float32) - t * (z + 0 * q).astype(np.float32)
            y = y.astype(np.float64)
    return {"y": np.asarray(y), "codes": np.asarray(codes).astype(np.int64)}


def _total(v, axis, bug):
    """Add up what shares a parameter."""
    if axis is None:
        v = v.reshape(-1)
        if bug == "whole_warps" and v.size > 32:
            v = v[: v.size // 32 * 32]
        return (
            v.astype(np.float32).cumsum(dtype=np.float32)[-1].astype(np.float64)
            if bug == "float32_sum"
            else v.sum()
        )
    if bug == "sums_other_axis" and v.ndim > 1:
        first = axis % v.ndim
        other = next(
            (k for k in range(v.ndim) if k != first and v.shape[k] == v.shape[first]), first
        )
        axis = other
    rows = np.moveaxis(v, axis, 0).reshape(v.shape[axis], -1)
    if bug == "whole_warps" and rows.shape[1] > 32:
        rows = rows[:, : rows.shape[1] // 32 * 32]
    if bug == "float32_sum":
        sums = rows.astype(np.float32).cumsum(axis=1, dtype=np.float32)
        return sums[:, -1].astype(np.float64)
    return rows.sum(axis=1)


def fake_quant_backward(inputs, attrs, bug=""):
    """Give the gradients of fake_quant, straight through the rounding."""
    x = np.asarray(inputs["x"], np.float64)
    d_y = np.asarray(inputs["d_y"], np.float64)
    axis = attrs["axis"]
    s = _along(inputs["s"], axis, x.shape)
    z = _along(inputs["zero_point"], axis, x.shape)
    low, high = grid_ends(attrs["bits"], attrs["grid"])
    n, p = low - z, high - z
    rounding = "rint" if bug == "rounding_ignored" else attrs["rounding"]
    finite = np.isfinite(x)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        u = x / s
        r = _round(u, rounding)
        if bug == "rounds_codes":
            r = _round(u + z, rounding) - z
        q = np.where(np.isnan(x), 0.0, np.clip(r, n, p))
        if bug == "nan_low":
            q = np.where(np.isnan(x), n, q)
        rounded = (n <= r) & (r <= p) & finite
        if bug == "mask_open":
            rounded = (n < r) & (r < p) & finite
        mask = rounded if attrs["mask"] == "rounded" else (n <= u) & (u <= p) & finite
        inside = rounded if bug == "mask_of_step_rounded" else mask
        if bug == "three_branches":
            inside = (n < u) & (u < p) & finite
        through = np.where(inside, u, 0.0)
        if bug == "infinity_times_zero":
            through = inside * np.where(np.isnan(x), 0.0, u)
        d_s = _total(d_y * (q - through), axis, bug)
    scale = attrs["grad_scale"]
    if bug == "grad_scale_per_tensor" and axis is not None:
        scale = 1.0
    return {"d_x": np.where(mask, d_y, 0.0), "d_s": np.asarray(scale * d_s)}


OPS = {"fake_quant": fake_quant, "fake_quant_backward": fake_quant_backward}
BUGS = [
    ("fake_quant", "reciprocal", "multiplies by 1/s, which moves ties to the neighbouring code"),
    ("fake_quant", "zero_point_before_rounding", "rounds x/s + zero_point; ties move if it is odd"),
    ("fake_quant", "narrow_ignored", "the narrow grid keeps the code -2^(b-1)"),
    ("fake_quant", "int16_codes", "codes are stored as int16, so unsigned 16-bit codes wrap"),
    ("fake_quant", "int32_before_clip", "casts to int32 before clipping: huge x give the low end"),
    ("fake_quant", "nan_code_zero", "NaN gives the code 0 where the zero point was asked for"),
    ("fake_quant", "nan_low_is_zero", "nan = low gives the code 0 on signed grids"),
    ("fake_quant", "axis_by_size", "parameters go along the last axis where its size fits"),
    ("fake_quant", "dequant_float32", "y = s codes - s zero_point in float32, which cancels"),
    ("fake_quant", "vector_tail", "channels after the last whole four use the first ones' steps"),
    ("fake_quant_backward", "mask_open", "the rounded mask leaves out the end codes"),
    ("fake_quant_backward", "mask_of_step_rounded", "d_s uses the rounded mask always"),
    ("fake_quant_backward", "three_branches", "d_s clips at u outside (n, p), not by the mask"),
    ("fake_quant_backward", "rounding_ignored", "always rounds by rint"),
    ("fake_quant_backward", "rounds_codes", "rounds u + zero_point; ties move if it is odd"),
    ("fake_quant_backward", "grad_scale_per_tensor", "grad_scale is forgotten with an axis"),
    ("fake_quant_backward", "infinity_times_zero", "an infinite x makes d_s NaN"),
    ("fake_quant_backward", "nan_low", "NaN counts as the low end in d_s"),
    ("fake_quant_backward", "float32_sum", "d_s is added up in float32, one by one"),
    ("fake_quant_backward", "sums_other_axis", "d_s goes along another axis of equal size"),
    ("fake_quant_backward", "whole_warps", "d_s leaves out what follows the last whole 32"),
]
