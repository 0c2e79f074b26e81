"""Poolings in plain NumPy."""

import math
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.layers.plain_windows import (
    WINDOWS,
    Places,
    gather,
    places,
    scatter,
)
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain


def _places(x: Array, attrs: Attrs, part: Any) -> Places:
    return places(x.shape[2:], attrs["kernel"], attrs, part)


def _max_pool(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    x = inputs["x"]
    return {"y": gather(x, _places(x, attrs, part), part.outside).max(axis=(4, 5))}


def maxima(values: Array, inside: Array) -> Array:
    """Where a window has its maximum; a tap off the map never, even if all others are -inf."""
    return np.asarray((values == values.max(axis=(4, 5), keepdims=True)) & inside)


def first(chosen: Array) -> Array:
    """1 at the first chosen tap of every window, in row-major order, 0 elsewhere."""
    flat = chosen.reshape(*chosen.shape[:4], -1)
    at = flat.argmax(axis=4)[..., None]
    return np.asarray(at == np.arange(flat.shape[4])).reshape(chosen.shape)


def _max_pool_backward(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    x, d_y = inputs["x"], inputs["d_y"]
    at = _places(x, attrs, part)
    weight = part.winners(part.maxima(gather(x, at, part.outside), at.inside)).astype(x.dtype)
    received = np.where(weight > 0, weight * d_y[..., None, None], x.dtype.type(0))
    return {"d_x": part.scatter(received, x.shape, at)}


def divisor(inside: Array, count_include_pad: bool) -> Array:
    """(h_o, w_o): all taps, or only those on the map."""
    return np.asarray((inside | count_include_pad).sum(axis=(2, 3)))


def _average_pool(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    x = inputs["x"]
    at = _places(x, attrs, part)
    divided_by = part.divisor(at.inside, attrs["count_include_pad"]).astype(x.dtype)
    return {"y": part.total(gather(x, at)) / divided_by}


def _average_pool_backward(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    x, d_y = inputs["x"], inputs["d_y"]
    at = _places(x, attrs, part)
    share = d_y / part.divisor(at.inside, attrs["count_include_pad"]).astype(x.dtype)
    spread = np.broadcast_to(share[..., None, None], (*d_y.shape, *attrs["kernel"]))
    return {"d_x": part.scatter(spread, x.shape, at)}


def size(x: Array) -> int:
    """Positions of a map."""
    return math.prod(x.shape[2:])


def _global_average_pool(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    x = inputs["x"]
    return {"y": part.total(x) / x.dtype.type(part.size(x))}


def _global_average_pool_backward(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    x, d_y = inputs["x"], inputs["d_y"]
    return {"d_x": np.zeros_like(x) + d_y / x.dtype.type(part.size(x))}


MAX_POOL = Plain(_max_pool, {**WINDOWS, "outside": -np.inf})
MAX_POOL_BACKWARD = Plain(
    _max_pool_backward,
    {**WINDOWS, "outside": -np.inf, "maxima": maxima, "winners": first, "scatter": scatter},
)
AVERAGE_POOL = Plain(
    _average_pool, {**WINDOWS, "divisor": divisor, "total": lambda taps: taps.sum(axis=(4, 5))}
)
AVERAGE_POOL_BACKWARD = Plain(
    _average_pool_backward, {**WINDOWS, "divisor": divisor, "scatter": scatter}
)
GLOBAL_AVERAGE_POOL = Plain(
    _global_average_pool, {"total": lambda x: x.sum(axis=(2, 3), keepdims=True), "size": size}
)
GLOBAL_AVERAGE_POOL_BACKWARD = Plain(_global_average_pool_backward, {"size": size})
