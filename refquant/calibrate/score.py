"""The error a step makes, and the first candidate whose error is smallest.

Reference: methods, section 3.2.

    paper    here        shape     meaning
    x, w     rows        (r, m)    the values that share a step, row by row
    s, z     step, zero  (r, 1)    a candidate
    e        error       (r, m)    s clip(rint(x / s), n - z, p - z) - x, n and p the codes' ends
    --       score       (r, 1)    mean of |e|^p over the row, or its sum

All rows are scored at once, candidate by candidate. For p = 2 the error is squared by a product;
other exponents go through `nx.power`. In fast arithmetic a kernel first leaves out the candidates
that cannot win.

Edge cases: a zero row has score 0 at every candidate, so the first wins. A score that overflows
to infinity is like any other: the first candidate stands.
"""

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.kernels.search import contenders
from refquant.quantizers.grid import Grid

Candidate = tuple[Array, Array]  # step and zero point, (r, 1) each, in the dtype of the rows


def first_smallest(
    found: Iterable[Candidate], rows: Array, grid: Grid, p: float, total: bool = False
) -> tuple[Array, Array, Array]:
    """For every row the first candidate with strictly the smallest score.

    Parameters
    ----------
    found : iterable of (step, zero)
        (r, 1) each; at least one candidate.
    rows : Array
        (r, m).
    grid, p, total
        As in `quantisation_error`.

    Returns
    -------
    step, zero, score : Array
        (r, 1) each.
    """
    if nx.current().mode == "fast" and len(rows) == 1:
        found = contenders(list(found), rows[0], grid, p)
    return first_best(found, partial(quantisation_error, rows, grid=grid, p=p, total=total))


def first_best(
    found: Iterable[Candidate], score: Callable[[Candidate], Array]
) -> tuple[Array, Array, Array]:
    """As `first_smallest`, by any `score` (r, 1) of a candidate."""
    best: tuple[Array, ...] = ()
    for candidate in found:
        trial: tuple[Array, ...] = (*candidate, score(candidate))
        if best:
            better = trial[2] < best[2]
            trial = tuple(np.where(better, *pair) for pair in zip(trial, best, strict=True))
        best = trial
    return best[0], best[1], best[2]


def quantisation_error(
    rows: Array, candidate: Candidate, grid: Grid, p: float, total: bool = False
) -> Array:
    """Mean (or sum) of |s clip(rint(x / s), n, p) - x|^p over each row, (r, 1).

    Parameters
    ----------
    rows : Array
        (r, m).
    candidate : (step, zero)
        (r, 1) each; the zero point in floats.
    grid : Grid
        Its code range, shifted by the zero point, is what is clipped to.
    p : float
        Exponent, > 0.
    total : bool
        Sum instead of mean.

    Returns
    -------
    Array
        (r, 1), the dtype of `rows`.
    """
    step, zero = candidate
    low, high = grid.limits(zero)
    error = step * np.clip(np.rint(rows / step), low, high) - rows
    power = error * error if p == 2 else nx.power(np.abs(error), p)
    reduce = nx.sum if total else nx.mean
    return np.asarray(reduce(power, axis=1, keepdims=True))
