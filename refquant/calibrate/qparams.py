"""From the ends of a range to a step and a zero point.

Reference: `range_to_qparams` of methods, section 3 (QDrop's observers), with the divisors of
decision D3.

    paper        here       shape   meaning
    min, max     lo, hi     any     ends of the range to be covered
    s            step       any     distance of two levels
    z            zero       any     code of 0
    n, p         code_min, code_max of the grid
    T            top        any     max(-lo, hi)

    affine       lo = min(lo, 0), hi = max(hi, 0)
                 s = max((hi - lo) / (2^b - 1), eps),  z = clip(-rint(lo / s), 0, 2^b - 1)
    symmetric    s = max(T / ((p - n) / 2), eps)       divisor "half_span": +T clips by half a step
                 s = max(T / p, eps)                   divisor "p"
                 s = max(hi / p, -lo / -n, eps)        divisor "amct"
    unsigned     s = max(hi / p, eps)                  whatever the divisor

Edge cases: an all-zero range gives the step eps and the zero point 0. On the unsigned grid what
is below 0 cannot be represented, so lo is ignored and a range below 0 counts as all-zero.

Differs from the literal text of section 3 on the unsigned grid only: T / ((p - n) / 2) would
leave the upper half of the codes unused there. "amct" divides by -n, which is the 2^(b-1) of
that source on the signed grid and p on the narrow one.
"""

from typing import Any

import numpy as np

from refquant._checks import check_array, check_finite, check_in, check_positive, complaint
from refquant._types import Array
from refquant.calibrate.rows import check_kind
from refquant.quantizers.grid import Grid, QParams, make_qparams

DIVISORS = ("half_span", "p", "amct")
EPS = 1e-8  # floor of every step, section 3


def range_to_qparams(
    lo: Any, hi: Any, grid: Grid, divisor: str = "half_span", eps: float = EPS
) -> QParams:
    """The step and zero point that cover [lo, hi] (section 3, D3).

    Parameters
    ----------
    lo, hi : float or Array
        Ends of the range, lo <= hi, of one shape and dtype; () or (c, 1, ..).
    grid : Grid
        The codes to be used.
    divisor : {"half_span", "p", "amct"}
        What the largest magnitude is divided by on signed and narrow grids.
    eps : float
        Smallest step.

    Returns
    -------
    QParams
        Step and zero point in the shape of `lo`.

    Raises
    ------
    TypeError
        If `lo` or `hi` is neither a number nor a float32 or float64 array.
    ValueError
        If they are not finite, have two shapes, or lo > hi somewhere; if `divisor` is unknown
        or `eps` not a positive normal number.
    """
    check_kind("range_to_qparams", "grid", grid, Grid)
    low, high = _ends("lo", lo), _ends("hi", hi)
    if low.shape != high.shape or not np.all(low <= high):
        got = f"of shape {low.shape} against hi of shape {high.shape}, or above it"
        raise ValueError(complaint("range_to_qparams", "lo", got, "lo <= hi, of one shape"))
    check_in("range_to_qparams", "divisor", divisor, DIVISORS)
    check_positive("range_to_qparams", "eps", eps)
    step, zero = place(low, high, grid, divisor, eps)
    return make_qparams(np.asarray(step), np.asarray(zero).astype(np.int64), grid)


def place(
    lo: Array, hi: Array, grid: Grid, divisor: str = "half_span", eps: float = EPS
) -> tuple[Array, Array]:
    """`range_to_qparams` without checks; the zero point in floats, for use inside searches."""
    if grid.kind == "affine":
        low, high = np.minimum(lo, 0.0), np.maximum(hi, 0.0)
        step = np.maximum((high - low) / grid.code_max, eps)
        return step, np.clip(-np.rint(low / step), 0.0, grid.code_max)
    step = np.maximum(_symmetric_step(lo, hi, grid, divisor), eps)
    return step, np.zeros_like(step)


def place_raw(lo: Array, hi: Array, grid: Grid, eps: float = EPS) -> tuple[Array, Array]:
    """The affine rule of BRECQ's `mse`: 0 is not forced into the range and z is not clipped.

    Returns
    -------
    tuple of Array
        step = max((hi - lo) / (2^b - 1), eps) and zero = -rint(lo / step), a float that may
        lie outside the codes, so that x = 0 need not be representable.
    """
    step = np.maximum((hi - lo) / grid.code_max, eps)
    return step, -np.rint(lo / step)


def _symmetric_step(lo: Array, hi: Array, grid: Grid, divisor: str) -> Array:
    """The step before the floor on a grid without zero point."""
    if grid.kind == "unsigned":
        return np.maximum(hi, 0.0) / grid.code_max
    if divisor == "amct":
        return np.maximum(hi / grid.code_max, lo / grid.code_min)
    top = np.maximum(-lo, hi)
    span = grid.code_max - grid.code_min
    return top / (span / 2 if divisor == "half_span" else grid.code_max)


def _ends(argument: str, value: Any) -> Array:
    """`value` as a finite float array."""
    array = np.asarray(value, dtype=np.float64) if isinstance(value, int | float) else value
    if isinstance(array, np.floating):
        array = np.asarray(array)
    check_array("range_to_qparams", argument, array)
    return check_finite("range_to_qparams", argument, array)
