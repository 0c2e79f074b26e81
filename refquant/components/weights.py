"""Weights rounded to nearest on a calibrated grid; with a learnt step this is LSQ.

References: the baseline of every paper; Esser et al., "Learned Step Size Quantization",
arXiv:1902.08153, for the gradient of the step (methods.md 2.1 and 12, case 1.2).

    paper   here         shape               meaning
    W       w            (c_out, ...)        float weight
    s_w     s_w          (c_out, 1, ...)     step, one per output channel, or () per tensor
    z_w     zero_point   like s_w            0 on the symmetric grids
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from refquant._checks import check_in
from refquant._fields import published
from refquant._types import Array
from refquant.calibrate.calibrate import Rule, calibrate, check_grid_of
from refquant.calibrate.mse_search import MseSearch
from refquant.calibrate.rows import check_rule
from refquant.calibrate.sequential import SequentialMse
from refquant.components.choices import NEAREST, Choices, check_choices
from refquant.quantizers.fake_quant import fake_quant_backward, fake_quant_forward, quantize
from refquant.quantizers.grid import Grid, QParams

Params = dict[str, Array]


@dataclass(frozen=True, kw_only=True)
class NearestWeights:
    """Nearest rounding of weights.

    Attributes
    ----------
    grid : {"signed", "narrow", "unsigned", "affine"}
        Default signed, symmetric: AdaQuant, AdaRound and AdaQTransform (D4).
    bits : int
        2..16.
    axis : 0 or None
        One step per output channel, or one per tensor.
    calibration : rule of refquant.calibrate
        How the step is found (D4: 100 candidates, squared error); by `SequentialMse` on what the
        layer reads.
    rounding : str
        Tie rule, a mode of `refquant.quantizers.rounding.round_to`.
    mask : {"rounded", "unrounded"}
        Clip-mask convention of the step's gradient (D2).
    """

    grid: str = "signed"
    bits: int = 4
    axis: int | None = 0
    calibration: Rule | SequentialMse = MseSearch("grid100_1d", p=2.0)
    rounding: str = "rint"
    mask: str = published("rounded", "rounded: BRECQ, QDrop; unrounded: AdaQuant, LSQ (D2)")
    choices: ClassVar[Choices] = NEAREST
    positive: ClassVar[tuple[str, ...]] = ("s_w",)

    def __post_init__(self) -> None:
        check_choices(self)
        kind = type(self).__name__
        check_rule(kind, "calibration", self.calibration, Rule | SequentialMse)
        if not isinstance(self.calibration, SequentialMse):
            check_grid_of(kind, self.calibration, self.grid)
        check_in(kind, "axis", self.axis, (0, None))

    @property
    def learnable(self) -> tuple[str, ...]:
        """Names of the parameters a phase may learn."""
        return ("s_w",)

    @property
    def _grid(self) -> Grid:
        return Grid(self.grid, self.bits)

    def start(self, w: Array) -> Params:
        """Return the parameters at the calibrated step and zero point of `w`."""
        rule = self.calibration
        seen = rule.whole if isinstance(rule, SequentialMse) else rule
        return self.start_at(w, calibrate(w, seen, self._grid, axis=self.axis))

    def start_at(self, w: Array, qparams: QParams) -> Params:
        """Return the parameters at a step and zero point that are given."""
        return {"s_w": qparams.step, "zero_point": qparams.zero_point}

    def qparams(self, params: Params) -> QParams:
        """Return step, zero point and grid as one value."""
        return QParams(params["s_w"], params["zero_point"], self._grid)

    def forward(self, w: Array, params: Params) -> tuple[Array, Any]:
        """Return ``s_w * clip(round(w / s_w), n, p)`` and what the backward needs."""
        return fake_quant_forward(w, self.qparams(params), self.rounding, self.mask)

    def backward(self, d_w_hat: Array, cache: Any) -> Params:
        """Return dL/ds_w (methods.md 2.1)."""
        return {"s_w": fake_quant_backward(d_w_hat, cache).s}

    def codes(self, w: Array, params: Params) -> Array:
        """Return the levels in u-space, int64."""
        return quantize(w, self.qparams(params), self.rounding) - params["zero_point"]

    def step(self, params: Params) -> Array:
        """Return the dequantization step per output channel, of shape () or (c_out,)."""
        return params["s_w"].reshape(-1) if params["s_w"].ndim else params["s_w"]

    def zero_point(self, params: Params) -> Array:
        """Return the code of zero, int64, shaped like the step."""
        return params["zero_point"]

    def share_binary(self, params: Params) -> float:
        """Return 1.0: nearest rounding leaves nothing undecided."""
        return 1.0


def dequantized(codes: Array, step: Array) -> Array:
    """Return ``step * codes`` with one step per output channel (axis 0) or for the tensor."""
    shape = (-1, *[1] * (codes.ndim - 1)) if step.ndim else ()
    return np.asarray(step.reshape(shape) * codes.astype(step.dtype))
