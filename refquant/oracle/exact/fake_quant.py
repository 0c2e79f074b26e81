"""Scalar twin of uniform quantisation: one number at a time, exact on Fractions.

Written from methods 1.2, 1.3 and 2.1. x and the step are both floats or both Fractions; the
quotient x / step is then the float or the exact one, and everything after it is exact up to
the final product. A grid is three integers here: code_min, code_max, zero_point. Imports the
standard library only.
"""

import math
from fractions import Fraction
from typing import Any


def round_level(u: Any, rounding: str) -> int:
    """One finite number to the integer named by the table of methods 1.1."""
    v, half = Fraction(u), Fraction(1, 2)
    if rounding == "floor":
        return math.floor(v)
    if rounding == "ceil":
        return math.ceil(v)
    if rounding == "half_up":
        return math.floor(v + half)
    if rounding == "half_down":
        return math.ceil(v - half)
    if rounding == "half_away":
        return math.floor(v + half) if v > 0 else math.ceil(v - half)
    return round(v)  # half to even, by the definition of Fraction.__round__


def quantize(
    x: Any, step: Any, zero_point: int, code_min: int, code_max: int, rounding: str = "rint"
) -> int:
    """The code of x: NaN takes the zero point, anything too large an end of the range."""
    u = x / step
    if u != u:
        return zero_point
    if u <= code_min - zero_point - 1:
        return code_min
    if u >= code_max - zero_point + 1:
        return code_max
    return min(code_max, max(code_min, round_level(u, rounding) + zero_point))


def dequantize(code: int, step: Any, zero_point: int) -> Any:
    """step * (code - zero_point)."""
    return step * (code - zero_point)


def is_inside(
    x: Any, step: Any, n: int, p: int, rounding: str = "rint", mask: str = "rounded"
) -> bool:
    """The clip mask of methods 1.3, for the level limits n and p of u-space."""
    u = x / step
    if u != u or abs(u) == math.inf:
        return False
    return n <= (round_level(u, rounding) if mask == "rounded" else u) <= p


def forward(
    rows: list[list[Any]],
    steps: list[Any],
    zero_point: int,
    grid: tuple[int, int],
    rounding: str = "rint",
) -> tuple[list[list[Any]], list[list[int]]]:
    """(y, codes) of rows of numbers, each row with its own step; grid = (code_min, code_max)."""
    codes = [
        [quantize(x, step, zero_point, *grid, rounding) for x in row]
        for row, step in zip(rows, steps, strict=True)
    ]
    values = [
        [dequantize(code, step, zero_point) for code in row]
        for row, step in zip(codes, steps, strict=True)
    ]
    return values, codes


def element_gradients(x: Any, d_y: Any, step: Any, q: int, inside: bool) -> tuple[Any, Any]:
    """(d_x, the element's share of d_s) from d_y, the clipped level q and the mask."""
    if not inside:
        return 0 * d_y, d_y * q
    return d_y, d_y * (q - x / step)


def backward(
    rows: list[list[Any]],
    d_rows: list[list[Any]],
    steps: list[Any],
    zero_point: int,
    grid: tuple[int, int],
    convention: tuple[str, str] = ("rint", "rounded"),
) -> tuple[list[list[Any]], list[Any]]:
    """(d_x, d_s): gradients like the rows, and one number per step; convention = rounding, mask."""
    rounding, mask = convention
    n, p = grid[0] - zero_point, grid[1] - zero_point
    d_x: list[list[Any]] = []
    d_s: list[Any] = []
    for row, d_row, step in zip(rows, d_rows, steps, strict=True):
        pairs = []
        for x, d_y in zip(row, d_row, strict=True):
            q = quantize(x, step, zero_point, *grid, rounding) - zero_point
            inside = is_inside(x, step, n, p, rounding, mask)
            pairs.append(element_gradients(x, d_y, step, q, inside))
        d_x.append([pair[0] for pair in pairs])
        d_s.append(sum(pair[1] for pair in pairs))
    return d_x, d_s
