"""SQuant: weights rounded without data so that errors cancel in each kernel and each filter.

References: Guo et al., "SQuant", ICLR 2022, arXiv:2202.07471, its stages E, K and C; methods,
section 14 (golden op 52). The flips are those of `a_rounding`: a filter is a vector, its input
channels are the channels, and the kernel positions of one input channel the K positions.

    paper       here        shape               meaning
    W           w           (c_out, c_in/g, ..) weights; a matrix has K = 1
    s, z        step, zero  (c_out, 1, ..)      min-max step and zero point of each filter
    u           u           (c_out, c_in/g, K)  w / s
    SQuant-E    --          --                  kernel=False, channel=False: nearest, rint
    SQuant-K    --          --                  kernel=True: the errors of a kernel sum to <= 1/2
    SQuant-C    --          --                  channel=True: those of a filter do

    kernel  channel  flips
    no      no       none
    yes     no       within each kernel
    no      yes      within the filter, any element
    yes     yes      within each kernel, then at most one more in each, for the filter

Min-max steps, methods section 3: lo = min(w, 0), hi = max(w, 0) over a filter,
s = max((hi - lo) / (2^b - 1), 1e-8), z = clip(-rint(lo / s), 0, 2^b - 1), affine grid.

Edge cases: K = 1 makes "yes yes" and "no yes" equal. A filter of zeros has s = 1e-8, z = 0 and
all codes 0. Clipping as in `a_rounding`: extreme weights are not pushed beyond the range.

Differs from: released SQuant rounds w / s - z with a zero point in [-2^(b-1), 2^(b-1)): where z
is odd, exact ties break the other way. Here z is added after rounding, as everywhere.
"""

from typing import Any

import numpy as np

from refquant._checks import check_array, check_finite, check_in, complaint
from refquant._types import Array
from refquant.quantizers.a_rounding import (
    Rounded,
    check_vectors,
    finish,
    finite_part,
    flip_channels,
    flip_vectors,
)
from refquant.quantizers.grid import Grid, QParams, make_qparams
from refquant.quantizers.levels import limits_for, ratio, step_for

SMALLEST_STEP = 1e-8  # methods, section 3


def squant(w: Array, bits: int, kernel: bool = True, channel: bool = True) -> tuple[Array, QParams]:
    """Codes on min-max steps of each filter, methods 14, golden op 52.

    Parameters
    ----------
    w : (c_out, c_in/g, ..) array, float32 or float64
        Finite, not empty.
    bits : int
        2..16.
    kernel, channel : bool
        Which stages flip, see the module docstring.

    Returns
    -------
    codes : Array
        int64, like `w`, in [0, 2^b - 1]; the zero point is in them.
    qparams : QParams
        Step and zero point (c_out, 1, ..), affine.

    Raises
    ------
    TypeError, ValueError
        If `w` is not such an array, `bits` not a bit width, or a switch not a bool.
    """
    qparams = filter_min_max("squant", w, Grid("affine", bits))
    return squant_codes(w, qparams, kernel, channel), qparams


def squant_codes(w: Array, qparams: QParams, kernel: bool = True, channel: bool = True) -> Array:
    """Codes on given steps; arguments and result as in `squant`.

    Parameters
    ----------
    w : (c_out, c_in/g, ..) array, float32 or float64
        Finite, not empty.
    qparams : QParams
        Any grid; broadcasts to `w`.
    kernel, channel : bool
        Which stages flip.

    Returns
    -------
    Array
        int64, like `w`, in [code_min, code_max].

    Raises
    ------
    TypeError, ValueError
        As `squant`; also if the step does not broadcast to `w`.
    """
    for name, value in (("kernel", kernel), ("channel", channel)):
        check_in("squant_codes", name, value, (True, False))
    _check_weights("squant_codes", w)
    shape = (*w.shape[:2], -1)
    u = ratio(w, step_for("squant_codes", w, qparams.step, "w")).reshape(shape)
    low, high = (np.broadcast_to(t, w.shape).reshape(shape) for t in limits_for(w, qparams))
    levels = _rounded(u, low.astype(np.int64), high.astype(np.int64), (kernel, channel)).q
    return np.asarray(levels.reshape(w.shape) + qparams.zero_point)


def filter_min_max(function: str, w: Array, grid: Grid) -> QParams:
    """Affine min-max step and zero point of every filter, (c_out, 1, ..), methods 3."""
    _check_weights(function, w)
    axes = tuple(range(1, w.ndim))
    low = np.minimum(w.min(axis=axes, keepdims=True), 0.0)
    high = np.maximum(w.max(axis=axes, keepdims=True), 0.0)
    step = np.maximum((high - low) / grid.code_max, SMALLEST_STEP)
    zero = np.clip(-np.rint(low / step), grid.code_min, grid.code_max)
    return make_qparams(step, zero.astype(np.int64), grid)


def _rounded(u: Array, low: Array, high: Array, stages: tuple[bool, bool]) -> Rounded:
    """The levels of (c_out, c_in/g, K) quotients; stages = (kernel, channel)."""
    kernel, channel = stages
    if channel and not kernel:  # the filter as one channel: every element is a candidate
        u, low, high = (t.reshape(len(t), 1, -1) for t in (u, low, high))
    check_vectors("squant_codes", u, low, high)
    wide = finite_part(u)
    nearest = np.rint(wide)
    if not (kernel or channel):
        return finish(nearest, u, low, high)
    state = flip_channels(wide, nearest, low, high)
    q = flip_vectors(state, wide) if channel else state.q  # idle where the filter is one
    return finish(q, u, low, high)


def _check_weights(function: str, w: Any) -> Array:
    """`w` if it is a finite array of at least two axes with elements; an error otherwise."""
    check_array(function, "w", w)
    if w.ndim < 2 or w.size == 0:
        got = f"of shape {w.shape}"
        raise ValueError(complaint(function, "w", got, "(c_out, c_in/g, ..) with elements"))
    return check_finite(function, "w", w)
