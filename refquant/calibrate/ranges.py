"""Observers: the range of values seen in calibration batches.

Reference: methods, section 3.1; min-max and averages as in QDrop's observers.

    paper     here            shape              meaning
    --        batches         (t, *batch)        t batches of one shape
    --        axis            None or int        counts inside a batch
    m         momentum        --                 weight of the past
    --        lo, hi          () or (c, 1, ..)   broadcast against one batch

    minmax       smallest and largest value of all batches
    ema          lo <- m lo + (1 - m) lo_batch, started at the first batch; hi alike
    average      arithmetic mean of the batches' minima and of their maxima

Edge cases: one batch makes all three agree; one value makes lo = hi; zeros give 0, 0.
"""

from dataclasses import dataclass

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_in, check_int, complaint
from refquant._fields import published
from refquant._types import Array
from refquant.calibrate.qparams import DIVISORS
from refquant.calibrate.rows import check_tensor, per_row, to_rows


@dataclass(frozen=True)
class MinMax:
    """Rule: the step that covers all values (section 3.1).

    `low_bit_scale` multiplies both ends by (b + 2) / 8 first: BRECQ's `scale` heuristic for
    few bits (section 3.4).
    """

    divisor: str = published("half_span", "half_span: QDrop; p: SmoothQuant; amct: AMCT (D3)")
    low_bit_scale: bool = published(False, "BRECQ's scale: True")

    def __post_init__(self) -> None:
        check_in("MinMax", "divisor", self.divisor, DIVISORS)


def minmax(batches: Array, axis: int | None = None) -> tuple[Array, Array]:
    """Smallest and largest value over all batches.

    Parameters
    ----------
    batches : Array
        (t, *batch), float32 or float64, finite.
    axis : int or None
        Axis inside a batch with a range for each index; None for one range.

    Returns
    -------
    lo, hi : Array
        () or (c, 1, ..), the dtype of `batches`.

    Raises
    ------
    TypeError, ValueError
        If `batches` is not a finite, non-empty float array with the given axis.
    """
    lo, hi = _batch_ranges("minmax", batches, axis)
    return _restore(lo.min(axis=0), hi.max(axis=0), batches, axis)


def scaled_minmax(
    x: Array, rule: MinMax, bits: int, axis: int | None = None
) -> tuple[Array, Array]:
    """Ends of one tensor, after BRECQ's factor (b + 2) / 8 if the rule asks for it."""
    factor = (bits + 2) / 8 if rule.low_bit_scale else 1.0
    lo, hi = minmax(x[np.newaxis], axis)
    return np.asarray(lo * factor), np.asarray(hi * factor)


def ema(batches: Array, momentum: float = 0.9, axis: int | None = None) -> tuple[Array, Array]:
    """Exponential moving average of the batches' ranges; the first batch starts it.

    Parameters
    ----------
    batches, axis
        As in `minmax`.
    momentum : float
        Weight of the past, in [0, 1].

    Returns
    -------
    lo, hi : Array
        As in `minmax`.

    Raises
    ------
    TypeError, ValueError
        As `minmax`; also if `momentum` is outside [0, 1].
    """
    if not 0.0 <= momentum <= 1.0:
        raise ValueError(complaint("ema", "momentum", momentum, "a number in [0, 1]"))
    los, his = _batch_ranges("ema", batches, axis)
    lo, hi = moving_average(los, momentum), moving_average(his, momentum)
    return _restore(lo, hi, batches, axis)


def moving_average(values: Array, momentum: float) -> Array:
    """Exponential moving average along the first axis, started at its first entry."""
    mean = values[0]
    for value in values[1:]:
        mean = momentum * mean + (1.0 - momentum) * value
    return np.asarray(mean)


def average(batches: Array, axis: int | None = None) -> tuple[Array, Array]:
    """Mean of the batches' minima and mean of their maxima; arguments as in `minmax`."""
    lo, hi = _batch_ranges("average", batches, axis)
    return _restore(nx.mean(lo, axis=0), nx.mean(hi, axis=0), batches, axis)


def check_batches(function: str, batches: Array, axis: int | None) -> None:
    """Refuse what has no leading axis of batches, then what a tensor is refused for."""
    check_array(function, "batches", batches)
    if batches.ndim == 0:
        fix = "Add a leading axis: x[numpy.newaxis]."
        raise ValueError(complaint(function, "batches", "of shape ()", "(t, *batch)", fix))
    if axis is not None:
        check_int(function, "axis", axis, 0, max(batches.ndim - 2, 0))
    check_tensor(function, "batches", batches, None if axis is None else axis + 1)


def _batch_ranges(function: str, batches: Array, axis: int | None) -> tuple[Array, Array]:
    """Minimum and maximum of every batch and row, (t, r) each."""
    check_batches(function, batches, axis)
    rows = [to_rows(batch, axis) for batch in batches]
    return np.stack([r.min(axis=1) for r in rows]), np.stack([r.max(axis=1) for r in rows])


def _restore(lo: Array, hi: Array, batches: Array, axis: int | None) -> tuple[Array, Array]:
    """Ends of (r,) in the shape that broadcasts against one batch."""
    shape = batches.shape[1:]
    return per_row(lo, shape, axis).copy(), per_row(hi, shape, axis).copy()
