"""AdaRound with a dequantization step of its own: AdaQTransform's cases 2.1 to 2.3.

Reference: AdaQTransform, AT eq. 5 to 7 (methods.md 15.1). The arithmetic is in
`refquant.quantizers.decoupled`.

    paper   here     shape            meaning
    s_w     s_w      (c_out, 1, ..)   quantization step: decides the level
    s'_w    s_w_out  (c_out, 1, ..)   dequantization step: multiplies the codes
"""

from dataclasses import dataclass
from typing import ClassVar

from refquant._checks import check_in
from refquant._types import Array
from refquant.components.adaround_weights import AdaRoundWeights
from refquant.components.weights import Params
from refquant.quantizers.decoupled import (
    LEARNED,
    TIED,
    DecoupledCache,
    decoupled_backward,
    decoupled_forward,
)
from refquant.quantizers.grid import QParams


@dataclass(frozen=True, kw_only=True)
class DecoupledWeights(AdaRoundWeights):
    """Adaptive rounding with quantization and dequantization step apart.

    Attributes
    ----------
    case : {"1.1", "tied", "2.1", "2.2", "2.3"}
        Which of the steps may be learnt beside alpha (methods.md 15.1): none in case 1.1.
    """

    case: str = "2.2"
    positive: ClassVar[tuple[str, ...]] = ("s_w", "s_w_out")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_in("DecoupledWeights", "case", self.case, LEARNED)

    @property
    def learnable(self) -> tuple[str, ...]:
        """Names of the parameters a phase may learn."""
        names = {"s_w": "s_w", "s_d": "s_w_out"}
        return ("alpha", *(names[name] for name in LEARNED[self.case]))

    @property
    def tied(self) -> tuple[tuple[str, str, str], ...]:
        """Parameters that follow another one: (name, the one it follows, what to do)."""
        if self._apart:
            return ()
        fix = "Use case='2.2' or '2.3', or learn s_w alone."
        return (("s_w_out", "s_w", fix),)

    def start_at(self, w: Array, qparams: QParams) -> Params:
        """Return AdaRound's start, and s_w_out equal to s_w."""
        params = super().start_at(w, qparams)
        return {**params, "s_w_out": params["s_w"]}

    def forward(self, w: Array, params: Params) -> tuple[Array, DecoupledCache]:
        """Return ``s_w_out * clip(floor(w / s_w) + h(alpha), n, p)`` and a cache."""
        out = params["s_w_out"] if self._apart else None
        qparams = self.qparams(params)
        return decoupled_forward(w, params["alpha"], qparams, out, self.case, self.edge)

    def backward(self, d_w_hat: Array, cache: DecoupledCache) -> Params:
        """Return the gradients of alpha and of the steps the case learns (methods.md 15.2)."""
        grads = decoupled_backward(d_w_hat, cache)
        found = {"alpha": grads.alpha, "s_w": grads.s_w, "s_w_out": grads.s_d}
        return {name: value for name, value in found.items() if value is not None}

    def step(self, params: Params) -> Array:
        """Return the dequantization step per output channel."""
        step = params["s_w_out"] if self._apart else params["s_w"]
        return step.reshape(-1) if step.ndim else step

    @property
    def _apart(self) -> bool:
        return self.case not in TIED
