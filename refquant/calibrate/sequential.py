"""Sequential MSE: a weight's range by the error of its layer's output, as a rule.

References: methods, section 3.4; quic/aimet, `seq_mse.py` of aimet_torch and `sequential_mse` of
aimet_onnx, 2024 to 2026; pytorch/executorch, `backends/qualcomm/_passes/seq_mse.py`, 2025.

    paper    here         shape         meaning
    W        w            (c_out, ..)   weight
    s, z     step, zero   (r, 1)        of the range (min f, max f), f = 1/20, 2/20 .. 1
    W_hat    --           like w        the weight rounded at s and z
    x        --           --            what the layer reads in the float network
    x_hat    --           --            what it reads behind layers that are rounded
    L        error        (c_out,)      mean of (W_hat x_hat - W x)^2, of each output

The first strictly smallest error wins. f = 1 is the whole range, so that no row does worse than
with min-max. Layers are searched in running order: x_hat is what those before, rounded at the
ranges found for them, make of the calibration inputs (`refquant.reconstruct.fit`).

    program       count   x_hat behind      W times     one f for   s, symmetric      above 4 bits
    aimet_torch   20      rounded weights   x_hat       a channel   f T / p           min-max
    aimet_onnx    20      rounded weights   x_hat       a channel   f T / p           searched
    executorch    1000    real weights      x = x_hat   the layer   2 f T / (p - n)   searched

T is max|w|, n and p the ends of the codes. AIMET calls x_hat on both sides symqt, x beside W alone
asym, x on both sides symfp. In none of the programs are activations rounded while this goes on.
`validation/seq-mse.md` measures what the first two gain, without learning and before it.

Edge cases: a zero row has the error 0 at every candidate, so the first wins, with the floor eps as
its step.

Differs from: AIMET's other losses, the sum of |.| and the SQNR of each batch, are not offered. A
layer that is not searched has f = 1 here, in aimet_torch the symmetric step max(max / p, min / n).
ExecuTorch keeps the zero point of the whole range where others have one for each candidate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_in, check_int, complaint
from refquant._fields import published
from refquant._types import Array
from refquant.calibrate.qparams import DIVISORS
from refquant.calibrate.ranges import MinMax
from refquant.calibrate.rows import check_kind, check_tensor, per_row, to_rows
from refquant.calibrate.score import Candidate, first_best
from refquant.calibrate.spaces import SearchSpace, candidates
from refquant.quantizers.grid import Grid, QParams, make_qparams

Errors = Callable[[QParams], Array]  # of each output, (c_out,), at a step and zero point

QUANTIZED = ("weights", "activations")
TARGETS = ("same", "float")
GRANULARITIES = ("channel", "layer")


@dataclass(frozen=True)
class SequentialMse:
    """Rule: the part of the range whose rounded weights change the layer's output least.

    Attributes
    ----------
    candidates : int
        How many f; see the table above.
    quantize : tuple of {"weights", "activations"}
        What is rounded in the layers before, whose output this one reads; () leaves all real.
    targets : {"same", "float"}
        What the real weights are multiplied with: the same input, or the float network's.
    granularity : {"channel", "layer"}
        What shares a factor; with one step per tensor there is one in any case.
    samples : int
        How many calibration inputs, from the first, errors are measured on.
    widest : int or None
        Bits above which a layer keeps its whole range.
    divisor : {"p", "half_span", "amct"}
        What the largest magnitude is divided by, as in `range_to_qparams`.
    """

    candidates: int = published(20, "AIMET: 20; ExecuTorch: 1000")
    quantize: tuple[str, ...] = published(("weights",), "AIMET: weights; ExecuTorch: nothing")
    targets: str = published("same", "AIMET: same (symqt), float on request (asym)")
    granularity: str = published("channel", "AIMET: channel; ExecuTorch: layer")
    samples: int = 256
    widest: int | None = published(None, "aimet_torch: 4; aimet_onnx, ExecuTorch: none")
    divisor: str = published("p", "AIMET: p; ExecuTorch: half_span")

    def __post_init__(self) -> None:
        check_int("SequentialMse", "candidates", self.candidates, 1)
        check_int("SequentialMse", "samples", self.samples, 1)
        for role in self.quantize:
            check_in("SequentialMse", "quantize", role, QUANTIZED)
        check_in("SequentialMse", "targets", self.targets, TARGETS)
        check_in("SequentialMse", "granularity", self.granularity, GRANULARITIES)
        check_in("SequentialMse", "divisor", self.divisor, DIVISORS)
        if self.widest is not None:
            check_int("SequentialMse", "widest", self.widest, 1)
        if self.targets == "float" and not self.quantize:
            got, fix = "'float' with quantize=()", "Use 'same': all inputs are float."
            raise ValueError(complaint("SequentialMse", "targets", got, "another input", fix))

    @property
    def whole(self) -> MinMax:
        """The rule of the last candidate, where the search has not seen data yet."""
        return MinMax(self.divisor)

    @property
    def space(self) -> SearchSpace:
        """The candidates, as those of section 3.2 are written."""
        factors = tuple(i / self.candidates for i in range(1, self.candidates + 1))
        return SearchSpace("sequential", "shrink", factors, 2.0)


def sequential_mse(
    w: Array, grid: Grid, rule: SequentialMse, errors: Errors, axis: int | None = None
) -> QParams:
    """The candidate of section 3.4 with the first smallest error of the layer's output.

    Parameters
    ----------
    w : Array
        (c_out, ...), float32 or float64, finite.
    grid : Grid
    rule : SequentialMse
    errors : callable
        The error (c_out,) of each output with weights rounded at a step and zero point.
    axis : 0 or None
        A step for each output channel, or one.

    Returns
    -------
    QParams

    Raises
    ------
    TypeError, ValueError
        If `w` is not a finite, non-empty float array, or an argument has another type.
    """
    check_tensor("sequential_mse", "w", w, axis)
    check_kind("sequential_mse", "grid", grid, Grid)
    check_kind("sequential_mse", "rule", rule, SequentialMse)
    rows = to_rows(w, axis)
    placed = partial(_placed, shape=w.shape, grid=grid, axis=axis)
    together = axis is None or rule.granularity == "layer"

    def score(candidate: Candidate) -> Array:
        """Its error for each step, (r, 1): that of the output, or the sum of all."""
        found = errors(placed(candidate))
        return np.full((len(rows), 1), nx.sum(found)) if together else found[:, None]

    step, zero, _ = first_best(candidates(rule.space, rows, grid, rule.divisor), score)
    return placed((step, zero))


def _placed(candidate: Candidate, shape: tuple[int, ...], grid: Grid, axis: int | None) -> QParams:
    """A candidate in the shape that broadcasts against the weight."""
    step, zero = (per_row(value, shape, axis) for value in candidate)
    return make_qparams(step, zero.astype(np.int64), grid)
