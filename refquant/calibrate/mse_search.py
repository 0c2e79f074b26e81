"""Choose a step, and a zero point, by the error that quantising the tensor makes.

Reference: methods, section 3.2 (the candidates are the data of `spaces`), property P82, P83.

    paper    here      shape              meaning
    x, w     x         any                the tensor
    s, z     qparams   () or (c, 1, ..)   the chosen candidate
    e        --        like x             s clip(rint(x / s), n - z, p - z) - x
    --       score     like the step      mean of |e|^p over the row ("fro": sum), see `score`

The first strictly smallest score wins, row by row.

Edge cases: a zero row has score 0 at every candidate, so the first wins, with the floor eps as
its step. A constant row c != 0 under "shrink80" on an affine grid has a range of width 0: its
step is eps and its zero point -rint(c / eps).

Differs from: BRECQ and its followers start from the score 1e10, so that a candidate above it
is never taken; here the first candidate is.
"""

from dataclasses import dataclass

import numpy as np

from refquant._checks import check_in, check_positive, complaint
from refquant._fields import published
from refquant._types import Array
from refquant.calibrate.qparams import DIVISORS
from refquant.calibrate.rows import check_kind, check_tensor, per_row, to_rows
from refquant.calibrate.score import first_smallest
from refquant.calibrate.spaces import GRID100_1D, SEARCHES, SearchSpace, candidates
from refquant.quantizers.grid import Grid, QParams, make_qparams

LARGEST_ZERO = 2.0**53  # beyond it a float zero point is no longer a known integer


@dataclass(frozen=True)
class MseSearch:
    """Rule: a search of section 3.2; `p` None is the search's own exponent."""

    id: str = "grid100_1d"
    p: float | None = None
    divisor: str = published("half_span", "half_span: QDrop; p: SmoothQuant; amct: AMCT (D3)")

    def __post_init__(self) -> None:
        check_in("MseSearch", "id", self.id, SEARCHES)
        check_in("MseSearch", "divisor", self.divisor, DIVISORS)
        if self.p is not None:
            check_positive("MseSearch", "p", self.p)


def mse_search(
    x: Array, grid: Grid, rule: MseSearch | None = None, axis: int | None = None
) -> tuple[QParams, Array]:
    """The candidate of section 3.2 with the first smallest error.

    Parameters
    ----------
    x : Array
        float32 or float64, finite, any shape.
    grid : Grid
        The codes. "fro" needs a signed or narrow grid, "grid100_2d" an affine one.
    rule : MseSearch, optional
        Which search, exponent and divisor; `MseSearch()` by default.
    axis : int or None
        Axis of `x` with a step for each index.

    Returns
    -------
    qparams : QParams
        Step and zero point. "shrink80" on an affine grid may return a zero point that is not
        a code, where a row has values of one sign only.
    score : Array
        Its error, in the shape of the step.

    Raises
    ------
    TypeError, ValueError
        If `x` is not a finite, non-empty float array, or the search is not defined on the grid;
        if "shrink80" needs a zero point beyond 2^53.

    Notes
    -----
    "grid100_2d" costs 100 * 2^b passes over `x`. Like QDrop it falls back to "grid100_1d" on a
    tensor whose values have one sign.
    """
    rule = MseSearch() if rule is None else rule
    check_tensor("mse_search", "x", x, axis)
    check_kind("mse_search", "grid", grid, Grid)
    check_kind("mse_search", "rule", rule, MseSearch)
    space = _space_on(SEARCHES[rule.id], grid, x)
    rows = to_rows(x, axis)
    p = space.p if rule.p is None else rule.p
    found = candidates(space, rows, grid, rule.divisor)
    step, zero, score = first_smallest(found, rows, grid, p, space.total)
    qparams = _as_qparams(per_row(step, x.shape, axis), per_row(zero, x.shape, axis), grid, space)
    return qparams, per_row(score, x.shape, axis)


def _space_on(space: SearchSpace, grid: Grid, x: Array) -> SearchSpace:
    """The search as it applies to this grid and tensor, or an error."""
    symmetric = grid.kind in ("signed", "narrow")
    if space.symmetric_only and not symmetric:
        expected = f"a signed or narrow grid for the search {space.id!r}"
        raise ValueError(complaint("mse_search", "grid", grid.kind, expected))
    if space.family == "plane":
        if grid.kind != "affine":
            fix = "Use 'grid100_1d'."
            message = complaint("mse_search", "grid", grid.kind, f"affine for {space.id!r}", fix)
            raise ValueError(message)
        return space if x.min() < 0.0 < x.max() else GRID100_1D
    return space


def _as_qparams(step: Array, zero: Array, grid: Grid, space: SearchSpace) -> QParams:
    """Integer zero points; only the raw search may leave the codes with them."""
    if np.max(np.abs(zero)) >= LARGEST_ZERO:
        got = f"so far from 0 that its zero point would be {zero.flat[np.argmax(np.abs(zero))]}"
        fix = "Use 'mq80', which keeps 0 in the range."
        raise ValueError(complaint("mse_search", "x", got, "a range nearer to 0", fix))
    codes = zero.astype(np.int64)
    if space.raw:
        check_positive("mse_search", "step", step)
        return QParams(step.copy(), codes, grid)
    return make_qparams(step, codes, grid)
