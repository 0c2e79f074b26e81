"""AdaQuant: ranges are learnt, and weights move continuously under their quantizer.

Reference: Hubara et al., "Improving Post Training Neural Quantization: Layer-wise Calibration and
Integer Programming", arXiv:2006.10518 (methods.md 2.3 and 8). The arithmetic is in
`refquant.quantizers.adaquant`.

    paper   here        shape              meaning
    V       v_w         like w             perturbation of the weight, starts at 0
    R       r_w, r_x    (c_out, 1, ..) ()  width of the range; the step is R / (2^b - 1)
    m       m_w, m_x    like R             lower end of the range

Step and zero point follow from the range, which always holds 0. `bits` decides the codes,
0..2^b - 1; weights have a range per output channel, activations one.
"""

from dataclasses import dataclass

import numpy as np

from refquant._checks import check_bits, check_in, check_int
from refquant._types import Array
from refquant.quantizers.adaquant import (
    AdaQuantCache,
    adaquant_backward,
    adaquant_forward,
    adaquant_init,
    adaquant_project_span,
)

Params = dict[str, Array]


@dataclass(frozen=True, kw_only=True)
class AdaQuantWeights:
    """Weights trained under rounding to nearest, with a learnt range per output channel.

    Attributes
    ----------
    bits : int
        2..16.
    axis : 0 or None
        One range per output channel, or one per tensor.
    """

    bits: int = 4
    axis: int | None = 0

    def __post_init__(self) -> None:
        check_bits("AdaQuantWeights", "bits", self.bits)
        check_in("AdaQuantWeights", "axis", self.axis, (0, None))

    @property
    def grid(self) -> str:
        """The kind of its codes."""
        return "affine"

    @property
    def learnable(self) -> tuple[str, ...]:
        """Names of the parameters a phase may learn."""
        return ("v_w", "r_w", "m_w")

    def start(self, w: Array) -> Params:
        """Return no perturbation, and the range of `w`."""
        span, minimum = adaquant_init(w, self.axis)
        return {"v_w": np.zeros_like(w), "r_w": span, "m_w": minimum}

    def forward(self, w: Array, params: Params) -> tuple[Array, AdaQuantCache]:
        """Return the quantize-dequantized ``w + V`` and what the backward needs."""
        return adaquant_forward(w + params["v_w"], params["r_w"], params["m_w"], self.bits)

    def backward(self, d_w_hat: Array, cache: AdaQuantCache) -> Params:
        """Return dL/dV and the gradients of the range (methods.md 2.3 and 8)."""
        grads = adaquant_backward(d_w_hat, cache)
        return {"v_w": grads.x, "r_w": grads.span, "m_w": grads.minimum}

    def codes(self, w: Array, params: Params) -> Array:
        """Return the levels in u-space, int64."""
        return self.forward(w, params)[1].level.astype(np.int64)

    def step(self, params: Params) -> Array:
        """Return the step per output channel, of shape () or (c_out,)."""
        step = _step(params["r_w"], self.bits)
        return step.reshape(-1) if step.ndim else step

    def zero_point(self, params: Params) -> Array:
        """Return the code of zero, int64, shaped like the range."""
        return _zero_point(params["r_w"], params["m_w"], self.bits)

    def share_binary(self, params: Params) -> float:
        """Return 1.0: rounding to nearest leaves nothing undecided."""
        return 1.0


@dataclass(frozen=True, kw_only=True)
class AdaQuantActivations:
    """Activations rounded to nearest in a learnt range, one per tensor.

    Attributes
    ----------
    bits : int
        2..16.
    samples : int
        How many calibration inputs, from the first, give the range at the start.
    """

    bits: int = 8
    samples: int = 256

    def __post_init__(self) -> None:
        check_bits("AdaQuantActivations", "bits", self.bits)
        check_int("AdaQuantActivations", "samples", self.samples, 1)

    @property
    def grid(self) -> str:
        """The kind of its codes."""
        return "affine"

    @property
    def elementwise(self) -> bool:
        """Whether each value is rounded by itself."""
        return True

    @property
    def learnable(self) -> tuple[str, ...]:
        """Names of the parameters a phase may learn."""
        return ("r_x", "m_x")

    def start(self, x: Array, taps: int = 1) -> Params:
        """Return the range of the values `x`; `taps` matters to borders only."""
        span, minimum = adaquant_init(x[: self.samples])
        return {"r_x": span, "m_x": minimum}

    def forward(self, x: Array, params: Params) -> tuple[Array, AdaQuantCache]:
        """Return the quantize-dequantized values and what the backward needs."""
        return adaquant_forward(x, params["r_x"], params["m_x"], self.bits)

    def backward(self, d_x_hat: Array, cache: AdaQuantCache) -> tuple[Array, Params]:
        """Return dL/dx and the gradients of the range (methods.md 2.3)."""
        grads = adaquant_backward(d_x_hat, cache)
        return grads.x, {"r_x": grads.span, "m_x": grads.minimum}

    def codes(self, x: Array, params: Params) -> Array:
        """Return int64 codes in code space."""
        return self.forward(x, params)[1].level.astype(np.int64) + self.zero_point(params)

    def step(self, params: Params) -> Array:
        """Return the step, of shape ()."""
        return _step(params["r_x"], self.bits)

    def zero_point(self, params: Params) -> Array:
        """Return the code of zero, int64 of shape ()."""
        return _zero_point(params["r_x"], params["m_x"], self.bits)


def _step(span: Array, bits: int) -> Array:
    return np.asarray(adaquant_project_span(span) / ((1 << bits) - 1))


def _zero_point(span: Array, minimum: Array, bits: int) -> Array:
    codes = np.clip(np.rint(-minimum / _step(span, bits)), 0.0, (1 << bits) - 1)
    return np.asarray(codes.astype(np.int64))
