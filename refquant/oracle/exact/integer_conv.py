"""Scalar twin of the integer convolution: the direct sum over channels and taps, methods 17.2.

    acc[n][o][p][q] = sum_{c, i, j} w[o][c][i][j] * (x[n][first + c][row][column] - z)

with row = p * stride_h + i * dilation_h - top and likewise the column; a tap outside the map reads
the code z, so it adds nothing and is skipped. Works on nested lists of integers. Imports the
standard library only; `geometry` is anything with the fields kernel, stride, dilation, padding
(top, left, bottom, right) and groups.
"""

from itertools import product
from typing import Any

Nested = list[Any]


def integer_conv(x: Nested, w: Nested, zero_point: int, geometry: Any) -> Nested:
    """acc[n][o][p][q] of codes x[n][c][h][w] and levels w[o][c][i][j]."""
    return [
        [_plane(image, filters, o, zero_point, geometry, len(w)) for o, filters in enumerate(w)]
        for image in x
    ]


def integer_linear(x: Nested, w: Nested, zero_point: int) -> Nested:
    """acc[n][o] of codes x[n][j] and levels w[o][j]."""
    return [
        [sum(w_j * (x_j - zero_point) for w_j, x_j in zip(row, sample, strict=True)) for row in w]
        for sample in x
    ]


def bound(filters: Nested, largest: int) -> int:
    """sum |w| * max |x - z| of one output channel: what no partial sum can exceed."""
    if isinstance(filters, list):
        return sum(bound(part, largest) for part in filters)
    return abs(filters) * largest


def _plane(image: Nested, filters: Nested, o: int, z: int, geometry: Any, c_out: int) -> Nested:
    """All positions of one output channel of one image."""
    (t_h, t_w), (k_h, k_w), (d_h, d_w) = geometry.stride, geometry.kernel, geometry.dilation
    top, left, bottom, right = geometry.padding
    h, w = len(image[0]), len(image[0][0])
    rows = range(-top, h + bottom - d_h * (k_h - 1), t_h)
    columns = range(-left, w + right - d_w * (k_w - 1), t_w)
    first = o // (c_out // geometry.groups) * len(filters)
    plane = []
    for row in rows:
        line = []
        for column in columns:
            acc = 0
            for c, i, j in product(range(len(filters)), range(k_h), range(k_w)):
                r, s = row + i * d_h, column + j * d_w
                if 0 <= r < h and 0 <= s < w:
                    acc += filters[c][i][j] * (image[first + c][r][s] - z)
            line.append(acc)
        plane.append(line)
    return plane
