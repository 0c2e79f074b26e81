"""A range found batch by batch, as programs do that see their calibration data go by.

Reference: methods, section 3.1. The rule inside finds a range on every batch; the ends are combined
before they become a step and a zero point.

    combine   ends of the range                                 seen in
    average   mean over the batches                             QDrop's AvgMinMaxObserver, CalibTIP
    ema       lo <- m lo + (1 - m) lo_batch, the first starts   PD-Quant, m = 0.9, searched ranges;
                                                                AdaBM, min-max ranges

    here   shape     meaning
    x      (n, ..)   calibration values, samples first; cut into batches in their order
    ends   (t, 2)    lo and hi of the range of each batch, in float64

The range that a search has found is the one for which its step and zero point stand: on affine
grids that of the levels, n s to p s. So a single batch gives what the rule inside gives, but for
the last bits of a search.

Edge cases: the last batch holds what is left, and counts as much as the others.

Differs from: CalibTIP's running mean, whose batches are those of a loader that shuffles.
"""

from dataclasses import dataclass

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_in, check_int, complaint
from refquant._types import Array
from refquant.calibrate.mse_search import MseSearch, mse_search
from refquant.calibrate.percentile import Percentile, percentile_range
from refquant.calibrate.qparams import range_to_qparams
from refquant.calibrate.ranges import MinMax, moving_average, scaled_minmax
from refquant.calibrate.rows import check_rule
from refquant.quantizers.grid import Grid, QParams

Inner = MinMax | Percentile | MseSearch
COMBINES = ("average", "ema")


@dataclass(frozen=True, kw_only=True)
class OverBatches:
    """Rule of activations: ranges of batches, combined (section 3.1).

    Attributes
    ----------
    rule : MinMax, Percentile or MseSearch
        Finds the range of a batch.
    batch : int
        Samples in a batch.
    combine : {"average", "ema"}
        Mean of all batches, or a moving one.
    momentum : float
        Of "ema": weight of the past, in [0, 1].
    """

    rule: Inner = MinMax()
    batch: int = 32
    combine: str = "average"
    momentum: float = 0.9

    def __post_init__(self) -> None:
        check_rule("OverBatches", "rule", self.rule, Inner)
        check_int("OverBatches", "batch", self.batch, 1)
        check_in("OverBatches", "combine", self.combine, COMBINES)
        if not 0.0 <= self.momentum <= 1.0:
            expected = "a number in [0, 1]"
            raise ValueError(complaint("OverBatches", "momentum", self.momentum, expected))
        if self.combine != "ema" and self.momentum != OverBatches.momentum:
            got, fix = f"{self.momentum} with combine={self.combine!r}", "Use combine='ema'."
            raise ValueError(complaint("OverBatches", "momentum", got, "the default", fix))


def over_batches(x: Array, rule: OverBatches, grid: Grid) -> QParams:
    """Return the step and zero point of the combined range of a tensor's batches.

    Parameters
    ----------
    x : Array
        (n, ..), float32 or float64, finite.
    rule : OverBatches
    grid : Grid

    Returns
    -------
    QParams
        One step, in the dtype of `x`.

    Raises
    ------
    ValueError
        If the rule inside is not defined on the grid.
    """
    rows = np.atleast_1d(x)
    parts = (rows[first : first + rule.batch] for first in range(0, len(rows), rule.batch))
    ends = np.array([_range(part, rule.rule, grid) for part in parts], dtype=np.float64)
    low, high = (np.asarray(_combined(side, rule).astype(x.dtype)) for side in ends.T)
    return range_to_qparams(low, high, grid, rule.rule.divisor)


def _combined(ends: Array, rule: OverBatches) -> Array:
    """One end of the range from that of every batch."""
    if rule.combine == "ema":
        return np.asarray(moving_average(ends, rule.momentum))
    return np.asarray(nx.mean(ends))


def _range(x: Array, rule: Inner, grid: Grid) -> tuple[Array, Array]:
    """The ends of the range of one batch."""
    match rule:
        case MinMax():
            return scaled_minmax(x, rule, grid.bits)
        case Percentile():
            return percentile_range(x, rule.q, rule.rule)
        case MseSearch():
            return _covered(mse_search(x, grid, rule)[0], rule.divisor)


def _covered(found: QParams, divisor: str) -> tuple[Array, Array]:
    """The range for which a step and a zero point stand."""
    step, grid = found.step.astype(np.float64), found.grid
    if grid.kind == "affine":
        low, high = grid.limits(found.zero_point)
        return np.asarray(low * step), np.asarray(high * step)
    top = np.asarray(step / range_to_qparams(-1.0, 1.0, grid, divisor).step)
    return -top, top
