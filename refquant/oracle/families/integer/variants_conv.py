"""Wrong accumulators of integer convolutions."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.integer import plain_conv as plain
from refquant.oracle.op import Variant


def variant(name: str, says: str, source: str, equivalent: str = "", **parts: Any) -> Variant:
    """A variant of the op."""
    return Variant("int_conv_acc", name, says, source, parts, equivalent)


def in_code_space(correction: Any) -> Any:
    """sum w x - z correction(w)."""

    def total(patches: Array, w: Array, z: int) -> Array:
        return np.asarray(plain.total(patches, w, 0) - z * correction(w)[..., None])

    return total


def products(patches: Array, w: Array) -> Array:
    """(n, groups, c_out/groups, features, h_o w_o)."""
    return np.asarray(np.einsum("ngrl,gor->ngorl", patches, w))


def saturating_pairs(patches: Array, w: Array, z: int) -> Array:
    """Products of neighbours added in 16 bits with saturation, the zero point taken off after."""
    terms = products(patches, w)
    if terms.shape[3] % 2:
        terms = np.concatenate([terms, np.zeros_like(terms[:, :, :, :1])], axis=3)
    pairs = np.clip(terms[:, :, :, ::2] + terms[:, :, :, 1::2], -(2**15), 2**15 - 1)
    return np.asarray(pairs.sum(axis=3) - z * w.sum(axis=2)[..., None])


def saturating_sums(patches: Array, w: Array, z: int) -> Array:
    """Codes accumulated in 32 bits with saturation, the zero point taken off after."""
    terms, acc = products(patches, w), 0
    for r in range(terms.shape[3]):
        acc = np.clip(acc + terms[:, :, :, r], -(2**31), 2**31 - 1)
    return np.asarray(acc - z * w.sum(axis=2)[..., None])


def wrapped(bits: int) -> Any:
    """The sum modulo 2^bits, signed."""

    def total(patches: Array, w: Array, z: int) -> Array:
        half = 1 << (bits - 1)
        return np.asarray((plain.total(patches, w, z) + half) % (2 * half) - half)

    return total


def saturated(bits: int) -> Any:
    """The sum limited to so many bits."""
    half = 1 << (bits - 1)
    return lambda patches, w, z: np.clip(plain.total(patches, w, z), -half, half - 1)


def in_float32(patches: Array, w: Array, z: int) -> Array:
    """The sum rounded to 24 bits."""
    return plain.total(patches, w, z).astype(np.float32).astype(np.int64)


def interleaved(cut: Array, groups: int) -> Array:
    """Channel c in group c mod groups."""
    order = np.arange(cut.shape[1]).reshape(-1, groups).T.ravel()
    return plain.by_group(cut[:, order], groups)


def first_group(cut: Array, groups: int) -> Array:
    """The channels of the first group for all."""
    grouped = plain.by_group(cut, groups)
    return np.repeat(grouped[:, :1], groups, axis=1)


def outputs_interleaved(acc: Array, groups: int) -> Array:
    """Filter o in group o mod groups."""
    return np.ascontiguousarray(acc.swapaxes(1, 2))


VARIANTS = (
    variant("padding_with_0", "Padding reads code 0 instead of the zero point.",
            "apache/tvm#4807; pytorch/executorch#13576", outside=lambda z: 0),
    variant("zero_point_ignored", "The zero point is not subtracted.",
            "codes taken for levels", total=lambda patches, w, z: plain.total(patches, w, 0)),
    variant("zero_point_added", "The zero point is added to the codes.",
            "the sign convention of an offset",
            total=lambda patches, w, z: plain.total(patches, w, -z)),
    variant("code_space", "", "sum w x - z sum w, as integer kernels do it",
            "the same number: padding with z adds exactly what is taken off",
            total=in_code_space(lambda w: w.sum(axis=2))),
    variant("sums_of_the_first_filter", "The zero point is corrected by the first filter's sum.",
            "pytorch/executorch#17504",
            total=in_code_space(lambda w: np.broadcast_to(w.sum(axis=2)[:, :1], w.shape[:2]))),
    variant("sums_over_filters", "The zero point is corrected by the sum over a group's filters.",
            "pytorch/executorch#17504: the sum over the wrong dimension",
            total=in_code_space(lambda w: np.broadcast_to(
                w.sum(axis=(1, 2))[:, None], w.shape[:2]))),
    variant("pairs_saturate_in_int16", "Pairs of products saturate at 16 bits.",
            "vpmaddubsw; microsoft/onnxruntime#6004", total=saturating_pairs),
    variant("sums_saturate_in_int16", "Sums saturate at 16 bits.",
            "tensorflow/tflite-micro#3598", total=saturated(16)),
    variant("sums_wrap_in_int16", "Sums wrap around at 16 bits.",
            "tensorflow/tensorflow#53763", total=wrapped(16)),
    variant("sums_wrap_in_24_bits", "Sums wrap around at 24 bits.",
            "a 24-bit accumulator", total=wrapped(24)),
    variant("sums_in_float32", "Sums are rounded to 24 bits.",
            "codes convolved as float32", total=in_float32),
    variant("code_space_saturates", "Sums of codes saturate at 32 bits, before the zero point.",
            "saturating additions in code space", total=saturating_sums),
    variant("groups_by_remainder", "Channel c belongs to group c mod groups.",
            "channels laid out last in a grouped kernel", by_group=interleaved),
    variant("first_group_for_all", "Every group reads the channels of the first.",
            "an offset of the group left out", by_group=first_group),
    variant("filters_by_remainder", "Outputs are ordered by filter within group, then by group.",
            "the channel multiplier outermost", output=outputs_interleaved),
    variant("kernel_flipped", "The kernel is flipped: a true convolution.",
            "convolution against cross-correlation", levels=lambda w: w[:, :, ::-1, ::-1]),
    variant("kernel_transposed", "The taps of the kernel are read column by column.",
            "the order of a transposed layout", filters=lambda w, groups: plain.filters(
                np.ascontiguousarray(w.swapaxes(2, 3)), groups)),
    variant("channels_last_filters", "The filter is read with channels innermost.",
            "OHWI in place of OIHW", filters=lambda w, groups: plain.filters(
                np.ascontiguousarray(w.transpose(0, 2, 3, 1)), groups)),
    variant("padding_as_torch", "Padding is read as [top, bottom, left, right].",
            "another order of the four numbers", padding=lambda p: [p[0], p[2], p[1], p[3]]),
    variant("padding_mirrored", "Padding before and after are exchanged.",
            "SAME_LOWER for SAME_UPPER", padding=lambda p: [p[2], p[3], p[0], p[1]]),
    variant("dilation_ignored", "Taps are neighbours; the output is cut to its size.",
            "a dilation left out", windows=lambda x, kernel, stride, dilation: plain.windows(
                x[:, :, : x.shape[2] - (dilation[0] - 1) * (kernel[0] - 1),
                  : x.shape[3] - (dilation[1] - 1) * (kernel[1] - 1)], kernel, stride, (1, 1))),
    variant("stride_swapped", "Strides of rows and columns are exchanged.",
            "[w, h] in place of [h, w]", stride=lambda s: s[::-1]),
    variant("codes_as_int8", "Codes above 127 are read as negative.",
            "uint8 read as int8", codes=lambda x: (x + 128) % 256 - 128),
    variant("levels_as_uint8", "Negative levels are read as levels above 127.",
            "int8 read as uint8; jax-ml/jax#17672", levels=lambda w: np.where(w < 0, w + 256, w)),
    variant("zero_point_as_int8", "A zero point above 127 is read as negative.",
            "uint8 read as int8", zero=lambda z: (z + 128) % 256 - 128),
)  # fmt: skip
