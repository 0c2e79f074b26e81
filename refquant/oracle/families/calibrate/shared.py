"""What the descriptions of the calibrators have in common."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.nested import rows
from refquant.oracle.op import Attr, Tensor
from refquant.quantizers.grid import KINDS

X = Tensor("x", "float", "any", "the values that share a step, or (axis) several rows of them")
STEP = Tensor("s", "float", "() or (c,)", "distance of two levels, units of the input")
LO = Tensor("lo", "float", "() or (c,)", "lower end of the range")
HI = Tensor("hi", "float", "() or (c,)", "upper end of the range")
AXIS = Attr("axis", None, "the axis of the input with an answer for each index; none: one")
BITS = Attr("bits", 8, "width of a code, 2..16")
GRID = Attr("grid", "signed", "which codes there are", KINDS)


def per_index(value: Array) -> Array:
    """The library's () or (1, .., c, .., 1) as () or (c,)."""
    return value.reshape(-1) if value.ndim else value


def by_row(
    x: Any, axis: int | None, names: Iterable[str], one: Callable[..., Any]
) -> dict[str, Any]:
    """{name: what `one` returns there for a row}, in a list over the rows if there is an axis."""
    found = list(zip(*(one(row) for row in rows(x, axis)), strict=True))
    return {
        name: column[0] if axis is None else list(column)
        for name, column in zip(names, found, strict=True)
    }


def as_rows(x: Array, axis: int | None) -> Array:
    """(r, m): the values that share an answer, for the plain implementations."""
    return x.reshape(1, -1) if axis is None else np.moveaxis(x, axis, 0).reshape(x.shape[axis], -1)


def answers(values: Any, axis: int | None) -> Array:
    """One answer per row as () or (c,)."""
    return np.asarray(values[0] if axis is None else values)
