"""Tabu search: single flips that may climb out of a local minimum, without any chance.

References: F. Glover, "Tabu search, part I", ORSA Journal on Computing 1 (1989); methods,
section 7, which leaves the rules open. Those fixed here:

    in every step, flip the variable with the smallest change of energy, even where all rise
    a variable just flipped is tabu for `tenure` steps
    a tabu flip is allowed where it leads below everything seen (aspiration)
    ties go to the lowest index; if everything is tabu, to the variable free soonest
    after the last step, steepest descent from the best choice seen

Deterministic; the best choice seen is returned, so the result is never above the start. From a
start, the first steps are those of `one_flip`, so with enough steps to reach the first local
minimum the result is never above `one_flip`'s either.

Edge cases: k = 0 returns the empty choice. An energy counts as lower only beyond rounding error.
"""

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_int
from refquant._types import Array
from refquant.optimal.flips import flip, start_flips
from refquant.optimal.local_search import local_minimum
from refquant.optimal.qubo import Choice, check_choice, check_qubo


def tabu_search(q: Array, h0: Array, steps: int = 1000, tenure: int | None = None) -> Choice:
    """The best choice met in `steps` flips from h0, polished by steepest descent.

    Parameters
    ----------
    q : (k, k) array, float32 or float64
        Finite, symmetric. float32 is widened.
    h0 : (k,) array of 0 and 1, integer or bool
    steps : int
        Number of flips, at least 0.
    tenure : int or None
        Steps for which a flipped variable stays; None: min(20, k // 4) + 1.

    Returns
    -------
    Choice

    Raises
    ------
    TypeError, ValueError
        If `q` is not such a matrix, `h0` does not fit it, or a number is negative.
    """
    wide = check_qubo("tabu_search", q)
    h = check_choice("tabu_search", np.atleast_1d(h0), len(wide))
    check_int("tabu_search", "steps", steps, 0)
    rest = min(20, len(wide) // 4) + 1 if tenure is None else tenure
    check_int("tabu_search", "tenure", rest, 0)
    best = _wander(wide, h, steps if len(wide) else 0, rest)
    return local_minimum(wide, best)


def _wander(q: Array, h: Array, steps: int, tenure: int) -> Array:
    """The best choice of the walk."""
    state, free_at = start_flips(q, h), np.zeros(len(q), dtype=np.int64)
    best, energy, lowest = h, 0.0, 0.0  # energies count from the start
    margin = float(nx.sum(state.noise))
    for turn in range(steps):
        change = state.change
        allowed = (free_at <= turn) | (energy + change < lowest - margin)
        if not allowed.any():
            allowed = free_at == free_at.min()
        i = int(np.argmin(np.where(allowed, change, np.inf)))
        energy += float(change[i])
        state = flip(state, i)
        free_at[i] = turn + 1 + tenure
        if energy < lowest - margin:
            best, lowest = state.h, energy
    return best
