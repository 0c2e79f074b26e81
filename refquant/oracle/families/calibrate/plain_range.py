"""Observers and percentiles in plain NumPy."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.calibrate.shared import answers, as_rows
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain


def by_batch(batches: Array, axis: int | None) -> Array:
    """(t, r, m): the values of every row of every batch."""
    return np.stack([as_rows(batch, axis) for batch in batches])


def _observer(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    values = part.by_batch(inputs["batches"], attrs["axis"])
    lo, hi = part.low(values.min(axis=2), attrs), part.high(values.max(axis=2), attrs)
    return {"lo": answers(lo, attrs["axis"]), "hi": answers(hi, attrs["axis"])}


def moving(ends: Array, attrs: Attrs) -> Array:
    """m times the past plus 1 - m times the new, from the first batch on."""
    m = ends.dtype.type(attrs["momentum"])
    value = ends[0]
    for new in ends[1:]:
        value = m * value + (1 - m) * new
    return np.asarray(value)


def mean(ends: Array, attrs: Attrs) -> Array:
    """The arithmetic mean over the batches."""
    return np.asarray(ends.mean(axis=0))


def _percentile(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    values = np.sort(as_rows(inputs["x"], attrs["axis"]), axis=1)
    lo, hi = getattr(part, attrs["rule"])(values, float(attrs["q"]))
    return {"lo": answers(lo, attrs["axis"]), "hi": answers(hi, attrs["axis"])}


def by_order(values: Array, q: float) -> tuple[Array, Array]:
    """Numbers int(n (1 - q)) and min(int(n q), n - 1) of the sorted rows."""
    n = values.shape[1]
    return values[:, int(n * (1 - q))], values[:, min(int(n * q), n - 1)]


def by_line(values: Array, q: float) -> tuple[Array, Array]:
    """On the line between two sorted values."""
    return between(values, 1 - q), between(values, q)


def between(values: Array, share: float) -> Array:
    """At position (n - 1) share."""
    position = (values.shape[1] - 1) * share
    left = int(position)
    right, weight = min(left + 1, values.shape[1] - 1), values.dtype.type(position - left)
    return np.asarray(values[:, left] + weight * (values[:, right] - values[:, left]))


PARTS = {"by_batch": by_batch}
MINMAX = Plain(
    _observer,
    {**PARTS, "low": lambda e, attrs: e.min(axis=0), "high": lambda e, attrs: e.max(axis=0)},
)
EMA = Plain(_observer, {**PARTS, "low": moving, "high": moving})
AVERAGE = Plain(_observer, {**PARTS, "low": mean, "high": mean})
PERCENTILE = Plain(_percentile, {"ppq": by_order, "interpolated": by_line})
