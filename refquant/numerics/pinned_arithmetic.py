"""The pinned matrix product: BLAS, but only on slices whose every partial sum is exact.

A = A_1 + A_2 + ... and B = B_1 + B_2 + ... are cut as `pinned_slices` says. The products
A_i B_j with i + j - 1 = g form group g; the groups S, S - 1, ..., 1 are added in that order
(smallest first), those beyond S are dropped. Each group is one BLAS call on slices that lie
side by side, and is exact whatever order, kernel or number of threads BLAS uses, with or
without fused multiply-add: its terms are integers times one power of two per row and column
and their absolute sum is at most 2^53 of it. A product longer than 1024 is cut into parts
of 1024 which are added in order. At the end 0.0 is added, which leaves one sign of zero.

With alpha_i and beta_j the powers of two above the largest entries of row i and column j,
the error of element (i, j) is at most::

    (S + 1) 2^(-S b - 1) K alpha_i beta_j  +  (S + K / 1024) 2^-53 |A_1| |B_1|,

    b = floor((53 - ceil(log2 min(K, 1024))) / 2), and K counted as 5K/4 for S = 3.

That is about 2^-22, 2^-43 and 2^-64 of K alpha beta at K = 1024 for S = 1, 2, 3. It is
relative to the *largest* entries: an entry 1e13 below its row's largest is lost with S = 2.

The bits of an element depend on its row of A, its column of B and S alone: not on the other
rows and columns, the batch, the strides, or which operand is transposed. Slices that are
zero throughout (codes, ones, masks) are skipped, which changes no bit: codes times codes is
one BLAS call and exact.
"""

from typing import NamedTuple

import numpy as np

from refquant._types import Array
from refquant.numerics.pinned_slices import TERMS, Cut, cut, row_shifter, slice_bits
from refquant.numerics.pinned_special import careful_product

TILE = 2**18  # numbers in the slices of one tile: two megabytes, about a cache


class Plan(NamedTuple):
    """What one part of the product is computed with."""

    slices: int
    bits: int
    k: int  # length of this part
    first: bool  # the first part is stored, the others are added


def plans(k: int, slices: int) -> list[Plan]:
    """Return how the parts of a product of length k are computed."""
    bits, starts = slice_bits(k, slices), range(0, k, TERMS)
    return [Plan(slices, bits, min(TERMS, k - start), start == 0) for start in starts]


def parts(rows: Array) -> list[Array]:
    """Return the rows cut into lengths of `TERMS`, one for each of the `plans`."""
    return [rows[..., start : start + TERMS] for start in range(0, rows.shape[-1], TERMS)]


def matmul(a: Array, b: Array, slices: int) -> Array:
    """Return the float64 product of (..., m, k) and (..., k, n), finite or not."""
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    shape = (*batch, a.shape[-2], b.shape[-1])
    if a.size == 0 or b.size == 0:
        return np.zeros(shape)
    if b.ndim == 2:  # one tall product instead of many small ones
        a = a.reshape(-1, a.shape[-1])
    out = np.empty((*batch, a.shape[-2], b.shape[-1]) if b.ndim > 2 else (len(a), b.shape[-1]))
    if a.size <= b.size:
        _fill(out, a, b.mT, slices)
    else:
        _fill(out.mT, b.mT, a, slices)
    return out.reshape(shape)


def _fill(out: Array, left: Array, right: Array, slices: int) -> None:
    """Set `out` to left @ right^T; `right`, the larger operand, is cut tile by tile."""
    left = left.astype(np.float64, copy=False)[(None,) * (out.ndim - left.ndim)]
    right = right[(None,) * (out.ndim - right.ndim)]
    with np.errstate(all="ignore"):
        if not _moderate_product(out, left, right, slices):
            careful_product(out, left, right, slices, _moderate_product)
        out += 0.0


def _moderate_product(out: Array, left: Array, right: Array, slices: int) -> bool:
    """Set `out` to left @ right^T; return False, with `out` as it was, if rows are not moderate."""
    k = left.shape[-1]
    bits = slice_bits(k, slices)
    left_shift, right_shift = row_shifter(left, bits), row_shifter(right, bits)
    if left_shift is None or right_shift is None:
        return False
    for mine, other, plan in zip(parts(left), parts(right), plans(k, slices), strict=True):
        slices_of_left = cut(mine, left_shift, bits, slices, reverse=False)
        _tiles(out, slices_of_left, other, right_shift, plan)
    return True


def _tiles(out: Array, left: Cut, right: Array, shift: Array, plan: Plan) -> None:
    """Halve `right` along its first axis, or else its rows, until a tile fits the cache."""
    batched = right.ndim > 2 and right.shape[0] > 1
    n = right.shape[0 if batched else -2]
    if right.size * plan.slices <= TILE or n == 1:
        tile = right.astype(np.float64, copy=False)
        add_part(out, left, cut(tile, shift, plan.bits, plan.slices, reverse=True), plan)
        return
    for half in (slice(0, n // 2), slice(n // 2, n)):
        rows, columns = ((half,), (half,)) if batched else ((..., half, slice(None)), (..., half))
        part = left
        if batched and left.data.shape[0] > 1:
            part = left._replace(data=left.data[half])
        _tiles(out[columns], part, right[rows], shift[rows], plan)


def add_part(out: Array, left: Cut, right: Cut, plan: Plan) -> None:
    """Set `out` to the product of the slices of one part, or add it if it is not the first."""
    if plan.first:
        _add_groups(out, left, right, plan)
    else:
        total = np.empty(out.shape)
        _add_groups(total, left, right, plan)
        out += total


def _add_groups(out: Array, left: Cut, right: Cut, plan: Plan) -> None:
    """Set `out` to the sum of the groups, smallest first. Every np.matmul here is exact."""
    empty = True
    for g in range(plan.slices, 0, -1):
        low, high = max(1, g + 1 - right.used), min(left.used, g)
        if low > high:
            continue
        a = left.data[..., (low - 1) * plan.k : high * plan.k]
        first = plan.slices - g - 1 + low
        b = right.data[..., first * plan.k : (plan.slices - g + high) * plan.k]
        if empty:
            np.matmul(a, b.mT, out=out)
            empty = False
        else:
            out += np.matmul(a, b.mT)
