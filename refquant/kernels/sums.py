"""Sums over whole arrays by BLAS, whatever the order of their axes in memory."""

import numpy as np

from refquant._types import Array


def inner(a: Array, b: Array) -> float:
    """Return sum a b over all entries, read in the order in which `a` lies in memory."""
    order = sorted(range(a.ndim), key=lambda axis: -a.strides[axis])
    return float(np.dot(a.transpose(order).ravel(), b.transpose(order).ravel()))
