"""Steepest descent by single flips on all rows of a layer at once.

Reference: methods.md 7, convention 6 (golden op 41, P33). What `local_search.one_flip` does to one
QUBO, this does to every row of a group side by side: in each step every row that is not done flips
the weight that helps it most. Rows share one matrix G, so a step is a few passes over (o, d).

    paper   here     shape    meaning
    G       gram     (d, d)   second moments, shared
    --      curve    (o,)     L of a row = curve h G h^T + linear h^T
    --      linear   (o, d)
    --      free     (o, d)   False: h = 0 for good
    d_i     change   (o, d)   what flipping a weight adds to its row's loss

The rule for what counts as lower, beyond rounding, is that of `flips`; on dyadic data the choices
are those of `one_flip`, bit for bit.
"""

from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._types import Array


class Rows(NamedTuple):
    """The roundings of all rows that share a Gram matrix; float64, `free` bool."""

    gram: Array
    curve: Array
    linear: Array
    free: Array


class Fields(NamedTuple):
    """A choice of every row and what its flips would do; written in place.

    Attributes
    ----------
    sign : (o, d) array
        1 where h = 0, -1 where h = 1.
    field : (o, d) array
        Loss with h_i = 1 less that with h_i = 0; infinite where not free.
    noise : (o, d) array
        Bound on the rounding error of `field`, doubled, as in `flips`.
    """

    sign: Array
    field: Array
    noise: Array


def flip_rows(rows: Rows, h: Array) -> Array:
    """Return the choices, bool (o, d), that no single flip improves, from those of `h`."""
    fields, age = start_fields(rows, h), 0
    while True:
        flip, at = steepest(fields)
        if not flip.size:
            return fields.sign < 0.0
        turn(rows, fields, flip, at)
        age += 1
        if age >= rows.gram.shape[0]:  # rounding errors of the updates do not pile up
            fields, age = start_fields(rows, fields.sign < 0.0), 0


def start_fields(rows: Rows, h: Array) -> Fields:
    """Return the fields of the choices `h`, bool (o, d)."""
    bits, curve = h.astype(np.float64), rows.curve[:, None]
    diagonal = np.diag(rows.gram)
    others = nx.matmul(bits, rows.gram) - bits * diagonal
    field = curve * (diagonal + 2.0 * others) + rows.linear
    size = curve * (2.0 * nx.sum(np.abs(rows.gram), axis=1)) + np.abs(rows.linear)
    noise = 2.0 * (2.0 * len(diagonal) + 2.0) * 2.0**-53 * size
    return Fields(1.0 - 2.0 * bits, np.where(rows.free, field, np.inf), noise)


def steepest(fields: Fields) -> tuple[Array, Array]:
    """Return the rows that some flip lowers, and the best flip of each, lowest index first."""
    change = fields.sign * fields.field
    at, every = np.argmin(change, axis=1), np.arange(len(change))
    lower = change[every, at] < -fields.noise[every, at]
    if not lower.all():  # the best flip may be noise where a smaller one is not
        change = np.where(change < -fields.noise, change, np.inf)
        at = np.argmin(change, axis=1)
        lower = change[every, at] < np.inf
    return np.flatnonzero(lower), at[lower]


def turn(rows: Rows, fields: Fields, flip: Array, at: Array) -> None:
    """Flip weight `at` of each row in `flip`, in place."""
    up = fields.sign[flip, at]
    own = fields.field[flip, at]
    fields.sign[flip, at] = -up
    fields.field[flip] += (2.0 * rows.curve[flip] * up)[:, None] * rows.gram[at]
    fields.field[flip, at] = own  # a weight has no say in its own field
