"""Wrong versions of fake_quant and its backward, as vector code goes wrong."""

import numpy as np

from validation.blind.third.common import grid_ends, half_up, spread, sum_like

LANES = 8


def _round(u, mode):
    """Round by the named rule."""
    if mode == "half_up":
        return half_up(u)
    if mode == "half_down":
        return -half_up(-u)
    if mode == "half_away":
        return np.copysign(half_up(np.abs(u)), u)
    return {"rint": np.rint, "floor": np.floor, "ceil": np.ceil}[mode](u)


def _scalar_tail(u, r):
    """Round what does not fill a vector in scalar code, by C's round()."""
    flat, tail = r.reshape(-1).copy(), u.size % LANES
    if tail:
        flat[-tail:] = _round(u.reshape(-1)[-tail:], "half_away")
    return flat.reshape(r.shape)


@np.errstate(all="ignore")
def fake_quant(inputs, attrs, bug=""):
    """Quantize to integer codes and back."""
    x = np.asarray(inputs["x"], np.float64)
    s = spread(np.asarray(inputs["s"], np.float64), x, attrs["axis"])
    z = spread(np.asarray(inputs["zero_point"], np.int64), x, attrs["axis"])
    low, high = grid_ends(attrs["bits"], attrs["grid"])
    n, p = low - z, high - z
    u = x / s
    r = _round(u, attrs["rounding"])
    if bug == "fused_zero_point":
        r = _round(u + z, attrs["rounding"]) - z
    elif bug == "signed_pack":
        r = np.clip(r, -(2**15), 2**15 - 1)
    elif bug == "converted_first":
        r = np.where(r >= 2.0**31, -(2.0**31), r)
    elif bug == "scalar_tail" and attrs["rounding"] == "rint":
        r = _scalar_tail(u, r)
    q = np.clip(r, n, p)
    of_nan = {"zero_point": 0, "low": n, "high": p}[attrs["nan"]]
    q = np.where(np.isnan(x), of_nan, q)
    return {"y": np.asarray(s * q), "codes": np.asarray((q + z).astype(np.int64))}


@np.errstate(all="ignore")
def fake_quant_backward(inputs, attrs, bug=""):
    """Pass gradients straight through the rounding to x and s."""
    x = np.asarray(inputs["x"], np.float64)
    d_y = np.asarray(inputs["d_y"], np.float64)
    axis = attrs["axis"]
    s = spread(np.asarray(inputs["s"], np.float64), x, axis)
    z = spread(np.asarray(inputs["zero_point"], np.int64), x, axis)
    low, high = grid_ends(attrs["bits"], attrs["grid"])
    n, p = low - z, high - z
    u = x / s
    r = _round(u, attrs["rounding"])
    q = np.where(np.isnan(x), 0, np.clip(r, n, p))
    t = r if attrs["mask"] == "rounded" else u
    inside = (t >= n) & (t <= p)
    if bug == "mask_from_codes":
        inside = (q > n) & (q < p) & np.isfinite(x)
    elif bug == "single_compare":
        inside = np.abs(t - (n + p) // 2) <= (p - n) // 2
    d_x = np.where(inside, d_y, 0.0)
    term = d_y * (q - np.where(inside, u, 0.0))
    if bug == "reuses_d_x":
        term = d_x * np.where(inside, q - u, 0.0)
    elif bug == "mask_multiplied":
        term = d_y * (q - inside * u)
    d_s = attrs["grad_scale"] * sum_like(term, axis)
    return {"d_x": np.asarray(d_x), "d_s": np.asarray(d_s)}


OPS = {"fake_quant": fake_quant, "fake_quant_backward": fake_quant_backward}

BUGS = [
    ("fake_quant", "fused_zero_point", "adds the zero point before rounding, wrong at ties if odd"),
    ("fake_quant", "signed_pack", "packs to signed 16 bits, so 16-bit codes from 0 end early"),
    ("fake_quant", "converted_first", "converts, then clips: from 2^31 steps on the lowest code"),
    ("fake_quant", "scalar_tail", "ties go away from 0 in the tail that fills no vector of 8"),
    ("fake_quant_backward", "mask_from_codes", "masks by saved codes: what rounds to ends is lost"),
    ("fake_quant_backward", "single_compare", "one compare with a whole middle: no top level"),
    ("fake_quant_backward", "reuses_d_x", "d_s from the masked d_x, without what is clipped"),
    ("fake_quant_backward", "mask_multiplied", "u times the mask: an infinite x makes d_s NaN"),
]
