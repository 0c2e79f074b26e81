"""Weights trained under nearest rounding whose step and zero point are both learnt.

References: Hubara et al., arXiv:2006.10518, with a step and a zero point in place of a range
(methods.md 8); Bhalgat et al., arXiv:2004.09576, for their gradients (2.2, form a). The arithmetic
is in `refquant.quantizers.lsq_plus`.

    paper   here   shape           meaning
    V       v_w    like w          what training adds to the weight
    s       s_w    (c_out, 1, ..)  learnt step, one per output channel
    z       z_w    like s_w        real number whose nearest integer is the code of zero
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from refquant._types import Array
from refquant.components.choices import DECIDED_OTHERWISE, Choices
from refquant.components.trained_weights import TrainedWeights
from refquant.components.weights import Params
from refquant.quantizers.grid import QParams
from refquant.quantizers.lsq_plus import (
    LsqPlusCache,
    lsq_plus_integer_backward,
    lsq_plus_integer_forward,
)


@dataclass(frozen=True, kw_only=True)
class LsqPlusWeights(TrainedWeights):
    """Nearest rounding of weights that move, with a zero that moves; fields give the start."""

    grid: str = "affine"
    choices: ClassVar[Choices] = {**DECIDED_OTHERWISE, "grid": ("affine",)}

    @property
    def learnable(self) -> tuple[str, ...]:
        """Names of the parameters a phase may learn."""
        return ("v_w", "s_w", "z_w")

    @property
    def bounds(self) -> dict[str, tuple[float, float]]:
        """Intervals that parameters are kept in: the zero point stays a code (methods.md 2.1)."""
        return {"z_w": (float(self._grid.code_min), float(self._grid.code_max))}

    def start_at(self, w: Array, qparams: QParams) -> Params:
        """Return step and zero point of `w`, and no change of it."""
        zero = qparams.zero_point.astype(w.dtype)
        return {"v_w": np.zeros_like(w), "s_w": qparams.step, "z_w": zero}

    def forward(self, w: Array, params: Params) -> tuple[Array, LsqPlusCache]:
        """Return ``s (clip(rint((w + v) / s) + Z, n, p) - Z)`` and what the backward needs."""
        moved = w + params["v_w"]
        return lsq_plus_integer_forward(moved, params["s_w"], params["z_w"], self._grid)

    def backward(self, d_w_hat: Array, cache: LsqPlusCache) -> Params:
        """Return dL/dV and the gradients of step and zero (methods.md 2.2)."""
        grads = lsq_plus_integer_backward(d_w_hat, cache)
        return {"v_w": grads.x, "s_w": grads.s, "z_w": grads.zero_point}

    def codes(self, w: Array, params: Params) -> Array:
        """Return the levels in u-space, int64."""
        return self.forward(w, params)[1].level.astype(np.int64)

    def zero_point(self, params: Params) -> Array:
        """Return the code of zero, int64, shaped like the step."""
        return np.rint(params["z_w"]).astype(np.int64)
