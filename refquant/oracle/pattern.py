"""What all wrong elements of an output have in common, said only where it is true of each of them.

    where   at the last index of an axis, at every 4th, on the rim, where x / s is a tie, ...
    how     each is 0, 1 too low, twice the right number, of the wrong sign, ...

A place is said if hardly any other choice of so many elements would lie in it: at most one choice
of RARE. Of several places the smallest is said.
"""

from collections.abc import Iterator, Mapping
from math import comb

import numpy as np

from refquant._types import Array
from refquant.oracle.axes import axis_label, axis_names
from refquant.oracle.case import Case
from refquant.oracle.compare import Mismatch
from refquant.oracle.how import how
from refquant.oracle.op import Op
from refquant.oracle.places import tie

RARE = 100
Place = tuple[str, Array]  # what it is called, and its elements


def pattern(op: Op, case: Case, mismatch: Mismatch) -> str:
    """Return the pattern of one mismatch in a line, "" if there is none to be sure of."""
    wrong = mismatch.elements
    if wrong is None or not wrong.complete or wrong.count < 2:
        return ""
    with np.errstate(all="ignore"):
        where = (
            ["every element"]
            if wrong.count == wrong.size
            else _where(op, case, mismatch.output, wrong.mask)
        )
        return "; ".join([*where, *filter(None, [how(wrong)])])


def _where(op: Op, case: Case, output: str, wrong: Array) -> list[str]:
    """Return the place by indices and the place by numbers, of those that there are."""
    names = axis_names(op, output, wrong.ndim)
    kinds = (_places(wrong, names), _values(wrong, case.inputs))
    return [found for kind in kinds if (found := _smallest(wrong, kind))]


def _smallest(wrong: Array, places: Iterator[Place]) -> str:
    """Return the smallest place that holds all wrong elements, unless it may be by chance."""
    held = [(np.count_nonzero(s), text) for text, s in places if not np.any(wrong & ~s)]
    if not held:
        return ""
    n, (size, text) = int(np.count_nonzero(wrong)), min(held, key=lambda item: item[0])
    if RARE * comb(int(size), n) > comb(wrong.size, n):
        return ""
    return f"{'exactly' if n == size else 'only'} {text}"


def _places(wrong: Array, names: tuple[str, ...]) -> Iterator[Place]:
    """Yield places that are known by their indices alone."""
    for axis, size in enumerate(wrong.shape):
        others = tuple(a for a in range(wrong.ndim) if a != axis)
        inside = wrong.any(axis=others, keepdims=True)
        if text := indices(np.flatnonzero(inside).tolist(), size):
            alone = wrong.ndim == 1 and not names[0]
            where = text.rstrip(",") if alone else f"{text} of {axis_label(names, axis)}"
            yield f"at {where}", np.broadcast_to(inside, wrong.shape)
    if wrong.ndim >= 2:
        last = len(names) - 1
        yield from _planes(wrong, f"{axis_label(names, last - 1)} and {axis_label(names, last)}")
        text = indices(np.flatnonzero(wrong).tolist(), wrong.size)
        if text.startswith(("every", "the")):  # a run in the middle is no place of its own
            yield f"at {text} of the elements in C order", wrong


def _planes(wrong: Array, axes: str) -> Iterator[Place]:
    """Yield places in the plane of the last two axes: its rim, and what a diagonal cuts."""
    rows, columns = np.indices(wrong.shape[-2:])
    height, width = wrong.shape[-2:]
    rim = (rows % (height - 1 or 1) == 0) | (columns % (width - 1 or 1) == 0)
    yield f"on the rim of {axes}", np.broadcast_to(rim, wrong.shape)
    if height == width:
        for text, plane in (
            ("on the diagonal", rows == columns),
            ("off the diagonal", rows != columns),
            ("above the diagonal", rows < columns),
            ("below the diagonal", rows > columns),
        ):
            yield f"{text} of {axes}", np.broadcast_to(plane, wrong.shape)


def indices(hit: list[int], size: int) -> str:
    """Return what indices along an axis are called; "" for all of them and where it takes a list.

    Examples
    --------
    >>> indices([3, 7, 11], 12), indices([11], 12), indices([0, 1], 12), indices([1, 2, 9], 12)
    ('every 4th index, from 3,', 'index 11 (the last)', 'the first 2 indices', '')
    """
    first, last, n = hit[0], hit[-1], len(hit)
    if n == size:
        return ""
    if n == 1:
        end = {0: " (the first)", size - 1: " (the last)"}
        return f"index {first}{end.get(first, '')}"
    if last - first == n - 1:
        if first == 0:
            return f"the first {n} indices"
        return f"the last {n} indices" if last == size - 1 else f"indices {first} to {last}"
    step = hit[1] - first
    if hit == list(range(first, size, step)) and first < step and 2 * step <= size:
        return f"every {ordinal(step)} index, from {first},"
    return ""


def ordinal(n: int) -> str:
    """Return 2nd, 3rd, 4th, ..."""
    ending = "th" if n // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"


def _values(wrong: Array, inputs: Mapping[str, Array]) -> Iterator[Place]:
    """Yield places that are known by the numbers of an input of the output's shape."""
    step = inputs.get("s")
    for name, value in inputs.items():
        if value.shape != wrong.shape or value.dtype.kind not in "if":
            continue
        yield from _numbers(name, value)
        if name == "x" and step is not None and step.size == 1 and step.item():
            yield "where x / s is a tie", tie(value / step.item())
        yield from _beyond(name, value, wrong)


def _beyond(name: str, value: Array, wrong: Array) -> Iterator[Place]:
    """Yield the wrong elements themselves where one comparison tells them from the right ones."""
    for text, size, sign in (
        (f"{name} >=", value, 1.0),
        (f"{name} <=", -value, -1.0),
        (f"|{name}| >=", np.abs(value), 1.0),
    ):
        least = size[wrong].min()
        if np.isfinite(least) and np.array_equal(size >= least, wrong):
            yield f"where {text} {sign * least:.6g}", wrong


def _numbers(name: str, value: Array) -> Iterator[Place]:
    yield f"where {name} is NaN", np.isnan(value)
    yield f"where {name} is infinite", np.isinf(value)
    yield f"where {name} is NaN or infinite", ~np.isfinite(value)
    yield f"where {name} is 0", value == 0
    yield f"where {name} < 0", value < 0
    yield f"where {name} > 0", value > 0
    if value.dtype.kind == "f":
        yield f"where {name} is a tie", tie(value)
