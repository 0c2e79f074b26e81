"""Simulated annealing: single flips left to chance, which accepts ever fewer of those that climb.

References: Kirkpatrick, Gelatt and Vecchi, "Optimization by Simulated Annealing", Science 220
(1983); Metropolis et al., J. Chem. Phys. 21 (1953), for the rule; methods, section 7, which leaves
the rest open. Fixed here:

    here      meaning                          rule
    d         what a flip adds to the energy   accepted where u < exp(-d / T), u uniform in [0, 1)
    T         temperature of sweep t           hot (cold / hot)^(t / (sweeps - 1)), t = 0, 1, ...
    --        a sweep                          every variable is proposed once, by index
    hot       first temperature                root mean square of d over variables and choices
    cold      last temperature                 hot / 1000
    u         draws of sweep t                 counter generator, key (seed, "anneal", t)

    hot^2 = mean_i ( (sum_j Q_ij)^2 + sum_{j != i} Q_ij^2 )        each h_j is 0 or 1 by a fair coin

After the last sweep, steepest descent from the best choice seen. So the result is a function of
Q, start and seed, and never above the start; unlike that of tabu search it varies with chance.

Edge cases: no sweep is descent from the start, and so is k = 0 or Q = 0. An energy counts as lower
only beyond rounding error.
"""

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_int
from refquant._types import Array
from refquant.optimal.flips import flip, start_flips
from refquant.optimal.local_search import local_minimum
from refquant.optimal.qubo import Choice, check_choice, check_qubo

COLD = 1e-3  # of the first temperature
MAX_SEED = 2**64 - 1


def simulated_annealing(q: Array, h0: Array, sweeps: int = 200, seed: int = 0) -> Choice:
    """The best choice met while cooling down, polished by steepest descent.

    Parameters
    ----------
    q : (k, k) array, float32 or float64
        Finite, symmetric. float32 is widened.
    h0 : (k,) array of 0 and 1, integer or bool
    sweeps : int
        How often each variable is proposed, at least 0.
    seed : int
        Non-negative; decides every draw.

    Returns
    -------
    Choice
        Never of higher energy than h0.

    Raises
    ------
    TypeError, ValueError
        If `q` is not such a matrix, `h0` does not fit it, or a number is negative.
    """
    wide = check_qubo("simulated_annealing", q)
    h = check_choice("simulated_annealing", np.atleast_1d(h0), len(wide))
    check_int("simulated_annealing", "sweeps", sweeps, 0)
    check_int("simulated_annealing", "seed", seed, 0, MAX_SEED)
    best = _cool(wide, h, sweeps, seed) if wide.any() else h
    return local_minimum(wide, best)


def first_temperature(q: Array) -> float:
    """The root mean square of what a flip changes, over all variables and choices."""
    sums, squares = nx.sum(q, axis=1), nx.sum(q * q, axis=1)
    diagonal = np.diagonal(q)
    return float(np.sqrt(nx.mean(sums * sums + squares - diagonal * diagonal)))


def _cool(q: Array, h: Array, sweeps: int, seed: int) -> Array:
    """The best choice of the walk."""
    state, hot = start_flips(q, h), first_temperature(q)
    best, energy, lowest = h, 0.0, 0.0  # energies count from the start
    margin = float(nx.sum(state.noise))
    for turn in range(sweeps):
        share = turn / max(1, sweeps - 1)
        heat = hot * float(nx.power(np.asarray(COLD), share))
        # u < exp(-d / T) is d < -T log u, which is infinite at u = 0.
        with np.errstate(divide="ignore"):
            limits = -heat * nx.log(nx.counter.uniform((seed, "anneal", turn), len(q)))
        for i, limit in enumerate(limits):
            change = float(state.change[i])
            if change < limit:
                energy, state = energy + change, flip(state, i)
                if energy < lowest - margin:
                    best, lowest = state.h, energy
    return best
