"""The same optimum from someone else's solver: the QUBO as a mixed-integer linear programme.

References: R. Fortet, "Applications de l'algebre de Boole en recherche operationnelle" (1960),
for the linearisation; the solver is HiGHS, by way of `scipy.optimize.milp`.

    paper   here      shape     meaning
    h       first k   (k,)      binary
    y_ij    the rest  (pairs,)  stands for h_i h_j, i < j with Q_ij != 0; in [0, 1]

    minimise   sum Q_ii h_i + sum over i < j of 2 Q_ij y_ij
    where      y_ij <= h_i,   y_ij <= h_j,   y_ij >= h_i + h_j - 1

It shares no line with `brute_force`, which it is there to check, and needs no enumeration; dense
problems beyond about 20 variables take long. SciPy's solver is imported by the first call.

Edge cases: the solver stops at an absolute gap of 1e-6, so Q is scaled to a largest entry of
about 1000 first: choices that differ by less than 1e-9 of the largest entry count as equal, and
any of them may come back (no lexicographic rule).
"""

from typing import Any

import numpy as np

from refquant._checks import complaint
from refquant._types import Array
from refquant.optimal.qubo import Choice, check_qubo, qubo_energy

MAX_FREE = 30


def solve_milp(q: Array) -> Choice:
    """A minimiser of h^T Q h, by branch and bound.

    Parameters
    ----------
    q : (k, k) array, float32 or float64
        Finite, symmetric, k <= 30.

    Returns
    -------
    Choice
        The energy is computed from the choice, not taken from the solver.

    Raises
    ------
    TypeError, ValueError
        If `q` is not such a matrix.
    RuntimeError
        If the solver reports anything but an optimum.
    """
    wide = check_qubo("solve_milp", q)
    if len(wide) > MAX_FREE:
        got = f"a problem of {len(wide)} variables"
        raise ValueError(complaint("solve_milp", "q", got, f"at most {MAX_FREE}"))
    if not wide.any():
        return Choice(np.zeros(len(wide), dtype=np.int64), 0.0)
    scaled = wide / np.ldexp(1.0, np.frexp(np.abs(wide).max())[1] - 10)
    answer = _solve(scaled)
    if not answer.success:
        raise RuntimeError(f"solve_milp(): the solver stopped with: {answer.message}")
    h = np.rint(answer.x[: len(wide)]).astype(np.int64)
    return Choice(h, float(qubo_energy(wide, h)))


def _solve(q: Array) -> Any:
    """SciPy's answer to the linearised problem."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    first, second = np.nonzero(np.triu(q, 1))
    size, pairs = len(q), len(first)
    cost = np.concatenate([np.diag(q), 2.0 * q[first, second]])
    rows = np.zeros((3 * pairs, size + pairs))
    pair = np.arange(pairs)
    for block, (on_first, on_second, on_pair) in enumerate([(-1, 0, 1), (0, -1, 1), (1, 1, -1)]):
        rows[block * pairs + pair, first] = on_first
        rows[block * pairs + pair, second] = on_second
        rows[block * pairs + pair, size + pair] = on_pair
    limit = np.concatenate([np.zeros(2 * pairs), np.ones(pairs)])
    return milp(
        cost,
        integrality=np.concatenate([np.ones(size), np.zeros(pairs)]),
        bounds=Bounds(0.0, 1.0),
        constraints=[LinearConstraint(rows, -np.inf, limit)] if pairs else [],
        options={"mip_rel_gap": 0.0},
    )
