"""The best of several percentile ranges, by the error that quantising the tensor makes.

Reference: methods, section 3.1: RepQ-ViT takes interpolated quantiles q and 1 - q for q in
{0.999, 0.9999, 0.99999} and keeps the one with the least squared error.

    paper    here      shape              meaning
    q        shares    tuple of float     tried in this order; the first best wins
    s, z     qparams   () or (c, 1, ..)   section 3's rule on the chosen range
    --       score     like the step      mean of |e|^p, see `score`

Edge cases: a zero row gets the floor eps as its step; a short row, on which all shares mean the
same order statistics, gets the first share.
"""

from dataclasses import dataclass

import numpy as np

from refquant._checks import check_in, check_positive, complaint
from refquant._types import Array
from refquant.calibrate.percentile import PERCENTILE_RULES, check_share, percentile_range
from refquant.calibrate.qparams import DIVISORS, place
from refquant.calibrate.rows import check_kind, check_tensor, per_row, to_rows
from refquant.calibrate.score import first_smallest
from refquant.quantizers.grid import Grid, QParams, make_qparams

REPQ_SHARES = (0.999, 0.9999, 0.99999)


@dataclass(frozen=True)
class PercentileSearch:
    """Rule: the best of several percentiles (section 3.1, RepQ-ViT)."""

    shares: tuple[float, ...] = REPQ_SHARES
    rule: str = "interpolated"
    p: float = 2.0
    divisor: str = "half_span"

    def __post_init__(self) -> None:
        if not self.shares:
            raise ValueError(complaint("PercentileSearch", "shares", "()", "at least one share"))
        for share in self.shares:
            check_share("PercentileSearch", share)
        check_in("PercentileSearch", "rule", self.rule, PERCENTILE_RULES)
        check_positive("PercentileSearch", "p", self.p)
        check_in("PercentileSearch", "divisor", self.divisor, DIVISORS)


def percentile_search(
    x: Array, grid: Grid, rule: PercentileSearch | None = None, axis: int | None = None
) -> tuple[QParams, Array]:
    """The percentile range with the first smallest error (section 3.1).

    Parameters
    ----------
    x : Array
        float32 or float64, finite, any shape.
    grid : Grid
        The codes.
    rule : PercentileSearch, optional
        Shares, quantile rule, exponent and divisor.
    axis : int or None
        Axis of `x` with a step for each index.

    Returns
    -------
    qparams : QParams
        Step and zero point of the chosen range.
    score : Array
        Its error, in the shape of the step.

    Raises
    ------
    TypeError, ValueError
        If `x` is not a finite, non-empty float array with the given axis.
    """
    rule = PercentileSearch() if rule is None else rule
    check_tensor("percentile_search", "x", x, axis)
    check_kind("percentile_search", "grid", grid, Grid)
    check_kind("percentile_search", "rule", rule, PercentileSearch)
    rows = to_rows(x, axis)
    ranges = (percentile_range(rows, share, rule.rule, axis=0) for share in rule.shares)
    found = (place(lo, hi, grid, rule.divisor) for lo, hi in ranges)
    best = first_smallest(found, rows, grid, rule.p)
    step, zero, score = (per_row(value, x.shape, axis) for value in best)
    return make_qparams(step, zero.astype(np.int64), grid), score
