"""Ranges of weights by the error of the layer's output, in the network as rounded so far.

Reference: AIMET's sequential MSE (methods.md 3.4); the candidates, and what the programs that have
it do otherwise, are in `refquant.calibrate.sequential`.

The rule stands where other rules of weights do, ``weights.calibration``; the additions put it
there, ``nearest+seq-mse`` with AIMET's default, ``nearest+seq-mse-float`` against the outputs of
the float network. Before the first phase every layer is shown what it reads, and starts anew at the
range found: step, zero point, and what its component derives from them, as alpha. So learning goes
on from it, ``adaround+seq-mse``; `validation/seq-mse.md` measures what both are worth. A candidate
is judged with weights rounded as the component starts, which is to nearest but for SQuant's flips.
Bit allocation, which comes before, measures with whole ranges.

The error of an output is a quadratic in its weights, summed up once for all candidates
(`refquant.optimal.layer_quadratic`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import numpy as np

from refquant import numerics as nx
from refquant._pieces import pieces_of
from refquant._types import Array
from refquant.calibrate.sequential import SequentialMse, sequential_mse
from refquant.components.seen import Seen
from refquant.components.weights import dequantized
from refquant.methods.compose import Adds
from refquant.methods.setting import Setting
from refquant.optimal.layer_quadratic import (
    Quadratic,
    by_group,
    column_moments,
    merged,
    quadratic_losses,
)
from refquant.quantizers.grid import Grid, QParams

SEQ_MSE = Adds(reference="sequential MSE, quic/aimet", calibration=SequentialMse())
SEQ_MSE_FLOAT = Adds(
    reference="sequential MSE as asym, quic/aimet", calibration=SequentialMse(targets="float")
)


@dataclass(frozen=True)
class FitRange:
    """The range that a rule finds for a layer's weights; as `refquant.methods.finish` says."""

    rule: SequentialMse
    at = "inputs"

    @property
    def samples(self) -> int:
        """How many calibration inputs, from the first, it looks at."""
        return self.rule.samples

    @property
    def quantize(self) -> tuple[str, ...]:
        """What is rounded in the layers before."""
        return self.rule.quantize

    def fit(self, seen: Seen) -> dict[str, Array]:
        """Return the parameters of the layer's component at the range found."""
        component, w, rule = seen.component, seen.w, self.rule
        if rule.widest is not None and component.bits > rule.widest:
            return {}
        error = output_errors(seen, rule.targets)

        def errors(qparams: QParams) -> Array:
            """Return the error of each output with the weights rounded there."""
            params = component.start_at(w, qparams)
            return error(dequantized(component.codes(w, params), component.step(params)))

        grid = Grid(component.grid, component.bits)
        found = sequential_mse(w, grid, rule, errors, component.axis)
        return dict(component.start_at(w, found))


def output_errors(seen: Seen, targets: str = "same") -> Callable[[Array], Array]:
    """Return the function from rounded weights to the error of each output, (c_out,).

    It is the mean over samples and positions of ``(W_hat x_hat - W x)^2``, in float64, with x_hat
    the given input and x the same, or the wanted one for ``targets="float"``.
    """
    groups, inputs = seen.groups, (seen.given, seen.given if targets == "same" else seen.wanted)
    w = seen.w.reshape(groups, len(seen.w) // groups, -1).astype(np.float64)

    def moments(rows: slice) -> Quadratic:
        """Return those of some samples."""
        x_hat, x = (by_group(value[rows], groups).astype(np.float64) for value in inputs)
        return column_moments(x_hat, nx.matmul(w, x))

    total = reduce(merged, map(moments, pieces_of(seen.given)))
    return lambda w_hat: quadratic_losses(total, w_hat.reshape(w.shape)).reshape(-1)


def starting_steps(setting: Setting) -> tuple[FitRange, ...]:
    """Return the steps that start a setting's layers on data before its phases: one, or none."""
    rule = getattr(setting.weights, "calibration", None)
    return (FitRange(rule),) if isinstance(rule, SequentialMse) else ()
