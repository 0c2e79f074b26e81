"""The product of a filter with a matrix of patches: the linear heart of every linear node.

y[n, o, l] = sum_r w[o, r] * cols[n, group(o) * R + r, l],  R = (c_in / g) * k_h * k_w: block-
diagonal over the groups. methods.md 4.1:

    paper   here     shape              meaning
    Xc      cols     (n, g * R, l)      patches, from `refquant.layers.im2col`
    Wm      w        (c_out, R)         filter, given flattened or as (c_out, c_in/g, k_h, k_w)
    Y       y        (n, c_out, l)      Y[n] = Wm @ Xc[n]
    GWm     d_w      as w               sum_n GY[n] @ Xc[n].T
    GXc     d_cols   as cols            Wm.T @ GY[n]

All images are one matrix of n * l columns, so there is one matrix product per group and the sum
over the batch in d_w happens inside it. Depthwise is g = c_in; dense is g = 1.

Edge cases: an empty batch gives an empty y. NaN and infinity follow `numerics.matmul`.
"""

from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_dtype, check_int, check_operand, complaint
from refquant._types import Array


class ProductCache(NamedTuple):
    """What `product_forward` leaves for `product_backward`: its arguments."""

    cols: Array
    w: Array
    groups: int


class ProductGrads(NamedTuple):
    """dL/d cols and dL/d w, shaped like cols and w."""

    cols: Array
    w: Array


def product_forward(cols: Array, w: Array, groups: int = 1) -> tuple[Array, ProductCache]:
    """Multiply every column of patches by the filter of its group, methods.md 4.1.

    Parameters
    ----------
    cols : (n, features, l) array, float32 or float64
    w : (c_out, features / groups) or (c_out, c_in / groups, k_h, k_w) array of the same dtype
    groups : int
        Divides features and c_out.

    Returns
    -------
    y : (n, c_out, l) array, C-contiguous, of the dtype of cols
    cache : ProductCache

    Raises
    ------
    TypeError, ValueError
        If the shapes, the dtypes or the groups do not fit.
    """
    _check("product_forward", cols, w, groups)
    n, _, blocks = cols.shape
    y = nx.matmul(_filters(w, groups), _by_group(cols, groups))
    return _by_image(y, n, blocks), ProductCache(cols, w, groups)


def product_backward(d_y: Array, cache: ProductCache) -> ProductGrads:
    """GXc[n] = Wm.T @ GY[n] and GWm = sum_n GY[n] @ Xc[n].T, methods.md 4.1.

    Parameters
    ----------
    d_y : (n, c_out, l) array
    cache : ProductCache

    Returns
    -------
    ProductGrads
        `.cols` channel-major in memory, as `im2col` makes it.
    """
    return ProductGrads(product_pull_cols(d_y, cache), product_pull_w(d_y, cache))


def product_pull_cols(d_y: Array, cache: ProductCache) -> Array:
    """GXc[n] = Wm.T @ GY[n] alone; as `product_backward`."""
    cols, w, groups = cache
    n, features, blocks = cols.shape
    check_operand("product_backward", "d_y", d_y, (n, w.shape[0], blocks), cols.dtype)
    d_cols = nx.matmul(_filters(w, groups).swapaxes(1, 2), _by_group(d_y, groups))
    return d_cols.reshape(features, n, blocks).swapaxes(0, 1)


def product_pull_w(d_y: Array, cache: ProductCache) -> Array:
    """GWm = sum_n GY[n] @ Xc[n].T alone; as `product_backward`."""
    cols, w, groups = cache
    check_operand("product_backward", "d_y", d_y, (len(cols), len(w), cols.shape[2]), cols.dtype)
    d_w = nx.matmul(_by_group(d_y, groups), _by_group(cols, groups).swapaxes(1, 2))
    return d_w.reshape(w.shape)


def _filters(w: Array, groups: int) -> Array:
    """w as (g, c_out / g, R)."""
    return w.reshape(groups, w.shape[0] // groups, int(np.prod(w.shape[1:])))


def _by_group(a: Array, groups: int) -> Array:
    """(n, c, l) as (g, c / g, n * l); no copy if a is channel-major in memory."""
    n, c, blocks = a.shape
    return a.swapaxes(0, 1).reshape(groups, c // groups, n * blocks)


def _by_image(a: Array, n: int, blocks: int) -> Array:
    """(g, c / g, n * l) as a contiguous (n, c, l)."""
    return np.ascontiguousarray(a.reshape(a.shape[0] * a.shape[1], n, blocks).swapaxes(0, 1))


def _check(function: str, cols: Array, w: Array, groups: int) -> None:
    """Refuse operands that do not fit together."""
    check_array(function, "cols", cols, ndim=3)
    check_array(function, "w", w)
    check_dtype(function, "w", w, cols.dtype)
    check_int(function, "groups", groups, 1)
    if w.ndim not in (2, 4):
        got, expected = f"of shape {w.shape}", "2 axes (c_out, features) or 4 of a convolution"
        raise ValueError(complaint(function, "w", got, expected))
    if w.shape[0] % groups or cols.shape[1] % groups:
        got = f"{groups} for {cols.shape[1]} features and {w.shape[0]} output channels"
        raise ValueError(complaint(function, "groups", got, "a divisor of both"))
    per_group = int(np.prod(w.shape[1:]))
    if per_group * groups != cols.shape[1]:
        got = f"of shape {w.shape}, {per_group} features"
        expected = f"{cols.shape[1] // groups} (cols has {cols.shape[1]} in {groups} groups)"
        raise ValueError(complaint(function, "w", got, expected))
