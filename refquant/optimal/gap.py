"""How far a rounding is from the best one: loss, optimum, and the difference.

Reference: methods, section 7 (P32, P34): exact <= every feasible rounding.

    symbol     here      meaning
    L(q)       loss      mean squared output error of the levels q, summed over rows
    L*         best      its minimum over levels F or F + 1 of every weight, where `exact`;
                         else a lower bound of that minimum, see `lower_bound`
    L(q) - L*  gap       what is lost; where not `exact`, at most that much is lost
    --         feasible  every level is F or F + 1 (clipped): the levels compete with L*

Where the row is exact and the levels feasible, the gap is a difference of exact energies,
rounded once: it is never negative, and 0 only where the levels are optimal.

Edge cases: levels that are not feasible (codes learned under another step) may beat L*: the gap
is then negative. A bound is never taken below 0, as no loss is.
"""

from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_int, complaint
from refquant._types import Array
from refquant.optimal.brute_force import MAX_FREE, brute_force
from refquant.optimal.exact_energy import integer_energy, rounded_energy, to_integers
from refquant.optimal.lower_bound import lower_bound
from refquant.optimal.moments import InputMoments, Target
from refquant.optimal.qubo import Qubo, build_qubo, row_target
from refquant.optimal.row import Row, weight_row
from refquant.quantizers.grid import QParams


class Gap(NamedTuple):
    """Loss of given levels, the optimum or a bound on it, and what that says of the levels."""

    loss: float
    best: float
    gap: float
    exact: bool
    feasible: bool


def rounding_gap(
    row: Row,
    levels: Array,
    moments: InputMoments,
    max_exact: int = MAX_FREE,
    target: Target | None = None,
) -> Gap:
    """The optimality gap of one row of levels.

    Parameters
    ----------
    row : Row
        d weights.
    levels : (d,) integer array
        In u-space: codes less the zero point.
    moments : InputMoments
    max_exact : int
        Up to that many variables (0..22) the optimum is found by brute force; beyond, a lower
        bound stands in for it.
    target : Target or None
        What the product shall be instead of w^T x.

    Returns
    -------
    Gap

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not fit, or `max_exact` is out of range.
    """
    check_int("rounding_gap", "max_exact", max_exact, 0, MAX_FREE)
    _check_integers("rounding_gap", "levels", levels, row.w.shape)
    qubo = build_qubo(row, moments, target)
    loss = levels_loss(row, levels, moments, target)
    step_up = levels.astype(np.int64) - qubo.base
    feasible = bool(((step_up == 0) | ((step_up == 1) & qubo.free)).all())
    if np.count_nonzero(qubo.q.any(axis=1)) > max_exact:
        bound = max(lower_bound(qubo.q) + qubo.constant, 0.0)
        return Gap(loss, bound, loss - bound, False, feasible)
    best = brute_force(qubo.q)
    optimum = best.energy + qubo.constant
    gap = _exact_gap(qubo, step_up[qubo.free], best.h) if feasible else loss - optimum
    return Gap(loss, optimum, gap, True, feasible)


def layer_gap(
    w: Array, codes: Array, qparams: QParams, moments: InputMoments, max_exact: int = MAX_FREE
) -> Gap:
    """The optimality gap of a layer: the sum over its rows, which are independent (P33).

    Parameters
    ----------
    w : (c_out, ...) array, float32 or float64
    codes : integer array like `w`
        In code space, zero point included.
    qparams : QParams
        Step, zero point and grid of the weights.
    moments : InputMoments
        Of the input all rows share: one group of a convolution.
    max_exact : int
        As in `rounding_gap`.

    Returns
    -------
    Gap
        Sums; exact and feasible only if every row is.

    Raises
    ------
    TypeError, ValueError
        As `rounding_gap`.
    """
    _check_integers("layer_gap", "codes", codes, w.shape)
    levels = (codes.astype(np.int64) - qparams.zero_point).reshape(len(w), -1)
    gaps = [
        rounding_gap(weight_row(w, qparams, i), levels[i], moments, max_exact)
        for i in range(len(w))
    ]
    loss, best, gap = nx.sum(np.array([row[:3] for row in gaps]), axis=0).tolist()
    return Gap(loss, best, gap, all(g.exact for g in gaps), all(g.feasible for g in gaps))


def levels_loss(
    row: Row, levels: Array, moments: InputMoments, target: Target | None = None
) -> float:
    """Mean squared output error of one row at given levels, by second moments.

    Parameters
    ----------
    row : Row
    levels : (d,) integer array
        In u-space; any integers, reachable by rounding or not.
    moments : InputMoments
    target : Target or None
        As in `rounding_gap`.

    Returns
    -------
    float
        Computed in float64. The asymmetric form cancels and may come out slightly negative.
    """
    w_hat = row.step * levels.astype(np.float64)
    wanted = target or row_target(row, moments)
    if wanted is None:
        return _form(w_hat - row.w, moments.gram, w_hat - row.w)
    across = float(nx.sum(w_hat * wanted.cross))
    return _form(w_hat, moments.gram, w_hat) - 2.0 * across + wanted.power


def _exact_gap(qubo: Qubo, h: Array, best: Array) -> float:
    """Energy of h less that of the best choice, exact, rounded once."""
    whole = to_integers(qubo.q)
    return rounded_energy(whole, integer_energy(whole, h) - integer_energy(whole, best))


def _form(a: Array, matrix: Array, b: Array) -> float:
    """a^T M b."""
    return float(nx.matmul(nx.matmul(a[None, :], matrix), b[:, None])[0, 0])


def _check_integers(function: str, name: str, value: Array, shape: tuple[int, ...]) -> None:
    """Refuse anything but an integer array of this shape."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iu":
        got = getattr(value, "dtype", type(value).__name__)
        raise TypeError(complaint(function, name, got, "an array of integers"))
    if value.shape != shape:
        raise ValueError(complaint(function, name, f"of shape {value.shape}", f"{shape}"))
