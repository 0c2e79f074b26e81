"""The squared error of an output and its gradient, in three passes.

Definition: `refquant.losses.reconstruction` with p = 2 (methods.md 5.1): L = sum d^2 / places and
Gz = 2 d / places, with d = z - t. The factor is rounded once more here, and the sum of squares is
taken in another order.
"""

import numpy as np

from refquant._types import Array
from refquant.kernels.sums import inner


def squared_error(z: Array, t: Array, places: int) -> tuple[float, Array]:
    """Return L and dL/dz, which lies in memory as `z` does; t has its shape and dtype."""
    d = np.subtract(z, t, out=np.empty_like(z))
    loss = inner(d, d) / places
    return loss, np.multiply(d, 2.0 / places, out=d)
