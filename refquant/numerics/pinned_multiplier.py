"""A matrix that many others are multiplied with, cut into slices once.

The bits of a pinned product depend on a row of A, a column of B and the number of slices alone
(`pinned_arithmetic`), so that slices of B may be kept: they are as large as B, `slices` times.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from refquant._types import Array
from refquant.numerics.pinned_arithmetic import Plan, add_part, matmul, parts, plans
from refquant.numerics.pinned_slices import Cut, cut, row_shifter


def multiplier(b: Array, slices: int) -> Callable[[Array], Array]:
    """Return ``a -> matmul(a, b, slices)``, for `b` of shape (..., k, n) that stays as it is.

    Operands that are empty, not finite or not moderate are left to `matmul`.
    """
    usual = partial(matmul, b=b, slices=slices)
    how = plans(b.shape[-2], slices)
    cuts = _cuts(b.mT, how, reverse=True)
    if cuts is None:
        return usual

    def product(a: Array) -> Array:
        """Return the product by the kept slices, or as usual."""
        own = _cuts(a, how, reverse=False)
        if own is None:
            return usual(a)
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        out = np.empty((*batch, a.shape[-2], b.shape[-1]))
        for mine, fixed, plan in zip(own, cuts, how, strict=True):
            add_part(out, mine, fixed, plan)
        out += 0.0
        return out

    return product


def _cuts(x: Array, how: list[Plan], reverse: bool) -> list[Cut] | None:
    """Return the slices of each part; None if rows are not all finite and moderate."""
    if not x.size:
        return None
    rows = x.astype(np.float64, copy=False)
    with np.errstate(all="ignore"):
        shift = row_shifter(rows, how[0].bits)
        if shift is None:
            return None
        pairs = zip(parts(rows), how, strict=True)
        return [cut(part, shift, plan.bits, plan.slices, reverse) for part, plan in pairs]
