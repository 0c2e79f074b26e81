"""Concat: arrays joined along the channel axis.

    here    shape                meaning
    xs      (n, c_i, ...)        inputs, equal everywhere but on axis 1
    y       (n, sum c_i, ...)    the channels of xs[0], then those of xs[1], ...

Backward cuts the gradient at the same channels. No arithmetic, no kink. Dtypes are never mixed.
The axis is always 1; an input may have zero channels.
"""

from itertools import accumulate
from typing import NamedTuple

import numpy as np

from refquant._checks import check_array, check_dtype, check_shape, complaint
from refquant._types import Array


class ConcatCache(NamedTuple):
    """What `concat_forward` leaves for `concat_backward`."""

    channels: tuple[int, ...]  # c_i of every input
    shape: tuple[int, ...]  # of y


def concat_forward(*xs: Array) -> tuple[Array, ConcatCache]:
    """Return the inputs joined along axis 1.

    Parameters
    ----------
    *xs : float32 or float64 arrays
        One or more of shape (n, c_i, ...), equal in dtype and off axis 1.

    Returns
    -------
    y : (n, sum c_i, ...) array
        The joined channels.
    cache : ConcatCache
        For `concat_backward`.

    Raises
    ------
    ValueError
        No input, an input without axis 1, or shapes unequal off axis 1.
    TypeError
        Unequal dtypes.
    """
    name = "concat_forward"
    if not xs:
        raise ValueError(complaint(name, "xs", "0 arrays", "one or more"))
    for i, x in enumerate(xs):
        check_array(name, f"xs[{i}]", x)
        if x.ndim < 2:
            raise ValueError(complaint(name, f"xs[{i}]", f"of shape {x.shape}", "(n, c, ...)"))
        check_shape(name, f"xs[{i}]", x, (xs[0].shape[0], x.shape[1], *xs[0].shape[2:]))
        check_dtype(name, f"xs[{i}]", x, xs[0].dtype)
    y = np.concatenate(xs, axis=1)
    return y, ConcatCache(tuple(x.shape[1] for x in xs), y.shape)


def concat_backward(d_y: Array, cache: ConcatCache) -> tuple[Array, ...]:
    """Return the part of `d_y` that belongs to each input.

    Parameters
    ----------
    d_y : (n, sum c_i, ...) array
        dL/dy.
    cache : ConcatCache
        From `concat_forward`.

    Returns
    -------
    tuple of (n, c_i, ...) arrays
        dL/dx of every input: views of `d_y`.
    """
    name = "concat_backward"
    check_shape(name, "d_y", check_array(name, "d_y", d_y), cache.shape)
    ends = accumulate(cache.channels)
    return tuple(d_y[:, end - c : end] for c, end in zip(cache.channels, ends, strict=True))
