"""LSQ+: activations whose step and zero are both learnt, in two parametrisations.

Reference: Bhalgat et al., "LSQ+: Improving low-bit quantization through learnable offsets",
CVPRW 2020, arXiv:2004.09576; AT eq. 11 (methods.md 2.2). The arithmetic is in
`refquant.quantizers.lsq_plus`.

    paper   here   shape   meaning
    s       s_x    ()      step
    z       z_x    ()      form "zero_point": real number whose nearest integer is the code of zero
    o       o_x    ()      form "offset": real value of code 0, in units of x

With the integer zero point zero is a level, so padding needs no care and everything is deployed as
usual. With the real offset it is not: y = s q + o, and a product becomes

    sum w (s q + o) = s sum w q + o sum w

whose last part is a constant of the channel and joins the bias, but only where every input of the
product is quantized, padding included. So its quantizers stand on the patches (placement="input").
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from refquant._checks import check_in
from refquant._types import Array
from refquant.calibrate.lsq_init import LsqPlusSearch, lsq_plus_activations
from refquant.components.activations import NearestActivations, Params
from refquant.components.choices import DECIDED_OTHERWISE, Choices
from refquant.network.lower import PLACEMENTS
from refquant.quantizers.fake_quant import quantize
from refquant.quantizers.grid import QParams
from refquant.quantizers.lsq_plus import (
    LsqPlusCache,
    lsq_plus_integer_backward,
    lsq_plus_integer_forward,
    lsq_plus_real_backward,
    lsq_plus_real_forward,
)

FORMS = ("zero_point", "offset")


@dataclass(frozen=True, kw_only=True)
class LsqPlusActivations(NearestActivations):
    """Uniform quantization with a learnt zero; fields of `NearestActivations` give the start.

    Attributes
    ----------
    form : {"zero_point", "offset"}
        Integer zero point (QDrop, MQBench), or real offset (the paper, AT eq. 11).
    """

    form: str = "zero_point"
    choices: ClassVar[Choices] = {**DECIDED_OTHERWISE, "grid": ("affine", "unsigned")}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_in("LsqPlusActivations", "form", self.form, FORMS)

    @property
    def learnable(self) -> tuple[str, ...]:
        """Names of the parameters a phase may learn."""
        return ("s_x", "z_x" if self.form == "zero_point" else "o_x")

    @property
    def placements(self) -> tuple[str, ...]:
        """Where its quantizers may stand."""
        return PLACEMENTS if self.form == "zero_point" else ("input",)

    @property
    def bounds(self) -> dict[str, tuple[float, float]]:
        """Intervals that parameters are kept in: the zero point stays a code (methods.md 2.1)."""
        ends = (float(self._grid.code_min), float(self._grid.code_max))
        return {"z_x": ends} if self.form == "zero_point" else {}

    def start(self, x: Array, taps: int = 1) -> Params:
        """Return the calibrated step, and the calibrated zero point as z or as o = -s z.

        LSQ+'s own search finds o, which is taken as it is, or as z = -o / s within the codes.
        """
        step, zero, offset = self._begin(x)
        if self.form == "zero_point":
            return {"s_x": step, "z_x": np.asarray(zero)}
        return {"s_x": step, "o_x": np.asarray(offset)}

    def _begin(self, x: Array) -> tuple[Array, Array, Array]:
        """Return the first step, z and o."""
        rule, grid = self.calibration, self._grid
        if isinstance(rule, LsqPlusSearch):
            step, offset, _ = lsq_plus_activations(x[: self.samples], grid, rule.p, rule.steps)
            return step, np.clip(-offset / step, grid.code_min, grid.code_max), offset
        step, code, _ = self.found(x)
        zero = code.astype(x.dtype)
        return step, zero, -step * zero

    def forward(self, x: Array, params: Params) -> tuple[Array, LsqPlusCache]:
        """Return ``s (clip(rint(x/s) + Z, n, p) - Z)`` or ``s clip(rint((x - o)/s), n, p) + o``."""
        if self.form == "zero_point":
            return lsq_plus_integer_forward(x, params["s_x"], params["z_x"], self._grid)
        return lsq_plus_real_forward(x, params["s_x"], params["o_x"], self._grid)

    def backward(self, d_x_hat: Array, cache: LsqPlusCache) -> tuple[Array, Params]:
        """Return dL/dx and the gradients of step and zero (methods.md 2.2)."""
        if self.form == "zero_point":
            grads = lsq_plus_integer_backward(d_x_hat, cache)
            return grads.x, {"s_x": grads.s, "z_x": grads.zero_point}
        real = lsq_plus_real_backward(d_x_hat, cache)
        return real.x, {"s_x": real.s, "o_x": real.offset}

    def codes(self, x: Array, params: Params) -> Array:
        """Return int64 codes in code space."""
        if self.form == "zero_point":
            qparams = QParams(params["s_x"], self.zero_point(params), self._grid)
            return quantize(x, qparams, self.rounding)
        _, cache = lsq_plus_real_forward(x, params["s_x"], params["o_x"], self._grid)
        return cache.level.astype(np.int64)

    def zero_point(self, params: Params) -> Array:
        """Return what is taken off a code before the step multiplies it, int64 of shape ()."""
        if self.form == "zero_point":
            return np.rint(params["z_x"]).astype(np.int64)
        return np.zeros((), np.int64)

    def offset(self, params: Params) -> Array:
        """Return the real value of what that leaves as 0, of shape ()."""
        return params["o_x"] if self.form == "offset" else np.zeros_like(params["s_x"])
