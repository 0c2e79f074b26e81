"""A-rounding: activations rounded so that the errors of one patch column cancel.

References: AQuant, arXiv:2208.11945, table 1 and appendix A; SQuant, arXiv:2202.07471, for the
flips (methods.md 14). The arithmetic is in `refquant.quantizers.a_rounding`.

    paper   here   shape                       meaning
    Xc      x      (n, c * taps, h_o, w_o)     patches; one vector for every output position
    u       --     (n, h_o * w_o, c, taps)     the same in units of the step

It looks at the data it rounds, so it is an oracle of what rounding alone can do, not a method to
deploy: its cost is that of a sort for every position (methods.md 14).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from refquant._checks import complaint
from refquant._types import Array
from refquant.components.activations import NearestActivations, Params
from refquant.components.choices import DECIDED_OTHERWISE, Choices
from refquant.quantizers.a_rounding import a_rounding
from refquant.quantizers.fake_quant import dequantize


@dataclass(frozen=True, kw_only=True)
class ARoundingActivations(NearestActivations):
    """A-rounding on patches; fields of `NearestActivations` give grid and step.

    Nothing is learnt, and no gradient is defined.
    """

    choices: ClassVar[Choices] = DECIDED_OTHERWISE
    passes: ClassVar[bool] = False

    @property
    def learnable(self) -> tuple[str, ...]:
        """Nothing: the flips are computed from the activations."""
        return ()

    @property
    def elementwise(self) -> bool:
        """False: a value is rounded by its place in the patch."""
        return False

    def start(self, x: Array, taps: int = 1) -> Params:
        """Return the calibrated step of the patches `x`, and how many taps a channel has."""
        return {**super().start(x), "taps": np.asarray(taps, dtype=np.int64)}

    def forward(self, x: Array, params: Params) -> tuple[Array, None]:
        """Return the quantize-dequantized patches; there is nothing to keep."""
        return dequantize(self.codes(x, params), self.qparams(params)).astype(x.dtype), None

    def backward(self, d_x_hat: Array, cache: object) -> tuple[Array, Params]:
        """Refuse: the flips depend on all elements of a column, and no gradient is published.

        Raises
        ------
        ValueError
            Always.
        """
        fix = "Use it in a setting without phases."
        message = complaint("ARoundingActivations.backward", "d_x_hat", "given", "no gradient", fix)
        raise ValueError(message)

    def codes(self, x: Array, params: Params) -> Array:
        """Return int64 codes in code space, column by column."""
        taps = int(params["taps"])
        columns = x.reshape(len(x), x.shape[1] // taps, taps, -1) / params["s_x"]
        low, high = self._grid.limits(int(params["zero_point"]))
        levels = a_rounding(np.moveaxis(columns, 3, 1), low, high).q
        return np.moveaxis(levels, 1, 3).reshape(x.shape) + params["zero_point"]
