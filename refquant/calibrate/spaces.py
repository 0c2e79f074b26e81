"""The candidates that each range search of section 3.2 tries, as data.

Reference: methods, section 3.2 with conventions 17 and 22 of section 21; the searches are those
of BRECQ, QDrop, MQBench, AdaBM, AdaQTransform and AMCT.

    id           family      factors f                    p    symmetric only
    shrink80     shrink      1 - 0.01 i, i = 0..79        2.4
    grid100_1d   threshold   i / 100, i = 1..100          2.4
    grid100_2d   plane       i / 100, i = 1..100          2.4
    mq80, mq95   shrink      1 - 0.01 i, 80 or 95 of them 2
    omse         shrink      1 - 0.01 i, 90; symmetric 50 2
    fro          threshold   i / 100, i = 1..100          2    yes; score is a sum, not a mean
    ifmr         top         r = 0.70, 0.71 .. 1.30       2

    family       range tried, for each f in order
    shrink       (min f, max f)
    threshold    (-T f, T f) with T = max(|min|, max); an end beyond which a row has no data is 0
    plane        step max((max - min) f / (2^b - 1), eps) with each zero point 0..2^b - 1, z inner;
                 min and max are taken with 0
    top          (lo, hi f) on affine grids, (lo f, hi f) on the others; lo, hi are the quantiles
                 1e-6 and 0.999999, by order statistics

Each factor is its exact value rounded once: T * (100 / 100) is T itself, so that the
min-max range is always among the candidates of shrink, threshold and plane (P82).

Edge cases: every step has the floor eps = 1e-8 of section 3, so a constant zero row gets eps.
`shrink80` on an affine grid neither forces 0 into the range nor clips z.

Differs from QDrop: one-sidedness is judged for each row, not for the whole tensor, so that a row
is treated the same alone and beside others (its `plane` search still asks the whole tensor).
MQBench takes 80 steps per channel and 95 per tensor; here the id alone says which. AdaBM starts
the symmetric weight range from max(w), which misses a larger -min(w).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from refquant._types import Array
from refquant.calibrate.percentile import percentile_range
from refquant.calibrate.qparams import EPS, place, place_raw
from refquant.calibrate.score import Candidate
from refquant.quantizers.grid import Grid

IFMR_SHARE = 0.999999


@dataclass(frozen=True)
class SearchSpace:
    """One line of the table in the module docstring.

    Attributes
    ----------
    id : str
        Name of the search.
    family : {"shrink", "threshold", "plane", "top"}
        How a factor becomes a candidate.
    factors : tuple of float
        Tried in this order; the first best wins.
    p : float
        Default exponent of the error.
    symmetric_factors : tuple of float
        Used on signed and narrow grids instead of `factors`; empty for the same ones.
    raw : bool
        On affine grids: 0 is not forced into the range and z not clipped.
    symmetric_only : bool
        The search is not defined on affine and unsigned grids.
    total : bool
        The score is the sum of \\|e\\|^p, not its mean.
    """

    id: str
    family: str
    factors: tuple[float, ...]
    p: float
    symmetric_factors: tuple[float, ...] = ()
    raw: bool = False
    symmetric_only: bool = False
    total: bool = False

    def factors_on(self, grid: Grid) -> tuple[float, ...]:
        """The factors for this grid."""
        symmetric = grid.kind in ("signed", "narrow")
        return self.symmetric_factors if symmetric and self.symmetric_factors else self.factors


def _shrinking(count: int) -> tuple[float, ...]:
    return tuple((100 - i) / 100 for i in range(count))


_HUNDRED = tuple(i / 100 for i in range(1, 101))
_SEVENTY_TO_130 = tuple(i / 100 for i in range(70, 131))

SHRINK80 = SearchSpace("shrink80", "shrink", _shrinking(80), 2.4, raw=True)
GRID100_1D = SearchSpace("grid100_1d", "threshold", _HUNDRED, 2.4)
GRID100_2D = SearchSpace("grid100_2d", "plane", _HUNDRED, 2.4)
MQ80 = SearchSpace("mq80", "shrink", _shrinking(80), 2.0)
MQ95 = SearchSpace("mq95", "shrink", _shrinking(95), 2.0)
OMSE = SearchSpace("omse", "shrink", _shrinking(90), 2.0, symmetric_factors=_shrinking(50))
FRO = SearchSpace("fro", "threshold", _HUNDRED, 2.0, symmetric_only=True, total=True)
IFMR = SearchSpace("ifmr", "top", _SEVENTY_TO_130, 2.0)

SEARCHES = {
    space.id: space for space in (SHRINK80, GRID100_1D, GRID100_2D, MQ80, MQ95, OMSE, FRO, IFMR)
}


def candidates(
    space: SearchSpace, rows: Array, grid: Grid, divisor: str = "half_span"
) -> Iterator[Candidate]:
    """Steps and zero points of a search, in its order.

    Parameters
    ----------
    space : SearchSpace
        Which search.
    rows : Array
        (r, m), finite, m >= 1.
    grid : Grid
        Affine for the family "plane".
    divisor : str
        As in `range_to_qparams`.

    Yields
    ------
    step, zero : Array
        (r, 1) each; `zero` in floats.
    """
    if space.family == "plane":
        yield from _plane(space, rows, grid)
        return
    raw = space.raw and grid.kind == "affine"
    for lo, hi in _ranges(space, rows, grid):
        yield place_raw(lo, hi, grid) if raw else place(lo, hi, grid, divisor)


def _ranges(space: SearchSpace, rows: Array, grid: Grid) -> Iterator[tuple[Array, Array]]:
    """Ends (r, 1) of the ranges of the families shrink, threshold and top."""
    lo, hi = rows.min(axis=1, keepdims=True), rows.max(axis=1, keepdims=True)
    top = np.maximum(np.abs(lo), hi)
    if space.family == "top":
        lo, hi = percentile_range(rows, IFMR_SHARE, "ppq", axis=0)
    for f in space.factors_on(grid):
        if space.family == "threshold":
            yield np.where(lo < 0.0, -top * f, 0.0), np.where(hi > 0.0, top * f, 0.0)
        elif space.family == "top" and grid.kind == "affine":
            yield np.minimum(lo, 0.0), np.maximum(hi, 0.0) * f
        else:
            yield lo * f, hi * f


def _plane(space: SearchSpace, rows: Array, grid: Grid) -> Iterator[Candidate]:
    """Every width of range with every zero point, the zero point running fastest."""
    lo = np.minimum(rows.min(axis=1, keepdims=True), 0.0)
    hi = np.maximum(rows.max(axis=1, keepdims=True), 0.0)
    for f in space.factors_on(grid):
        step = np.maximum((hi - lo) * f / grid.code_max, EPS)
        for zero in range(grid.code_max + 1):
            yield step, np.full_like(step, zero)
