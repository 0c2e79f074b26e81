"""Leaky ReLU: negative values are scaled by a small slope.

    paper    here     shape      meaning
    x        x        any        input
    a        slope    number     factor of the negative side
    --       factor   like x     1 where x > 0, else slope: dy/dx
    y        y        like x     factor * x

Maas, Hannun, Ng, "Rectifier nonlinearities improve neural network acoustic models", 2013;
methods.md 4.3 (the mask of ReLU).
Kink: at x = 0 the gradient is the slope (the mask x > 0 is strict).
Edge cases: NaN stays NaN and gets the slope as gradient; the slope may be any finite number; a
zero keeps its sign for slope > 0; slope = 0 turns -inf into NaN (use ReLU there).
Differs from: nothing in value; released codes differ in the default slope (0.01 here, as in
ONNX; networks for detection often use 0.1).
"""

import math
from typing import NamedTuple

import numpy as np

from refquant._checks import check_array, check_operand, complaint
from refquant._types import Array


class LeakyReluCache(NamedTuple):
    """What `leaky_relu_forward` leaves for `leaky_relu_backward`."""

    factor: Array  # 1 where x > 0, else the slope


def leaky_relu_forward(x: Array, slope: float = 0.01) -> tuple[Array, LeakyReluCache]:
    """Return x where x > 0, else slope * x.

    Parameters
    ----------
    x : float32 or float64 array
        Any shape.
    slope : float
        Finite; rounded to the dtype of `x` first.

    Returns
    -------
    y : array
        Shape and dtype of `x`.
    cache : LeakyReluCache
        For `leaky_relu_backward`.

    Raises
    ------
    ValueError
        If the slope is not finite.
    """
    check_array("leaky_relu_forward", "x", x)
    if not math.isfinite(slope):
        raise ValueError(complaint("leaky_relu_forward", "slope", slope, "a finite number"))
    factor = np.where(x > 0.0, x.dtype.type(1.0), x.dtype.type(slope))
    return factor * x, LeakyReluCache(factor)


def leaky_relu_backward(d_y: Array, cache: LeakyReluCache) -> Array:
    """Return d_x: `d_y` where x > 0, else slope * d_y.

    Parameters
    ----------
    d_y : array
        dL/dy, shape of x.
    cache : LeakyReluCache
        From `leaky_relu_forward`.

    Returns
    -------
    array
        dL/dx.
    """
    factor = cache.factor
    check_operand("leaky_relu_backward", "d_y", d_y, factor.shape, factor.dtype)
    return factor * d_y
