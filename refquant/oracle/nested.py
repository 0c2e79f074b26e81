"""Between arrays and the nested lists of numbers that the twins take."""

from collections.abc import Callable
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.exact.tracked import Tracked

DTYPES = {"float": np.float64, "int": np.int64, "bool": np.bool_}


def as_numbers(value: Array, number: Callable[[Any], Any]) -> Any:
    """Return an array as nested lists (a 0-d array as one number), each number through `number`."""
    return each(value.tolist(), number)


def flat(numbers: Any) -> list[Any]:
    """Return all numbers of nested lists, in order."""
    if not isinstance(numbers, list | tuple):
        return [numbers]
    return [leaf for item in numbers for leaf in flat(item)]


def shape_of(numbers: Any) -> tuple[int, ...]:
    """Return the shape of nested lists; an empty list ends it."""
    if not isinstance(numbers, list | tuple):
        return ()
    return (len(numbers), *(shape_of(numbers[0]) if numbers else ()))


def as_array(numbers: Any, kind: str) -> tuple[Array, Array | None]:
    """Return nested lists as an array, and the errors of its elements where they are tracked.

    Values are rounded to nearest once, errors (float32) upwards.
    """
    leaves, shape = flat(numbers), shape_of(numbers)
    plain = [_plain(leaf, kind) for leaf in leaves]
    values: Array = np.array(plain, dtype=DTYPES[kind]).reshape(shape)
    if kind != "float" or not any(isinstance(leaf, Tracked) for leaf in leaves):
        return values, None
    errors = [float(leaf.error) if isinstance(leaf, Tracked) else 0.0 for leaf in leaves]
    rounded = np.array(errors, dtype=np.float32)
    up = np.nextafter(rounded, np.float32(np.inf))
    return values, np.where(np.array(errors) > 0, up, rounded).reshape(shape)


def _plain(leaf: Any, kind: str) -> Any:
    return float(leaf) + 0.0 if kind == "float" else int(leaf) if kind == "int" else bool(leaf)


def each(value: Any, function: Callable[[Any], Any]) -> Any:
    """Return nested lists with `function` applied to every number."""
    return [each(item, function) for item in value] if isinstance(value, list) else function(value)


def pairs(a: Any, b: Any, function: Callable[[Any, Any], Any]) -> Any:
    """Return `function` of the numbers of two nested lists of one shape."""
    if not isinstance(a, list):
        return function(a, b)
    return [pairs(x, y, function) for x, y in zip(a, b, strict=True)]


def rows(numbers: Any, axis: int | None) -> list[list[Any]]:
    """Return the numbers that share an index along `axis`, a row per index; one row for None."""
    if axis is None:
        return [flat(numbers)]
    if axis == 0:
        return [flat(item) for item in numbers]
    parts = [rows(item, axis - 1) for item in numbers]
    return [[number for part in parts for number in part[i]] for i in range(len(parts[0]))]


def from_rows(table: list[list[Any]], like: Any, axis: int | None) -> Any:
    """Return the rows of `rows` as nested lists of the shape of `like` again."""
    queues = [iter(row) for row in table]

    def at(item: Any, depth: int, row: int) -> Any:
        """The part of `like` at this depth, filled from the row it belongs to."""
        if not isinstance(item, list | tuple):
            return next(queues[row])
        return [at(part, depth + 1, i if depth == axis else row) for i, part in enumerate(item)]

    return at(like, 0, 0)
