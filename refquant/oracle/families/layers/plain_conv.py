"""Patches and convolution in plain NumPy."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.layers.plain_windows import WINDOWS, gather, places, scatter
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain


def matrix(values: Array) -> Array:
    """(n, c, h_o, w_o, k_h, k_w) as (n, c k_h k_w, h_o w_o)."""
    n, c, h, w, k_h, k_w = values.shape
    return values.transpose(0, 1, 4, 5, 2, 3).reshape(n, c * k_h * k_w, h * w)


def unmatrix(patches: Array, shape: tuple[int, ...]) -> Array:
    """(n, c k_h k_w, h_o w_o) as (n, c, h_o, w_o, k_h, k_w), which is `shape`."""
    n, c, h, w, k_h, k_w = shape
    return patches.reshape(n, c, k_h, k_w, h, w).transpose(0, 1, 4, 5, 2, 3)


def _im2col(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    x = inputs["x"]
    return {"patches": part.matrix(gather(x, places(x.shape[2:], attrs["kernel"], attrs, part)))}


def _col2im(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    shape = tuple(attrs["x_shape"])
    at = places(shape[2:], attrs["kernel"], attrs, part)
    values = part.unmatrix(inputs["patches"], (*shape[:2], *at.inside.shape))
    return {"x": part.scatter(values, shape, at)}


def by_group(t: Array, groups: int) -> Array:
    """(n, c, ...) as (n, g, c/g, ...): neighbouring channels form a group."""
    return t.reshape(t.shape[0], groups, t.shape[1] // groups, *t.shape[2:])


def filters(w: Array, groups: int) -> Array:
    """(c_out, c_in/g, k_h, k_w) as (g, c_out/g, c_in/g, k_h, k_w), not flipped."""
    return w.reshape(groups, w.shape[0] // groups, *w.shape[1:])


def ungroup(y: Array) -> Array:
    """(n, g, c/g, ...) as (n, c, ...)."""
    return y.reshape(y.shape[0], y.shape[1] * y.shape[2], *y.shape[3:])


def columns(windows: Array) -> Array:
    """(n, g, c/g, h_o, w_o, k_h, k_w) as (n, g, c/g k_h k_w, h_o w_o)."""
    n, g, c, h, w, k_h, k_w = windows.shape
    return windows.transpose(0, 1, 2, 5, 6, 3, 4).reshape(n, g, c * k_h * k_w, h * w)


def product(w: Array, windows: Array) -> Array:
    """Sum over channels and taps, (n, g, c_out/g, h_o, w_o)."""
    y: Array = w.reshape(*w.shape[:2], -1) @ columns(windows)
    return y.reshape(*y.shape[:3], *windows.shape[3:5])


def _conv2d(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    x, w, groups = inputs["x"], inputs["w"], attrs["groups"]
    windows = part.gather(x, places(x.shape[2:], w.shape[2:], attrs, part))
    y = part.ungroup(part.product(part.filters(w, groups), part.by_group(windows, groups)))
    return {"y": part.add_bias(y, inputs["bias"]) if "bias" in inputs else y}


def add_bias(y: Array, bias: Array) -> Array:
    """One number per output channel."""
    return np.asarray(y + bias[:, None, None])


def product_x(d_y: Array, w: Array) -> Array:
    """What every tap receives, (n, g, c_in/g, h_o, w_o, k_h, k_w)."""
    n, g, o, h, w_o = d_y.shape
    taps = w.shape[2:]
    d: Array = w.reshape(g, o, -1).swapaxes(1, 2) @ d_y.reshape(n, g, o, h * w_o)
    return d.reshape(n, g, *taps, h, w_o).transpose(0, 1, 2, 5, 6, 3, 4)


def product_w(d_y: Array, windows: Array) -> Array:
    """Sum over batch and windows, (g, c_out/g, c_in/g, k_h, k_w)."""
    n, g, o = d_y.shape[:3]
    d_w: Array = d_y.reshape(n, g, o, -1) @ columns(windows).swapaxes(2, 3)
    return np.asarray(d_w.sum(axis=0).reshape(g, o, *windows.shape[2:3], *windows.shape[5:]))


def _conv2d_backward(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    d_y, x, w, groups = inputs["d_y"], inputs["x"], inputs["w"], attrs["groups"]
    at = places(x.shape[2:], w.shape[2:], attrs, part)
    d_out = by_group(d_y, groups)
    d_windows = part.product_x(d_out, part.filters(w, groups))
    d_w = part.product_w(d_out, part.by_group(gather(x, at), groups))
    return {
        "d_x": part.scatter(ungroup(d_windows), x.shape, at),
        "d_w": d_w.reshape(w.shape),
        "d_bias": part.sum_bias(d_y),
    }


def sum_bias(d_y: Array) -> Array:
    """Sum over batch and positions."""
    return np.asarray(d_y.sum(axis=(0, 2, 3)))


IM2COL = Plain(_im2col, {**WINDOWS, "matrix": matrix})
COL2IM = Plain(_col2im, {**WINDOWS, "unmatrix": unmatrix, "scatter": scatter})
CONV2D = Plain(
    _conv2d,
    {
        **WINDOWS,
        "gather": gather,
        "by_group": by_group,
        "filters": filters,
        "product": product,
        "ungroup": ungroup,
        "add_bias": add_bias,
    },
)
CONV2D_BACKWARD = Plain(
    _conv2d_backward,
    {
        **WINDOWS,
        "by_group": by_group,
        "filters": filters,
        "product_x": product_x,
        "product_w": product_w,
        "scatter": scatter,
        "sum_bias": sum_bias,
    },
)
