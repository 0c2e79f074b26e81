"""First steps from the moments of a tensor: the initialisers of LSQ and LSQ+.

References: methods, section 3.4 and decision D6; Esser et al., "Learned Step Size Quantization",
ICLR 2020, arXiv:1902.08153; Bhalgat et al., "LSQ+: Improving low-bit quantization through
learnable offsets and better initialization", CVPR-W 2020, arXiv:2004.09576.

    paper     here     shape             meaning
    v, w, x   x        any               values
    p         grid.code_max              largest code BEFORE any zero point is taken off
    mu, sd    mu, sd   (r, 1)            mean and population standard deviation of a row
    s         step     () or (c, 1, ..)
    o         offset   like step         real value of code 0: x_hat = s q + o

    LSQ                s = 2 mean|v| / sqrt(p)
    LSQ+ weights       s = max(|mu - 3 sd|, |mu + 3 sd|) / 2^(b-1)      "paper" (D6)
                       the same over 2^b                                "mqbench"
    LSQ+ activations   (s, o) = (max - min, .)/(2^b - 1), o = min, then shrunk together by
                       1 - 0.01 i, i = 0..steps - 1; first smallest mean |s q + o - x|^p

Edge cases: every step has the floor eps = 1e-8 of section 3, which a zero row gets. For LSQ the
zero point is 0 on every grid.

Differs from: MQBench's LSQ+ observer divides by 2^b, half the step of D6.
"""

import math
from dataclasses import dataclass

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_in, check_int, check_positive
from refquant._types import Array
from refquant.calibrate.qparams import EPS
from refquant.calibrate.rows import check_kind, check_tensor, per_row, to_rows
from refquant.calibrate.score import quantisation_error
from refquant.quantizers.grid import Grid, QParams, make_qparams

VARIANTS = ("lsq", "lsq_plus", "mqbench")
PLUS_DIVISORS = ("paper", "mqbench")


@dataclass(frozen=True)
class LsqInit:
    """Rule: the first step of LSQ, of LSQ+ weights, or of MQBench's LSQ+ (section 3.4)."""

    variant: str = "lsq"

    def __post_init__(self) -> None:
        check_in("LsqInit", "variant", self.variant, VARIANTS)


@dataclass(frozen=True, kw_only=True)
class LsqPlusSearch:
    """Rule: the first step and offset of LSQ+ activations, by a shrinking search (section 3.4).

    Attributes
    ----------
    p : float
        Exponent of the error.
    steps : int
        Number of candidates, 1..100; 1 takes the whole range.
    """

    p: float = 2.0
    steps: int = 80

    def __post_init__(self) -> None:
        check_positive("LsqPlusSearch", "p", self.p)
        check_int("LsqPlusSearch", "steps", self.steps, 1, 100)


def lsq_init(x: Array, grid: Grid, axis: int | None = None) -> QParams:
    """LSQ's first step, 2 mean|x| / sqrt(p).

    Parameters
    ----------
    x : Array
        float32 or float64, finite, any shape.
    grid : Grid
        p is its largest code.
    axis : int or None
        Axis of `x` with a step for each index.

    Returns
    -------
    QParams
        Zero point 0.

    Raises
    ------
    TypeError, ValueError
        If `x` is not a finite, non-empty float array with the given axis.
    """
    check_tensor("lsq_init", "x", x, axis)
    check_kind("lsq_init", "grid", grid, Grid)
    mean = nx.mean(np.abs(to_rows(x, axis)), axis=1)
    step = np.maximum(2.0 * mean / math.sqrt(grid.code_max), EPS)
    return make_qparams(per_row(step, x.shape, axis), 0, grid)


def lsq_plus_init(w: Array, grid: Grid, divisor: str = "paper", axis: int | None = None) -> QParams:
    """LSQ+'s first step of weights: three standard deviations on the wider side (D6).

    Parameters
    ----------
    w : Array
        float32 or float64, finite, any shape.
    grid : Grid
        Signed or narrow.
    divisor : {"paper", "mqbench"}
        2^(b-1) or 2^b.
    axis : int or None
        Axis of `w` with a step for each index.

    Returns
    -------
    QParams
        Zero point 0.

    Raises
    ------
    TypeError, ValueError
        If `w` is not a finite, non-empty float array, the grid not symmetric or the divisor
        unknown.
    """
    check_tensor("lsq_plus_init", "w", w, axis)
    check_kind("lsq_plus_init", "grid", grid, Grid)
    check_in("lsq_plus_init", "grid.kind", grid.kind, ("signed", "narrow"))
    check_in("lsq_plus_init", "divisor", divisor, PLUS_DIVISORS)
    rows = to_rows(w, axis)
    mu = nx.mean(rows, axis=1, keepdims=True)
    sd = np.sqrt(nx.mean((rows - mu) * (rows - mu), axis=1, keepdims=True))
    reach = np.maximum(np.abs(mu - 3.0 * sd), np.abs(mu + 3.0 * sd))
    halves = 2 ** (grid.bits - 1 if divisor == "paper" else grid.bits)
    return make_qparams(per_row(np.maximum(reach / halves, EPS), w.shape, axis), 0, grid)


def lsq_plus_activations(
    x: Array, grid: Grid, p: float = 2.0, steps: int = 80, axis: int | None = None
) -> tuple[Array, Array, Array]:
    """LSQ+'s first step and real offset of activations, by a shrinking search.

    Parameters
    ----------
    x : Array
        float32 or float64, finite, any shape.
    grid : Grid
        Unsigned or affine: the codes 0..2^b - 1.
    p : float
        Exponent of the error.
    steps : int
        Number of candidates; 1 keeps the start ((max - min) / (2^b - 1), min).
    axis : int or None
        Axis of `x` with a step for each index.

    Returns
    -------
    step, offset, score : Array
        () or (c, 1, ..) each, in the dtype of `x`; score is the mean of |x_hat - x|^p.

    Raises
    ------
    TypeError, ValueError
        If `x` is not a finite, non-empty float array; if another argument is out of its domain.
    """
    check_tensor("lsq_plus_activations", "x", x, axis)
    check_kind("lsq_plus_activations", "grid", grid, Grid)
    check_in("lsq_plus_activations", "grid.kind", grid.kind, ("unsigned", "affine"))
    check_positive("lsq_plus_activations", "p", p)
    check_int("lsq_plus_activations", "steps", steps, 1, 100)
    rows = to_rows(x, axis)
    best = _with_offset(rows, 1.0, grid, p)
    for i in range(1, steps):
        trial = _with_offset(rows, (100 - i) / 100, grid, p)
        better = trial[2] < best[2]
        best = tuple(np.where(better, new, old) for new, old in zip(trial, best, strict=True))
    step, offset, score = (per_row(value, x.shape, axis) for value in best)
    return step, offset, score


def _with_offset(rows: Array, factor: float, grid: Grid, p: float) -> tuple[Array, ...]:
    """Step, offset and score of the range of each row times `factor`, (r, 1) each."""
    lo = rows.min(axis=1, keepdims=True) * factor
    hi = rows.max(axis=1, keepdims=True) * factor
    step = np.maximum((hi - lo) / grid.code_max, EPS)
    score = quantisation_error(rows - lo, (step, np.zeros_like(step)), grid, p)
    return step, lo, score
