"""Activations rounded to nearest on a calibrated grid; with a learnt step this is LSQ.

Reference: Esser et al., "Learned Step Size Quantization", arXiv:1902.08153, for the gradient of
the step (methods.md 2.1). Differs from: LSQ and QDrop scale that gradient (D34), which is
`Learn.grad_scale` and "none" by default: Adam feels a constant factor only beside its epsilon.

    paper   here         shape   meaning
    s_x     s_x          ()      step, one per tensor
    z_x     zero_point   ()      code of zero
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from refquant._checks import check_int, complaint
from refquant._fields import published
from refquant._types import Array
from refquant.calibrate.calibrate import ActivationRule, calibrate, check_grid_of
from refquant.calibrate.mse_search import MseSearch
from refquant.calibrate.rows import check_rule
from refquant.components.choices import NEAREST, Choices, check_choices
from refquant.components.nearest_run import pull_nearest, run_nearest
from refquant.quantizers.fake_quant import quantize
from refquant.quantizers.grid import Grid, QParams

Params = dict[str, Array]


@dataclass(frozen=True, kw_only=True)
class NearestActivations:
    """Nearest rounding of activations, one step per tensor.

    Attributes
    ----------
    grid : {"affine", "unsigned", "signed", "narrow"}
        Affine by default: the zero point comes out as 0 behind a ReLU (D25).
    bits : int
        2..16.
    calibration : rule of refquant.calibrate
        How the range is found on the float network's activations: on all of them, or batch by
        batch (`OverBatches`, as PD-Quant and AdaBM).
    samples : int
        How many calibration inputs, from the first, the range is found on (QDrop: 256).
    rounding : str
        Tie rule, a mode of `refquant.quantizers.rounding.round_to`.
    mask : {"rounded", "unrounded"}
        Clip-mask convention of the gradients (D2).
    """

    grid: str = "affine"
    bits: int = 8
    calibration: ActivationRule = MseSearch("grid100_1d", p=2.0)
    samples: int = published(256, "QDrop: 256")
    rounding: str = "rint"
    mask: str = published("rounded", "rounded: BRECQ, QDrop; unrounded: AdaQuant, LSQ (D2)")
    choices: ClassVar[Choices] = NEAREST
    positive: ClassVar[tuple[str, ...]] = ("s_x",)

    def __post_init__(self) -> None:
        check_choices(self)
        kind = type(self).__name__
        check_rule(kind, "calibration", self.calibration, ActivationRule)
        check_grid_of(kind, self.calibration, self.grid)
        check_int(kind, "samples", self.samples, 1)

    @property
    def learnable(self) -> tuple[str, ...]:
        """Names of the parameters a phase may learn."""
        return ("s_x",)

    @property
    def elementwise(self) -> bool:
        """Whether each value is rounded by itself, 0 to 0: then patches may be cut afterwards."""
        return True

    @property
    def _grid(self) -> Grid:
        return Grid(self.grid, self.bits)

    def start(self, x: Array, taps: int = 1) -> Params:
        """Return the calibrated step and zero point of the values `x`.

        `taps` is how many rows of patches one channel has; it matters to borders only.

        Raises
        ------
        ValueError
            If the range found has no code for 0, which padding and a dropped value need.
        """
        found = self.found(x)
        return {"s_x": found.step, "zero_point": found.zero_point}

    def found(self, x: Array) -> QParams:
        """Return what the calibration finds on the samples it looks at."""
        found = calibrate(x[: self.samples], self.calibration, self._grid)
        if not self._grid.code_min <= found.zero_point <= self._grid.code_max:
            where, got = f"{type(self).__name__}.start", f"{self.calibration}, whose range lacks 0"
            fix = "Use MseSearch('mq80'), which keeps 0 in the range."
            raise ValueError(complaint(where, "calibration", got, "a code for 0", fix))
        return found

    def qparams(self, params: Params) -> QParams:
        """Return step, zero point and grid as one value."""
        return QParams(params["s_x"], params["zero_point"], self._grid)

    def forward(self, x: Array, params: Params) -> tuple[Array, Any]:
        """Return the quantize-dequantized values and what the backward needs."""
        return run_nearest(x, self.qparams(params), self.rounding, self.mask)

    def backward(self, d_x_hat: Array, cache: Any) -> tuple[Array, Params]:
        """Return dL/dx and dL/ds_x (methods.md 2.1)."""
        return pull_nearest(d_x_hat, cache)

    def parameter_gradients(self, d_x_hat: Array, cache: Any) -> Params:
        """Return the parameters' gradients alone, where nobody wants dL/dx."""
        return self.backward(d_x_hat, cache)[1]

    def codes(self, x: Array, params: Params) -> Array:
        """Return int64 codes in code space."""
        return quantize(x, self.qparams(params), self.rounding)

    def step(self, params: Params) -> Array:
        """Return the step, of shape ()."""
        return params["s_x"]

    def zero_point(self, params: Params) -> Array:
        """Return the code of zero, int64 of shape ()."""
        return params["zero_point"]
