"""Tabu search on all rows of a layer at once; the rules are those of `tabu`.

Reference: `refquant.optimal.tabu`, `refquant.optimal.row_flips`. Every row walks by itself: flips
its best weight that is not tabu, also uphill, and remembers the best choice it has seen. Behind
the walk, steepest descent from there.
"""

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_int
from refquant._types import Array
from refquant.optimal.row_flips import Rows, flip_rows, start_fields, turn


def tabu_rows(rows: Rows, h: Array, steps: int, tenure: int | None = None) -> Array:
    """Return the best choices, bool (o, d), met in `steps` flips of every row from `h`.

    Parameters
    ----------
    rows : Rows
    h : (o, d) bool array
    steps : int
        At least 0.
    tenure : int or None
        Steps for which a flipped weight stays; None: min(20, k // 4) + 1 of the row's k free ones.

    Returns
    -------
    (o, d) bool array
        No row's loss is above that of `h`.
    """
    check_int("tabu_rows", "steps", steps, 0)
    count = np.count_nonzero(rows.free, axis=1)
    rest = np.minimum(20, count // 4) + 1 if tenure is None else np.full(len(h), tenure)
    alive = np.flatnonzero(count)
    best = h.copy()
    if alive.size and steps:
        part = Rows(rows.gram, rows.curve[alive], rows.linear[alive], rows.free[alive])
        best[alive] = _walk(part, h[alive], steps, rest[alive])
    return flip_rows(rows, best)


def _walk(rows: Rows, h: Array, steps: int, rest: Array) -> Array:
    """Return the best choice of each row's walk."""
    fields, every = start_fields(rows, h), np.arange(len(h))
    free_at = np.where(rows.free, 0.0, np.inf)
    best, energy = h.copy(), np.zeros(len(h))
    lowest = energy.copy()  # energies count from the start
    margin = nx.sum(np.where(rows.free, fields.noise, 0.0), axis=1)
    for turn_number in range(steps):
        change = fields.sign * fields.field
        goal = (lowest - margin - energy)[:, None]
        allowed = (free_at <= turn_number) | (change < goal)
        stuck = np.flatnonzero(~allowed.any(axis=1))
        allowed[stuck] = free_at[stuck] == free_at[stuck].min(axis=1, keepdims=True)
        change[~allowed] = np.inf
        at = np.argmin(change, axis=1)
        energy += change[every, at]
        turn(rows, fields, every, at)
        free_at[every, at] = turn_number + 1 + rest
        better = energy < lowest - margin
        if better.any():
            best[better] = fields.sign[better] < 0.0
            lowest[better] = energy[better]
        if (turn_number + 1) % rows.gram.shape[0] == 0:
            fields = start_fields(rows, fields.sign < 0.0)
    return best
