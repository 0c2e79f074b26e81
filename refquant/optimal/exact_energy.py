"""Energies of a QUBO without rounding: Python integers times one power of two.

Every float64 is a whole number times a power of two, so a matrix Q of floats is Q = Z 2^-e with
whole Z, and h^T Q h is a sum of whole numbers. Used where the order of two nearly equal energies
matters: ties are then true ties, and the answer is the same on every machine.

    symbol   here      meaning
    Z        integers  rows of Python integers
    e        shift     the smallest that makes all of Q 2^e whole; may be 0

Edge cases: entries 1e-300 beside 1e300 make integers of two thousand bits: slow, still exact.
"""

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from refquant._types import Array


class IntegerQubo(NamedTuple):
    """Q = integers * 2^-shift."""

    integers: tuple[tuple[int, ...], ...]
    shift: int


def to_integers(q: Array) -> IntegerQubo:
    """The matrix as whole numbers and one power of two.

    Parameters
    ----------
    q : (k, k) float64 array
        Finite.

    Returns
    -------
    IntegerQubo
    """
    ratios = [[value.as_integer_ratio() for value in row] for row in q.tolist()]
    shift = max((bottom.bit_length() - 1 for row in ratios for _, bottom in row), default=0)
    rows = tuple(
        tuple(top << (shift - bottom.bit_length() + 1) for top, bottom in row) for row in ratios
    )
    return IntegerQubo(rows, shift)


def integer_energy(whole: IntegerQubo, h: Array) -> int:
    """h^T Q h in units of 2^-shift, exactly.

    Parameters
    ----------
    whole : IntegerQubo
    h : (k,) array of 0 and 1

    Returns
    -------
    int
    """
    chosen = np.flatnonzero(h).tolist()
    return sum(whole.integers[i][j] for i in chosen for j in chosen)


def rounded_energy(whole: IntegerQubo, energy: int) -> float:
    """An energy in units of 2^-shift as the nearest float."""
    return float(Fraction(energy, 1 << whole.shift))
