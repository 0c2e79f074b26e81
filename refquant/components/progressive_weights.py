"""POS: weights that are first trained as real numbers, then rounded by a learnt share of a step.

Reference: AE-QDrop's progressive optimisation, as reconstructed in methods.md 10.4 (D13). The
arithmetic is in `refquant.quantizers.linear_rounding`.

    paper     here      shape         meaning
    W' - W    v_w       like w        what the first stage adds to the weight
    v         h         like w        share of a step rounded up, learnt in the second
    --        rounding  ()            0 while the weights are real, 1 from the second stage on
    s         s_w       (c_out, ..)   frozen step, of W
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from refquant._types import Array
from refquant.components.choices import DECIDED_OTHERWISE, Choices
from refquant.components.weights import NearestWeights, Params
from refquant.quantizers.grid import QParams
from refquant.quantizers.linear_rounding import (
    init_share,
    linear_rounding_backward,
    linear_rounding_codes,
    linear_rounding_forward,
)

DECIDED = 5e-4  # from 0 or 1; AdaRound's margin (methods.md 24)


@dataclass(frozen=True, kw_only=True)
class ProgressiveWeights(NearestWeights):
    """Two stages in one component; fields of `NearestWeights` give grid and step.

    A phase that learns `v_w` leaves the weights real, one that learns `h` rounds them; none learns
    both.
    """

    choices: ClassVar[Choices] = DECIDED_OTHERWISE
    stages: ClassVar[tuple[str, ...]] = ("v_w", "h")

    @property
    def bounds(self) -> dict[str, tuple[float, float]]:
        """Intervals that parameters are kept in: a share stays one (methods.md 10.4)."""
        return {"h": (0.0, 1.0)}

    @property
    def learnable(self) -> tuple[str, ...]:
        """Names of the parameters a phase may learn."""
        return ("v_w", "h")

    def start_at(self, w: Array, qparams: QParams) -> Params:
        """Return step, zero point, no shift, the shares of `w` itself; rounded."""
        own = {"v_w": np.zeros_like(w), "rounding": np.ones((), w.dtype)}
        return {**super().start_at(w, qparams), **own, "h": init_share(w, qparams)}

    def enter(self, w: Array, params: Params, learnt: Collection[str]) -> Params:
        """Return what a phase begins with: the stage, and the shares of the weight as it is now."""
        rounding = np.asarray(float("h" in learnt), w.dtype)
        return {"rounding": rounding, "h": init_share(w + params["v_w"], self.qparams(params))}

    def forward(self, w: Array, params: Params) -> tuple[Array, Any]:
        """Return ``W + V`` in the first stage, ``s clip(F + v, n, p)`` of it in the second."""
        moved = w + params["v_w"]
        if params["rounding"] == 0.0:
            return moved, None
        return linear_rounding_forward(moved, params["h"], self.qparams(params))

    def backward(self, d_w_hat: Array, cache: Any) -> Params:
        """Return dL/dV or dL/dv, whichever the stage learns."""
        if cache is None:
            return {"v_w": d_w_hat}
        return {"h": linear_rounding_backward(d_w_hat, cache)}

    def codes(self, w: Array, params: Params) -> Array:
        """Return the levels in u-space: up iff v >= 1/2, in the first stage by W + V itself."""
        moved, qparams = w + params["v_w"], self.qparams(params)
        h = params["h"] if params["rounding"] else init_share(moved, qparams)
        return linear_rounding_codes(moved, h, qparams) - params["zero_point"]

    def share_binary(self, params: Params) -> float:
        """Return the share of weights whose v is within 0.0005 of 0 or 1."""
        h = params["h"]
        decided = np.minimum(h, 1.0 - h) < DECIDED
        return int(np.count_nonzero(decided)) / int(h.size)
