"""`fake_quant` and its gradients in plain NumPy."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.rounding.plain import half_away, half_down, half_up
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain


def along(parameter: Array, axis: int | None, x: Array) -> Array:
    """A parameter per channel in the shape that broadcasts against x, in a dtype it allows."""
    if axis is None:
        return parameter
    return parameter.reshape([-1 if i == axis else 1 for i in range(x.ndim)])


def code_range(grid: str, bits: int) -> tuple[int, int]:
    """Lowest and highest code."""
    if grid in ("unsigned", "affine"):
        return 0, 2**bits - 1
    top = 2 ** (bits - 1) - 1
    return (-top if grid == "narrow" else -top - 1), top


def divide(x: Array, s: Array) -> Array:
    """u = x / s."""
    return np.asarray(x / s)


def replace_nan(u: Array, policy: str) -> Array:
    """NaN as 0, which becomes the zero point, or as an infinity, which becomes an end."""
    return np.where(np.isnan(u), {"zero_point": 0.0, "low": -np.inf, "high": np.inf}[policy], u)


def to_codes(r: Array, z: Array, ends: tuple[int, int], u: Array) -> Array:
    """Clip the rounded r, then add the zero point; u, not rounded, is for those who do it wrong."""
    return np.clip(r, ends[0] - z, ends[1] - z).astype(np.int64) + z


def dequantize(codes: Array, z: Array, s: Array, r: Array) -> Array:
    """s (codes - z)."""
    return np.asarray(s * (codes - z).astype(s.dtype))


def _fake_quant(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    x, axis = inputs["x"], attrs["axis"]
    s = part.step_along(inputs["s"], axis, x)
    z = part.zero_along(inputs["zero_point"].astype(np.int64), axis, x)
    u = part.replace_nan(part.divide(x, s), attrs["nan"]).astype(x.dtype)
    r = getattr(part, attrs["rounding"])(u)
    codes = part.to_codes(r, z, part.code_range(attrs["grid"], attrs["bits"]), u)
    return {"y": part.dequantize(codes, z, s, r), "codes": codes}


def is_inside(r: Array, u: Array, ends: tuple[Array, Array], mask: str) -> Array:
    """M: both ends included."""
    t = r if mask == "rounded" else u
    return np.asarray((ends[0] <= t) & (t <= ends[1]))


def pass_through(d_y: Array, inside: Array) -> Array:
    """d_x = d_y M."""
    return np.where(inside, d_y, 0)


def slope(q: Array, u: Array, inside: Array, s: Array) -> Array:
    """dy/ds = q - M u."""
    return np.asarray(q - np.where(inside, u, 0))


def share(d_y: Array, slope: Array, inside: Array) -> Array:
    """What each element adds to d_s."""
    return np.asarray(d_y * slope)


def total(shares: Array, axis: int | None) -> Array:
    """Sum over the elements that share a parameter."""
    axes = tuple(i for i in range(shares.ndim) if i != axis)
    return np.asarray(np.sum(shares, axis=axes))


def scaled(d_s: Array, grad_scale: float, x: Array) -> Array:
    """The gradient of the step, times its factor."""
    return np.asarray(d_s * grad_scale)


def _backward(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    x, axis, d_y = inputs["x"], attrs["axis"], inputs["d_y"]
    s = part.step_along(inputs["s"], axis, x)
    z = part.zero_along(inputs["zero_point"].astype(np.int64), axis, x)
    low, high = part.code_range(attrs["grid"], attrs["bits"])
    ends = (low - z).astype(x.dtype), (high - z).astype(x.dtype)
    u = part.divide(x, s)
    r = part.rounded(getattr(part, attrs["rounding"]), u, z)
    q = part.level(r, ends, z)
    inside = part.is_inside(r, u, ends, attrs["mask"])
    d_s = part.total(part.share(d_y, part.slope(q, u, inside, s), inside), axis)
    return {
        "d_x": part.pass_through(d_y, inside),
        "d_s": part.scaled(d_s, attrs["grad_scale"], x),
    }


def level(r: Array, ends: tuple[Array, Array], z: Array) -> Array:
    """q = clip(r, n, p), 0 for NaN."""
    return np.clip(np.where(np.isnan(r), 0, r), *ends)


ROUNDINGS = {
    "rint": np.rint,
    "half_up": half_up,
    "half_down": half_down,
    "half_away": half_away,
    "floor": np.floor,
    "ceil": np.ceil,
}
PLACE = {"step_along": along, "zero_along": along, "code_range": code_range, "divide": divide}
FAKE_QUANT = Plain(
    _fake_quant,
    PLACE
    | ROUNDINGS
    | {"replace_nan": replace_nan, "to_codes": to_codes, "dequantize": dequantize},
)
FAKE_QUANT_BACKWARD = Plain(
    _backward,
    PLACE
    | ROUNDINGS
    | {
        "rounded": lambda rounding, u, z: rounding(u),
        "level": level,
        "is_inside": is_inside,
        "slope": slope,
        "share": share,
        "total": total,
        "pass_through": pass_through,
        "scaled": scaled,
    },
)
