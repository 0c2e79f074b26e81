"""The wrong elements of one output: where they are, what is there, and what should be.

Gathered only where something is wrong; reports draw maps and histograms of it and look for a
pattern. Beyond LISTED elements only the first ones are kept, and `count` says how many there are.
"""

import math
from dataclasses import dataclass

import numpy as np

from refquant._types import Array

LISTED = 1 << 14


@dataclass(frozen=True, eq=False)
class Wrong:
    """Wrong elements in C order, the first LISTED of `count`.

    Attributes
    ----------
    shape : tuple of int
        Of the output.
    count : int
        Elements that are wrong, listed or not.
    at : Array
        (n,) int64, their places in the flattened output.
    expected, actual : Array
        (n,) in the dtypes of golden and answer; of two right answers, `expected` is the nearer.
    limit : Array
        (n,) float64, how far each may lie from `expected`; 0 where it is exact.
    """

    shape: tuple[int, ...]
    count: int
    at: Array
    expected: Array
    actual: Array
    limit: Array

    @property
    def size(self) -> int:
        """Elements of the output, right and wrong."""
        return math.prod(self.shape)

    @property
    def complete(self) -> bool:
        """Whether all wrong elements are listed."""
        return len(self.at) == self.count

    @property
    def mask(self) -> Array:
        """Booleans of the output's shape, True at the listed elements."""
        flat = np.zeros(self.size, bool)
        flat[self.at] = True
        return flat.reshape(self.shape)


def gather(wrong: Array, answers: tuple[Array, Array | None], value: Array, limits: Array) -> Wrong:
    """Return the elements of an output at which the mask `wrong` is True.

    Parameters
    ----------
    wrong : Array
        Booleans of the output's shape.
    answers : (Array, Array or None)
        What is right, and the second right answer if there is one.
    value : Array
        What the backend gave.
    limits : Array
        How far each element may lie from what is right.
    """
    at = np.flatnonzero(wrong)
    first = at[:LISTED]
    actual, nearest = value.ravel()[first], answers[0].ravel()[first]
    if answers[1] is not None:
        other = answers[1].ravel()[first]
        with np.errstate(invalid="ignore"):
            apart = [np.abs(actual.astype(np.float64) - a) for a in (nearest, other)]
        nearest = np.where(apart[1] < apart[0], other, nearest)
    return Wrong(wrong.shape, len(at), first, nearest, actual, limits.ravel()[first])
