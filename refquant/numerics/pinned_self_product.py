"""The product of a matrix with its own transpose, X X^T: half the work, the same bits.

With X = X_1 + X_2 + ... as `pinned_slices` cuts rows, group g of `pinned_arithmetic` is

    sum over i + j - 1 = g of X_i X_j^T  =  M + M^T + (X_i X_i^T, where 2 i - 1 = g),

M the terms with i < j. Every sum in a group is exact, so that M is computed once; and BLAS takes
half the operations for X_i X_i^T (syrk).
"""

import numpy as np

from refquant._types import Array
from refquant.numerics.pinned_arithmetic import matmul, parts
from refquant.numerics.pinned_slices import cut, row_shifter, slice_bits


def self_product(x: Array, slices: int) -> Array:
    """Return ``matmul(x, x.mT, slices)``, (..., m, m), for `x` of shape (..., m, k)."""
    rows, (m, k) = x.astype(np.float64, copy=False), x.shape[-2:]
    bits = slice_bits(k, slices)
    with np.errstate(all="ignore"):
        shift = row_shifter(rows, bits) if x.size else None
        if shift is None:
            return matmul(x, x.mT, slices)
        out = np.zeros((*x.shape[:-1], m))
        for part in parts(rows):
            data, used = cut(part, shift, bits, slices, reverse=False)
            pieces = np.split(data, slices, axis=-1)[:used]
            out += _groups(pieces, slices)
    return out + 0.0


def _groups(pieces: list[Array], slices: int) -> Array:
    """Return the sum of the groups, smallest first. Every np.matmul here is exact."""
    total = np.zeros((*pieces[0].shape[:-1], pieces[0].shape[-2]))
    for g in range(slices, 0, -1):
        pairs = [(i, g - 1 - i) for i in range(g // 2) if g - 1 - i < len(pieces)]
        group = np.zeros_like(total)
        for i, j in pairs:
            group += np.matmul(pieces[i], pieces[j].mT)
        group += group.mT.copy()
        if g % 2 and g // 2 < len(pieces):
            middle = pieces[g // 2]
            group += np.matmul(middle, middle.mT)
        total += group
    return total
