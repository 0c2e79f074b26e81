"""LSQ+ in both forms, and its gradients, in plain NumPy."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.fake_quant.plain_uniform import along, code_range, divide, total
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain


def real_number(t: Array, otherwise: Any = 0.0) -> Array:
    """t, with something else in place of NaN."""
    return np.where(np.isnan(t), otherwise, t).astype(t.dtype)


def codes_of(u: Array, whole: Array, z: Array) -> Array:
    """r = rint(u) + Z; z, not rounded, is for those who do it wrong."""
    return np.rint(real_number(u)) + whole


def value_of_code(q: Array, whole: Array, z: Array, s: Array) -> Array:
    """y = s (q - Z)."""
    return np.asarray(s * (q - whole))


def _integer_codes(inputs: Inputs, attrs: Attrs, part: Any) -> tuple[Array, ...]:
    x, axis = inputs["x"], attrs["axis"]
    s, z = part.along(inputs["s"], axis, x), part.along(inputs["zero_point"], axis, x)
    low, high = part.code_range("unsigned", attrs["bits"])
    whole, u = part.whole(z, high), part.divide(x, s)
    r = part.codes_of(u, whole, z)
    return s, z, whole, u, part.mask(r, u, low, high), part.clip(r, low, high)


def _integer(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    s, z, whole, _, _, q = _integer_codes(inputs, attrs, part)
    return {"y": part.value_of_code(q, whole, z, s)}


def inside(r: Array, u: Array, low: Any, high: Any) -> Array:
    """M, with both ends; not for NaN."""
    return np.asarray((low <= r) & (r <= high) & np.isfinite(u))


def slope(level: Array, u: Array, mask: Array) -> Array:
    """dy/ds = level - M u."""
    return np.asarray(level - np.where(mask, u, 0))


def zero_point_slope(s: Array, mask: Array) -> Array:
    """dy/dz = -s (1 - M)."""
    return np.where(mask, 0, -s)


def scaled(gradient: Array, grad_scale: float) -> Array:
    """A gradient of a parameter, times its factor."""
    return np.asarray(gradient * grad_scale)


def _integer_backward(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    d_y, axis = inputs["d_y"], attrs["axis"]
    s, _, whole, u, mask, q = _integer_codes(inputs, attrs, part)
    d_s = part.total(d_y * part.slope(part.level(q, whole), u, mask), axis)
    d_z = part.total(d_y * part.other_slope(s, mask), axis)
    return {
        "d_x": part.pass_through(d_y, mask),
        "d_s": part.scaled(d_s, attrs["grad_scale"]),
        "d_zero_point": part.other_scaled(d_z, attrs["grad_scale"]),
    }


def shifted(x: Array, o: Array, s: Array) -> Array:
    """v = (x - o) / s."""
    return np.asarray((x - o) / s)


def nearest_level(v: Array, o: Array, s: Array) -> Array:
    """rint(v); NaN as if x were 0."""
    return np.rint(real_number(v, -o / s))


def value_of_level(q: Array, o: Array, s: Array) -> Array:
    """y = s q + o."""
    return np.asarray(s * q + o)


def _real_levels(inputs: Inputs, attrs: Attrs, part: Any) -> tuple[Array, ...]:
    x, axis = inputs["x"], attrs["axis"]
    s, o = part.along(inputs["s"], axis, x), part.along(inputs["offset"], axis, x)
    v = part.shifted(x, o, s)
    r = part.nearest_level(v, o, s)
    low, high = part.code_range(attrs["grid"], attrs["bits"])
    return s, o, v, part.mask(r, v, low, high), part.clip(r, low, high)


def _real(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    s, o, _, _, q = _real_levels(inputs, attrs, part)
    return {"y": part.value_of_level(q, o, s)}


def offset_slope(s: Array, mask: Array) -> Array:
    """dy/do = 1 - M."""
    return np.where(mask, 0, np.ones_like(s))


def _real_backward(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    d_y, axis = inputs["d_y"], attrs["axis"]
    s, o, v, mask, q = _real_levels(inputs, attrs, part)
    d_s = part.total(d_y * part.slope(q, v, mask, o / s), axis)
    d_o = part.total(d_y * part.other_slope(s, mask), axis)
    return {
        "d_x": part.pass_through(d_y, mask),
        "d_s": part.scaled(d_s, attrs["grad_scale"]),
        "d_offset": part.other_scaled(d_o, attrs["grad_scale"]),
    }


FORWARD: dict[str, Any] = {
    "along": along,
    "code_range": code_range,
    "clip": np.clip,
    "mask": inside,
}
SUMS: dict[str, Any] = {
    "total": total,
    "pass_through": lambda d_y, mask: np.where(mask, d_y, 0),
    "scaled": scaled,
    "other_scaled": scaled,
}
BACKWARD = FORWARD | SUMS
CODES = {"whole": lambda z, top: np.rint(z), "divide": divide, "codes_of": codes_of}
LEVELS = {"shifted": shifted, "nearest_level": nearest_level}
INTEGER = Plain(_integer, FORWARD | CODES | {"value_of_code": value_of_code})
INTEGER_BACKWARD = Plain(
    _integer_backward,
    BACKWARD
    | CODES
    | {
        "slope": slope,
        "level": lambda q, whole: q - whole,
        "other_slope": zero_point_slope,
    },
)
REAL = Plain(_real, FORWARD | LEVELS | {"value_of_level": value_of_level})
REAL_BACKWARD = Plain(
    _real_backward,
    BACKWARD
    | LEVELS
    | {"slope": lambda q, v, mask, o: slope(q, v, mask), "other_slope": offset_slope},
)
