"""Whether both sides of a case computed the same thing."""

from typing import Any

import numpy as np

from refquant.bench.case import Arrays

TOLERANCE = 1e-4  # of the largest entry: float32 sums in another order, of tens of thousands


def same_gradients(ours: Arrays, theirs: Arrays) -> dict[str, Any]:
    """Return the largest difference as a share of the largest entry.

    Raises
    ------
    ValueError
        If an array is missing on one side, or it differs by more than `TOLERANCE`.
    """
    if ours.keys() != theirs.keys() or not ours:
        raise ValueError(f"the sides return {sorted(ours)} and {sorted(theirs)}")
    worst = 0.0
    for name, value in ours.items():
        other = theirs[name]
        size = float(np.abs(other).max()) or 1.0
        apart = float(np.abs(value - other).max()) / size
        if not apart <= TOLERANCE:
            raise ValueError(f"{name} differs by {apart:.2g} of its largest entry")
        worst = max(worst, apart)
    return {"gradients_differ_by": worst}
