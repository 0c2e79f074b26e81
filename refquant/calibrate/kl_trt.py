"""The step whose clipped histogram of magnitudes loses least information: TensorRT's form.

Reference: methods, section 3.3 (ii), decision D5, conventions 3 and 4 of section 21; the source
is PPQ's `hist_to_scale_offset`.

    paper        here      shape      meaning
    T            top       (r,)       max |x| of the row
    h            h         (r, bins)  histogram of |x| over [0, T], membership decided exactly;
                                      bins below k0 zeroed, bin k0 set to 1
    --           k0        int        int(0.002 bins), 8 for 4096 bins
    quant_bins   levels    int        2^(b-1)
    R            r_bins    int        levels, 2 levels, .. <= bins
    P            p         (r, R)     h[:R] plus the tail on its last bin, over the total of h
    Q            q         (r, R)     h[:R] WITHOUT the tail, averaged over the non-zero bins of
                                      each of `levels` groups of R / levels bins, normalised
    KL           --        (r,)       sum P (log10(P + 1e-30) - log10(Q + 1e-30))
    s            step      () or      R (T / bins) / levels
                           (c, 1, ..)

The first strictly smallest KL wins.

Edge cases: candidates whose Q is empty are skipped: for b <= 4 the first R lies wholly in the
zeroed part. A zero row has the step 1 and the divergence 0 (convention 4).

Differs from the source: there an empty Q gives NaN, which wins its sort, so that at b <= 4 it
returns T / bins for any data.
"""

from dataclasses import dataclass

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_in, check_int, complaint
from refquant._types import Array
from refquant.calibrate.histogram import histogram
from refquant.calibrate.rows import check_kind, check_tensor, per_row, to_rows
from refquant.quantizers.grid import Grid, QParams, make_qparams

IGNORED_SHARE = 0.002  # of the bins, those nearest to zero
OFFSET = 1e-30  # keeps the logarithm finite
LN10 = 2.302585092994046  # ln 10, rounded once: libm may differ by an ulp
MAX_BINS = 1 << 24


@dataclass(frozen=True)
class KlTrt:
    """Rule: TensorRT's KL calibration as in PPQ (section 3.3 (ii), D5)."""

    bins: int = 4096

    def __post_init__(self) -> None:
        check_int("KlTrt", "bins", self.bins, 1, MAX_BINS)


def kl_trt(
    x: Array, grid: Grid, rule: KlTrt | None = None, axis: int | None = None
) -> tuple[QParams, Array]:
    """The symmetric step of section 3.3 (ii).

    Parameters
    ----------
    x : Array
        float32 or float64, finite, any shape.
    grid : Grid
        Signed or narrow; 2^(b-1) is the number of groups.
    rule : KlTrt, optional
        Number of bins.
    axis : int or None
        Axis of `x` with a step for each index.

    Returns
    -------
    qparams : QParams
        Step, rounded once from its exact value if `bins` is a power of two; zero point 0.
    divergence : Array
        KL of the chosen R, in the shape of the step.

    Raises
    ------
    TypeError, ValueError
        If `x` is not a finite, non-empty float array, the grid not symmetric, or the bins
        fewer than 2^(b-1).
    """
    rule = KlTrt() if rule is None else rule
    check_tensor("kl_trt", "x", x, axis)
    check_kind("kl_trt", "grid", grid, Grid)
    check_kind("kl_trt", "rule", rule, KlTrt)
    check_in("kl_trt", "grid.kind", grid.kind, ("signed", "narrow"))
    levels = 2 ** (grid.bits - 1)
    if rule.bins < levels:
        expected = f"at least 2^(b-1) = {levels}"
        raise ValueError(complaint("kl_trt", "rule.bins", rule.bins, expected))
    rows = np.abs(to_rows(x, axis))
    top = rows.max(axis=1).astype(np.float64)
    multiple, divergence = _first_smallest(trim(histogram(rows, rule.bins, False)), levels)
    step = np.where(top > 0.0, top / rule.bins * multiple, 1.0)
    divergence = np.where(top > 0.0, divergence, 0.0)
    qparams = make_qparams(per_row(step.astype(x.dtype), x.shape, axis), 0, grid)
    return qparams, per_row(divergence.astype(x.dtype), x.shape, axis)


def trim(counts: Array) -> Array:
    """The counts with the bins nearest to zero emptied and the next one set to 1."""
    k0 = int(IGNORED_SHARE * counts.shape[1])
    h = counts.copy()
    h[:, :k0] = 0
    h[:, k0] = 1
    return h


def _first_smallest(h: Array, levels: int) -> tuple[Array, Array]:
    """For every row R / levels with the first smallest divergence, and that, (r,) each."""
    multiples = range(1, h.shape[1] // levels + 1)
    table = np.stack([divergence_at(h, levels * k, levels) for k in multiples], axis=1)
    best = np.argmin(table, axis=1)  # argmin takes the first of equals
    return best + 1, table[np.arange(len(best)), best]


def divergence_at(h: Array, r_bins: int, levels: int) -> Array:
    """KL between the first R bins with and without their quantisation, (r,).

    Parameters
    ----------
    h : Array
        (r, bins) counts.
    r_bins : int
        R, a multiple of `levels`, at most bins.
    levels : int
        Number of groups.

    Returns
    -------
    Array
        In units of log10; infinite where Q is empty, so that the candidate is never chosen.
    """
    kept = h[:, :r_bins]
    p = kept.copy()
    p[:, -1] += h[:, r_bins:].sum(axis=1)
    p_share = p / h.sum(axis=1, keepdims=True)
    inside = kept.sum(axis=1, keepdims=True)
    q_share = _spread(kept, levels) / np.maximum(inside, 1)
    terms = p_share * (nx.log(p_share + OFFSET) - nx.log(q_share + OFFSET))
    divergence = nx.sum(terms, axis=1) / LN10
    return np.where(inside[:, 0] > 0, divergence, np.inf)


def _spread(kept: Array, levels: int) -> Array:
    """Each group's counts shared equally by its non-zero bins, (r, R) float64."""
    groups = kept.reshape(kept.shape[0], levels, -1)
    filled = (groups != 0).sum(axis=2, keepdims=True)
    mean = groups.sum(axis=2, keepdims=True) / np.maximum(filled, 1)
    return np.where(groups != 0, mean, 0.0).reshape(kept.shape)
