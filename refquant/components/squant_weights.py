"""SQuant: weights rounded so that the errors of every kernel and every filter cancel, without data.

Reference: Guo et al., "SQuant: On-the-Fly Data-Free Quantization via Diagonal Hessian
Approximation", ICLR 2022, arXiv:2202.07471 (methods.md 14). The arithmetic is in
`refquant.quantizers.squant`.
"""

from dataclasses import dataclass
from typing import ClassVar

from refquant._types import Array
from refquant.calibrate.calibrate import Rule
from refquant.calibrate.ranges import MinMax
from refquant.calibrate.sequential import SequentialMse
from refquant.components.choices import DECIDED_OTHERWISE, Choices
from refquant.components.weights import NearestWeights, Params
from refquant.quantizers.squant import squant_codes


@dataclass(frozen=True, kw_only=True)
class SQuantWeights(NearestWeights):
    """Flips that cancel rounding errors; fields of `NearestWeights` give grid and step.

    Attributes
    ----------
    kernel, channel : bool
        Which of the two stages flip: SQuant-K within a kernel, SQuant-C within a filter.
    """

    grid: str = "affine"
    calibration: Rule | SequentialMse = MinMax()
    kernel: bool = True
    channel: bool = True
    choices: ClassVar[Choices] = DECIDED_OTHERWISE

    @property
    def learnable(self) -> tuple[str, ...]:
        """Nothing: the flips are computed from the weights."""
        return ()

    def codes(self, w: Array, params: Params) -> Array:
        """Return the levels in u-space, int64."""
        codes = squant_codes(w, self.qparams(params), self.kernel, self.channel)
        return codes - params["zero_point"]
