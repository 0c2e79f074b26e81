"""The windows a pooling slides over its input: im2col split by channel, padding marked.

    here      shape             meaning
    values    (n, c, k, l)      x seen through window position l, k = k_h * k_w taps in row-major
                                order; 0 where a tap lies in the padding
    inside    (k, l)            bool: the tap lies on the input, not in the padding

Shared by max_pool.py and average_pool.py. Every window must see at least one input element
(`max` and `mean` of nothing do not exist), so a padding as large as the window is refused.

Not modelled: ceil mode (a last, incomplete window as in Caffe or `ceil_mode=1` of ONNX); write
the extra rows as padding at the bottom and at the right instead.
"""

from typing import NamedTuple

import numpy as np

from refquant._checks import check_array, complaint
from refquant._types import Array
from refquant.layers.geometry import Geometry
from refquant.layers.im2col import col2im, im2col


class Windows(NamedTuple):
    """What every window sees."""

    values: Array  # (n, c, k, l)
    inside: Array  # bool, (k, l)


def pooling_windows(function: str, x: Array, geometry: Geometry) -> Windows:
    """Return the windows of `x`, or refuse what cannot be pooled.

    Parameters
    ----------
    function : str
        Name of the caller, for messages.
    x : (n, c, h, w) float32 or float64 array
        Without NaN.
    geometry : Geometry
        With ``groups == 1``: every channel is pooled on its own anyway.

    Returns
    -------
    Windows
        Values and the mask of the taps that are not padding.

    Raises
    ------
    ValueError
        NaN in `x`, groups other than 1, or a window that sees only padding.
    """
    check_array(function, "x", x, ndim=4)
    if np.isnan(x).any():
        raise ValueError(complaint(function, "x", "holding NaN", "numbers", "Remove them first."))
    if geometry.groups != 1:
        got, fix = f"{geometry.groups}", "Pooling treats every channel on its own already."
        raise ValueError(complaint(function, "geometry.groups", got, "1", fix))
    n, c, h, w = x.shape
    inside = im2col(np.ones((1, 1, h, w), dtype=x.dtype), geometry)[0] > 0.0
    if not inside.any(axis=0).all():
        got, fix = f"{geometry.padding}", "Pad less, or use a larger window."
        expected = "a padding that leaves every window an element of the input"
        raise ValueError(complaint(function, "geometry.padding", got, expected, fix))
    return Windows(im2col(x, geometry).reshape(n, c, *inside.shape), inside)


def scatter_windows(
    d_values: Array, x_shape: tuple[int, int, int, int], geometry: Geometry
) -> Array:
    """Return d_x from the gradient of `Windows.values`; what fell on padding is dropped.

    Parameters
    ----------
    d_values : (n, c, k, l) array
        dL/dvalues.
    x_shape : (n, c, h, w)
        Shape of the pooled input.
    geometry : Geometry
        The same as forward.

    Returns
    -------
    (n, c, h, w) array
        dL/dx: an element seen by several windows collects all their shares.
    """
    n, c, taps, positions = d_values.shape
    return col2im(d_values.reshape(n, c * taps, positions), x_shape, geometry)
