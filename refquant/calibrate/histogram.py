"""Histograms with equal bins whose membership is decided exactly.

Reference: methods, convention 3 of section 21: bins are half-open [a, b), the last one closed.

    paper    here       shape      meaning
    T        top        (r, 1)     largest magnitude of the row
    --       bins       int        number of equal bins over [-T, T] (mirrored) or [0, T]
    --       j          (r, m)     an edge is j T / bins; j = 2 k - bins (mirrored) or k

A value v lies at or above the edge of bin k iff j T <= bins v. Both products need more than 53
bits, so they are formed as p + e, the rounded product and its exact error (Dekker, "A
floating-point technique for extending the available precision", Numer. Math. 18, 1971). As
rounding is monotone, a b < c d exactly when (p, e) comes first in dictionary order. A quotient in
floats gives the bin up to one, and the two comparisons correct it.

Edge cases: a zero row has all its values in the bin that holds 0. T may be subnormal or near the
end of the range: rows are first scaled by a power of two to T in [1/2, 1).

Differs from numpy.histogram and torch.histc, which round the edges or the quotient: on a value
that lies on an edge they can be one bin off.
"""

import numpy as np

from refquant._types import Array

_SPLITTER = 2.0**27 + 1.0  # Veltkamp: the upper half keeps 26 bits
_TINY = 2.0**-1000  # any nonzero magnitude below all edges but 0


def histogram(rows: Array, bins: int, mirrored: bool) -> Array:
    """Counts of each row's values in equal bins up to its largest magnitude.

    Parameters
    ----------
    rows : Array
        (r, m), finite; without negative values unless `mirrored`.
    bins : int
        1..2^24.
    mirrored : bool
        Bins over [-T, T]; else over [0, T].

    Returns
    -------
    Array
        (r, bins), int64; each row adds up to m.
    """
    index = bin_index(rows, bins, mirrored)
    r = index.shape[0]
    flat = index + bins * np.arange(r, dtype=np.int64)[:, np.newaxis]
    counts = np.bincount(flat.ravel(), minlength=r * bins)
    return np.asarray(counts.reshape(r, bins), dtype=np.int64)


def bin_index(rows: Array, bins: int, mirrored: bool) -> Array:
    """The bin of every value, (r, m) int64; arguments as in `histogram`."""
    v, t = _scaled(rows)
    slope, shift = (2.0, float(bins)) if mirrored else (1.0, 0.0)
    k = np.clip(np.floor((bins * v / t + shift) / slope), 0.0, bins - 1.0)
    k = k - ~_at_or_above(v, slope * k - shift, t, bins)
    k = k + _at_or_above(v, slope * (k + 1.0) - shift, t, bins)
    return np.asarray(np.minimum(k, bins - 1.0), dtype=np.int64)


def _scaled(rows: Array) -> tuple[Array, Array]:
    """Values and T in float64, times a power of two that brings T into [1/2, 1)."""
    wide = rows.astype(np.float64)
    top = np.abs(wide).max(axis=1, keepdims=True)
    t, exponent = np.frexp(np.where(top > 0.0, top, 0.5))
    v = np.ldexp(wide, -exponent)
    lost = (v == 0.0) & (wide != 0.0)  # underflow must not move a value across 0
    return np.where(lost, np.copysign(_TINY, wide), v), t


def _at_or_above(v: Array, j: Array, t: Array, bins: int) -> Array:
    """Exactly whether ``j t <= bins v``."""
    edge, edge_error = _product(j, t)
    value, value_error = _product(np.float64(bins), v)
    return np.asarray((edge < value) | ((edge == value) & (edge_error <= value_error)))


def _product(n: Array | np.float64, a: Array) -> tuple[Array, Array]:
    """``n * a`` as a rounded product and its error, exact for whole |n| <= 2^26."""
    big = _SPLITTER * a
    high = big - (big - a)
    low = a - high
    rounded = np.asarray(n * a)
    return rounded, (n * high - rounded) + n * low
