"""Which implementation of rounding to nearest runs: the definition, or its kernel.

Pinned arithmetic computes `refquant.quantizers.fake_quant`, fast arithmetic
`refquant.kernels.nearest` where values round by rint and nothing is NaN. Gradients come as
{parameter: array}, ``s_x`` for the step.
"""

from typing import Any

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.kernels import nearest as kernel
from refquant.quantizers.fake_quant import (
    FakeQuantCache,
    fake_quant_backward,
    fake_quant_forward,
)
from refquant.quantizers.grid import QParams
from refquant.quantizers.levels import step_for


def run_nearest(x: Array, qparams: QParams, rounding: str, mask: str) -> tuple[Array, Any]:
    """Return x_hat and a cache; as `fake_quant_forward`, with one step for all of `x`."""
    if nx.current().mode == "fast" and rounding == "rint" and qparams.step.size == 1:
        step = float(step_for("fake_quant_forward", x, qparams.step))
        low, high = (float(end) for end in qparams.grid.limits(qparams.zero_point))
        x_hat, cache = kernel.nearest_forward(x, kernel.Rule(step, low, high, mask))
        if kernel.sound(x_hat):
            return x_hat, cache
    return fake_quant_forward(x, qparams, rounding, mask)


def pull_nearest(d_x_hat: Array, cache: Any) -> tuple[Array, dict[str, Array]]:
    """Return dL/dx and the gradient of the step."""
    if isinstance(cache, FakeQuantCache):
        grads = fake_quant_backward(d_x_hat, cache)
        return grads.x, {"s_x": grads.s}
    d_x, d_s = kernel.nearest_backward(d_x_hat, cache)
    return d_x, {"s_x": np.asarray(d_s, d_x_hat.dtype)}
