"""AdaRound: each weight learns whether it is rounded down or up.

Reference: Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization",
arXiv:2004.10568 (methods.md 6). The arithmetic is in `refquant.quantizers.adaround`; this file
binds it to a layer's parameters.

    paper   here    shape         meaning
    V       alpha   like w        rounding variable, the only thing learnt
    h(V)    --      like w        share of a step rounded up, in [0, 1]
    s       s_w     (c_out, ..)   frozen step
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from refquant._checks import check_in
from refquant._fields import published
from refquant._types import Array
from refquant.components.choices import DECIDED_OTHERWISE, Choices
from refquant.components.weights import NearestWeights, Params
from refquant.quantizers import adaround
from refquant.quantizers.grid import QParams
from refquant.quantizers.rectified_sigmoid import EDGES

BINARY_MARGIN = 0.999  # |2h - 1| above this counts as decided (methods.md 24)


@dataclass(frozen=True, kw_only=True)
class AdaRoundWeights(NearestWeights):
    """Adaptive rounding of weights; fields of `NearestWeights` give grid and start.

    Attributes
    ----------
    alpha_init : {"ratio", "quotient", "clipped"}
        Closed form of the start (methods.md 6.3): the first two differ by an ulp at exact ties,
        the third (onnxsim) starts no weight at an edge of h.
    edge : {"inclusive", "strict"}
        Whether the rectified sigmoid passes gradient at |alpha| = ln 11 (D37). "strict" freezes
        weights that lie on the grid.
    tie : {"up", "down"}
        The hard decision at h = 1/2: up in most released codes, down in Brevitas and onnxsim.
    """

    alpha_init: str = published("ratio", "ratio: AMCT; quotient: BRECQ, AIMET; clipped: onnxsim")
    edge: str = published("inclusive", "inclusive: torch.clamp (D37); strict: onnxsim")
    tie: str = published("up", "down: Brevitas, onnxsim; up: all others")
    choices: ClassVar[Choices] = DECIDED_OTHERWISE

    def __post_init__(self) -> None:
        super().__post_init__()
        check_in("AdaRoundWeights", "alpha_init", self.alpha_init, adaround.INITS)
        check_in("AdaRoundWeights", "edge", self.edge, EDGES)
        check_in("AdaRoundWeights", "tie", self.tie, adaround.TIES)

    @property
    def learnable(self) -> tuple[str, ...]:
        """Names of the parameters a phase may learn."""
        return ("alpha",)

    def start_at(self, w: Array, qparams: QParams) -> Params:
        """Return step, zero point and the alpha whose soft weight is `w` itself (P18)."""
        alpha = adaround.init_alpha(w, qparams, self.alpha_init)
        return {**super().start_at(w, qparams), "alpha": alpha}

    def forward(self, w: Array, params: Params) -> tuple[Array, Any]:
        """Return ``s_w * clip(floor(w / s_w) + h(alpha), n, p)`` and what the backward needs."""
        return adaround.adaround_forward(w, params["alpha"], self.qparams(params), self.edge)

    def backward(self, d_w_hat: Array, cache: Any) -> Params:
        """Return dL/dalpha (methods.md 6.2)."""
        return {"alpha": adaround.adaround_backward(d_w_hat, cache)}

    def penalty(self, params: Params, beta: float) -> tuple[float, Params]:
        """Return the regulariser (without lambda) and its gradient (methods.md 5.4)."""
        value, cache = adaround.rounding_regularizer_forward(params["alpha"], beta, edge=self.edge)
        return value, {"alpha": adaround.rounding_regularizer_backward(1.0, cache)}

    def codes(self, w: Array, params: Params) -> Array:
        """Return the hard-rounded levels in u-space: up iff alpha > 0, or is 0 and `tie` up."""
        codes = adaround.adaround_codes(w, params["alpha"], self.qparams(params), self.tie)
        return codes - params["zero_point"]

    def share_binary(self, params: Params) -> float:
        """Return the share of weights whose h is within 0.0005 of 0 or 1."""
        h, _ = adaround.rectified_sigmoid_forward(params["alpha"], self.edge)
        return float(np.count_nonzero(np.abs(2.0 * h - 1.0) > BINARY_MARGIN)) / h.size
