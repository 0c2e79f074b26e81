"""What may be said of an element of an output: where it lies, and which numbers belong to it.

Each place has the same words in every case of an op, so that cases can be held side by side. A
place is a mask of the output's shape; "the last index" is one, whatever the size.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.axes import axis_label, axis_names
from refquant.oracle.build import Built
from refquant.oracle.op import Op

Place = tuple[str, Array]
STEPS = {"x": ("s", "s_x"), "w": ("s", "s_w"), "z": ("s",)}
VECTORS = (4, 8, 16)  # elements that a loop takes at once


def places(op: Op, item: Built, output: str) -> dict[str, dict[str, Array]]:
    """Return {family: {words: mask}} for one output of a case; masks have its shape."""
    shape = item.outputs[output].value.shape
    found = {
        "number": _inputs(op, item, shape),
        "answer": _answers(item, shape),
        "index": _indices(op, output, shape) if shape else (),
    }
    return {
        family: {text: np.broadcast_to(mask, shape) for text, mask in places}
        for family, places in found.items()
    }


def _indices(op: Op, output: str, shape: tuple[int, ...]) -> Iterator[Place]:
    """Yield places that indices alone decide."""
    names = axis_names(op, output, len(shape))
    for axis, size in enumerate(shape):
        label = axis_label(names, axis) if len(shape) > 1 or names[0] else ""
        at = np.arange(size).reshape([-1 if a == axis else 1 for a in range(len(shape))])
        yield from _along(at, size, f" of {label}" if label else "")
    if len(shape) > 1:
        flat = np.arange(math.prod(shape)).reshape(shape)
        yield from _along(flat, flat.size, " of the elements in C order")
        rows, columns = np.indices(shape[-2:])
        height, width = shape[-2:]
        plane = f"{axis_label(names, len(shape) - 2)} and {axis_label(names, len(shape) - 1)}"
        rim = (rows % (height - 1 or 1) == 0) | (columns % (width - 1 or 1) == 0)
        yield f"on the rim of {plane}", rim
        yield f"inside the rim of {plane}", ~rim
        yield f"on the diagonal of {plane}", rows == columns
        yield f"off the diagonal of {plane}", rows != columns
        yield f"above the diagonal of {plane}", rows < columns
        yield f"below the diagonal of {plane}", rows > columns


def _along(at: Array, size: int, of: str) -> Iterator[Place]:
    yield f"at the first index{of}", at == 0
    yield f"at the last index{of}", at == size - 1
    yield f"after the first index{of}", at > 0
    yield f"before the last index{of}", at < size - 1
    yield f"at odd indices{of}", at % 2 == 1
    yield f"at even indices{of}", at % 2 == 0
    for width in VECTORS:
        yield f"behind the last whole {width} indices{of}", at >= size - size % width
        yield f"from index {width}{of}", at >= width
        yield f"at every {width}th index, from {width - 1},{of}", at % width == width - 1


def _inputs(op: Op, item: Built, shape: tuple[int, ...]) -> Iterator[Place]:
    """Yield places that inputs of the output's shape decide."""
    attrs = op.resolve(item.case.attrs)
    for name, value in item.case.inputs.items():
        if value.shape == shape and value.dtype.kind in "if":
            yield from _number(name, value)
            for step in STEPS.get(name, ()):
                if (width := _step(item.case.inputs.get(step), value, attrs)) is not None:
                    yield from _quotient(f"{name} / {step}", value / width)


def _answers(item: Built, shape: tuple[int, ...]) -> Iterator[Place]:
    """Yield places that right answers decide, those of the other outputs too."""
    for name, golden in item.outputs.items():
        value, right = golden.value, f"the right {name}"
        if value.shape == shape and value.dtype.kind in "if" and value.size:
            yield from _number(right, value)
            yield f"where {right} is its largest", value == np.max(value)
            yield f"where {right} is its smallest", value == np.min(value)


def _number(name: str, value: Array) -> Iterator[Place]:
    yield f"where {name} is NaN", np.isnan(value)
    yield f"where {name} is infinite", np.isinf(value)
    yield f"where {name} is NaN or infinite", ~np.isfinite(value)
    yield f"where {name} is 0", value == 0
    yield f"where {name} is not 0", value != 0
    yield f"where {name} < 0", value < 0
    yield f"where {name} > 0", value > 0
    if value.dtype.kind == "f":
        yield f"where {name} is a tie", tie(value)
        yield f"where {name} is whole", np.isfinite(value) & (value == np.rint(value))


def _quotient(name: str, value: Array) -> Iterator[Place]:
    yield f"where {name} is a tie", tie(value)
    yield f"where {name} is whole", np.isfinite(value) & (value == np.rint(value))
    yield f"where {name} is not whole", ~(np.isfinite(value) & (value == np.rint(value)))


def _step(step: Array | None, value: Array, attrs: Mapping[str, Any]) -> Array | None:
    """Return the step of each element of a value, None if it has none."""
    if step is None or not np.all(step):
        return None
    if step.size == 1 or step.shape == value.shape:
        return step.reshape(value.shape if step.size == value.size else ())
    axis = attrs.get("axis", 0)
    if not isinstance(axis, int) or step.ndim != 1 or value.shape[axis] != step.size:
        return None
    return step.reshape([-1 if a == axis % value.ndim else 1 for a in range(value.ndim)])


def thresholds(items: Sequence[Built], wrong: Sequence[Array]) -> list[dict[str, dict[str, Array]]]:
    """Return, for each case, places "where x >= t" that hold the wrong elements of all cases."""
    found: list[dict[str, Array]] = [{} for _ in items]
    for name in dict.fromkeys(name for item in items for name in item.case.inputs):
        values = [item.case.inputs.get(name) for item in items]
        pairs = list(zip(values, wrong, strict=True))
        fits = [v is not None and v.shape == w.shape and v.dtype.kind in "if" for v, w in pairs]
        if all(fit or not w.any() for (_, w), fit in zip(pairs, fits, strict=True)):
            for i, words in enumerate(
                _beyond(name, [p for p, fit in zip(pairs, fits, strict=True) if fit])
            ):
                found[np.flatnonzero(fits)[i]].update(words)
    return [{"bound": words} for words in found]


def _beyond(name: str, pairs: list[tuple[Any, Array]]) -> list[dict[str, Array]]:
    """Return the places by one comparison, for each of (numbers, what is wrong)."""
    found: list[dict[str, Array]] = [{} for _ in pairs]
    for text, sign, side in (
        (f"where {name} >=", 1.0, np.positive),
        (f"where {name} <=", -1.0, np.negative),
        (f"where |{name}| >=", 1.0, np.abs),
    ):
        least = min(float(np.min(side(value)[mask])) for value, mask in pairs if mask.any())
        if np.isfinite(least):
            for words, (value, _) in zip(found, pairs, strict=True):
                words[f"{text} {sign * least:.6g}"] = side(value) >= least
    return found


def tie(value: Array) -> Array:
    """Return where numbers lie halfway between whole ones."""
    return np.asarray(np.isfinite(value) & (np.abs(value - np.rint(value)) == 0.5))
