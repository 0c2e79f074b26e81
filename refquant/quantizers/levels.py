"""The few lines every uniform quantiser of this package shares: u-space and its clip.

Reference: methods, sections 1.2, 1.3 and 2.1; symbols as in `fake_quant`. Nothing here is
a quantiser by itself; the functions exist so that NaN, overflow, -0.0, dtype and broadcasting
are decided once.
"""

from typing import Any

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_positive, complaint
from refquant._types import Array
from refquant.quantizers.grid import FIX_STEP, QParams


def step_for(function: str, x: Array, step: Array, name: str = "x") -> Array:
    """The step in the dtype of x, after checking that it fits x and is a normal number there.

    Raises
    ------
    TypeError, ValueError
        If `x` is not a floating array, or the step does not broadcast to it or is not a
        positive normal number in its dtype.
    """
    check_array(function, name, x)
    check_broadcast(function, step.shape, name, x.shape)
    with np.errstate(over="ignore", under="ignore"):
        cast = step.astype(x.dtype, copy=False)
    check_positive(function, "step", cast, FIX_STEP)
    return cast


def limits_for(x: Array, qparams: QParams) -> tuple[Array, Array]:
    """(n, p) of u-space in the dtype of x (exact: codes have at most 16 bits)."""
    low, high = qparams.grid.limits(qparams.zero_point)
    return np.asarray(low, dtype=x.dtype), np.asarray(high, dtype=x.dtype)


def ratio(x: Array, step: Array) -> Array:
    """u = x / s; overflow gives an infinity, which the clip sends to an end of the range."""
    with np.errstate(over="ignore"):
        return np.asarray(x / step)


def within(t: Array, low: Any, high: Any) -> Array:
    """The mask n <= t <= p, both ends included; False for NaN."""
    return np.asarray((low <= t) & (t <= high))


def clip_levels(t: Array, low: Any, high: Any) -> Array:
    """clip(t, n, p) with NaN -> 0 and without -0.0."""
    return np.asarray(np.clip(nx.masked(t, ~np.isnan(t)), low, high) + 0.0)


def step_slope(q: Array, u: Array, inside: Array) -> Array:
    """dy/ds = q - M u, written so that an outside u may be infinite or NaN."""
    return np.asarray(q - nx.masked(u, inside))


def sum_to_shape(t: Array, shape: tuple[int, ...]) -> Array:
    """Sum t over the axes along which an array of this shape was broadcast to it."""
    padded = (1,) * (t.ndim - len(shape)) + shape
    axes = tuple(i for i, n in enumerate(padded) if n == 1 and t.shape[i] != 1)
    summed = nx.sum(t, axis=axes, keepdims=True) if axes else t
    return np.reshape(summed, shape)


def check_broadcast(function: str, step: tuple[int, ...], name: str, x: tuple[int, ...]) -> None:
    """ValueError unless a step of shape `step` broadcasts to the shape `x`."""
    padded = (1,) * (len(x) - len(step)) + step
    if len(step) > len(x) or any(a not in (1, b) for a, b in zip(padded, x, strict=True)):
        expected = f"a shape that broadcasts to that of {name}, {x}"
        fix = "Per channel on axis 0 the shape is (c, 1, 1, 1) or (c, 1)."
        raise ValueError(complaint(function, "step", f"of shape {step}", expected, fix))


def check_grad_scale(function: str, value: Any) -> float:
    """`value` as a Python float, so that it changes no dtype; ValueError if not finite."""
    scale = float(value)
    if not np.isfinite(scale):
        raise ValueError(complaint(function, "grad_scale", scale, "a finite number"))
    return scale
