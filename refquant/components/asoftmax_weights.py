"""ASoftmax: each weight learns a softmax over neighbouring levels, which is cooled to one of them.

Reference: NWQ, NeurIPS 2022, as reconstructed in methods.md 11 (D14). The arithmetic is in
`refquant.quantizers.asoftmax`; this file binds it to a layer's parameters.

    paper   here      shape         meaning
    v       logits    (.., M)       one number for each candidate level
    tau     tau       ()            temperature, driven by a schedule from 1 to 0.01
    s       s_w       (c_out, ..)   frozen step
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.components.choices import DECIDED_OTHERWISE, Choices
from refquant.components.weights import NearestWeights, Params
from refquant.quantizers import asoftmax
from refquant.quantizers.grid import QParams

DECIDED = 0.9995  # as much of the softmax on one candidate; AdaRound's margin (methods.md 24)


@dataclass(frozen=True, kw_only=True)
class ASoftmaxWeights(NearestWeights):
    """Annealed softmax over levels; fields of `NearestWeights` give grid and step.

    Attributes
    ----------
    offsets : tuple of int
        The candidates, from the level below a weight: (0, 1) by default, (-1, 0, 1, 2) offers the
        next ones too. They contain 0 and 1.
    floor : float
        Share that every candidate has at least at the start; otherwise the softmax is such that
        the soft weight is the weight itself.
    """

    offsets: tuple[int, ...] = asoftmax.OFFSETS
    floor: float = 1e-3
    choices: ClassVar[Choices] = DECIDED_OTHERWISE
    switches: ClassVar[tuple[str, ...]] = ("tau",)

    def __post_init__(self) -> None:
        super().__post_init__()
        asoftmax.check_start("ASoftmaxWeights", self.offsets, self.floor)

    @property
    def learnable(self) -> tuple[str, ...]:
        """Names of the parameters a phase may learn or drive."""
        return ("logits", "tau")

    def start_at(self, w: Array, qparams: QParams) -> Params:
        """Return step, zero point, the logits whose soft weight is nearly `w`, and tau = 1."""
        logits = asoftmax.asoftmax_init(w, qparams, self.offsets, self.floor)
        params = super().start_at(w, qparams)
        return {**params, "logits": logits, "tau": np.ones((), w.dtype)}

    def forward(self, w: Array, params: Params) -> tuple[Array, Any]:
        """Return ``s_w * clip(sum_m pi_m c_m, n, p)`` and what the backward needs."""
        qparams, tau = self.qparams(params), float(params["tau"])
        return asoftmax.asoftmax_forward(w, params["logits"], qparams, tau, self.offsets)

    def backward(self, d_w_hat: Array, cache: Any) -> Params:
        """Return dL/dlogits (methods.md 11)."""
        return {"logits": asoftmax.asoftmax_backward(d_w_hat, cache)}

    def codes(self, w: Array, params: Params) -> Array:
        """Return the levels in u-space of the largest logits, the first of equal ones."""
        qparams = self.qparams(params)
        codes = asoftmax.asoftmax_codes(w, params["logits"], qparams, self.offsets)
        return codes - params["zero_point"]

    def share_binary(self, params: Params) -> float:
        """Return the share of weights with at least 0.9995 of the softmax on one level."""
        logits = params["logits"]
        cooled = (logits - logits.max(axis=-1, keepdims=True)) / params["tau"]
        largest = nx.softmax(cooled, axis=-1).max(axis=-1)
        return int(np.count_nonzero(largest >= DECIDED)) / int(largest.size)
