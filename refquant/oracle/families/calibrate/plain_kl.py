"""The two calibrators that compare histograms, in plain NumPy, row by row."""

from itertools import pairwise
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.calibrate.shared import answers, as_rows
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain

EPS = 2.0**-23
SMALL = 1e-4
OFFSET = 1e-30


def bin_of(share: Array, bins: int) -> Array:
    """Bins [a, b), the last one closed; share in [0, 1]."""
    return np.asarray(np.minimum(np.floor(share * bins).astype(np.int64), bins - 1))


def window(counts: Array, i: int) -> Array:
    """The bins i from either end, with those outside added to the outermost."""
    inner = counts[i : counts.size - i].copy()
    inner[0] += counts[:i].sum()
    inner[-1] += counts[counts.size - i :].sum()
    return inner


def edges(m: int, groups: int) -> Array:
    """First bin of each group, and m: j m / groups rounded up."""
    return (np.arange(groups + 1) * m + groups - 1) // groups


def spread(p: Array, bounds: Array, dtype: Any) -> Array:
    """Each group's mass, shared by the bins that hold some."""
    q = np.zeros(p.size, dtype)
    for first, end in pairwise(bounds):
        own = p[first:end]
        filled = own != 0
        if filled.any():
            q[first:end][filled] = own.sum().astype(dtype) / filled.sum().astype(dtype)
    return q


def smooth(hist: Array) -> Array:
    """A little for empty bins, and a little more for the others."""
    zeros = np.count_nonzero(hist == 0)
    added = SMALL * zeros / (hist.size - zeros)
    small, more = hist.dtype.type(SMALL), hist.dtype.type(added)
    return np.where(hist == 0, small, hist + more) if added < 1 else hist


def divergence(p: Array, q: Array) -> Any:
    """Of distributions without zeros, in nats."""
    return (p * np.log(p / q)).sum()


def _amct(row: Array, attrs: Attrs, part: Any) -> Any:
    top, bins, bits = np.abs(row).max(), attrs["bins"], attrs["bits"]
    if not top:
        return part.of_zeros(row)
    counts = np.bincount(part.bin_of(part.share(row, top), bins), minlength=bins)
    scores = []
    for i in range(part.searches(attrs["searches"])):
        p = part.window(counts, i)
        groups = part.edges(p.size, part.groups(bits))
        q = part.spread(part.merged(p, counts, i), groups, row.dtype)
        p, q = part.smooth(p.astype(row.dtype)), part.smooth(q)
        scores.append(part.divergence(p / p.sum(), q / q.sum()))
    s = part.step(top, part.choose(scores), bins) / part.divisor(bits)
    return part.floor(row.dtype.type(s))


def _kl_amct(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    rows = part.rows(inputs["w"], attrs["axis"])
    return {"s": answers([_amct(row, attrs, part) for row in rows], attrs["axis"])}


def trim(counts: Array, ignored: int) -> Array:
    """The bins nearest to 0 emptied, and 1 in the next."""
    counts = counts.copy()
    counts[:ignored], counts[ignored] = 0, 1
    return counts


def decades(p: Array, q: Array) -> Any:
    """Divergence in powers of ten."""
    tiny = p.dtype.type(OFFSET)
    return (p * (np.log10(p + tiny) - np.log10(q + tiny))).sum()


def saturated(counts: Array, r: int) -> Array:
    """The first r bins with the others added to the last of them."""
    p = counts[:r].copy()
    p[-1] += counts[r:].sum()
    return p


def _trt(row: Array, attrs: Attrs, part: Any) -> Any:
    row = part.magnitudes(row)
    top, bins, levels = row.max(), attrs["bins"], part.levels(attrs["bits"])
    if not top:
        return part.of_zeros(row)
    h = np.bincount(part.bin_of(row / top, bins), minlength=bins)
    h = part.trim(h, int(0.002 * bins))
    widths, scores = range(levels, bins + 1, levels), []
    for r in widths:
        q = part.spread(part.merged(h, r), part.edges(r, levels), row.dtype)
        if not q.any():
            scores.append(part.empty)
            continue
        p = part.saturated(h, r).astype(row.dtype) / row.dtype.type(h.sum())
        scores.append(part.divergence(p, q / q.sum()))
    r = widths[part.choose(scores)]
    return part.step(r, top, bins) / part.divisor(levels)


def _kl_trt(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    return {"s": np.asarray(_trt(inputs["x"].reshape(-1), attrs, part))}


def chosen(scores: list[Any]) -> int:
    """The first smallest."""
    return int(np.argmin(scores))


KL_AMCT = Plain(
    _kl_amct,
    {
        "rows": as_rows,
        "of_zeros": lambda row: row.dtype.type(1),
        "share": lambda row, top: (row + top) / (2 * top),
        "bin_of": bin_of,
        "searches": lambda searches: searches,
        "window": window,
        "merged": lambda p, counts, i: p,
        "groups": lambda bits: 2**bits - 1,
        "edges": edges,
        "spread": spread,
        "smooth": smooth,
        "divergence": divergence,
        "choose": chosen,
        "step": lambda top, i, bins: top - i * (2 * top / bins),
        "divisor": lambda bits: 2 ** (bits - 1),
        "floor": lambda s: s if s >= EPS else s.dtype.type(1),
    },
)
KL_TRT = Plain(
    _kl_trt,
    {
        "magnitudes": np.abs,
        "of_zeros": lambda row: row.dtype.type(1),
        "levels": lambda bits: 2 ** (bits - 1),
        "bin_of": bin_of,
        "trim": trim,
        "merged": lambda h, r: h[:r],
        "edges": edges,
        "spread": spread,
        "empty": np.inf,
        "saturated": saturated,
        "divergence": decades,
        "choose": chosen,
        "step": lambda r, top, bins: r * (top / bins),
        "divisor": lambda levels: levels,
    },
)
