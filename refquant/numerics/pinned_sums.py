"""Sums in pinned arithmetic: halves are added to halves, in an order fixed by the shape.

Along one axis of length n, with h = ceil(n / 2), element i of the upper half is added to
element i of the lower half (n odd: the middle element waits); then again for h, until one is
left. Several axes are summed one after the other, the first axis first. At the end 0.0 is
added, which leaves one sign of zero.

The error is at most ceil(log2 n) 2^-53 sum|x| for each axis, in any number of slices: a sum
has no slices. float32 is widened first and the sum rounded once. NaN and infinity follow
IEEE 754; a partial sum may overflow where the whole would not.
"""

import numpy as np

from refquant._types import Array


def sum(x: Array, axis: tuple[int, ...]) -> Array:
    """Sum over `axis` (sorted, not negative), which stays as an axis of length one."""
    total = x.astype(np.float64, copy=False)
    with np.errstate(all="ignore"):
        for i in axis:
            total = _halve(total.swapaxes(0, i)).swapaxes(0, i)
        total = total + 0.0
        bad = np.isnan(total)
        if bad.any():
            total[bad] = np.nan
        return total.astype(x.dtype, copy=False)


def _halve(x: Array) -> Array:
    """Return the sum along the first axis, kept with length one."""
    n = len(x)
    if n < 2:
        return x if n else np.zeros((1, *x.shape[1:]))
    half = -(-n // 2)
    partial = x[:half].copy(order="K")
    partial[: n - half] += x[half:]
    while half > 1:
        n, half = half, -(-half // 2)
        partial[: n - half] += partial[half:n]
    return partial[:1]
