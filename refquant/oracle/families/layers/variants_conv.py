"""Wrong patches and convolutions."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.layers import plain_conv as plain
from refquant.oracle.families.layers.plain_windows import Places, scatter
from refquant.oracle.op import Variant

# What any op with windows can get wrong: name, diagnosis, source, parts.
WINDOWS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "strides_exchanged": (
        "The strides along rows and columns are exchanged.",
        "a pair read as (x, y)",
        {"stride": lambda pair: pair[::-1]},
    ),
    "first_stride_twice": (
        "The stride along rows is used along columns too.",
        "a kernel written for square strides",
        {"stride": lambda pair: (pair[0], pair[0])},
    ),
    "dilation_ignored": (
        "Taps are taken next to each other: the dilation is ignored.",
        "a fast path chosen without looking at the dilation",
        {"dilation": lambda pair: (1, 1)},
    ),
    "padding_in_torch_order": (
        "The padding is read as (left, right, top, bottom).",
        "the order of torch.nn.functional.pad",
        {"sides": lambda p: (p[2], p[0], p[3], p[1])},
    ),
    "padding_in_pairs": (
        "The padding is read as (top, bottom, left, right).",
        "the order of numpy.pad and of TensorFlow's explicit paddings",
        {"sides": lambda p: (p[0], p[2], p[1], p[3])},
    ),
    "padding_mirrored": (
        "The padding of the ends is put at the beginnings and vice versa.",
        "SAME_LOWER taken for SAME_UPPER",
        {"sides": lambda p: (p[2], p[3], p[0], p[1])},
    ),
    "last_window_incomplete": (
        "There is a further window where a remainder is left: the number is rounded up.",
        "ceil mode",
        {"count": lambda room, stride: -(-room // stride) + 1},
    ),
}


def of_windows(op: str, *names: str) -> tuple[Variant, ...]:
    """The named entries of the table, for one op."""
    return tuple(Variant(op, name, *WINDOWS[name]) for name in names or WINDOWS)


def ordered(*axes: int) -> Any:
    """`matrix` with other orders: axes of rows, then of columns, of (n, c, h_o, w_o, k_h, k_w)."""

    def matrix(values: Array) -> Array:
        n, c, h, w, k_h, k_w = values.shape
        return values.transpose(0, *axes).reshape(n, c * k_h * k_w, h * w)

    return matrix


def overwritten(values: Array, shape: tuple[int, ...], at: Places) -> Array:
    """The last window to touch a place wins: = in place of +=."""
    x = np.zeros(shape, values.dtype)
    for p, q, i, j in np.argwhere(at.inside):
        row, column = (np.broadcast_to(t, at.inside.shape)[p, q, i, j] for t in at[:2])
        x[:, :, row, column] = values[:, :, p, q, i, j]
    return x


def averaged(values: Array, shape: tuple[int, ...], at: Places) -> Array:
    """The sum over the windows divided by their number."""
    number = scatter(np.ones_like(values), shape, at)
    return scatter(values, shape, at) / np.maximum(number, 1)


def tap_major(patches: Array, shape: tuple[int, ...]) -> Array:
    """Rows (k_h, k_w, c)."""
    n, c, h, w, k_h, k_w = shape
    return patches.reshape(n, k_h, k_w, c, h, w).transpose(0, 3, 4, 5, 1, 2)


def interleaved(t: Array, groups: int) -> Array:
    """Channel c belongs to group c % groups."""
    return t.reshape(t.shape[0], t.shape[1] // groups, groups, *t.shape[2:]).swapaxes(1, 2)


def interleaved_filters(w: Array, groups: int) -> Array:
    """Filter o belongs to group o % groups; so does its output."""
    return w.reshape(w.shape[0] // groups, groups, *w.shape[1:]).swapaxes(0, 1)


def finite_product(w: Array, windows: Array) -> Array:
    """Terms with a zero weight are skipped."""
    mask = (w != 0)[None, :, :, :, None, None]
    terms = np.where(mask, w[None, :, :, :, None, None] * windows[:, :, None], 0.0)
    return np.asarray(terms.sum(axis=(3, 6, 7)))


def halved(sums: Array) -> Array:
    """Rounded to float16."""
    return sums.astype(np.float16).astype(sums.dtype)


def short(x: Array) -> Array:
    """x rounded to 11 bits where 16 channels or more are multiplied, as libraries choose."""
    if x.shape[-1] < 16:
        return x
    mantissa, exponent = np.frexp(x)
    return np.asarray(np.ldexp(np.rint(np.ldexp(mantissa, 11)), exponent - 11))


def short_product(w: Array, windows: Array) -> Array:
    """Operands of 11 bits."""
    last = short(np.moveaxis(windows, 2, -1)), short(np.moveaxis(w, 2, -1))
    return plain.product(np.moveaxis(last[1], -1, 2), np.moveaxis(last[0], -1, 2))


def short_product_w(d_y: Array, windows: Array) -> Array:
    """Windows of 11 bits."""
    return plain.product_w(d_y, np.moveaxis(short(np.moveaxis(windows, 2, -1)), -1, 2))


def short_product_x(d_y: Array, w: Array) -> Array:
    """Weights of 11 bits."""
    return plain.product_x(d_y, np.moveaxis(short(np.moveaxis(w, 2, -1)), -1, 2))


def in_fours(w: Array, windows: Array) -> Array:
    """The channels after the last whole four left out."""
    kept = w.shape[2] // 4 * 4 or w.shape[2]
    return plain.product(w[:, :, :kept], windows[:, :, :kept])


def first_taps(w: Array, windows: Array) -> Array:
    """The first 16 taps of a kernel."""
    taps = np.arange(w.shape[3] * w.shape[4]).reshape(w.shape[3:]) < 16
    return plain.product(w * taps, windows)


TF32 = (
    "Operands are rounded to 11 bits where there are 16 channels or more.",
    "TF32, the default of cuDNN in PyTorch and of JAX, but not at every size",
)
IM2COL = (
    *of_windows("im2col"),
    Variant("im2col", "rows_tap_major", "Rows run over taps first and over channels fastest.",
            "the order of a channels-last layout", {"matrix": ordered(4, 5, 1, 2, 3)}),
    Variant("im2col", "taps_column_major", "The taps of a channel run down columns.",
            "a loop over k_w outside the loop over k_h", {"matrix": ordered(1, 5, 4, 2, 3)}),
    Variant("im2col", "windows_column_major", "The windows run down columns.",
            "MATLAB's im2col", {"matrix": ordered(1, 4, 5, 3, 2)}),
    Variant("im2col", "taps_flipped", "The taps are in reverse order: the filter is flipped.",
            "convolution taken for correlation",
            {"matrix": lambda v: plain.matrix(v[..., ::-1, ::-1])}),
)  # fmt: skip
COL2IM = (
    *of_windows("col2im", "padding_mirrored"),
    Variant("col2im", "overwrites", "Where windows overlap only the last one counts.",
            "= in place of +=, or a scatter without atomics", {"scatter": overwritten}),
    Variant("col2im", "averages", "Sums are divided by the number of windows.",
            "taken for the inverse of im2col", {"scatter": averaged}),
    Variant("col2im", "rows_tap_major", "Rows are read as taps first, channels fastest.",
            "the order of a channels-last layout", {"unmatrix": tap_major}),
)  # fmt: skip
CONV2D = (
    *of_windows("conv2d"),
    Variant("conv2d", "filter_flipped", "The filter is flipped.",
            "convolution taken for correlation",
            {"filters": lambda w, groups: plain.filters(w[..., ::-1, ::-1], groups)}),
    Variant("conv2d", "channels_interleaved",
            "Input channel c is taken into group c % groups instead of c // (c_in/groups).",
            "a reshape to (c/g, g) in place of (g, c/g)", {"by_group": interleaved}),
    Variant("conv2d", "filters_interleaved",
            "Filter o is taken into group o % groups instead of o // (c_out/groups).",
            "depthwise multipliers in the order of TensorFlow", {"filters": interleaved_filters}),
    Variant("conv2d", "bias_forgotten", "The bias is not added.",
            "a fused epilogue left out", {"add_bias": lambda y, bias: y}),
    Variant("conv2d", "edge_repeated", "Padding repeats the edge of the map instead of zeros.",
            "padding mode replicate", {"gather": lambda x, at: x[:, :, at.row, at.column]}),
    Variant("conv2d", "padding_only_is_zero", "Windows that see padding only give 0, not the bias.",
            "an early exit",
            {"add_bias": lambda y, bias: np.where(y == 0, y, plain.add_bias(y, bias))}),
    Variant("conv2d", "zero_weights_skipped", "NaN and infinities under a zero weight vanish.",
            "sparse kernels", {"product": finite_product}),
    Variant("conv2d", "half_precision", "Sums pass through half precision.",
            "accumulators of 16 bits",
            {"product": lambda w, windows: halved(plain.product(w, windows))}),
    Variant("conv2d", "operands_of_11_bits", *TF32, {"product": short_product}),
    Variant("conv2d", "channels_in_fours", "Channels after the last whole four are left out.",
            "vectors of four without a loop for the rest", {"product": in_fours}),
    Variant("conv2d", "sixteen_taps", "Taps beyond the first 16 are left out.",
            "a mask of 16 bits, or an unrolled loop", {"product": first_taps}),
)  # fmt: skip
CONV2D_BACKWARD = (
    *of_windows("conv2d_backward", "padding_mirrored"),
    Variant("conv2d_backward", "d_x_not_transposed",
            "The gradient of the input is taken with a filter that was flipped once too often.",
            "the transposed convolution already flips",
            {"product_x": lambda d_y, w: plain.product_x(d_y, w[..., ::-1, ::-1])}),
    Variant("conv2d_backward", "overwrites", "Where windows overlap only the last one counts.",
            "= in place of +=, or a scatter without atomics", {"scatter": overwritten}),
    Variant("conv2d_backward", "channels_interleaved",
            "Input channels are dealt out to the groups in turn.",
            "a reshape to (c/g, g) in place of (g, c/g)", {"by_group": interleaved}),
    Variant("conv2d_backward", "d_w_averaged", "d_w is averaged over the batch.",
            "the mean of a loss taken twice",
            {"product_w": lambda d_y, windows: plain.product_w(d_y, windows) / d_y.shape[0]}),
    Variant("conv2d_backward", "d_bias_averaged", "d_bias is averaged over positions.",
            "mean in place of sum", {"sum_bias": lambda d_y: d_y.mean(axis=(2, 3)).sum(axis=0)}),
    Variant("conv2d_backward", "d_bias_of_first_sample", "d_bias leaves out all samples but one.",
            "a reduction over positions only", {"sum_bias": lambda d_y: d_y[0].sum(axis=(1, 2))}),
    Variant("conv2d_backward", "operands_of_11_bits", *TF32,
            {"product_w": short_product_w, "product_x": short_product_x}),
)  # fmt: skip
VARIANTS = (*IM2COL, *COL2IM, *CONV2D, *CONV2D_BACKWARD)
