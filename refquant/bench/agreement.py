"""Whether both sides of a case computed the same thing."""

from typing import Any

import numpy as np

from refquant.bench.case import Arrays

# Of the largest entry: sums of tens of thousands of terms in another order.
TOLERANCE = {np.dtype(np.float32): 1e-4, np.dtype(np.float64): 1e-9}


def same_gradients(ours: Arrays, theirs: Arrays) -> dict[str, Any]:
    """Return the largest difference as a share of the largest entry.

    Raises
    ------
    ValueError
        If an array is missing on one side, has another dtype there, or differs by more than the
        `TOLERANCE` of its dtype.
    """
    if ours.keys() != theirs.keys() or not ours:
        raise ValueError(f"the sides return {sorted(ours)} and {sorted(theirs)}")
    worst = 0.0
    for name, value in ours.items():
        other = theirs[name]
        size = float(np.abs(other).max()) or 1.0
        apart = float(np.abs(value - other).max()) / size
        if value.dtype != other.dtype:
            raise ValueError(f"{name} is {value.dtype} here, {other.dtype} there")
        if not apart <= TOLERANCE[value.dtype]:
            raise ValueError(f"{name} differs by {apart:.2g} of its largest entry")
        worst = max(worst, apart)
    return {"gradients_differ_by": worst}
