"""Sliding windows in plain NumPy, by index arithmetic: what patches and poolings have in common."""

from typing import Any, NamedTuple

import numpy as np

from refquant._types import Array
from refquant.oracle.op import Attrs


class Places(NamedTuple):
    """Where every tap of every window reads; all broadcast to (h_o, w_o, k_h, k_w)."""

    row: Array  # of the map, moved to its edge where the tap lies outside
    column: Array
    inside: Array  # bool: the tap lies on the map


def count(room: int, stride: int) -> int:
    """How many windows fit where the first one can be moved by `room`: the last one is whole."""
    return room // stride + 1


def along(size: int, ends: Any, k: int, move: tuple[int, int], counted: Any) -> Array:
    """The places along one axis, (windows, k); `move` is its stride and dilation."""
    (before, after), (stride, dilation) = ends, move
    windows = counted(size + before + after - dilation * (k - 1) - 1, stride)
    return np.asarray(stride * np.arange(windows)[:, None] + dilation * np.arange(k) - before)


def places(size: tuple[int, ...], kernel: Any, attrs: Attrs, part: Any) -> Places:
    """The places for an (h, w) map."""
    top, left, bottom, right = part.sides(attrs["padding"])
    stride, dilation = part.stride(attrs["stride"]), part.dilation(attrs["dilation"])
    moves = list(zip(stride, dilation, strict=True))
    row = along(size[0], (top, bottom), kernel[0], moves[0], part.count)[:, None, :, None]
    column = along(size[1], (left, right), kernel[1], moves[1], part.count)[None, :, None, :]
    inside = (row >= 0) & (row < size[0]) & (column >= 0) & (column < size[1])
    return Places(row.clip(0, size[0] - 1), column.clip(0, size[1] - 1), inside)


def gather(x: Array, at: Places, outside: float = 0.0) -> Array:
    """(n, c, h_o, w_o, k_h, k_w): what the taps read, `outside` where they lie off the map."""
    values: Array = x[:, :, at.row, at.column]
    values[:, :, ~at.inside] = outside
    return values


def scatter(values: Array, shape: tuple[int, ...], at: Places) -> Array:
    """Add (n, c, h_o, w_o, k_h, k_w) values to the places where they were read."""
    x = np.zeros(shape, values.dtype)
    kept = values.copy()
    kept[:, :, ~at.inside] = 0
    whole: Any = (slice(None), slice(None), at.row, at.column)
    np.add.at(x, whole, kept)
    return x


WINDOWS = {"sides": tuple, "stride": tuple, "dilation": tuple, "count": count}
