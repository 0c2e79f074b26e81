"""The step whose saturated histogram loses least information: the form of AMCT's AdaRound.

Reference: methods, section 3.3 (i), decision D5, convention 2 of section 21; the source is the
`ada_round` calibration of AMCT, which is fixed to 8 bits.

    paper    here          shape      meaning
    T        top           (r, 1)     max |w| of the row
    --       counts        (r, bins)  histogram over [-T, T], membership decided exactly
    i        i             0..        bins cut off at either end, `searches` values
    P        p             (r, m)     window [i, bins - i) plus the mass outside on its end bins
    Q        q             (r, m)     P averaged over the non-zero bins of each group
    m        m             int        bins - 2 i
    KL       divergence    (r, 1)     sum p ln(p / q), both normalised
    s        step          () or      (T - i 2T / bins) / 2^(b-1)
                           (c, 1, ..)

    1. The window is cut into 2^b - 1 groups; group j holds the bins ceil(j m / (2^b - 1)) to
       ceil((j + 1) m / (2^b - 1)) - 1, the ceilings taken in integers.
    2. Q on a group = (sum of P) / (number of non-zero bins of P), where P is non-zero, else 0.
    3. P and Q are smoothed: zeros become 1e-4, the others get PLUS 1e-4 zeros / non-zeros; left
       alone if that increment is >= 1.
    4. The first strictly smallest KL wins; a step below 2^-23 becomes 1.

Only thresholds in [237/256, 1] T are searched with the defaults. The step does not survive a
sign flip of w: the odd number of groups has no mirror image.

Edge cases: a zero row has the step 1 and the divergence 0. With more groups than bins a group
may be empty; Q is then P and the first window wins. Where smoothing is left alone 0 ln 0 is 0.

Differs from the source: integer group edges (its floating ones are one too high at 3 to 5
bits), exact bins (its histogram rounds to float32), and 2^b - 1 groups for every b (D5).
"""

from dataclasses import dataclass

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_in, check_int
from refquant._types import Array
from refquant.calibrate.histogram import histogram
from refquant.calibrate.rows import check_kind, check_tensor, per_row, to_rows
from refquant.quantizers.grid import Grid, QParams, make_qparams

SMOOTHING = 1e-4  # step 3
SMALLEST = 2.0**-23  # "float eps", convention 2
MAX_BINS = 1 << 24


@dataclass(frozen=True)
class KlAmct:
    """Rule: AMCT's KL calibration (section 3.3 (i), D5)."""

    bins: int = 512
    searches: int = 20

    def __post_init__(self) -> None:
        check_int("KlAmct", "bins", self.bins, 1, MAX_BINS)
        check_int("KlAmct", "searches", self.searches, 1, (self.bins + 1) // 2)


def kl_amct(
    w: Array, grid: Grid, rule: KlAmct | None = None, axis: int | None = None
) -> tuple[QParams, Array]:
    """The symmetric step of section 3.3 (i).

    Parameters
    ----------
    w : Array
        float32 or float64, finite, any shape.
    grid : Grid
        Signed or narrow; its bits set the number of groups and the divisor 2^(b-1).
    rule : KlAmct, optional
        Number of bins and of windows.
    axis : int or None
        Axis of `w` with a step for each index.

    Returns
    -------
    qparams : QParams
        Step, rounded once from its exact value if `bins` is a power of two; zero point 0.
    divergence : Array
        KL of the chosen window, in the shape of the step.

    Raises
    ------
    TypeError, ValueError
        If `w` is not a finite, non-empty float array, or the grid not symmetric.
    """
    rule = KlAmct() if rule is None else rule
    check_tensor("kl_amct", "w", w, axis)
    check_kind("kl_amct", "grid", grid, Grid)
    check_kind("kl_amct", "rule", rule, KlAmct)
    check_in("kl_amct", "grid.kind", grid.kind, ("signed", "narrow"))
    rows = to_rows(w, axis)
    top = np.abs(rows).max(axis=1).astype(np.float64)
    window, divergence = _first_smallest(histogram(rows, rule.bins, True), rule, grid.bits)
    step = top * (1.0 - 2 * window / rule.bins) / 2 ** (grid.bits - 1)
    step = np.where(step < SMALLEST, 1.0, step)
    divergence = np.where(top > 0.0, divergence, 0.0)
    qparams = make_qparams(per_row(step.astype(w.dtype), w.shape, axis), 0, grid)
    return qparams, per_row(divergence.astype(w.dtype), w.shape, axis)


def _first_smallest(counts: Array, rule: KlAmct, bits: int) -> tuple[Array, Array]:
    """For every row the window i with the first smallest divergence, and that, (r,) each."""
    scores = []
    for i in range(rule.searches):
        p = saturate(counts, i)
        scores.append(divergence_of(smooth(p), smooth(spread(p, 2**bits - 1))))
    table = np.stack(scores, axis=1)
    best = np.argmin(table, axis=1)  # argmin takes the first of equals
    return best, table[np.arange(len(best)), best]


def saturate(counts: Array, i: int) -> Array:
    """P: the bins [i, bins - i), with the mass outside added to the two end bins; (r, m)."""
    bins = counts.shape[1]
    p = counts[:, i : bins - i].copy()
    p[:, 0] += counts[:, :i].sum(axis=1)
    p[:, -1] += counts[:, bins - i :].sum(axis=1)
    return p


def spread(p: Array, groups: int) -> Array:
    """Q: each group's mass shared equally by its non-zero bins (steps 1 and 2), float64."""
    m = p.shape[1]
    edges = np.array([-((-j * m) // groups) for j in range(groups + 1)])
    owner = np.repeat(np.arange(groups), np.diff(edges))
    mass, filled = _group_sums(p, edges), _group_sums(p != 0, edges)
    mean = mass / np.maximum(filled, 1)
    return np.where(p != 0, mean[:, owner], 0.0)


def smooth(hist: Array) -> Array:
    """Step 3, the quirk included: the mass of the row grows by 2e-4 for each zero."""
    zeros = (hist == 0).sum(axis=1, keepdims=True)
    added = SMOOTHING * zeros / (hist.shape[1] - zeros)
    smoothed = np.where(hist == 0, SMOOTHING, hist + added)
    return np.where(added >= 1.0, hist.astype(np.float64), smoothed)


def divergence_of(p: Array, q: Array) -> Array:
    """sum p ln(p / q) of the normalised rows, (r,); 0 ln 0 counts as 0."""
    p = p / nx.sum(p, axis=1, keepdims=True)
    q = q / nx.sum(q, axis=1, keepdims=True)
    filled = p > 0.0
    ratio = np.where(filled, p, 1.0) / np.where(filled, q, 1.0)
    return np.asarray(nx.sum(p * nx.log(ratio), axis=1))


def _group_sums(values: Array, edges: Array) -> Array:
    """Integer sums of the columns edges[j] .. edges[j + 1] - 1; 0 for an empty group."""
    running = np.zeros((values.shape[0], values.shape[1] + 1), dtype=np.int64)
    np.cumsum(values, axis=1, out=running[:, 1:])
    return np.diff(running[:, edges], axis=1)
