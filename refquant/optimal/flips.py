"""What flipping one variable of a QUBO does: the machinery all local searches share.

Reference: methods, section 7.

    paper   here     shape    meaning
    h       h        (k,)     present choice, int64
    --      partner  (k, k)   2 Q with a diagonal of 0
    --      field    (k,)     Q_ii + sum_j partner_ij h_j: energy of h_i = 1 against h_i = 0
    d_i     change   (k,)     (1 - 2 h_i) field_i: what flipping i adds to the energy
    --      noise    (k,)     bound on the rounding error of field_i

The field is built and kept up to date by adding rows of `partner`, elementwise and in a fixed
order, and rebuilt after every k flips: the same bits on every machine, in either arithmetic.
On dyadic data nothing is rounded. Elsewhere a flip counts as lowering the energy only where it
does so by more than `noise`; every flip so counted lowers the true energy, and no search can go
round in circles.
"""

from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._types import Array


class Flips(NamedTuple):
    """A choice and its field; `age` counts the flips since the field was built."""

    h: Array
    field: Array
    partner: Array
    diagonal: Array
    noise: Array
    age: int

    @property
    def change(self) -> Array:
        """What flipping each variable adds to the energy."""
        return np.where(self.h == 1, -self.field, self.field)


def start_flips(q: Array, h: Array) -> Flips:
    """The field of a choice h (int64) under a symmetric float64 matrix."""
    diagonal = np.diag(q).copy()
    partner = 2.0 * (q - np.diag(diagonal))
    size = np.abs(diagonal) + nx.sum(np.abs(partner), axis=1)
    noise = 2.0 * (2.0 * len(q) + 2.0) * 2.0**-53 * size
    return Flips(h.copy(), _field(diagonal, partner, h), partner, diagonal, noise, 0)


def flip(state: Flips, i: int) -> Flips:
    """The state after flipping variable i."""
    h = state.h.copy()
    h[i] = 1 - h[i]
    if state.age + 1 >= len(h):
        return state._replace(h=h, field=_field(state.diagonal, state.partner, h), age=0)
    row = state.partner[i]
    field = state.field + row if h[i] else state.field - row
    return state._replace(h=h, field=field, age=state.age + 1)


def lowering(state: Flips) -> Array:
    """Which flips lower the energy by more than rounding, bool (k,)."""
    return np.asarray(state.change < -state.noise)


def _field(diagonal: Array, partner: Array, h: Array) -> Array:
    """Diagonal plus the rows of the chosen partners, added in ascending order."""
    field = diagonal.copy()
    for j in np.flatnonzero(h):
        field += partner[j]
    return field
