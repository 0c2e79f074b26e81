"""A matrix that many others are multiplied with, cut into slices once.

The bits of a pinned product depend on a row of A, a column of B and the number of slices alone
(`pinned_arithmetic`), so that slices of B may be kept: they are as large as B, `slices` times.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from refquant._types import Array
from refquant.numerics.pinned_arithmetic import Plan, add_part, matmul
from refquant.numerics.pinned_slices import (
    TERMS,
    Cut,
    cut,
    is_moderate,
    magnitude,
    shifter,
    slice_bits,
)


def multiplier(b: Array, slices: int) -> Callable[[Array], Array]:
    """Return ``a -> matmul(a, b, slices)``, for `b` of shape (..., k, n) that stays as it is.

    Operands that are empty, not finite or not moderate are left to `matmul`.
    """
    usual = partial(matmul, b=b, slices=slices)
    right, plans = b.mT.astype(np.float64, copy=False), plans_of(b.shape[-2], slices)
    cuts = _cuts(right, plans, reverse=True)
    if cuts is None:
        return usual

    def product(a: Array) -> Array:
        own = _cuts(a.astype(np.float64, copy=False), plans, reverse=False)
        if own is None:
            return usual(a)
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        out = np.empty((*batch, a.shape[-2], b.shape[-1]))
        for mine, fixed, plan in zip(own, cuts, plans, strict=True):
            add_part(out, mine, fixed, plan)
        out += 0.0
        return out

    return product


def plans_of(k: int, slices: int) -> list[Plan]:
    """Return how the parts of a product of length k are computed."""
    bits, starts = slice_bits(k, slices), range(0, k, TERMS)
    return [Plan(slices, bits, min(TERMS, k - start), start == 0) for start in starts]


def _cuts(rows: Array, plans: list[Plan], reverse: bool) -> list[Cut] | None:
    """Return the slices of each part; None if rows are not all finite and moderate."""
    if not rows.size:
        return None
    with np.errstate(all="ignore"):
        largest = magnitude(rows)
        if not is_moderate(largest):
            return None
        shift = shifter(largest, plans[0].bits)
        starts = range(0, rows.shape[-1], TERMS)
        return [
            cut(rows[..., start : start + TERMS], shift, plan.bits, plan.slices, reverse)
            for start, plan in zip(starts, plans, strict=True)
        ]
