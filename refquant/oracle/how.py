"""What was done to the wrong elements of an output, said only where it is true of each of them.

Each is 0, 1 too low, twice the right number, of the wrong sign; each is the input at its place, or
the right answer of a neighbour.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from refquant._types import Array
from refquant.oracle.axes import axis_label, axis_names
from refquant.oracle.build import Built
from refquant.oracle.conditions import sizes
from refquant.oracle.op import Op
from refquant.oracle.wrong import Wrong

CLOSE = 1e-6  # relative: a ratio is that number
SIDES = 8  # elements, at least, of which it is said that all are too high, or all too low


def how(wrong: Wrong) -> str:
    """Return what was done to each wrong element, "" if it is not the same everywhere."""
    if wrong.expected.dtype.kind == "b":
        return ""
    actual, expected = wrong.actual.astype(np.float64), wrong.expected.astype(np.float64)
    if np.isnan(actual).all():
        return "each is NaN"
    if np.all(actual == actual[0]) and not np.all(expected == expected[0]):
        return f"each is {actual[0] + 0.0:.6g}"
    if not (np.isfinite(actual).all() and np.isfinite(expected).all()):
        return ""
    apart = actual - expected
    if np.all(apart == apart[0]):
        return f"each is {abs(apart[0]):.6g} too {'high' if apart[0] > 0 else 'low'}"
    return _factor(actual, expected, wrong.limit)


def _factor(actual: Array, expected: Array, limit: Array) -> str:
    if not expected.all():
        return ""
    factor = float(actual[0] / expected[0])
    room = limit * (1 + abs(factor)) + 2 * np.spacing(np.abs(actual))
    if not np.all(np.abs(actual - factor * expected) <= room) or np.all(room >= np.abs(actual)):
        return ""
    if factor == -1:
        return "each has the wrong sign"
    times = f"{factor:.6g}"
    return "" if times == "1" else f"each is {times} times the right one"


def together(op: Op, output: str, found: Sequence[tuple[Built, Wrong]]) -> str:
    """Return what was done to each wrong element of several cases, "" if there is no one thing.

    Parameters
    ----------
    op : Op
    output : str
    found : sequence of (Built, Wrong)
        The failing cases, and their wrong elements.
    """
    wrong = [item for _, item in found]
    if sum(item.count for item in wrong) < 2 or not all(item.complete for item in wrong):
        return ""
    joined = [
        np.concatenate([getattr(w, k) for w in wrong]) for k in ("expected", "actual", "limit")
    ]
    pooled = Wrong((len(joined[0]),), len(joined[0]), np.arange(len(joined[0])), *joined)
    with np.errstate(all="ignore"):
        told = [set(_copied(op, output, *case)) for case in found]
        shared = [text for text in _copied(op, output, *found[0]) if all(text in t for t in told)]
        ways = how(pooled), *shared, _by_case(op, found), _side(pooled)
        return next(filter(None, ways), "")


def _copied(op: Op, output: str, item: Built, wrong: Wrong) -> Iterator[str]:
    """Yield which other number each wrong element is: an input, or the answer of a neighbour."""
    for name, value in item.case.inputs.items():
        if value.shape == wrong.shape and _same(wrong.actual, value.ravel()[wrong.at]):
            yield f"each is {name} at its place"
    golden = item.outputs[output].value
    names = axis_names(op, output, golden.ndim)
    for axis in range(golden.ndim):
        for step, which in ((1, "before"), (-1, "behind")):
            moved = np.roll(golden, step, axis).ravel()[wrong.at]
            if _same(wrong.actual, moved):
                label = f" along {axis_label(names, axis)}" if golden.ndim > 1 else ""
                yield f"each is the right number of the place {which} it{label}"


def _by_case(op: Op, found: Sequence[tuple[Built, Wrong]]) -> str:
    """Return by which size or attribute of its case each is multiplied or divided, if it is."""
    ratios = [_ratio(wrong) for _, wrong in found]
    numbers = [sizes(op, item) | _scalars(item) for item, _ in found]
    if sum(wrong.count for _, wrong in found) <= len(found) + 1 or not all(
        map(np.isfinite, ratios)
    ):
        return ""
    for name in numbers[0]:
        pairs = [(case.get(name, np.nan), r) for case, r in zip(numbers, ratios, strict=True)]
        if all(abs(r - n) <= CLOSE * abs(n) for n, r in pairs):
            return f"each is the right one times {name}"
        if all(abs(r * n - 1) <= CLOSE for n, r in pairs):
            return f"each is the right one divided by {name}"
    return "each is the right one times a number of its case"


def _ratio(wrong: Wrong) -> float:
    """Return the one number by which all wrong elements are multiplied, NaN if there is none."""
    if wrong.expected.dtype.kind != "f" or not wrong.expected.all():
        return np.nan
    actual, expected = wrong.actual.astype(np.float64), wrong.expected
    largest = int(np.argmax(np.abs(expected)))
    ratio = float(actual[largest] / expected[largest])
    room = wrong.limit * (2 + abs(ratio)) + CLOSE * np.abs(actual)
    return ratio if np.all(np.abs(actual - ratio * expected) <= room) else np.nan


def _scalars(item: Built) -> dict[str, float]:
    return {k: float(v.item()) for k, v in item.case.inputs.items() if v.size == 1}


def _same(actual: Array, other: Array) -> bool:
    return actual.dtype.kind != "b" and np.array_equal(actual, other, equal_nan=False)


def _side(wrong: Wrong) -> str:
    """Return on which side of the right answers all wrong ones lie."""
    if wrong.count < SIDES or wrong.expected.dtype.kind == "b":
        return ""
    actual, expected = wrong.actual.astype(np.float64), wrong.expected.astype(np.float64)
    for text, holds in (
        ("each is too high", actual > expected),
        ("each is too low", actual < expected),
        ("each is too near to 0", np.abs(actual) < np.abs(expected)),
        ("each is too far from 0", np.abs(actual) > np.abs(expected)),
    ):
        if holds.all():
            return text
    return ""
