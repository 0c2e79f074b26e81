"""Global average pooling: the mean of every channel over all positions.

    here   shape           meaning
    x      (n, c, h, w)    input
    y      (n, c, 1, 1)    sum over h and w / (h * w)

Lin, Chen, Yan, "Network in network", 2014, arXiv:1312.4400; methods.md 4.3. Linear, so no kink.
Edge cases: an input without positions (h * w = 0) is refused; NaN makes its channel NaN.
"""

from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_shape, complaint
from refquant._types import Array


class GlobalAveragePoolCache(NamedTuple):
    """What `global_average_pool_forward` leaves for `global_average_pool_backward`."""

    x_shape: tuple[int, ...]


def global_average_pool_forward(x: Array) -> tuple[Array, GlobalAveragePoolCache]:
    """Return the mean over h and w.

    Parameters
    ----------
    x : (n, c, h, w) float32 or float64 array
        At least one position.

    Returns
    -------
    y : (n, c, 1, 1) array
        Dtype of `x`.
    cache : GlobalAveragePoolCache
        For `global_average_pool_backward`.

    Raises
    ------
    ValueError
        If h or w is 0.
    """
    n, c, h, w = check_array("global_average_pool_forward", "x", x, ndim=4).shape
    if h * w == 0:
        got = f"of shape {x.shape}"
        raise ValueError(complaint("global_average_pool_forward", "x", got, "h and w above 0"))
    y = nx.sum(x.reshape(n, c, h * w), axis=2) / (h * w)
    return y.reshape(n, c, 1, 1), GlobalAveragePoolCache(x.shape)


def global_average_pool_backward(d_y: Array, cache: GlobalAveragePoolCache) -> Array:
    """Return d_x: `d_y` / (h * w) at every position.

    Parameters
    ----------
    d_y : (n, c, 1, 1) array
        dL/dy.
    cache : GlobalAveragePoolCache
        From `global_average_pool_forward`.

    Returns
    -------
    (n, c, h, w) array
        dL/dx.
    """
    name = "global_average_pool_backward"
    n, c, h, w = cache.x_shape
    check_shape(name, "d_y", check_array(name, "d_y", d_y), (n, c, 1, 1))
    return np.broadcast_to(d_y / (h * w), cache.x_shape).copy()
