"""Steepest descent by single flips: a rounding that no single weight can improve.

Reference: methods, section 7, convention 6 (golden op 41, P74).

Each step flips the variable whose flip lowers the energy most, the lowest index among equals,
and the search stops when no flip lowers it. A deterministic function of Q and the start.

Edge cases: improvements within rounding error do not count, see `flips`; on dyadic data that is
nothing. The result depends on the start and need not be the optimum.
"""

import numpy as np

from refquant._types import Array
from refquant.optimal.flips import Flips, flip, lowering, start_flips
from refquant.optimal.qubo import Choice, check_choice, check_qubo, qubo_energy


def one_flip(q: Array, h0: Array) -> Choice:
    """Descend from h0 by the best single flip until none lowers the energy, golden op 41.

    Parameters
    ----------
    q : (k, k) array, float32 or float64
        Finite, symmetric. float32 is widened.
    h0 : (k,) array of 0 and 1, integer or bool

    Returns
    -------
    Choice
        Never of higher energy than h0 (P74).

    Raises
    ------
    TypeError, ValueError
        If `q` is not such a matrix or `h0` does not fit it.
    """
    wide = check_qubo("one_flip", q)
    start = check_choice("one_flip", np.atleast_1d(h0), len(wide))
    return local_minimum(wide, start)


def local_minimum(q: Array, h: Array) -> Choice:
    """What steepest descent reaches from h, for q and h as the checks of `qubo` return them."""
    state = start_flips(q, h)
    while lowering(state).any():
        state = flip(state, steepest(state))
    return Choice(state.h, float(qubo_energy(q, state.h)))


def steepest(state: Flips) -> int:
    """The flip that lowers the energy most, lowest index first, among those that lower it."""
    return int(np.argmin(np.where(lowering(state), state.change, np.inf)))
