"""ReLU6: values are clipped to [0, 6].

    paper    here   shape      meaning
    x        x      any        input
    y        y      like x     min(max(x, 0), 6)
    --       mask   like x     0 < x < 6, where the gradient passes

Howard et al., "MobileNets", 2017, arXiv:1704.04861; methods.md 4.3.
Kinks: at x = 0 and at x = 6 the gradient is 0 (the mask is strict on both sides).
Edge cases: both zeros give +0; NaN stays NaN and gets gradient 0; +inf gives 6.
Differs from: the clip masks of refquant's quantizers, which are inclusive.
"""

from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_shape
from refquant._types import Array

CEILING = 6.0


class Relu6Cache(NamedTuple):
    """What `relu6_forward` leaves for `relu6_backward`."""

    mask: Array  # bool, 0 < x < 6


def relu6_forward(x: Array) -> tuple[Array, Relu6Cache]:
    """Return x clipped to [0, 6].

    Parameters
    ----------
    x : float32 or float64 array
        Any shape.

    Returns
    -------
    y : array
        Shape and dtype of `x`.
    cache : Relu6Cache
        For `relu6_backward`.
    """
    check_array("relu6_forward", "x", x)
    zero, ceiling = x.dtype.type(0.0), x.dtype.type(CEILING)
    y = nx.masked(np.where(x >= ceiling, ceiling, x), ~(x <= zero))
    return y, Relu6Cache((x > zero) & (x < ceiling))


def relu6_backward(d_y: Array, cache: Relu6Cache) -> Array:
    """Return d_x: `d_y` where 0 < x < 6, else 0.

    Parameters
    ----------
    d_y : array
        dL/dy, shape of x.
    cache : Relu6Cache
        From `relu6_forward`.

    Returns
    -------
    array
        dL/dx.
    """
    name = "relu6_backward"
    check_shape(name, "d_y", check_array(name, "d_y", d_y), cache.mask.shape)
    return nx.masked(d_y, cache.mask)
