"""Rounding to whole numbers: right versions and wrong ones of a port."""

import numpy as np

from validation.blind.second.common import to_int32


def _half_up(u):
    """Round to the nearest whole number, ties up, without adding one half."""
    low = np.floor(u)
    return low + (u - low >= 0.5)


def _negative_tie(x):
    """Round half away, then step back from odd results of ties, downwards always."""
    away = np.sign(x) * _half_up(np.abs(x))
    tie = np.abs(x) - np.floor(np.abs(x)) == 0.5
    return away - (tie & (np.mod(away, 2) == 1))


def round_op(inputs, attrs, bug=""):
    """Round to whole numbers, by one of six rules."""
    x = np.asarray(inputs["x"], np.float64)
    mode = attrs["mode"]
    with np.errstate(invalid="ignore", over="ignore"):
        if mode == "rint":
            y = np.rint(x)
            if bug == "sixteen_fraction_bits":
                y = np.rint(np.rint(x * 65536) / 65536)
            elif bug == "negative_tie":
                y = np.where(np.isfinite(x), _negative_tie(x), x)
        elif mode == "half_up":
            y = _half_up(x)
            if bug == "adds_half":
                y = np.floor(x + 0.5)
            elif bug == "half_up_is_c_round":
                y = np.sign(x) * _half_up(np.abs(x))
        elif mode == "half_down":
            y = -_half_up(-x)
            if bug == "half_down_to_zero":
                y = np.sign(x) * -_half_up(-np.abs(x))
        elif mode == "half_away":
            y = np.sign(x) * _half_up(np.abs(x))
        elif mode == "floor":
            y = np.floor(x)
        else:
            y = np.ceil(x)
            if bug == "ceil_is_floor_plus_one":
                y = np.floor(x) + 1
        if bug == "int32":
            y = to_int32(y)
        elif bug == "nan_lost":
            y = np.where(np.isnan(y), 0.0, y)
    return {"y": np.asarray(y)}


def border_round(inputs, attrs, bug=""):
    """Round up where the fraction exceeds the border."""
    u = np.asarray(inputs["u"], np.float64)
    border = np.asarray(inputs["border"], np.float64)
    if bug == "border_off_its_ends":
        border = np.clip(border, 1e-6, 1 - 1e-6)
    with np.errstate(invalid="ignore"):
        if bug == "ceil_of_difference":
            return {"y": np.asarray(np.ceil(u - border))}
        low = np.floor(u)
        fraction = u - low
        if bug == "float32_fraction":
            fraction = (u.astype(np.float32) - np.floor(u.astype(np.float32))).astype(np.float64)
        up = fraction >= border if bug == "tie_goes_up" else fraction > border
        if bug == "subtracts_fraction":
            return {"y": np.asarray(u - fraction + up)}
    return {"y": np.asarray(low + up)}


OPS = {"round": round_op, "border_round": border_round}
BUGS = [
    ("round", "adds_half", "half_up as floor(x + 0.5), wrong just below 1/2 and for odd x > 2^52"),
    ("round", "half_up_is_c_round", "half_up by C's round(), so that negative ties go down"),
    ("round", "half_down_to_zero", "half_down breaks ties towards zero, so negative ties go up"),
    ("round", "sixteen_fraction_bits", "rint of x in 16 fraction bits: near ties are ties"),
    ("round", "negative_tie", "rint corrects odd results of ties downwards for negative x too"),
    ("round", "ceil_is_floor_plus_one", "ceil as floor + 1, wrong at whole numbers"),
    ("round", "int32", "results go through int32: beyond 2^31, infinities and NaN are -2^31"),
    ("round", "nan_lost", "NaN becomes 0"),
    ("border_round", "ceil_of_difference", "ceil(u - border) moves whole numbers at border 1"),
    ("border_round", "tie_goes_up", "a fraction equal to the border is rounded up"),
    ("border_round", "float32_fraction", "the fraction is taken in float32, coarse for large u"),
    ("border_round", "border_off_its_ends", "borders are kept 1e-6 away from 0 and 1"),
    ("border_round", "subtracts_fraction", "u - fraction + up turns infinities into NaN"),
]
