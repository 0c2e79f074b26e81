"""Scalar twin of im2col and col2im: one entry at a time, methods 4.1.

Row c * k_h * k_w + i * k_w + j of the patches of an image, column p * w_o + q, is the entry of
channel c under tap (i, j) of window (p, q). Works on nested lists of any numbers. Imports the
standard library only; `geometry` is anything with the fields kernel, stride, dilation and
padding (top, left, bottom, right).

Edge case: entries outside the map are the integer 0, and receive nothing from col2im.
"""

from itertools import product
from typing import Any

Nested = list[Any]


def starts(size: int, before: int, after: int, k: int, stride: int, dilation: int) -> list[int]:
    """First position of every window along one axis, in the coordinates of the map.

    The first window starts on the first padded position; the last one still fits.
    """
    found = []
    start = -before
    while start + dilation * (k - 1) <= size + after - 1:
        found.append(start)
        start += stride
    return found


def taps(h: int, w: int, geometry: Any) -> list[list[tuple[int, int]]]:
    """For every window, row-major, the (row, column) of every tap, row-major."""
    (k_h, k_w), (t_h, t_w), (d_h, d_w) = geometry.kernel, geometry.stride, geometry.dilation
    top, left, bottom, right = geometry.padding
    rows = starts(h, top, bottom, k_h, t_h, d_h)
    columns = starts(w, left, right, k_w, t_w, d_w)
    return [
        [(row + i * d_h, column + j * d_w) for i, j in product(range(k_h), range(k_w))]
        for row, column in product(rows, columns)
    ]


def im2col(x: Nested, geometry: Any) -> Nested:
    """Patches of x[n][c][h][w] as cols[n][c * k_h * k_w + tap][window]."""
    result = []
    for image in x:
        h, w = len(image[0]), len(image[0][0])
        windows = taps(h, w, geometry)
        rows = []
        for channel in image:
            for tap in range(len(windows[0])):
                places = [window[tap] for window in windows]
                rows.append([channel[r][s] if 0 <= r < h and 0 <= s < w else 0 for r, s in places])
        result.append(rows)
    return result


def col2im(cols: Nested, x_shape: tuple[int, ...], geometry: Any) -> Nested:
    """Sum over all windows and taps of cols, at the place where im2col reads them."""
    n, c, h, w = x_shape
    x: Nested = [[[[0] * w for _ in range(h)] for _ in range(c)] for _ in range(n)]
    windows = taps(h, w, geometry)
    for image, channel in product(range(n), range(c)):
        for number, window in enumerate(windows):
            for tap, (row, column) in enumerate(window):
                if 0 <= row < h and 0 <= column < w:
                    value = cols[image][channel * len(window) + tap][number]
                    x[image][channel][row][column] += value
    return x
