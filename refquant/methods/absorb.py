"""Start a unit with weights that have absorbed the quantization error of their inputs, as data.

Reference: methods.md 10.4; the closed form is in `refquant.optimal.absorb_error`. A step of a
phase's `begin`, as `refquant.methods.finish` describes them.
"""

from dataclasses import dataclass

import numpy as np

from refquant._checks import check_int, complaint
from refquant._types import Array
from refquant.components.seen import Seen
from refquant.optimal.absorb_error import absorb_error
from refquant.optimal.layer_quadratic import by_group
from refquant.optimal.moments import input_moments


@dataclass(frozen=True, kw_only=True)
class AbsorbError:
    """Shift each layer's weight to where its product with quantized inputs is closest to float.

    Attributes
    ----------
    ridge : float
        How much the shift is held back, as a share of the mean second moment of the inputs.
    samples : int
        How many calibration inputs, from the first, it is fitted on.
    """

    ridge: float = 1e-3
    samples: int = 256
    at = "inputs"
    hint = "Use weights=ProgressiveWeights()."

    def __post_init__(self) -> None:
        check_int("AbsorbError", "samples", self.samples, 1)
        if not 0.0 <= self.ridge < float("inf"):
            raise ValueError(complaint("AbsorbError", "ridge", self.ridge, "a share of at least 0"))

    @property
    def writes(self) -> tuple[str, ...]:
        """Names of the parameters it sets."""
        return ("v_w",)

    @property
    def needs(self) -> tuple[str, ...]:
        """Names a component must declare."""
        return self.writes

    def fit(self, seen: Seen) -> dict[str, Array]:
        """Return the shift of the weight, group by group."""
        groups, rows = seen.groups, seen.w.reshape(len(seen.w), -1)
        columns = (by_group(seen.wanted, groups), by_group(seen.given, groups))
        parts = zip(np.split(rows, groups), *columns, strict=True)
        shifts = [absorb_error(w, input_moments(x, x_hat), self.ridge) for w, x, x_hat in parts]
        return {"v_w": np.concatenate(shifts).reshape(seen.w.shape)}
