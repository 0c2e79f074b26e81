"""Windows over integer maps: patches for the product, maxima and sums for the pools.

Reference: methods 4.1 and 17.1; the order of rows is that of `refquant.layers.im2col`.

    here      shape                         meaning
    q         (n, c, h, w) integers         levels in u-space
    patches   (n, c * k_h * k_w, h_o, w_o)  one column of patches per output pixel, channel-major
                                            in memory
    count     (h_o, w_o)                    what an average pool divides by

What lies outside the map reads `pad`: 0 in u-space, the zero point in code space, and below
every code in a max pool, where padding never wins.

Edge cases: a pooling window that sees only padding is refused, as in `refquant.layers`.
"""

from typing import cast

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from refquant._checks import complaint
from refquant._types import Array
from refquant.layers.geometry import Geometry


def integer_patches(q: Array, geometry: Geometry, pad: int = 0) -> Array:
    """Return the patches of an integer map, as an image with one pixel per window.

    Parameters
    ----------
    q : (n, c, h, w) array of integers
    geometry : Geometry
    pad : int
        Value outside the map; must fit the dtype of `q`.

    Returns
    -------
    (n, c * k_h * k_w, h_o, w_o) array of the dtype of `q`
    """
    n, c, h, w = q.shape
    top, left, _, _ = geometry.padding
    padded = np.full((n, c, *geometry.padded_size(h, w)), pad, dtype=q.dtype)
    padded[:, :, top : top + h, left : left + w] = q
    (t_h, t_w), (d_h, d_w) = geometry.stride, geometry.dilation
    view = sliding_window_view(padded, geometry.span, axis=(2, 3))
    windows = view[:, :, ::t_h, ::t_w, ::d_h, ::d_w]  # (n, c, h_o, w_o, k_h, k_w)
    h_o, w_o = windows.shape[2:4]
    matrix = windows.transpose(1, 4, 5, 0, 2, 3).reshape(c * geometry.taps, n, h_o, w_o)
    return cast(Array, matrix.transpose(1, 0, 2, 3))


def max_pool_integers(q: Array, geometry: Geometry) -> Array:
    """Return the largest level of every window, in the dtype of `q`."""
    _seen(q, geometry)
    return np.asarray(_by_tap(q, geometry, int(np.iinfo(q.dtype).min)).max(axis=2))


def average_pool_sums(q: Array, geometry: Geometry, count_include_pad: bool) -> tuple[Array, Array]:
    """Return the int32 sum of every window, and how many taps its mean divides by.

    Raises
    ------
    ValueError
        If a sum might not fit int32, or a window sees only padding.
    """
    seen = _seen(q, geometry)
    _check_sum(q, geometry.taps)
    count = np.full(seen.shape, geometry.taps) if count_include_pad else seen
    return _by_tap(q, geometry, 0).sum(axis=2, dtype=np.int32), count


def global_sums(q: Array) -> tuple[Array, Array]:
    """Return the int32 sum over all positions as (n, c, 1, 1), and their number as (1, 1)."""
    positions = q.shape[2] * q.shape[3]
    _check_sum(q, positions)
    return q.sum(axis=(2, 3), keepdims=True, dtype=np.int32), np.full((1, 1), positions)


def _by_tap(q: Array, geometry: Geometry, pad: int) -> Array:
    """The windows as (n, c, taps, h_o, w_o)."""
    patches = integer_patches(q, geometry, pad)
    return patches.reshape(len(q), q.shape[1], geometry.taps, *patches.shape[2:])


def _seen(q: Array, geometry: Geometry) -> Array:
    """How many taps of each window lie on the map, (h_o, w_o); none at all is refused."""
    ones = np.ones((1, 1, *q.shape[2:]), dtype=np.int32)
    seen = integer_patches(ones, geometry)[0].sum(axis=0)
    if not seen.all():
        expected = "a padding that leaves every window an element of the input"
        raise ValueError(complaint("pool", "geometry.padding", geometry.padding, expected))
    return np.asarray(seen)


def _check_sum(q: Array, terms: int) -> None:
    largest = int(np.abs(q).max()) if q.size else 0
    if terms * largest >= 2**31:
        got = f"of {terms} levels up to {largest}"
        fix = "Use fewer bits or a smaller window."
        raise ValueError(complaint("pool", "the window", got, "a sum below 2^31", fix))
