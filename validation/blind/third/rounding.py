"""Wrong versions of round and border_round, as vector code goes wrong."""

import numpy as np

from validation.blind.third.common import half_up

INT_MIN = -(2.0**31)


def _sse2_floor(x):
    """Return floor by truncation to int32, as before SSE4.1: 2^31 and more do not fit."""
    fits = np.abs(x) < 2.0**31
    t = np.where(fits, np.trunc(x), INT_MIN)
    return t - (t > x)


@np.errstate(all="ignore")
def round_(inputs, attrs, bug=""):
    """Round to whole numbers, by one of six rules."""
    x = np.asarray(inputs["x"], np.float64)
    mode = attrs["mode"]
    if mode == "rint":
        y = np.rint(x)
    elif mode == "half_up":
        y = np.floor(x + 0.5) if bug == "adds_half" else half_up(x)
    elif mode == "half_down":
        y = np.ceil(x - 0.5) if bug == "adds_half" else -half_up(-x)
    elif mode == "half_away":
        y = np.copysign(half_up(np.abs(x)), x)
        if bug == "adds_half":
            y = np.trunc(x + np.copysign(0.5, x))
        if bug == "every_tie":
            r = np.rint(x)
            y = r + np.copysign(np.abs(x - r) == 0.5, x)
    elif bug == "sse2_floor":
        y = _sse2_floor(x) if mode == "floor" else -_sse2_floor(-x)
    else:
        y = np.floor(x) if mode == "floor" else np.ceil(x)
    return {"y": np.asarray(y)}


@np.errstate(all="ignore")
def border_round(inputs, attrs, bug=""):
    """Round up where the fraction exceeds the border."""
    u = np.asarray(inputs["u"], np.float64)
    border = np.asarray(inputs["border"], np.float64)
    if bug == "ceil_form":
        return {"y": np.asarray(np.ceil(u - border))}
    low = np.trunc(u) if bug == "truncated_base" else np.floor(u)
    up = u - low >= border if bug == "not_less" else u - low > border
    if not bug:
        up = np.where((u > -0.5) & (u < 0), u > border - 1, up)
    return {"y": np.asarray(low + up)}


OPS = {"round": round_, "border_round": border_round}

BUGS = [
    ("round", "adds_half", "adds 1/2 in doubles and truncates: 0.49999999999999994 becomes 1"),
    ("round", "every_tie", "half_away corrects rint at every tie, also right ones: 1.5 gives 3"),
    ("round", "sse2_floor", "floor and ceil through int32: NaN and 2^31 become -2^31"),
    ("border_round", "ceil_form", "ceil(u - border) moves whole numbers down at border 1"),
    ("border_round", "not_less", "compares by not-less-than: a fraction at the border goes up"),
    ("border_round", "truncated_base", "truncates for floor, right after a ReLU only"),
]
