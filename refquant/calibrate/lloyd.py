"""Fit a step by turns: codes for the step, then the best step for the codes.

Reference: methods, section 3.2 ("alternating minimisation"), convention 19 of section 21; the
scheme is that of Lloyd, "Least Squares Quantization in PCM", IEEE Trans. Inf. Theory 28 (1982).

    paper    here      shape                  meaning
    w        w         any                    values
    q        q         (r, m)                 clip(rint(w / s), n, p)
    s        step      () or (c, 1, ..)       s <- <w, q> / <q, q>
    err[k]   errors    (iters + 1,) or        sum of (s_k q_k - w)^2 over the row;
                       (iters + 1, c)         err[0] belongs to the first step

The error never increases (P45): q is nearest for its s, and s is the least squares fit for its
q (P46). A row stops at a fixed point, or when q = 0, where no fit exists: its step stays and the
rest of `errors` repeats its last value. A zero point is kept as it is and shifts (n, p).

Edge cases: a zero row keeps its first step and has errors 0. As n <= 0 <= p, q never has the
sign opposite to w, so <w, q> > 0 wherever q != 0 and the step stays positive.
"""

from dataclasses import dataclass

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_in, check_int, check_shape
from refquant._types import Array
from refquant.calibrate.qparams import DIVISORS
from refquant.calibrate.rows import check_kind, check_tensor, per_row, to_rows
from refquant.quantizers.grid import QParams, make_qparams


@dataclass(frozen=True)
class Lloyd:
    """Rule: alternate from the min-max step, at most `iters` times (section 3.2)."""

    iters: int = 20
    divisor: str = "half_span"

    def __post_init__(self) -> None:
        check_int("Lloyd", "iters", self.iters, 0)
        check_in("Lloyd", "divisor", self.divisor, DIVISORS)


def lloyd(
    w: Array, start: QParams, iters: int = 20, axis: int | None = None
) -> tuple[QParams, Array]:
    """Alternate between codes and step (section 3.2, P45).

    Parameters
    ----------
    w : Array
        float32 or float64, finite, any shape.
    start : QParams
        First step, in the shape that `axis` asks for, and the grid.
    iters : int
        Number of updates, >= 0.
    axis : int or None
        Axis of `w` with a step for each index.

    Returns
    -------
    qparams : QParams
        The last step; zero point and grid of `start`.
    errors : Array
        (iters + 1,) for axis None, else (iters + 1, c); the dtype of `w`.

    Raises
    ------
    TypeError, ValueError
        If `w` is not a finite, non-empty float array, `iters` is negative, or the step of
        `start` has another shape than `axis` asks for.
    """
    check_tensor("lloyd", "w", w, axis)
    check_kind("lloyd", "start", start, QParams)
    check_int("lloyd", "iters", iters, 0)
    rows = to_rows(w, axis)
    check_shape("lloyd", "start.step", start.step, per_row(rows[:, 0], w.shape, axis).shape)
    step = start.step.astype(w.dtype).reshape(-1, 1)
    limits = start.grid.limits(start.zero_point.reshape(-1, 1).astype(w.dtype))
    errors = []
    for k in range(iters + 1):
        q = np.clip(np.rint(rows / step), *limits)
        residual = step * q - rows
        errors.append(nx.sum(residual * residual, axis=1))
        if k < iters:
            step = _fit(rows, q, step)
    qparams = make_qparams(per_row(step, w.shape, axis), start.zero_point, start.grid)
    return qparams, np.stack(errors).reshape((iters + 1,) if axis is None else (iters + 1, -1))


def _fit(rows: Array, q: Array, fallback: Array) -> Array:
    """Row-wise <w, q> / <q, q>, (r, 1); `fallback` where q = 0."""
    numerator = nx.sum(rows * q, axis=1, keepdims=True)
    square = nx.sum(q * q, axis=1, keepdims=True)
    empty = square == 0
    return np.asarray(np.where(empty, fallback, numerator / np.where(empty, 1.0, square)))
