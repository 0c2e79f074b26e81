"""Second moments of a layer, summed chunk by chunk: products in the data's dtype, sums in float64.

Definition: `refquant.optimal.moments` (P25) for the Gram matrix; what is summed besides is all that
the squared error of a layer with targets of its own needs.

    paper   here     shape      meaning
    Xh      cols     (g, d, t)  t columns of the inputs of each group
    Y       y        (g, o, t)  wanted products, bias taken off
    --      spread   (g, d, t)  variance of every entry of Xh, where it is random

    gram  += Xh Xh^T + diag(sum of spread)     cross += Y Xh^T
    mean  += sum of Xh                         target_mean, power += sums of Y and of Y^2

A product of a matrix with its own transpose takes BLAS half the work (syrk). In float32 the error
of one chunk is that of its sums, and of all chunks together no larger: they meet in float64.
"""

from typing import NamedTuple

import numpy as np

from refquant._types import Array


class Sums(NamedTuple):
    """Running sums, float64, written in place; `columns` is a one-element int64 array."""

    gram: Array
    cross: Array
    mean: Array
    target_mean: Array
    power: Array
    columns: Array


def no_sums(groups: int, features: int, outputs: int) -> Sums:
    """Return the sums of nothing.

    Parameters
    ----------
    groups : int
    features, outputs : int
        d and o of one group.
    """
    g, d, o = groups, features, outputs
    shapes = ((g, d, d), (g, o, d), (g, d), (g, o), (g, o))
    gram, cross, mean, target_mean, power = (np.zeros(shape) for shape in shapes)
    return Sums(gram, cross, mean, target_mean, power, np.zeros(1, dtype=np.int64))


def add_columns(sums: Sums, cols: Array, y: Array, spread: Array | None = None) -> None:
    """Add a chunk of columns to the sums, in place."""
    ones = np.ones((cols.shape[2], 1), cols.dtype)
    sums.gram.__iadd__(np.matmul(cols, cols.swapaxes(1, 2)))
    if spread is not None:
        g, d, _ = cols.shape
        diagonal = sums.gram.reshape(g, d * d)[:, :: d + 1]
        diagonal += np.matmul(spread, ones)[:, :, 0]
    sums.cross.__iadd__(np.matmul(y, cols.swapaxes(1, 2)))
    sums.mean.__iadd__(np.matmul(cols, ones)[:, :, 0])
    sums.target_mean.__iadd__(np.matmul(y, ones)[:, :, 0])
    sums.power.__iadd__(np.matmul(y * y, ones)[:, :, 0])
    sums.columns.__iadd__(cols.shape[2])
