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
    s W         filters    as w
    t           levels     (n, c k_h k_w, h_o w_o)

In the definition s t is rounded, here s W: y differs by that much. The levels are those of
`refquant.kernels.border_levels`.
"""

from typing import NamedTuple

import numpy as np

from refquant._types import Array
from refquant.kernels.border import BorderGrads
from refquant.kernels.border_levels import BorderCache, levels_backward, levels_forward
from refquant.kernels.border_rule import BorderRule
from refquant.kernels.unfold import unfold
from refquant.layers.geometry import Geometry
from refquant.layers.im2col import col2im
from refquant.layers.product import (
    ProductCache,
    product_forward,
    product_pull_cols,
    product_pull_w,
)


class RoundedProductCache(NamedTuple):
    """What `convolve` leaves for `pull`."""

    x_shape: tuple[int, ...]
    geometry: Geometry
    rule: BorderRule
    levels: BorderCache
    product: ProductCache


def convolve(
    x: Array, w: Array, geometry: Geometry, rule: BorderRule
) -> tuple[Array, RoundedProductCache] | None:
    """Return the convolution of the rounded patches without bias, and a cache.

    None is returned where `levels_forward` returns it.
    """
    with np.errstate(over="ignore"):  # what is not finite is found there
        found = levels_forward(unfold(np.divide(x, rule.step), geometry), rule)
    if found is None:
        return None
    levels, cache = found
    filters = np.multiply(w, rule.step)
    y, product = product_forward(levels, filters, geometry.groups)
    size = geometry.output_size(*x.shape[2:])
    return y.reshape(*y.shape[:2], *size), RoundedProductCache(
        x.shape, geometry, rule, cache, product
    )


def pull(d_y: Array, cache: RoundedProductCache, wanted: bool) -> tuple[BorderGrads, Array]:
    """Return the gradients of x (if it is wanted), step and border, and dL/dw."""
    rule, flat = cache.rule, d_y.reshape(*d_y.shape[:2], -1)
    d_filters = product_pull_w(flat, cache.product)
    d_t = product_pull_cols(flat, cache.product)
    d_u, moment, params = levels_backward(d_t, cache.levels, rule, wanted)
    d_s = (float(np.vdot(cache.product.w, d_filters)) - moment) / rule.step
    d_x = None if d_u is None else col2im(d_u, cache.x_shape, cache.geometry) / rule.step
    return BorderGrads(d_x, d_s, params), np.multiply(d_filters, rule.step)
