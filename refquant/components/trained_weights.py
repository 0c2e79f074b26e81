"""Weights trained under nearest rounding, with a learnt step: LSQ with quantization-aware training.

Reference: Esser et al., "Learned Step Size Quantization", arXiv:1902.08153; AdaQTransform's row
QAT-LSQ (methods.md 2.1, 12 and 15.1). The weight that is trained is W + V, as in AdaQuant: V starts
at 0, and Adam moves it as it would move W.

    paper   here   shape           meaning
    V       v_w    like w          what training adds to the weight
    s_w     s_w    (c_out, 1, ..)  learnt step, one per output channel
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.components.weights import NearestWeights, Params
from refquant.quantizers.fake_quant import fake_quant_backward
from refquant.quantizers.grid import QParams


@dataclass(frozen=True, kw_only=True)
class TrainedWeights(NearestWeights):
    """Nearest rounding of weights that move; fields of `NearestWeights` give grid and start."""

    @property
    def learnable(self) -> tuple[str, ...]:
        """Names of the parameters a phase may learn."""
        return ("v_w", "s_w")

    def start_at(self, w: Array, qparams: QParams) -> Params:
        """Return step and zero point of `w`, and no change of it."""
        return {**super().start_at(w, qparams), "v_w": np.zeros_like(w)}

    def forward(self, w: Array, params: Params) -> tuple[Array, Any]:
        """Return ``s_w * clip(round((w + v_w) / s_w), n, p)`` and what the backward needs."""
        return super().forward(w + params["v_w"], params)

    def backward(self, d_w_hat: Array, cache: Any) -> Params:
        """Return dL/dV, straight through where nothing is clipped, and dL/ds_w (methods.md 2.1)."""
        grads = fake_quant_backward(d_w_hat, cache)
        return {"v_w": grads.x, "s_w": grads.s}

    def codes(self, w: Array, params: Params) -> Array:
        """Return the levels in u-space of ``w + v_w``, int64."""
        return super().codes(w + params["v_w"], params)
