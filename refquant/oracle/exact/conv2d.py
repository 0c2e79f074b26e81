"""Scalar twin of conv2d: the direct sum over channels and taps, without patches, methods 4.1.

    y[n][o][p][q] = bias[o] + sum_{c, i, j} w[o][c][i][j] * x[n][group * c_in/g + c][row][column]
    row = p * stride_h + i * dilation_h - top,  column = q * stride_w + j * dilation_w - left

Works on nested lists of any numbers: exact on Fractions and on dyadic floats. Imports the
standard library only; `geometry` is anything with the fields kernel, stride, dilation, padding
(top, left, bottom, right) and groups.

The gradients visit the very same products once more: the term w * x of y adds d_y * x to d_w and
d_y * w to d_x.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

Nested = list[Any]
Index = tuple[int, int, int, int]


def terms(x: Nested, w: Nested, geometry: Any) -> Iterator[tuple[Index, Index, Index]]:
    """The indices (of y, of w, of x) of every product that is not with padding."""
    height, width = len(x[0][0]), len(x[0][0][0])
    (t_h, t_w), (d_h, d_w) = geometry.stride, geometry.dilation
    top, left, _, _ = geometry.padding
    h_o, w_o = output_size(height, width, geometry)
    c_out, c_group, k_h, k_w = len(w), len(w[0]), len(w[0][0]), len(w[0][0][0])
    for n, o, p, q in product(range(len(x)), range(c_out), range(h_o), range(w_o)):
        first = o // (c_out // geometry.groups) * c_group
        for c, i, j in product(range(c_group), range(k_h), range(k_w)):
            row, column = p * t_h + i * d_h - top, q * t_w + j * d_w - left
            if 0 <= row < height and 0 <= column < width:
                yield (n, o, p, q), (o, c, i, j), (n, first + c, row, column)


def output_size(h: int, w: int, geometry: Any) -> tuple[int, int]:
    """How many windows fit along rows and columns."""
    top, left, bottom, right = geometry.padding
    (k_h, k_w), (t_h, t_w), (d_h, d_w) = geometry.kernel, geometry.stride, geometry.dilation
    last_row = h + top + bottom - d_h * (k_h - 1)  # windows start before this padded row
    last_column = w + left + right - d_w * (k_w - 1)
    return len(range(0, last_row, t_h)), len(range(0, last_column, t_w))


def conv2d(x: Nested, w: Nested, bias: Nested | None, geometry: Any) -> Nested:
    """y[n][o][p][q]; the bias is added last."""
    h_o, w_o = output_size(len(x[0][0]), len(x[0][0][0]), geometry)
    y = zeros(len(x), len(w), h_o, w_o)
    for at_y, at_w, at_x in terms(x, w, geometry):
        add(y, at_y, get(w, at_w) * get(x, at_x))
    if bias is not None:
        for n, o, p, q in product(range(len(x)), range(len(w)), range(h_o), range(w_o)):
            add(y, (n, o, p, q), bias[o])
    return y


def conv2d_backward(
    d_y: Nested, x: Nested, w: Nested, geometry: Any
) -> tuple[Nested, Nested, Nested]:
    """(d_x, d_w, d_bias)."""
    d_x = zeros(len(x), len(x[0]), len(x[0][0]), len(x[0][0][0]))
    d_w = zeros(len(w), len(w[0]), len(w[0][0]), len(w[0][0][0]))
    for at_y, at_w, at_x in terms(x, w, geometry):
        add(d_w, at_w, get(d_y, at_y) * get(x, at_x))
        add(d_x, at_x, get(d_y, at_y) * get(w, at_w))
    d_bias = [sum(v for image in d_y for row in image[o] for v in row) for o in range(len(w))]
    return d_x, d_w, d_bias


def zeros(a: int, b: int, c: int, d: int) -> Nested:
    """Nested lists of the integer 0."""
    return [[[[0] * d for _ in range(c)] for _ in range(b)] for _ in range(a)]


def get(a: Nested, at: Index) -> Any:
    """a[i][j][k][m]."""
    i, j, k, m = at
    return a[i][j][k][m]


def add(a: Nested, at: Index, value: Any) -> None:
    """a[i][j][k][m] += value."""
    i, j, k, m = at
    a[i][j][k][m] += value
