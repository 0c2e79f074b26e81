"""The rectified sigmoid and the rounding regulariser in plain NumPy."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain

LN11 = 2.3978952727983707


def logistic(alpha: Array) -> Array:
    """1 / (1 + exp(-alpha)); an overflow of exp gives 0."""
    return np.asarray(1.0 / (1.0 + np.exp(-alpha)))


def rectified(alpha: Array) -> Array:
    """clip(1.2 sigma - 0.1, 0, 1)."""
    return np.asarray(np.clip(1.2 * logistic(alpha) - 0.1, 0.0, 1.0))


def inclusive(alpha: Array) -> Array:
    """Where the gradient passes, as torch.clamp has it."""
    return np.asarray(np.abs(alpha) <= LN11)


def strict(alpha: Array) -> Array:
    """Where the gradient passes if the edge is saturated."""
    return np.asarray(np.abs(alpha) < LN11)


def bell(alpha: Array) -> Array:
    """The derivative of the logistic function."""
    return logistic(alpha) * (1.0 - logistic(alpha))


def openness(h: Array, beta: float) -> Array:
    """1 - |2h - 1|^beta."""
    return np.asarray(1.0 - np.abs(2.0 * h - 1.0) ** beta)


def push(h: Array, beta: float) -> Array:
    """The derivative of `openness`."""
    centred = 2.0 * h - 1.0
    return np.asarray(-2.0 * beta * np.abs(centred) ** (beta - 1.0) * np.sign(centred))


def slope(alpha: Array, attrs: Attrs, part: Any) -> Array:
    """dh/dalpha."""
    return np.asarray(part.width * part.bell(alpha) * getattr(part, attrs["edge"])(alpha))


def _sigmoid(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    stretched = part.width * part.sigma(inputs["alpha"]) - part.below
    return {"h": part.limit(stretched)}


def _backward(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    return {"d_alpha": inputs["d_h"] * slope(inputs["alpha"], attrs, part)}


def _round_reg(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    terms = part.openness(part.h(inputs["alpha"]), attrs["beta"])
    return {"value": part.weight(attrs) * part.gather(terms)}


def _round_reg_backward(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    alpha = inputs["alpha"]
    d_h = part.weight(attrs) * part.push(part.h(alpha), attrs["beta"])
    return {"d_alpha": d_h * slope(alpha, attrs, part)}


def weight(attrs: Attrs) -> float:
    """The weight of the term."""
    return float(attrs["lam"])


SLOPE = {"width": 1.2, "bell": bell, "inclusive": inclusive, "strict": strict}
RECT_SIGMOID = Plain(
    _sigmoid,
    {"sigma": logistic, "width": 1.2, "below": 0.1, "limit": lambda x: np.clip(x, 0.0, 1.0)},
)
RECT_SIGMOID_BACKWARD = Plain(_backward, SLOPE)
ROUND_REG = Plain(
    _round_reg, {"h": rectified, "openness": openness, "gather": np.sum, "weight": weight}
)
ROUND_REG_BACKWARD = Plain(
    _round_reg_backward, {"h": rectified, "push": push, "weight": weight, **SLOPE}
)
