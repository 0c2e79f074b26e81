"""Wrong observers and percentiles."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.calibrate import plain_range as plain
from refquant.oracle.op import Attrs, Variant


def counted_outside(batches: Array, axis: int | None) -> Array:
    """The axis counts the leading one of batches too; axis 0 is taken as the next."""
    return plain.by_batch(batches, axis and axis - 1)


def from_zero(ends: Array, attrs: Attrs) -> Array:
    """The average starts at 0."""
    return plain.moving(np.concatenate([np.zeros_like(ends[:1]), ends]), attrs)


def zero_as_unset(ends: Array, attrs: Attrs) -> Array:
    """The average starts anew where it is 0."""
    value = ends[0]
    for new in ends[1:]:
        value = np.where(value == 0, new, plain.moving(np.stack([value, new]), attrs))
    return np.asarray(value)


def swapped(ends: Array, attrs: Attrs) -> Array:
    """m weighs the new."""
    return plain.moving(ends, {"momentum": 1 - attrs["momentum"]})


def backwards(ends: Array, attrs: Attrs) -> Array:
    """The last batch starts."""
    return plain.moving(ends[::-1], attrs)


def both(name: str, part: Any) -> dict[str, Any]:
    """The part for both ends."""
    return {"low": part, "high": part}


def last_batch(ends: Array, attrs: Attrs) -> Array:
    """What the last batch gives."""
    return np.asarray(ends[-1])


WHOLE = {"by_batch": lambda batches, axis: np.broadcast_to(
    plain.by_batch(batches, None), (len(batches), 1 if axis is None else batches.shape[axis + 1],
                                    batches[0].size))}  # fmt: skip
OBSERVERS = tuple(
    Variant(f"{name}_observer", *entry)
    for name in ("minmax", "ema", "avg")
    for entry in (
        ("axis_ignored", "One range is taken for all channels.",
         "per-channel statistics reduced over everything", WHOLE),
        ("zero_forced_in", "The range is stretched to hold 0.",
         "the rule of range_to_qparams applied too early",
         {"by_batch": lambda b, axis: (lambda v: np.concatenate([v, np.zeros_like(v[..., :1])], 2))(
             plain.by_batch(b, axis))}),
    )
)  # fmt: skip
AVERAGES = (
    Variant("minmax_observer", "last_batch", "Only the last batch counts.",
            "statistics overwritten", both("", last_batch)),
    Variant("minmax_observer", "averaged", "The extremes of the batches are averaged.",
            "AvgMinMaxObserver in its place", both("", plain.mean)),
    Variant("ema_observer", "zero_is_unset", "An end that is 0 is replaced by the next batch's.",
            "0 kept as the sign of a range without data", both("", zero_as_unset)),
    Variant("ema_observer", "starts_at_zero", "The average starts at 0 instead of the first batch.",
            "buffers initialised with zeros", both("", from_zero)),
    Variant("ema_observer", "momentum_of_the_new", "The momentum weighs the new batch.",
            "the convention of PyTorch's batch norm", both("", swapped)),
    Variant("ema_observer", "last_batch_first", "The batches are taken in reverse order.",
            "an order of summation that matters here", both("", backwards)),
    Variant("avg_observer", "extremes", "The extremes of all batches are taken.",
            "MinMaxObserver in its place",
            {"low": lambda e, attrs: e.min(axis=0), "high": lambda e, attrs: e.max(axis=0)}),
    Variant("avg_observer", "repeated_halving", "Each new batch is averaged with the past.",
            "(a + b) / 2 applied again and again",
            both("", lambda e, attrs: plain.moving(e, {"momentum": 0.5}))),
)  # fmt: skip


def nearest_rank(values: Array, q: float) -> tuple[Array, Array]:
    """Ranks ceil(n (1 - q)) and ceil(n q), counted from 1."""
    n = values.shape[1]
    ranks = (max(int(np.ceil(n * share)) - 1, 0) for share in (1 - q, q))
    low, high = (values[:, r] for r in ranks)
    return low, high


def mirrored(values: Array, q: float) -> tuple[Array, Array]:
    """lo is counted from below as hi is from above."""
    k = values.shape[1] - 1 - min(int(values.shape[1] * q), values.shape[1] - 1)
    return values[:, k], values[:, values.shape[1] - 1 - k]


def past_the_end(values: Array, q: float) -> tuple[Array, Array]:
    """Positions n (1 - q) and n q."""
    n = values.shape[1]
    wide = np.concatenate([values, values[:, -1:]], axis=1)
    return plain.between(wide, 1 - q), np.asarray(plain.between(wide, min(q, (n - 1) / n)))


def last_left_out(values: Array, q: float) -> tuple[Array, Array]:
    """hi is never the largest value."""
    n = values.shape[1]
    return values[:, int(n * (1 - q))], values[:, min(int(n * q), n - 2)]


def wrapped(values: Array, q: float) -> tuple[Array, Array]:
    """lo as it should be; the neighbour of the last value is missing, so one before is taken."""
    place = int((values.shape[1] - 1) * q)
    high = values[:, place - 1] if place + 1 == values.shape[1] else plain.between(values, q)
    return plain.between(values, 1 - q), high


PERCENTILES = (
    Variant("percentile_range", "ppq_on_a_line", "Order statistics are interpolated.",
            "numpy.quantile in place of kthvalue", {"ppq": plain.by_line}),
    Variant("percentile_range", "ppq_nearest_rank", "Ranks are rounded up instead of down.",
            "the nearest-rank definition", {"ppq": nearest_rank}),
    Variant("percentile_range", "ppq_mirrored", "lo is counted from below as hi is from above.",
            "one index used for both ends", {"ppq": mirrored}),
    Variant("percentile_range", "one_sided", "lo is the minimum.",
            "a clip of the upper end alone",
            {"ppq": lambda v, q: (v[:, 0], plain.by_order(v, q)[1])}),
    Variant("percentile_range", "ppq_last_left_out", "hi is at most the last value but one.",
            "min(int(N q), N - 1) - 1", {"ppq": last_left_out}),
    Variant("percentile_range", "line_beyond", "Beyond the last value the line goes on.",
            "a neighbour that wraps around to the first value", {"interpolated": wrapped}),
    Variant("percentile_range", "line_lower", "The lower neighbour is taken instead of the line.",
            "floor of the position",
            {"interpolated": lambda v, q: tuple(
                v[:, int((v.shape[1] - 1) * share)] for share in (1 - q, q))}),
    Variant("percentile_range", "line_over_n", "Positions are shares of n instead of n - 1.",
            "another of the definitions of a quantile", {"interpolated": past_the_end}),
)  # fmt: skip
VARIANTS = (*OBSERVERS, *AVERAGES, *PERCENTILES)
