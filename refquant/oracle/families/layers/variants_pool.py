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


MAX = (
    *of_windows("max_pool"),
    Variant("max_pool", "padding_wins", "Padding takes part as 0: it wins over negative values.",
            "zeros padded before the maximum", {"outside": 0.0}),
    *of_windows("max_pool_backward", "padding_mirrored"),
    Variant("max_pool_backward", "padding_wins", "Padding takes part as 0 and takes gradients.",
            "zeros padded before the maximum", {"outside": 0.0}),
    Variant("max_pool_backward", "last_maximum", "The last of several maxima gets the gradient.",
            ">= in place of > in the search", {"winners": last}),
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
