"""Codes of a whole layer, each row rounded by solving its QUBO.

Reference: methods, section 7 (P26, P33, P34): rows are independent, so the optimum of a layer is
that of its rows, one beside the other.

    solver      result                                 limit
    nearest     every weight to nearest, ties down     none
    one_flip    steepest descent from nearest          none
    tabu        tabu search from nearest               none
    annealing   simulated annealing from nearest       none
    exact       the optimum, by brute force            22 free weights with a live input per row

Edge cases: weights beyond the range take its ends under every solver.
"""

from collections.abc import Callable

import numpy as np

from refquant._checks import check_in
from refquant._types import Array
from refquant.optimal.annealing import simulated_annealing
from refquant.optimal.brute_force import brute_force
from refquant.optimal.local_search import one_flip
from refquant.optimal.moments import InputMoments
from refquant.optimal.qubo import build_qubo, choice_levels, nearest_choice
from refquant.optimal.row import weight_row
from refquant.optimal.tabu import tabu_search
from refquant.quantizers.grid import QParams

SOLVERS: dict[str, Callable[[Array, Array], Array]] = {
    "nearest": lambda q, start: start,
    "one_flip": lambda q, start: one_flip(q, start).h,
    "tabu": lambda q, start: tabu_search(q, start).h,
    "annealing": lambda q, start: simulated_annealing(q, start).h,
    "exact": lambda q, start: brute_force(q).h,
}


def round_rows(w: Array, qparams: QParams, moments: InputMoments, solver: str = "exact") -> Array:
    """Codes that round each weight up or down so that the layer's output error is small.

    Parameters
    ----------
    w : (c_out, ...) array, float32 or float64
        Finite.
    qparams : QParams
        Step, zero point and grid; the step broadcasts to `w`.
    moments : InputMoments
        Of the input all rows share: one group of a convolution.
    solver : {"nearest", "one_flip", "tabu", "annealing", "exact"}

    Returns
    -------
    int64 array like `w`
        In [code_min, code_max].

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not fit, the solver is unknown, or a row is too long for "exact".
    """
    check_in("round_rows", "solver", solver, SOLVERS)
    levels = []
    for i in range(len(w)):
        qubo = build_qubo(weight_row(w, qparams, i), moments)
        h = SOLVERS[solver](qubo.q, nearest_choice(qubo))
        levels.append(choice_levels(qubo, h))
    return np.array(levels, dtype=np.int64).reshape(w.shape) + qparams.zero_point
