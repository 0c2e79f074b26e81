"""Leave out the candidates of a step search that cannot win, after a look at the distinct values.

Definition: `refquant.calibrate.score`. Activations repeat: behind a ReLU half of them are zero, and
patches hold every pixel once for each window that reads it. The score of a candidate, a sum of
|e|^p over all values, is here a sum over the distinct ones, each weighted by its count.

Every summand is the definition's, up to the last bits of a power; none is negative. The two sums
therefore differ by at most `tolerance` of either: pairwise summation of n numbers loses at most
(16 + log2 n) roundings, a power 8, and the sum here is in float64. The definition then scores the
candidates that come so close to the smallest, and chooses as it would among all of them.
"""

import math
from collections.abc import Sequence

import numpy as np

from refquant._types import Array
from refquant.quantizers.grid import Grid

Candidate = tuple[Array, Array]  # step and zero point, (1, 1) each

WORTHWHILE = 0.75  # share of distinct values from which on the look costs more than it saves


def contenders(found: Sequence[Candidate], row: Array, grid: Grid, p: float) -> Sequence[Candidate]:
    """Return the candidates that may have the smallest score, in their order.

    Parameters
    ----------
    found : sequence of (step, zero)
        In the dtype of the row.
    row : (m,) array, float32 or float64
        Finite.
    grid : Grid
    p : float
        Exponent of the error.
    """
    values, counts = np.unique(row, return_counts=True)
    if len(values) > WORTHWHILE * len(row):
        return found
    weights, room = counts.astype(np.float64), np.empty_like(values)
    with np.errstate(over="ignore"):
        scores = [_score(values, weights, candidate, (grid, p), room) for candidate in found]
    limit = min(scores) * (1.0 + tolerance(row))
    return [one for one, score in zip(found, scores, strict=True) if score <= limit]


def tolerance(row: Array) -> float:
    """Return how far, relative to either, two sums of the same summands may be apart."""
    return 2.0 * (32.0 + math.log2(len(row))) * float(np.finfo(row.dtype).eps)


def _score(
    values: Array, weights: Array, candidate: Candidate, kind: tuple[Grid, float], room: Array
) -> float:
    """Return sum_i weights_i |s clip(rint(x_i / s), n, p) - x_i|^p."""
    (step, zero), (grid, p) = (part.reshape(()) for part in candidate), kind
    low, high = grid.limits(zero)
    np.divide(values, step, out=room)
    np.rint(room, out=room)
    np.clip(room, low, high, out=room)
    np.multiply(step, room, out=room)
    np.subtract(room, values, out=room)
    if p == 2:
        np.multiply(room, room, out=room)
    else:
        np.abs(room, out=room)
        np.power(room, p, out=room)
    return float(np.dot(room, weights))
