"""Wrong poolings."""

import numpy as np

from refquant._types import Array
from refquant.oracle.families.layers import plain_pool as plain
from refquant.oracle.families.layers.variants_conv import halved, of_windows, overwritten
from refquant.oracle.op import Variant


def last(chosen: Array) -> Array:
    """1 at the last chosen tap."""
    return plain.first(chosen[..., ::-1, ::-1])[..., ::-1, ::-1]


def first_by_column(chosen: Array) -> Array:
    """1 at the first chosen tap, going down columns."""
    return plain.first(chosen.swapaxes(4, 5)).swapaxes(4, 5)


def shared(chosen: Array) -> Array:
    """1 over their number at all chosen taps."""
    return np.asarray(chosen / np.maximum(chosen.sum(axis=(4, 5), keepdims=True), 1))


def four_bits(chosen: Array) -> Array:
    """The place in the window modulo 16."""
    flat = chosen.reshape(*chosen.shape[:4], -1)
    at = flat.argmax(axis=4)[..., None] & 15
    return np.asarray(at == np.arange(flat.shape[4])).reshape(chosen.shape)


def negative_zero_below(values: Array, inside: Array) -> Array:
    """Maxima, -0.0 counted below 0.0 as in the order of bit patterns."""
    found = plain.maxima(values, inside)
    positive = found & ~np.signbit(values)
    return np.where(positive.any(axis=(4, 5), keepdims=True), positive, found)


def full_warps(x: Array) -> Array:
    """Sum of the positions in whole groups of 32."""
    flat = x.reshape(*x.shape[:2], -1)
    kept = flat.shape[2] // 32 * 32 or flat.shape[2]
    return np.asarray(flat[:, :, :kept].sum(axis=2)[..., None, None])


def running(taps: Array) -> Array:
    """Each window's sum as the difference of two sums from the start of the row on."""
    sums = np.cumsum(taps.sum(axis=(4, 5)), axis=3)
    return np.diff(sums, axis=3, prepend=sums.dtype.type(0))


MAX = (
    *of_windows("max_pool"),
    Variant("max_pool", "padding_wins", "Padding takes part as 0: it wins over negative values.",
            "zeros padded before the maximum", {"outside": 0.0}),
    *of_windows("max_pool_backward", "padding_mirrored"),
    Variant("max_pool_backward", "padding_wins", "Padding takes part as 0 and takes gradients.",
            "zeros padded before the maximum", {"outside": 0.0}),
    Variant("max_pool_backward", "last_maximum", "The last of several maxima gets the gradient.",
            ">= in place of > in the search", {"winners": last}),
    Variant("max_pool_backward", "place_of_4_bits", "The place in the window is taken modulo 16.",
            "an index packed into four bits", {"winners": four_bits}),
    Variant("max_pool_backward", "negative_zero_loses", "0.0 wins against an earlier -0.0.",
            "floats compared as integers", {"maxima": negative_zero_below}),
    Variant("max_pool_backward", "first_down_columns",
            "The first maximum going down columns gets the gradient.",
            "a loop over k_w outside the loop over k_h", {"winners": first_by_column}),
    Variant("max_pool_backward", "all_maxima", "Every one of several maxima gets the gradient.",
            "the mask x == y", {"winners": np.asarray}),
    Variant("max_pool_backward", "shared_at_ties", "Several maxima share the gradient.",
            "automatic differentiation of a plain maximum", {"winners": shared}),
    Variant("max_pool_backward", "overwrites", "Where windows overlap only the last one counts.",
            "= in place of +=, or a scatter without atomics", {"scatter": overwritten}),
)  # fmt: skip
AVERAGE = (
    *of_windows("average_pool", "strides_exchanged", "dilation_ignored", "padding_mirrored",
                "last_window_incomplete"),
    Variant("average_pool", "padding_counted", "The divisor counts taps on padding.",
            "pytorch/pytorch#28260; the default of PyTorch",
            {"divisor": lambda inside, counts: plain.divisor(inside, True)}),
    Variant("average_pool", "padding_not_counted", "The divisor leaves out taps on padding.",
            "pytorch/pytorch#28260; the default of ONNX",
            {"divisor": lambda inside, counts: plain.divisor(inside, False)}),
    Variant("average_pool", "running_sums", "After an infinity the rest of the row is NaN.",
            "differences of running sums", {"total": running}),
    *of_windows("average_pool_backward", "padding_mirrored"),
    Variant("average_pool_backward", "padding_counted", "The divisor counts taps on padding.",
            "pytorch/pytorch#28260; the default of PyTorch",
            {"divisor": lambda inside, counts: plain.divisor(inside, True)}),
    Variant("average_pool_backward", "padding_not_counted",
            "The divisor leaves out taps on padding.",
            "pytorch/pytorch#28260; the default of ONNX",
            {"divisor": lambda inside, counts: plain.divisor(inside, False)}),
    Variant("average_pool_backward", "not_divided", "The gradient is not divided.",
            "the adjoint of a sum",
            {"divisor": lambda inside, counts: np.ones(inside.shape[:2], int)}),
    Variant("average_pool_backward", "overwrites",
            "Where windows overlap only the last one counts.",
            "= in place of +=, or a scatter without atomics", {"scatter": overwritten}),
)  # fmt: skip
GLOBAL = (
    Variant("global_average_pool", "summed", "The sum is not divided.",
            "a forgotten factor", {"size": lambda x: 1}),
    Variant("global_average_pool", "columns_counted", "The sum is divided by the columns only.",
            "one axis of the two", {"size": lambda x: x.shape[3]}),
    Variant("global_average_pool", "half_precision", "The sum passes through half precision.",
            "accumulators of 16 bits",
            {"total": lambda x: halved(x.sum(axis=(2, 3), keepdims=True))}),
    Variant("global_average_pool", "full_warps", "Positions after whole groups of 32 are left out.",
            "a reduction by warps without a loop for the rest", {"total": full_warps}),
    Variant("global_average_pool", "maximum", "The maximum is returned.",
            "the other global pooling",
            {"total": lambda x: x.max(axis=(2, 3), keepdims=True), "size": lambda x: 1}),
    Variant("global_average_pool_backward", "not_divided", "The gradient is not divided.",
            "the adjoint of a sum", {"size": lambda x: 1}),
    Variant("global_average_pool_backward", "columns_counted",
            "The gradient is divided by the columns only.",
            "one axis of the two", {"size": lambda x: x.shape[3]}),
    Variant("global_average_pool_backward", "batch_counted",
            "The gradient is divided by the batch too.",
            "the mean of a loss taken twice",
            {"size": lambda x: len(x) * x.shape[2] * x.shape[3]}),
)  # fmt: skip
VARIANTS = (*MAX, *AVERAGE, *GLOBAL)
