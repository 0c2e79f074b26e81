"""A number that no choice of a QUBO can go below, where looking at all choices is too much.

References: P. L. Hammer, A. A. Rubin, "Some remarks on quadratic programming with 0-1 variables",
RIRO 4 (1970), for the shift of the diagonal; methods, section 7.

    symbol   here     shape    meaning
    Q        q        (k, k)   symmetric
    d        linear   (k,)     taken off the diagonal so that P = Q - diag(d) has no negative
                               eigenvalue; h^T Q h = h^T P h + d^T h since h^2 = h
    g        --       --       g(x) = x^T P x + d^T x, convex, over 0 <= x <= 1
    x        point    (k,)     what projected gradient descent reaches

    min over h of h^T Q h  >=  min over x of g(x)
                           >=  g(x) + sum of min(-x_i g'_i, (1 - x_i) g'_i)   for any x

The last line holds at every x, so the bound does not rest on the descent having converged. Two
shifts are tried, d = smallest eigenvalue of Q everywhere, and d = the diagonal plus the smallest
eigenvalue of Q without it; the larger bound counts. Rounding errors are taken off.

It is a bound, not the optimum: for a diagonal Q it is tight up to rounding, otherwise the true
optimum may lie well above.

Edge cases: k = 0 gives 0. The eigenvalue comes from LAPACK, whose last bits vary between
machines: the bound is valid on each, but not the same bits.
"""

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_int
from refquant._types import Array
from refquant.optimal.qubo import check_qubo

UNIT = 2.0**-53


def lower_bound(q: Array, steps: int = 300) -> float:
    """A certified lower bound of h^T Q h over all choices h.

    Parameters
    ----------
    q : (k, k) array, float32 or float64
        Finite, symmetric.
    steps : int
        Steps of projected gradient descent, at least 0; more give a tighter bound.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If `q` is not such a matrix or `steps` is negative.
    """
    wide = check_qubo("lower_bound", q)
    check_int("lower_bound", "steps", steps, 0)
    if not wide.any():
        return 0.0
    diagonal = np.diag(wide)
    even = np.full(len(wide), _least_eigenvalue(wide))
    level = diagonal + _least_eigenvalue(wide - np.diag(diagonal))
    return max(_relaxed(wide, linear, steps) for linear in (even, level))


def _least_eigenvalue(q: Array) -> float:
    """The smallest eigenvalue, less what LAPACK may be wrong by."""
    size = float(nx.sum(np.abs(q), axis=1).max())
    return float(np.linalg.eigvalsh(q)[0]) - 32.0 * len(q) * UNIT * size


def _relaxed(q: Array, linear: Array, steps: int) -> float:
    """The certified bound of one shift."""
    convex = q - np.diag(linear)
    size = float(nx.sum(np.abs(convex), axis=1).max()) or 1.0
    point = np.full(len(q), 0.5)
    for _ in range(steps):
        slope = 2.0 * _times(convex, point) + linear
        point = np.clip(point - slope / (2.0 * size), 0.0, 1.0)
    product = _times(convex, point)
    slope = 2.0 * product + linear
    value = float(nx.sum(point * (product + linear)))
    value += float(nx.sum(np.minimum(-point * slope, (1.0 - point) * slope)))
    scale = float(nx.sum(np.abs(convex)) + nx.sum(np.abs(linear)))
    return value - 16.0 * (len(q) + 4.0) * UNIT * scale


def _times(matrix: Array, vector: Array) -> Array:
    """Matrix times vector through sums, which are as good as float64 in either arithmetic."""
    return np.asarray(nx.sum(matrix * vector, axis=1))
