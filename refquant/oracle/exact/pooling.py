"""Scalar twins of max_pool, average_pool and global_average_pool, forward and backward.

Written from methods.md 4.1 (the output size) and 4.3, in loops over indices. Maps are nested
lists [n][c][row][column] of floats or Fractions; everything is exact for Fractions. Output
position (p, q) looks at input position (p * stride + a * dilation - before) for every tap a, in
row-major order of the taps; positions off the input are padding: they never win a maximum.
Imports the standard library only.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from refquant.oracle.exact.choices import either


class Window(NamedTuple):
    """What slides over the map; every pair is (rows, columns)."""

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)  # top, left, bottom, right

    def output_size(self, h: int, w: int) -> tuple[int, int]:
        """Return (size + both paddings - dilation * (kernel - 1) - 1) // stride + 1, per axis."""
        top, left, bottom, right = self.padding
        sizes = []
        for axis, padded in ((0, h + top + bottom), (1, w + left + right)):
            reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1
            sizes.append((padded - reach) // self.stride[axis] + 1)
        return sizes[0], sizes[1]

    def seen(self, p: int, q: int, h: int, w: int) -> Iterator[tuple[int, int]]:
        """Yield the input positions that output (p, q) sees, without padding, row-major."""
        for a in range(self.kernel[0]):
            for b in range(self.kernel[1]):
                row = p * self.stride[0] + a * self.dilation[0] - self.padding[0]
                column = q * self.stride[1] + b * self.dilation[1] - self.padding[1]
                if 0 <= row < h and 0 <= column < w:
                    yield row, column


def _each_plane(function: Any, *maps: Any) -> Any:
    """Apply a function of planes [row][column] to every sample and channel."""
    return [
        [function(*planes) for planes in zip(*samples, strict=True)]
        for samples in zip(*maps, strict=True)
    ]


def _outputs(plane: Any, window: Window) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """Yield every output position of a plane with the input positions that it sees."""
    h, w = len(plane), len(plane[0])
    rows, columns = window.output_size(h, w)
    for p in range(rows):
        for q in range(columns):
            yield p, q, list(window.seen(p, q, h, w))


def _empty(plane: Any, window: Window) -> list[list[Any]]:
    rows, columns = window.output_size(len(plane), len(plane[0]))
    return [[0] * columns for _ in range(rows)]


def _first_maximum(plane: Any, positions: list[tuple[int, int]]) -> tuple[int, int]:
    row, column = positions[0]
    for i, j in positions[1:]:
        if plane[i][j] > plane[row][column]:
            row, column = i, j
    return row, column


def max_pool(x: Any, window: Window) -> Any:
    """Return the largest value that every window sees."""

    def pool(plane: Any) -> Any:
        """The largest value under every window of a plane."""
        y = _empty(plane, window)
        for p, q, positions in _outputs(plane, window):
            i, j = _first_maximum(plane, positions)
            y[p][q] = plane[i][j]
        return y

    return _each_plane(pool, x)


def max_pool_backward(d_y: Any, x: Any, window: Window) -> Any:
    """Return dL/dx: every output's gradient goes to the first maximum of its window."""

    def spread(d_plane: Any, plane: Any) -> Any:
        """The gradient at the first maximum of every window."""
        d_x: list[list[Any]] = [[0] * len(row) for row in plane]
        for p, q, positions in _outputs(plane, window):
            i, j = _first_maximum(plane, positions)
            d_x[i][j] += d_plane[p][q]
        return d_x

    return _each_plane(spread, d_y, x)


def _count(positions: list[tuple[int, int]], window: Window, count_include_pad: bool) -> int:
    return window.kernel[0] * window.kernel[1] if count_include_pad else len(positions)


def mean(values: list[Any], count: int) -> Any:
    """The sum over `count`; or the sum of shares, as by a convolution with weights 1 / count."""
    return either(sum(values) / count, sum(v / count for v in values))


def average_pool(x: Any, window: Window, count_include_pad: bool) -> Any:
    """Return the sum of what every window sees, divided by the count of its taps."""

    def pool(plane: Any) -> Any:
        """The mean under every window of a plane."""
        y = _empty(plane, window)
        for p, q, positions in _outputs(plane, window):
            count = _count(positions, window, count_include_pad)
            y[p][q] = mean([plane[i][j] for i, j in positions], count)
        return y

    return _each_plane(pool, x)


def average_pool_backward(d_y: Any, x: Any, window: Window, count_include_pad: bool) -> Any:
    """Return dL/dx: every output's gradient is divided by its count and added to what it saw."""

    def spread(d_plane: Any, plane: Any) -> Any:
        """An equal share of the gradient at every tap."""
        d_x: list[list[Any]] = [[0] * len(row) for row in plane]
        for p, q, positions in _outputs(plane, window):
            share = d_plane[p][q] / _count(positions, window, count_include_pad)
            for i, j in positions:
                d_x[i][j] += share
        return d_x

    return _each_plane(spread, d_y, x)


def global_average_pool(x: Any) -> Any:
    """Return the mean of every plane, as maps of one position."""

    def pool(plane: Any) -> Any:
        """The mean of a plane."""
        values = [v for row in plane for v in row]
        return [[mean(values, len(values))]]

    return _each_plane(pool, x)


def global_average_pool_backward(d_y: Any, x: Any) -> Any:
    """Return dL/dx: the gradient of the mean divided by the positions, at each of them."""

    def spread(d_plane: Any, plane: Any) -> Any:
        """An equal share of the gradient at every position."""
        size = len(plane) * len(plane[0])
        return [[d_plane[0][0] / size for _ in row] for row in plane]

    return _each_plane(spread, d_y, x)
