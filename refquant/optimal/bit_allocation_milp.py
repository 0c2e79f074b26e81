"""Bit allocation from someone else's solver: the integer programme as CalibTIP poses it.

References: Hubara et al., arXiv:2006.10518, section 3.3 (methods, section 8, P51); the solver is
HiGHS, by way of `scipy.optimize.milp`.

    paper     here      shape    meaning
    I_lc      x         (l c,)   binary: layer l takes choice c

    minimise   sum L_lc x_lc
    where      sum_c x_lc = 1 for every l,   sum S_lc x_lc <= B

It shares with `bit_allocation`, of which it is the second opinion, the check of the tables and the
sums of a choice, but not the search, and has no limit on the number of states. SciPy's solver is
imported by the first call.

Edge cases: both tables are scaled to a largest entry of about 1000, because the solver stops at an
absolute gap of 1e-6 and takes a constraint for kept within 1e-6: choices that differ by less than
1e-9 of the largest entry count as equal, and any of them may come back. A choice that overdraws
the budget by such an amount is refused.
"""

import numpy as np

from refquant._checks import complaint
from refquant._types import Array
from refquant.optimal.bit_allocation import Allocation, allocation_of, check_problem, total_of


def allocate_bits_milp(loss: Array, size: Array, budget: float) -> Allocation:
    """An optimal choice, by branch and bound.

    Parameters
    ----------
    loss, size, budget
        As for `allocate_bits`.

    Returns
    -------
    Allocation
        The choice, with its exact loss and size.

    Raises
    ------
    TypeError, ValueError
        If the tables do not fit, an entry is not finite, or no choice fits the budget.
    RuntimeError
        If the solver reports anything but an optimum, or overdraws the budget.
    """
    function = "allocate_bits_milp"
    tables = check_problem(function, loss, size, budget)
    choice = _solve(loss.astype(np.float64), size.astype(np.float64), float(budget))
    if total_of(tables.size, choice) > tables.budget:
        got, fix = f"{budget}, overdrawn by rounding", "Use allocate_bits, or round sizes."
        raise RuntimeError(complaint(function, "budget", got, "a budget with some room", fix))
    return allocation_of(tables, choice)


def _solve(loss: Array, size: Array, budget: float) -> list[int]:
    """SciPy's choice."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    layers, choices = loss.shape
    one_each = np.kron(np.eye(layers), np.ones(choices))
    unit = _power_of_two(size)
    answer = milp(
        (loss / _power_of_two(loss)).ravel(),
        integrality=np.ones(loss.size),
        bounds=Bounds(0.0, 1.0),
        constraints=[
            LinearConstraint(one_each, 1.0, 1.0),
            LinearConstraint(size.ravel() / unit, -np.inf, budget / unit),
        ],
        options={"mip_rel_gap": 0.0},
    )
    if not answer.success:
        raise RuntimeError(f"allocate_bits_milp(): the solver stopped with: {answer.message}")
    picks: list[int] = answer.x.reshape(layers, choices).argmax(axis=1).tolist()
    return picks


def _power_of_two(table: Array) -> float:
    """What brings the largest entry to about 1000."""
    largest = float(np.abs(table).max())
    return float(np.ldexp(1.0, int(np.frexp(largest)[1]) - 10)) if largest else 1.0
