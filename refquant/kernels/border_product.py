"""AQuant's quantizer between the patches of a map and the filters that multiply them.

Definitions: `refquant.layers.im2col`, `refquant.quantizers.aquant`, `refquant.layers.product`, one
after the other. With t the levels of u = x / s, the product is

    y = W (s t) = (s W) t       u = im2col(x / s) = im2col(x) / s

so that a pixel is divided once and not in every patch, and no level is multiplied. The gradients of
s W and t, which a step needs anyway, hold the others:

    d_W = s d_(s W)       sum d_t t = sum (s W) d_(s W)       d_x = col2im(d_u) / s

    paper       here       shape
    x           x          (n, c, h, w)                     the map
    W           w          (c_out, c / g, k_h, k_w)         filter, soft or hard
    s W         filters    (g, c_out / g, c k_h k_w / g)
    t           levels     (c k_h k_w, n h_o w_o)           in caches

In the definition s t is rounded, here s W: y differs by that much. The levels are those of
`refquant.kernels.border_levels`.
"""

from typing import NamedTuple

import numpy as np

from refquant._types import Array
from refquant.kernels.border import BorderGrads
from refquant.kernels.border_levels import (
    BorderCache,
    as_map,
    as_rows,
    levels_backward,
    levels_forward,
)
from refquant.kernels.border_rule import BorderRule, ends_of
from refquant.kernels.unfold import unfold
from refquant.layers.geometry import Geometry
from refquant.layers.im2col import col2im


class RoundedProductCache(NamedTuple):
    """What `convolve` leaves for `pull`."""

    x_shape: tuple[int, ...]
    geometry: Geometry
    rule: BorderRule
    filters: Array
    levels: BorderCache


def convolve(
    x: Array, w: Array, geometry: Geometry, rule: BorderRule
) -> tuple[Array, RoundedProductCache] | None:
    """Return the convolution of the rounded patches without bias, and a cache.

    None is returned where `levels_forward` returns it.
    """
    with np.errstate(over="ignore"):  # what is not finite is found there
        u = np.divide(x, rule.step)
    found = levels_forward(unfold(u, geometry), rule, ends_of(u))
    if found is None:
        return None
    cache, groups, size = found[1], geometry.groups, geometry.output_size(*x.shape[2:])
    filters = np.multiply(w, rule.step).reshape(groups, len(w) // groups, -1)
    y = np.matmul(filters, _by_group(cache.levels, groups))
    shape = (len(x), len(w), *size)
    return as_map(y, shape), RoundedProductCache(x.shape, geometry, rule, filters, cache)


def pull(d_y: Array, cache: RoundedProductCache, wanted: bool) -> tuple[BorderGrads, Array]:
    """Return the gradients of x (if it is wanted), step and border, and dL/dw."""
    x_shape, geometry, rule, filters, levels = cache
    by_group = _by_group(as_rows(d_y), geometry.groups)
    d_filters = np.matmul(by_group, _by_group(levels.levels, geometry.groups).mT)
    d_t = np.matmul(filters.mT, by_group).reshape(levels.levels.shape)
    columns = (x_shape[0], len(d_t), d_t.shape[1] // x_shape[0])
    d_u, moment, params = levels_backward(as_map(d_t, columns), levels, rule, wanted)
    d_s = (float(np.vdot(filters, d_filters)) - moment) / rule.step
    d_x = None if d_u is None else col2im(d_u, x_shape, geometry) / rule.step
    channels = x_shape[1] // geometry.groups
    d_w = np.multiply(d_filters, rule.step).reshape(-1, channels, *geometry.kernel)
    return BorderGrads(d_x, d_s, params), d_w


def _by_group(rows: Array, groups: int) -> Array:
    """Return (c, t) as (g, c / g, t)."""
    return rows.reshape(groups, len(rows) // groups, rows.shape[1])
