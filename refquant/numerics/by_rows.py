"""Sums over an array that is made a few rows at a time: bounded memory, the bits of the whole sum.

In pinned arithmetic a sum along the first axis adds the upper half of the rows to the lower half,
and again, until one is left (`pinned_sums`). After some halvings few enough are left to be held at
once, and any of them are made of rows of the halving before:

    h_0 = n,  h_k = ceil(h_(k-1) / 2)
    x_0 = x,  x_k[a:b] = x_(k-1)[a:b] + x_(k-1)[a + h_k : b + h_k]     as far as there are such rows

So no more than a slice of rows for every halving is in memory. Fast arithmetic sums up one slice
after the other; its last bits depend on the size of the slices, as on much else.
"""

from collections.abc import Callable
from math import prod

import numpy as np

from refquant._pieces import pieces, rows_in_a_piece
from refquant._types import Array
from refquant.numerics.context import current
from refquant.numerics.operations import sum

Part = Callable[[slice], Array]
Shape = tuple[int, ...]


def sum_by_rows(part: Part, shape: Shape, axis: Shape, most: int | None = None) -> Array:
    """Return ``sum(x, axis, keepdims=True)``, in pinned arithmetic in float64.

    Parameters
    ----------
    part : callable
        ``part(rows)`` is ``x[rows]`` for a slice of rows; float32 or float64.
    shape : tuple of int
        Of x; no axis is empty.
    axis : tuple of int
        The first among them; sorted, not negative.
    most : int or None
        How many rows are asked for at once; None: a few, see `refquant._pieces`.
    """
    most = most or _few(shape)
    if current().mode == "pinned":
        with np.errstate(all="ignore"):
            return sum(_halved(part, shape[0], most), axis, keepdims=True)
    sums = (sum(part(rows), axis, keepdims=True) for rows in pieces(shape[0], most))
    total = next(sums)
    for one in sums:
        total = total + one
    return total


def mean_by_rows(part: Part, shape: Shape, axis: Shape) -> Array:
    """Return ``mean(x, axis, keepdims=True)`` of a float64 array; see `sum_by_rows`."""
    return np.asarray(sum_by_rows(part, shape, axis) / np.float64(prod(shape[i] for i in axis)))


def range_by_rows(part: Part, shape: Shape, axis: Shape) -> tuple[Array, Array]:
    """Return ``x.min(axis, keepdims=True)`` and the maximum; see `sum_by_rows`."""
    ends = (
        (values.min(axis=axis, keepdims=True), values.max(axis=axis, keepdims=True))
        for values in map(part, pieces(shape[0], _few(shape)))
    )
    low, high = next(ends)
    for least, greatest in ends:
        low, high = np.minimum(low, least), np.maximum(high, greatest)
    return low, high


def _few(shape: Shape) -> int:
    """Return how many rows are a piece in float64."""
    return rows_in_a_piece(8 * prod(shape[1:]))


def _halved(part: Part, count: int, most: int) -> Array:
    """Return x after so many halvings that `most` rows, at most, are left."""
    lengths = [count]
    while lengths[-1] > most:
        lengths.append(-(-lengths[-1] // 2))
    return _rows(part, lengths, 0, lengths[-1])


def _rows(part: Part, lengths: list[int], begin: int, end: int) -> Array:
    """Return rows of x after as many halvings as there are lengths but one, in a new array."""
    if len(lengths) == 1:
        return part(slice(begin, end)).astype(np.float64)
    *before, half = lengths
    lower, end = _rows(part, before, begin, end), min(end + half, before[-1])
    if begin + half < end:
        lower[: end - begin - half] += _rows(part, before, begin + half, end)
    return lower
