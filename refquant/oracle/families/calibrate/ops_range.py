"""Descriptions of the observers and of the percentile range."""

from typing import Any

from refquant.calibrate.percentile import PERCENTILE_RULES, percentile_range
from refquant.calibrate.ranges import average, ema, minmax
from refquant.oracle.exact import calibrate as twin
from refquant.oracle.families.calibrate import plain_range as plain
from refquant.oracle.families.calibrate.shared import AXIS, HI, LO, X, by_row, per_index
from refquant.oracle.nested import rows
from refquant.oracle.op import Arrays, Attr, Attrs, Inputs, Op, Tensor

Numbers = dict[str, Any]
BATCHES = Tensor("batches", "float", "(t, ...)", "t batches of one shape, one at least")
INSIDE = Attr("axis", None, "the axis inside a batch with a range for each index; none: one range")


def _ends(found: tuple[Any, Any]) -> Arrays:
    lo, hi = found
    return {"lo": per_index(lo), "hi": per_index(hi)}


def _observed(numbers: Numbers, attrs: Numbers, one: Any) -> Numbers:
    """`one` of the batches of every row: of lists of values, a list per batch."""
    axis = attrs["axis"]
    by_batch = [rows(batch, axis) for batch in numbers["batches"]]
    found = [one(list(batches)) for batches in zip(*by_batch, strict=True)]
    lo, hi = ([pair[i] for pair in found] for i in (0, 1))
    return {"lo": lo, "hi": hi} if axis is not None else {"lo": lo[0], "hi": hi[0]}


def _minmax(inputs: Inputs, attrs: Attrs) -> Arrays:
    return _ends(minmax(inputs["batches"], attrs["axis"]))


def _ema(inputs: Inputs, attrs: Attrs) -> Arrays:
    return _ends(ema(inputs["batches"], attrs["momentum"], attrs["axis"]))


def _ema_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    return _observed(numbers, attrs, lambda batches: twin.ema(batches, attrs["momentum"]))


def _average(inputs: Inputs, attrs: Attrs) -> Arrays:
    return _ends(average(inputs["batches"], attrs["axis"]))


def _percentile(inputs: Inputs, attrs: Attrs) -> Arrays:
    return _ends(percentile_range(inputs["x"], attrs["q"], attrs["rule"], attrs["axis"]))


def _percentile_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    how = attrs["q"], attrs["rule"]
    one = lambda row: twin.percentile_range(row, *how)  # noqa: E731
    return by_row(numbers["x"], attrs["axis"], ("lo", "hi"), one)


OPS = (
    Op(
        name="minmax_observer",
        says="The smallest and the largest value of all batches.",
        formula="lo = min over batches of min;  hi = max over batches of max",
        inputs=(BATCHES,),
        outputs=(LO, HI),
        attrs=(INSIDE,),
        clauses=("3.1", "C13"),
        reference=_minmax,
        twin=lambda numbers, attrs: _observed(numbers, attrs, twin.minmax),
        plain=plain.MINMAX,
    ),
    Op(
        name="ema_observer",
        says="An exponential moving average of the batches' ranges.",
        formula="lo = min of the first batch;  then lo = m lo + (1 - m) min of the next;  hi alike",
        inputs=(BATCHES,),
        outputs=(LO, HI),
        attrs=(INSIDE, Attr("momentum", 0.9, "m, weight of the past")),
        clauses=("3.1", "C13"),
        reference=_ema,
        twin=_ema_twin,
        plain=plain.EMA,
    ),
    Op(
        name="avg_observer",
        says="The mean of the batches' minima, and of their maxima.",
        formula="lo = mean over batches of min;  hi = mean over batches of max",
        inputs=(BATCHES,),
        outputs=(LO, HI),
        attrs=(INSIDE,),
        clauses=("3.1", "C13"),
        reference=_average,
        twin=lambda numbers, attrs: _observed(numbers, attrs, twin.average),
        plain=plain.AVERAGE,
    ),
    Op(
        name="percentile_range",
        says="The range that holds all but the outermost values.",
        formula="x: the N values of an answer, sorted.  ppq: lo = x[int(N (1 - q))],\n"
        "  hi = x[min(int(N q), N - 1)], the differences and products in binary64\n"
        "interpolated: at the real positions (N - 1)(1 - q) and (N - 1) q, where position i + t\n"
        "  is x[i] + t (x[i + 1] - x[i]), or x[i] where t = 0",
        inputs=(X,),
        outputs=(LO, HI),
        attrs=(
            AXIS,
            Attr("q", 0.9999, "share of the values at or below hi, in [1/2, 1]"),
            Attr("rule", "ppq", "order statistics, or a line between them", PERCENTILE_RULES, True),
        ),
        clauses=("3.1",),
        reference=_percentile,
        twin=_percentile_twin,
        plain=plain.PERCENTILE,
    ),
)
