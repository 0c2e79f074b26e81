"""The product of a matrix with its own transpose, X X^T: half the work, the same bits.

With X = X_1 + X_2 + ... as `pinned_slices` cuts rows, group g of `pinned_arithmetic` is

    sum over i + j - 1 = g with i < j of (X_i X_j^T + its transpose),  + X_i X_i^T where 2 i - 1 = g

Every sum in a group is exact, so that each X_i X_j^T is computed once; and BLAS takes half the
operations for X_i X_i^T (syrk).
"""

from collections.abc import Iterable

import numpy as np

from refquant._types import Array
from refquant.numerics.pinned_arithmetic import matmul, parts
from refquant.numerics.pinned_slices import Cut, cut, row_shifter, slice_bits


def self_product(x: Array, slices: int) -> Array:
    """Return ``matmul(x, x.mT, slices)``, (..., m, m), for `x` of shape (..., m, k)."""
    rows, bits = x.astype(np.float64, copy=False), slice_bits(x.shape[-1], slices)
    with np.errstate(all="ignore"):
        shift = row_shifter(rows, bits) if x.size else None
        if shift is None:
            return matmul(x, x.mT, slices)
        cuts = (cut(part, shift, bits, slices, reverse=False) for part in parts(rows))
        out = _added(_groups(found, slices) for found in cuts)
        out += 0.0
    return out


def _groups(x: Cut, slices: int) -> Array:
    """Return the sum of the groups, smallest first."""
    pieces = np.split(x.data, slices, axis=-1)[: x.used]
    return _added(_group(pieces, g) for g in range(min(slices, 2 * x.used - 1), 0, -1))


def _group(pieces: list[Array], g: int) -> Array:
    """Return group g, which is not empty. Every np.matmul here is exact."""
    pairs = [(i, g - 1 - i) for i in range(g // 2) if g - 1 - i < len(pieces)]
    mixed = [np.matmul(pieces[i], pieces[j].mT) for i, j in pairs]
    square = [np.matmul(x, x.mT) for x in pieces[g // 2 : g // 2 + g % 2]]
    return _added([*(product + product.mT for product in mixed), *square])


def _added(terms: Iterable[Array]) -> Array:
    """Return the sum of at least one term, in order; the first is written to."""
    terms = iter(terms)
    total = next(terms)
    for term in terms:
        total += term
    return total
