"""Scalar twin of uniform quantization: one number at a time, exact on Fractions.

Written from methods 1.2, 1.3 and 2.1. x and the step are both floats, both Fractions or both
tracked numbers; the quotient x / step is then of that kind, and everything after it is exact up
to the final product. A grid is three integers here: code_min, code_max, zero_point. Imports the
standard library only.
"""

import math
from typing import Any

from refquant.oracle.exact.rounding import round_to

Row = list[Any]


def quantize(
    x: Any, step: Any, zero_point: int, grid: tuple[int, int], rounding: str = "rint"
) -> Any:
    """The code of x; NaN takes the zero point, anything too large an end of grid = (min, max)."""
    u = x / step
    if u != u:
        return zero_point
    if u <= grid[0] - zero_point - 1:
        return grid[0]
    if u >= grid[1] - zero_point + 1:
        return grid[1]
    return min(grid[1], max(grid[0], round_to(u, rounding) + zero_point))


def dequantize(code: int, step: Any, zero_point: int) -> Any:
    """step * (code - zero_point)."""
    return step * (code - zero_point)


def is_inside(
    x: Any, step: Any, limits: tuple[int, int], rounding: str = "rint", mask: str = "rounded"
) -> bool:
    """The clip mask of methods 1.3, for the level limits (n, p) of u-space."""
    u = x / step
    if u != u or abs(u) == math.inf:
        return False
    return bool(limits[0] <= (round_to(u, rounding) if mask == "rounded" else u) <= limits[1])


def forward(
    rows: list[Row], steps: Row, zero_point: int, grid: tuple[int, int], rounding: str = "rint"
) -> tuple[list[Row], list[list[int]]]:
    """(y, codes) of rows of numbers, each row with its own step."""
    codes = [
        [quantize(x, step, zero_point, grid, rounding) for x in row]
        for row, step in zip(rows, steps, strict=True)
    ]
    values = [
        [dequantize(code, step, zero_point) for code in row]
        for row, step in zip(codes, steps, strict=True)
    ]
    return values, codes


def element_gradients(x: Any, d_y: Any, step: Any, q: int, inside: bool) -> tuple[Any, Any]:
    """(d_x, the element's share of d_s) from d_y, the clipped level q and the mask.

    d_x is d_y, by way of s q(x / s) as autodiff goes it, which takes d_x x / s from d_y q: their
    roundings belong to the bound.
    """
    if not inside:
        return 0 * d_y, d_y * q
    d_x = step * d_y / step
    return d_x, d_y * q - d_x * (x / step)


def row_backward(
    row: Row,
    d_row: Row,
    step: Any,
    zero_point: int,
    grid: tuple[int, int],
    convention: tuple[str, str] = ("rint", "rounded"),
) -> tuple[Row, Any]:
    """(d_x, d_s) of numbers that share a step; convention = (rounding, mask)."""
    rounding, mask = convention
    limits = grid[0] - zero_point, grid[1] - zero_point
    pairs = []
    for x, d_y in zip(row, d_row, strict=True):
        q = quantize(x, step, zero_point, grid, rounding) - zero_point
        inside = is_inside(x, step, limits, rounding, mask)
        pairs.append(element_gradients(x, d_y, step, q, inside))
    return [pair[0] for pair in pairs], sum(pair[1] for pair in pairs)


def backward(
    rows: list[Row],
    d_rows: list[Row],
    steps: Row,
    zero_point: int,
    grid: tuple[int, int],
    convention: tuple[str, str] = ("rint", "rounded"),
) -> tuple[list[Row], Row]:
    """(d_x, d_s): gradients like the rows, and one number per step."""
    found = [
        row_backward(row, d_row, step, zero_point, grid, convention)
        for row, d_row, step in zip(rows, d_rows, steps, strict=True)
    ]
    return [pair[0] for pair in found], [pair[1] for pair in found]
