"""Inputs for patches and convolutions: odd geometries, all sizes unequal."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.case import Case
from refquant.oracle.draw import double, dyadic, subject
from refquant.oracle.families.layers.windows import geometry
from refquant.oracle.op import Arrays

# The kernel that each is meant for stands behind it.
ODD = {"stride": [2, 1], "padding": [1, 0, 2, 3], "dilation": [1, 2]}  # (3, 2)
LOOSE = {"stride": [3, 2], "padding": [0, 1, 1, 0]}  # (2, 3): rows and columns are left over
LINE = {"padding": [0, 2, 0, 2]}  # (1, 5)
FRAME = {"padding": [2, 0, 0, 2], "stride": [1, 2]}  # (1, 2): windows that see padding only
AFTER = {"stride": [2, 2], "padding": [0, 0, 1, 1]}  # (3, 3) on 4x4: SAME of TensorFlow
BEFORE = {"padding": [1, 2, 0, 0]}  # (2, 2) on 2x2
DILATED = {"padding": [1, 2, 1, 2], "dilation": [2, 2]}  # (3, 3)
PLAIN = {"stride": [1, 1], "padding": [0, 0, 0, 0], "dilation": [1, 1]}
SPECIAL = (np.nan, np.inf, -np.inf)
FINE, COARSE = 13, 3  # bits of the two halves of operands; TF32 and float16 have 11


def output_size(size: tuple[int, ...], kernel: tuple[int, ...], attrs: Any) -> tuple[int, int]:
    """Windows along rows and columns."""
    return geometry({**PLAIN, **attrs}, kernel).output_size(*size)


def with_special(x: Array) -> Array:
    """x with NaN and the infinities at its last places."""
    flat = x.copy().ravel()
    flat[-3:] = SPECIAL
    return flat.reshape(x.shape)


def cases() -> Iterator[Case]:
    """Yield the cases of the four operations."""
    yield from patch_cases()
    yield from conv_cases()
    yield from backward_cases()
    yield from larger_cases()


def patch_cases() -> Iterator[Case]:
    """Yield the cases of `im2col` and `col2im`."""
    for purpose, shape, kernel, attrs in (
        ("strides, dilations and paddings all unequal", (1, 2, 5, 3), (3, 2), ODD),
        ("a batch; rows and columns left over", (2, 1, 6, 7), (2, 3), LOOSE),
        ("a 1x5 kernel on a 10x4 map", (1, 1, 10, 4), (1, 5), LINE),
        ("windows that see padding only", (2, 2, 2, 3), (1, 2), FRAME),
        ("padding behind alone; all sizes equal but the batch", (1, 4, 4, 4), (3, 3), AFTER),
        ("padding before alone; all sizes equal", (2, 2, 2, 2), (2, 2), BEFORE),
    ):
        x = dyadic(("im2col", *shape), shape, 8, 4)
        given = {"kernel": list(kernel), **attrs}
        x = with_special(x) if "padding only" in purpose else x
        clauses = ("4.1", "P02", "C1")
        yield Case("im2col", "T8", purpose, {"x": x}, given, clauses)
        windows = output_size(shape[2:], kernel, attrs)
        columns = (shape[0], shape[1] * kernel[0] * kernel[1], windows[0] * windows[1])
        patches = dyadic(("col2im", *shape), columns, 8, 4)
        given = {"x_shape": list(shape), **given}
        yield Case("col2im", "T8", purpose, {"patches": patches}, given, clauses)
    yield Case("im2col", "T53", "values that single precision rounds",
               {"x": double(("im2col",), (1, 1, 2, 3), 52)}, {"kernel": [2, 2]},
               ("4.1",))  # fmt: skip
    yield Case(
        "col2im", "REAL", "sums that are rounded",
        {"patches": dyadic(("col2im", "real"), (1, 12, 12), 24, 20)},
        {"x_shape": [1, 2, 5, 3], "kernel": [3, 2], **ODD}, ("4.1",),
    )  # fmt: skip


CONVS: tuple[tuple[str, tuple[int, ...], tuple[int, ...], dict[str, Any]], ...] = (
    ("two groups of two channels with two filters each", (1, 4, 5, 3), (4, 2, 3, 2), ODD),
    ("a batch, dense; rows and columns left over", (2, 3, 6, 7), (4, 3, 2, 3), LOOSE),
    ("three groups of two channels with one filter each", (1, 6, 3, 4), (3, 2, 3, 2), ODD),
    ("depthwise, a 1x5 kernel on a 10x4 map", (1, 3, 10, 4), (3, 1, 1, 5), LINE),
    ("windows that see padding only", (2, 2, 2, 3), (3, 2, 1, 2), FRAME),
    ("a 1x1 kernel: a linear layer", (2, 3, 1, 1), (4, 3, 1, 1), {}),
    ("square: a transposed kernel has the same shape", (1, 2, 4, 4), (2, 2, 3, 3), {}),
    ("padding behind alone: SAME with strides", (1, 2, 4, 4), (3, 2, 3, 3), AFTER),
    ("padding before alone; all sizes equal", (2, 2, 2, 2), (2, 2, 2, 2), BEFORE),
    ("a 3x3 kernel of stride 1, dilated", (1, 2, 5, 6), (3, 2, 3, 3), DILATED),
    ("depthwise, two filters for each channel", (1, 3, 3, 4), (6, 1, 2, 3), {}),
)


def operands(purpose: str, x: tuple[int, ...], w: tuple[int, ...], tier: str) -> Arrays:
    """x and w of a tier: products of T11 leave room for the sum in 24 bits."""
    bits = {"T8": (8, 8), "T11": (11, 7), "REAL": (24, 24)}[tier]
    return {
        "x": dyadic(("conv2d", "x", purpose), x, bits[0], bits[0] - 3),
        "w": dyadic(("conv2d", "w", purpose), w, bits[1], bits[1] - 1),
    }


def uneven(key: str, x: tuple[int, ...], w: tuple[int, ...]) -> Arrays:
    """x and w whose sums fit 24 bits, though half of either (along axis 1) has more than 11."""
    half = x[1] // 2
    found = {
        name: dyadic(("uneven", name, key), shape, FINE, FINE - scale)
        for name, shape, scale in (("x", x, 3), ("w", w, 0))
    }
    found["x"][:, half:] = dyadic(("uneven", "x coarse", key), x, COARSE, COARSE - 3)[:, half:]
    found["w"][:, :half] = dyadic(("uneven", "w coarse", key), w, COARSE, COARSE)[:, :half]
    return found


def larger_cases() -> Iterator[Case]:
    """Beyond vectors of 4 and tiles of 16, no multiple of them."""
    purpose = "18 channels and 5 filters, operands of more than 11 bits"
    inputs = uneven(purpose, (1, 18, 3, 4), (5, 18, 2, 2))
    d_y = dyadic(("conv2d", "d_y", purpose), (1, 5, 2, 3), COARSE, 1)
    yield Case("conv2d", "T24", purpose, inputs, {}, ("4.1", "P01"))
    yield Case("conv2d_backward", "T24", purpose, {**inputs, "d_y": d_y}, {}, ("4.1", "P02"))
    purpose = "21 taps, five channels, three filters (no multiple of 4, 8 or 16)"
    inputs = operands(subject(purpose), (1, 5, 4, 8), (3, 5, 3, 7), "T8")
    yield Case("conv2d", "T8", purpose, inputs, {}, ("4.1", "P01"))
    yield from panel_cases()


def panel_cases() -> Iterator[Case]:
    """Sums of 132 products: two panels of 64 and four more."""
    for summed, x, w in (
        ("taps and channels", (1, 33, 2, 3), (2, 33, 2, 2)),
        ("taps and filters", (1, 1, 2, 3), (33, 1, 2, 2)),
        ("windows", (1, 1, 12, 13), (2, 1, 1, 2)),
    ):
        inputs = {name: dyadic(("panels", name, summed), shape, 6, 3)
                  for name, shape in (("x", x), ("w", w))}  # fmt: skip
        words = f"132 {summed} (more than two panels of 64)"
        if "channels" in summed:
            inputs["bias"] = dyadic(("panels", "bias", summed), w[0], 6, 3)
            yield Case("conv2d", "T8", words, inputs, {}, ("4.1", "P01"))
        else:
            size = (x[0], w[0], *output_size(x[2:], w[2:], {}))
            inputs["d_y"] = dyadic(("panels", "d_y", summed), size, 6, 3)
            yield Case("conv2d_backward", "T8", words, inputs, {}, ("4.1", "P02"))


def conv_cases() -> Iterator[Case]:
    """Yield the cases of `conv2d`."""
    for number, (purpose, x, w, attrs) in enumerate(CONVS):
        tier = "T11" if number % 2 else "T8"
        inputs = operands(purpose, x, w, tier)
        if number != 1:
            inputs["bias"] = dyadic(("conv2d", "bias", purpose), w[0], 8, 4)
        given = {**attrs, "groups": x[1] // w[1]}
        clauses = ("4.1", "P01", "C1", *(("P03",) if number in (3, 5) else ()))
        yield Case("conv2d", tier, purpose, inputs, given, clauses)
    inputs = operands("special", (1, 2, 3, 4), (2, 2, 2, 1), "T8")
    inputs["x"], inputs["w"][0] = with_special(inputs["x"]), 0.0
    yield Case("conv2d", "T8", "NaN and infinities under zero weights", inputs, {}, ("4.1",))
    purpose, x, w, attrs = CONVS[1]
    inputs = operands("rounded", x, w, "REAL")
    inputs["bias"] = dyadic(("conv2d", "bias"), w[0], 24, 20)
    yield Case("conv2d", "REAL", "sums that are rounded", inputs, attrs, ("4.1", "P01"))


def backward_cases() -> Iterator[Case]:
    """Yield the cases of `conv2d_backward`."""
    clauses = ("4.1", "P02", "C1")
    for purpose, x, w, attrs in (*CONVS[:5], *CONVS[6:]):
        inputs = operands(f"backward {purpose}", x, w, "T8")
        size = (x[0], w[0], *output_size(x[2:], w[2:], attrs))
        inputs["d_y"] = dyadic(("conv2d", "d_y", purpose), size, 7, 3)
        given = {**attrs, "groups": x[1] // w[1]}
        yield Case("conv2d_backward", "T8", purpose, inputs, given, clauses)
    purpose, x, w, attrs = CONVS[0]
    inputs = operands("backward rounded", x, w, "REAL")
    size = (x[0], w[0], *output_size(x[2:], w[2:], attrs))
    inputs["d_y"] = dyadic(("conv2d", "d_y"), size, 24, 20)
    given = {**attrs, "groups": 2}
    yield Case("conv2d_backward", "REAL", "sums that are rounded", inputs, given, ("4.1",))
