"""What may be said of a case as a whole: its attributes, sizes, special numbers and memory.

Each condition has the same words in every case of an op, so that cases can be held side by side.
Numbers become conditions only when all cases are known: see `at_least`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.axes import axis_names
from refquant.oracle.build import Built
from refquant.oracle.op import Attr, Op

Test = Callable[[Array], Any]
NUMBERS: tuple[tuple[str, Test], ...] = (
    ("has a NaN", np.isnan),
    ("has an infinity", np.isinf),
    ("has a number below 0", lambda v: v < 0),
    ("has a subnormal number", lambda v: (v != 0) & (np.abs(v) < 2.0**-126)),
)
MEMORY = {
    "not in C order": ("Fortran", "strided", "reversed"),
    "with gaps or reversed": ("strided", "reversed"),
    "in Fortran order": ("Fortran",),
    "with gaps": ("strided",),
    "reversed": ("reversed",),
    "read-only": ("read-only",),
}
Families = dict[str, dict[str, bool]]


def conditions(op: Op, item: Built, layout: str = "") -> Families:
    """Return what is true of a case, and what is not: {family: {words: bool}}.

    "option" is which inputs it has, "setting" what its attributes are, "memory" how its arrays
    lie, "content" what its numbers are.

    Parameters
    ----------
    op : Op
    item : Built
    layout : str
        Of the inputs in memory, "" if that is not known: then nothing is said about it.
    """
    attrs = op.resolve(item.case.attrs)
    setting = {text: holds for attr in op.attrs for text, holds in _attr(attr, attrs[attr.name])}
    option: dict[str, bool] = {}
    content: dict[str, bool] = {}
    for tensor in op.inputs:
        value = item.case.inputs.get(tensor.name)
        if tensor.optional:
            option |= {f"with {tensor.name}": value is not None}
            option |= {f"without {tensor.name}": value is None}
        if value is not None:
            content |= dict(_tensor(tensor.name, value))
    memory = {f"where arrays are {text}": layout in names for text, names in MEMORY.items()}
    return {
        "option": option,
        "setting": setting,
        "memory": memory if layout else {},
        "content": content,
    }


def _attr(attr: Attr, value: Any) -> Iterator[tuple[str, bool]]:
    """Yield what is true of an attribute: its value, or how it differs from the usual."""
    if attr.choices:
        for choice in attr.choices:
            yield f"with {attr.name}={choice}", value == choice
    elif isinstance(attr.default, bool):
        yield f"with {attr.name}={value}", True
        yield f"with {attr.name}={not value}", False
    elif isinstance(value, list | tuple):
        yield f"with {attr.name} other than {attr.default}", list(value) != list(attr.default or [])
        yield f"with entries of {attr.name} that differ", len(set(value)) > 1
    else:
        yield f"with {attr.name} other than {attr.default}", value != attr.default


def _tensor(name: str, value: Array) -> Iterator[tuple[str, bool]]:
    yield f"where {name} is one number", value.size == 1
    yield f"where {name} has several numbers", value.size > 1
    if value.dtype.kind == "f":
        for text, test in NUMBERS:
            yield f"where {name} {text}", bool(np.any(test(value)))
    if value.dtype.kind == "i":
        yield f"where {name} is not 0", bool(np.any(value))


def sizes(op: Op, item: Built) -> dict[str, float]:
    """Return the numbers of a case that a bound may part: attributes, and sizes of named axes."""
    attrs = op.resolve(item.case.attrs)
    found = {
        name: float(value)
        for name, value in attrs.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    for name in (tensor.name for tensor in op.inputs if tensor.name in item.case.inputs):
        value = item.case.inputs[name]
        for axis, letter in enumerate(axis_names(op, name, value.ndim)):
            label = letter or f"axis {axis - value.ndim}"
            found[f"the size of {name} along {label}"] = float(value.shape[axis])
    return found


def bounds(numbers: Sequence[dict[str, float]], wrong: Sequence[bool]) -> dict[str, list[bool]]:
    """Return conditions "NAME >= t" and "NAME <= t" that all wrong cases meet, case by case."""
    found = {}
    for name in dict.fromkeys(name for case in numbers for name in case):
        if all(name in case for case, bad in zip(numbers, wrong, strict=True) if bad):
            inside = [case[name] for case, bad in zip(numbers, wrong, strict=True) if bad]
            low, high = min(inside), max(inside)
            found[f"where {name} >= {low:g}"] = [case.get(name, -np.inf) >= low for case in numbers]
            found[f"where {name} <= {high:g}"] = [
                case.get(name, np.inf) <= high for case in numbers
            ]
    return found
