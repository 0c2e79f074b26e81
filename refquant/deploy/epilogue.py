"""From accumulators to real values: y = st * acc + bt, one function for both networks.

Reference: AdaQTransform, equation 9; methods 15.3 and 17.3 (P42).

    paper    here      shape              meaning
    acc      total     (n, c_out, ...)    sum of w_int * (x_int - z_x), whole numbers
    s_w      s_w       (c_out,)           step that dequantizes the weight codes
    s_x      s_x       ()                 step of the input's codes
    st       scale     (c_out,) or more   xi * s_w * s_x, multiplied from left to right
    bt       offset    (c_out,) or more   b + eta
    y        y         like total         st * acc + bt

Scale and shift of AdaQTransform cost nothing once folded: two numbers a channel with and without.

A scale and shift per pixel, (c_out, h, w), do not fold into numbers a channel: they need a
multiplier for every output position, which the float epilogue carries and the fixed one refuses.

Edge cases: xi or eta absent is the same, bit for bit, as xi = 1 or eta = 0, and so is an absent
bias as b = 0. A step of 0 (a dead channel) or xi = 0 gives the constant bt.

`requantize_float` is the reference for the integer epilogue: real value, division by the next
step, rounding half to even, zero point, clip.
"""

import numpy as np

from refquant._types import Array


def float_epilogue(total: Array, scale: Array, offset: Array) -> Array:
    """Return ``scale * total + offset`` in float64.

    Parameters
    ----------
    total : array
        Whole numbers below 2^53 in magnitude, in an integer dtype or in float64: the result is
        the same, bit for bit.
    scale, offset : float64 arrays
        Broadcast against `total`.
    """
    return np.asarray(scale * total.astype(np.float64, copy=False) + offset)


def requantize_float(real: Array, step: float, zero_point: int, limits: tuple[int, int]) -> Array:
    """Return codes of real values: clip(rint(y / s_y), n, p) + z_y, int32 (golden op 67).

    Parameters
    ----------
    real : float64 array
        What `float_epilogue` returned; NaN gives the zero point.
    step : float
        s_y, positive.
    zero_point : int
    limits : (int, int)
        Lowest and highest code, zero point included.
    """
    low, high = limits[0] - zero_point, limits[1] - zero_point
    levels = np.clip(np.rint(real / step), low, high)
    return np.where(np.isnan(levels), 0.0, levels).astype(np.int32) + np.int32(zero_point)


def per_channel(values: Array, ndim: int) -> Array:
    """Return a (c,) or (c, ...) array in the shape that lines up with axis 1 of `ndim` axes."""
    return values.reshape(*values.shape, *(1,) * (ndim - 1 - values.ndim))
