"""The range that holds all but the outermost values.

Reference: methods, section 3.1; order statistics as in PPQ, interpolation as in RepQ-ViT.

    paper     here            shape              meaning
    x         x               any                one tensor
    --        batches         (t, *batch)        t batches of one shape; `axis` counts inside one
    q         q               --                 share of the values at or below hi, in [1/2, 1]
    N         n               --                 number of values of a row
    --        lo, hi          () or (c, 1, ..)   broadcast against the tensor or one batch

Rule "ppq": the sorted values number int(n (1 - q)) and min(int(n q), n - 1), counted from 0. Both
products are taken in binary64, so int(10000 (1 - 0.9999)) is 0. Rule "interpolated": position
h = (n - 1) (1 - q) resp. (n - 1) q, on the line between the neighbours floor(h) and floor(h) + 1.

Edge cases: one value makes lo = hi; q = 1 gives the minimum and the maximum.
"""

from dataclasses import dataclass

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_in, complaint
from refquant._types import Array
from refquant.calibrate.qparams import DIVISORS
from refquant.calibrate.ranges import check_batches
from refquant.calibrate.rows import check_tensor, per_row, to_rows

PERCENTILE_RULES = ("ppq", "interpolated")


@dataclass(frozen=True)
class Percentile:
    """Rule: the step that covers all but the outermost shares 1 - q (section 3.1)."""

    q: float = 0.9999
    rule: str = "ppq"
    divisor: str = "half_span"

    def __post_init__(self) -> None:
        check_share("Percentile", self.q)
        check_in("Percentile", "rule", self.rule, PERCENTILE_RULES)
        check_in("Percentile", "divisor", self.divisor, DIVISORS)


def percentile(
    batches: Array, q: float = 0.9999, rule: str = "ppq", axis: int | None = None
) -> tuple[Array, Array]:
    """Mean over the batches of `percentile_range`; arguments as there and in `minmax`."""
    check_batches("percentile", batches, axis)
    ends = [percentile_range(np.asarray(batch), q, rule, axis) for batch in batches]
    lo, hi = (nx.mean(np.stack(side), axis=0) for side in zip(*ends, strict=True))
    return np.asarray(lo), np.asarray(hi)


def percentile_range(
    x: Array, q: float = 0.9999, rule: str = "ppq", axis: int | None = None
) -> tuple[Array, Array]:
    """The quantiles 1 - q and q of one tensor.

    Parameters
    ----------
    x : Array
        Any shape, float32 or float64, finite. No leading axis of batches.
    q : float
        In [1/2, 1]; 1 gives the minimum and maximum.
    rule : {"ppq", "interpolated"}
        Order statistics or linear interpolation, see the module docstring.
    axis : int or None
        Axis of `x` with a range for each index.

    Returns
    -------
    lo, hi : Array
        () or (c, 1, ..), broadcasting against `x`, of its dtype.

    Raises
    ------
    TypeError, ValueError
        If `x` is not a finite, non-empty float array; if `q` or `rule` is out of its domain.
    """
    check_tensor("percentile_range", "x", x, axis)
    check_share("percentile_range", q)
    check_in("percentile_range", "rule", rule, PERCENTILE_RULES)
    values = np.sort(to_rows(x, axis), axis=1)
    n = values.shape[1]
    if rule == "ppq":
        lo, hi = values[:, int(n * (1.0 - q))], values[:, min(int(n * q), n - 1)]
    else:
        lo, hi = _between(values, (n - 1) * (1.0 - q)), _between(values, (n - 1) * q)
    return per_row(lo, x.shape, axis), per_row(hi, x.shape, axis)


def check_share(function: str, q: float) -> float:
    """Return `q` if it lies in [1/2, 1]; ValueError otherwise."""
    if not 0.5 <= q <= 1.0:
        raise ValueError(complaint(function, "q", q, "a share in [0.5, 1]", "Try 0.9999."))
    return q


def _between(values: Array, position: float) -> Array:
    """Sorted rows read at a real position >= 0."""
    k = min(int(position), values.shape[1] - 1)
    after = values[:, min(k + 1, values.shape[1] - 1)]
    return np.asarray(values[:, k] + (position - k) * (after - values[:, k]))
