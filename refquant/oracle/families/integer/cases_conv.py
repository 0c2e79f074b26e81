"""Inputs for `int_conv_acc`: odd geometries, groups, and numbers that narrow sums cannot hold."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.case import Case
from refquant.oracle.draw import codes, subject
from refquant.oracle.families.layers.cases_conv import (
    AFTER,
    BEFORE,
    DILATED,
    FRAME,
    LINE,
    LOOSE,
    ODD,
)

Shape = tuple[int, ...]
SAME = {"padding": [1, 1, 1, 1]}  # (3, 3)
GEOMETRIES: tuple[tuple[str, Shape, Shape, dict[str, Any]], ...] = (
    ("two groups of two channels, two filters each", (1, 4, 5, 3), (4, 2, 3, 2), ODD),
    ("a batch, dense; rows and columns left over", (2, 3, 6, 7), (4, 3, 2, 3), LOOSE),
    ("three groups of two channels, one filter each", (1, 6, 3, 4), (3, 2, 3, 2), ODD),
    ("depthwise with two filters a channel", (1, 3, 4, 5), (6, 1, 3, 3), SAME),
    ("depthwise, a 1x5 kernel on a 10x4 map", (1, 3, 10, 4), (3, 1, 1, 5), LINE),
    ("windows that see padding only", (2, 2, 2, 3), (3, 2, 1, 2), FRAME),
    ("a 1x1 kernel: a linear layer", (2, 3, 1, 1), (4, 3, 1, 1), {}),
    ("padding behind alone: SAME with strides", (1, 2, 4, 4), (3, 2, 3, 3), AFTER),
    ("padding before alone; all sizes equal", (2, 2, 2, 2), (2, 2, 2, 2), BEFORE),
    ("18 channels, 5 filters, 18 taps (no multiple of 4 or 16)", (1, 18, 3, 6), (5, 18, 3, 6), {}),
    ("a 3x3 kernel of stride 1, dilated", (1, 2, 5, 6), (3, 2, 3, 3), DILATED),
    ("132 taps and channels (more than two panels of 64)", (1, 33, 2, 3), (2, 33, 2, 2), {}),
)  # fmt: skip


def cases() -> Iterator[Case]:
    """Yield the cases of the op."""
    for number, (purpose, x, w, attrs) in enumerate(GEOMETRIES):
        key = ("int_conv_acc", subject(purpose))
        zero = (131, 0, 255, 7, 128, 3, 64, 200, 1, 77, 90, 254)[number]
        inputs = {"x_codes": codes((*key, "x"), x, 0, 255), "w": codes((*key, "w"), w, -8, 7)}
        yield _case(purpose, inputs, zero, {**attrs, "groups": x[1] // w[1]})
    yield from narrow_cases()


def narrow_cases() -> Iterator[Case]:
    """Products and sums beyond 16 bits, 24 bits, and 32 bits in code space."""
    pairs = np.array([[127, 127, 127, -128], [-128, -128, 1, 127], [64, 65, -64, -65]])
    x = np.array([255, 255, 254, 128])
    yield _case("uint8 times int8: pairs beyond int16", _points(x, pairs), 0, {})
    yield _case("uint8 times int8: pairs beyond int16 until the zero point is taken off",
                _points(x, pairs), 128, {})  # fmt: skip
    sums = np.array([[32767, 1, 0], [-32767, -3, 5], [20001, -12001, 101]])
    yield _case("sums of odd numbers beyond 24 bits", _points([65535, 1, 3], sums), 0, {})
    far = np.array([[30001, 30001, 30001], [-30001, -30001, -30001], [15001, 15001, -30001]])
    yield _case("sums beyond 32 bits before the zero point is taken off",
                _points([65535, 65533, 65530], far), 65534, {})  # fmt: skip
    x = codes(("int_conv_acc", "signed"), (1, 2, 3, 3), -128, 127)
    w = codes(("int_conv_acc", "signed w"), (2, 2, 3, 3), -127, 127)
    yield _case("signed codes, a zero point below 0", {"x_codes": x, "w": w}, -5, SAME)
    w = codes(("int_conv_acc", "at rest"), (2, 2, 3, 3), -8, 7)
    yield _case("a map of zero points: all sums are 0",
                {"x_codes": np.full((1, 2, 2, 3), 131), "w": w}, 131, SAME)  # fmt: skip


def _points(x: Any, w: Array) -> dict[str, Array]:
    """A linear layer as a 1x1 convolution of one pixel."""
    return {"x_codes": np.reshape(x, (1, -1, 1, 1)), "w": w.reshape(*w.shape, 1, 1)}


def _case(
    purpose: str, inputs: dict[str, Array], zero: int, attrs: dict[str, Any],
) -> Case:  # fmt: skip
    inputs = {**inputs, "zero_point": np.array(zero)}
    return Case("int_conv_acc", "T8", purpose, inputs, attrs, ("17.1", "17.2", "P58", "P01"))
