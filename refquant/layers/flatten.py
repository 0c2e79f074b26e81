"""Flatten: every sample becomes one row of features, in row-major order.

    here   shape               meaning
    x      (n, ...)            input, any number of axes from one on
    y      (n, features)       row-major: channel, row, column

methods.md 4.3. No arithmetic, no kink. The result is a view of x where NumPy can make one;
nothing in refquant writes into an array it was given.
"""

from math import prod
from typing import NamedTuple

from refquant._checks import check_array, check_shape, complaint
from refquant._types import Array


class FlattenCache(NamedTuple):
    """What `flatten_forward` leaves for `flatten_backward`."""

    x_shape: tuple[int, ...]


def flatten_forward(x: Array) -> tuple[Array, FlattenCache]:
    """Return x as (n, features).

    Parameters
    ----------
    x : float32 or float64 array
        Shape (n, ...); one axis alone counts as one feature a sample.

    Returns
    -------
    y : (n, features) array
        Dtype of `x`.
    cache : FlattenCache
        For `flatten_backward`.

    Raises
    ------
    ValueError
        If `x` has no axes.
    """
    check_array("flatten_forward", "x", x)
    if x.ndim == 0:
        raise ValueError(complaint("flatten_forward", "x", "a single number", "shape (n, ...)"))
    return x.reshape(x.shape[0], prod(x.shape[1:])), FlattenCache(x.shape)


def flatten_backward(d_y: Array, cache: FlattenCache) -> Array:
    """Return d_x: `d_y` in the shape of x.

    Parameters
    ----------
    d_y : (n, features) array
        dL/dy.
    cache : FlattenCache
        From `flatten_forward`.

    Returns
    -------
    array
        dL/dx.
    """
    name, shape = "flatten_backward", cache.x_shape
    check_shape(name, "d_y", check_array(name, "d_y", d_y), (shape[0], prod(shape[1:])))
    return d_y.reshape(shape)
