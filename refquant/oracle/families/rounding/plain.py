"""`round` and `border_round` in plain NumPy."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain


def half_up(x: Array) -> Array:
    """floor(x + 1/2), without the addition that rounds 0.49999999999999994 up."""
    base = np.floor(x)
    return np.asarray(base + (x - base >= 0.5))


def half_down(x: Array) -> Array:
    """ceil(x - 1/2)."""
    return -half_up(-x)


def half_away(x: Array) -> Array:
    """sign(x) floor(|x| + 1/2)."""
    return np.asarray(np.sign(x) * half_up(np.abs(x)))


def _round(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    with np.errstate(invalid="ignore"):
        return {"y": getattr(part, attrs["mode"])(inputs["x"])}


def is_above(u: Array, base: Array, border: Array) -> Array:
    """Whether the fraction exceeds the border; u > border - 1 where u - floor(u) is not exact."""
    return np.where((u > -0.5) & (u < 0), u > border - 1, u - base > border)


def _border_round(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    u, border = inputs["u"], inputs["border"].astype(inputs["u"].dtype)
    with np.errstate(invalid="ignore"):
        base = part.base(u)
        return {"y": base + part.is_above(u, base, border)}


ROUND = Plain(
    _round,
    {
        "rint": np.rint,
        "half_up": half_up,
        "half_down": half_down,
        "half_away": half_away,
        "floor": np.floor,
        "ceil": np.ceil,
    },
)
BORDER_ROUND = Plain(_border_round, {"base": np.floor, "is_above": is_above})
