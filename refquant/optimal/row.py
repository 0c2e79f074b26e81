"""One row of weights to be rounded: its values, its steps, and the levels it may take.

Reference: methods, sections 6.1 and 7, decision D40.

    paper   here       shape   meaning
    w       w          (d,)    weights of one output channel, float64
    s       step       (d,)    step of each weight; equal but for a bias
    n, p    low, high  (d,)    ends of u-space: code_min - z, code_max - z
    F       base       (d,)    clip(floor(w / s), n, p), int64
    --      free       (d,)    n <= floor(w / s) < p: rounding up or down makes a difference

A weight with floor(w/s) >= p rests at p and one with floor(w/s) < n at n, whichever way it is
rounded: they are not free, and their h is 0.

A bias that is rounded too is one more weight whose input is always 1 and whose step is its own,
s_b = s_w s_x (decision D40: the same step when dividing and when multiplying). Bias codes have
32 bits, so it never meets an end.

Edge cases: NaN and infinities are refused. float32 weights are widened first, so w / s is
rounded once, to float64: a weight within an ulp of a grid point may get another F than the
float32 quantiser gives it.
"""

from typing import NamedTuple

import numpy as np

from refquant._checks import check_array, check_finite, check_int, check_positive, complaint
from refquant._types import Array
from refquant.quantizers.grid import QParams

BIAS_LEVEL = 2.0**31  # ends of an int32


class Row(NamedTuple):
    """A row of weights and its grid; see the module's table. float64 throughout."""

    w: Array
    step: Array
    low: Array
    high: Array


def weight_row(w: Array, qparams: QParams, index: int) -> Row:
    """Row `index` of a weight tensor with its own step, flattened.

    Parameters
    ----------
    w : (c_out, ...) array, float32 or float64
        Finite.
    qparams : QParams
        The step broadcasts to `w`.
    index : int
        Output channel.

    Returns
    -------
    Row

    Raises
    ------
    TypeError, ValueError
        If `w` is not a finite float array with at least 2 axes, `index` is out of range, or
        the step does not broadcast.
    """
    check_array("weight_row", "w", w)
    if w.ndim < 2:
        got = f"of shape {w.shape}"
        raise ValueError(complaint("weight_row", "w", got, "(c_out, ...), at least 2 axes"))
    check_int("weight_row", "index", index, 0, len(w) - 1)
    low, high = qparams.grid.limits(qparams.zero_point)
    try:
        step, low, high = (np.broadcast_to(v, w.shape) for v in (qparams.step, low, high))
    except ValueError as error:
        got = f"of shape {qparams.step.shape}"
        message = complaint("weight_row", "step", got, f"a shape that broadcasts to {w.shape}")
        raise ValueError(message) from error
    parts = (part[index].astype(np.float64).ravel() for part in (w, step, low, high))
    return check_row("weight_row", Row(*parts))


def append_bias(row: Row, bias: float, step: float) -> Row:
    """The row with its bias as the last weight; its input is 1 in every column (D40).

    Parameters
    ----------
    row : Row
    bias : float
        Finite.
    step : float
        s_b = s_w s_x, positive.

    Returns
    -------
    Row
        (d + 1,) arrays.

    Raises
    ------
    ValueError
        If `bias` or `step` is not a finite number, or the step not positive.
    """
    added = (float(bias), float(step), -BIAS_LEVEL, BIAS_LEVEL - 1.0)
    parts = (np.append(part, value) for part, value in zip(row, added, strict=True))
    return check_row("append_bias", Row(*parts))


def floor_levels(row: Row) -> tuple[Array, Array]:
    """Base level and freedom of each weight, section 7.

    Parameters
    ----------
    row : Row

    Returns
    -------
    base : (d,) int64 array
        clip(floor(w / s), n, p).
    free : (d,) bool array
    """
    floor = np.floor(row.w / row.step)
    base = np.clip(floor, row.low, row.high)
    return base.astype(np.int64), (row.low <= floor) & (floor < row.high)


def check_row(function: str, row: Row) -> Row:
    """Return `row` if its parts are finite float64 vectors of one length; an error otherwise."""
    for name, part in zip(row._fields, row, strict=True):
        check_array(function, f"row.{name}", part, ndim=1)
        if part.shape != row.w.shape or part.dtype != np.float64:
            got = f"{part.dtype} of shape {part.shape}"
            expected = f"float64 of shape {row.w.shape}"
            raise ValueError(complaint(function, f"row.{name}", got, expected))
        check_finite(function, f"row.{name}", part)
    check_positive(function, "row.step", row.step)
    return row
