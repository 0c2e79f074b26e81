"""Inputs for the poolings: odd geometries, ties, negative maps."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.case import Case
from refquant.oracle.draw import codes, double, dyadic, subject
from refquant.oracle.families.layers.cases_conv import output_size
from refquant.oracle.op import Arrays

ODD = {"stride": [2, 1], "padding": [1, 0, 2, 2], "dilation": [1, 2]}  # (3, 2)
QUARTERS = {"stride": [2, 1], "padding": [0, 1, 1, 0]}  # (2, 2): divisors 4, 2 and 1
THIRDS = {"padding": [1, 0, 0, 2], "stride": [2, 2]}  # (2, 3): divisors 6, 4, 3, 2, 1
BEHIND = {"stride": [2, 2], "padding": [0, 0, 1, 1]}  # (2, 2): divisors 4, 2 and 1
BEFORE = {"padding": [1, 1, 0, 0]}  # (2, 2)
APART = {"stride": [2, 3]}  # (1, 2): pixels that no window reaches
LONG = (3, 6)  # more than 16 taps
BOTH = ("max_pool", "max_pool_backward")
PLACE = BOTH[1:]  # of cases that ask for the place of the maximum alone
SIGNED_ZEROS = np.array(
    [[[[-0.0, 0.0, -1.0, -0.0], [0.0, -0.0, -2.0, 0.0], [-1.0, -0.0, -0.0, 0.0]]]]
)


def cases() -> Iterator[Case]:
    """Yield the cases of the six operations."""
    yield from max_cases()
    yield from average_cases()
    yield from global_cases()


def tied(key: str, shape: tuple[int, ...]) -> Array:
    """-1/2, 0 and 1/2: most windows have several maxima."""
    return codes(("pool", key), shape, -1, 1) / 2


def gradient(key: str, x: tuple[int, ...], kernel: tuple[int, int], attrs: Any) -> Array:
    """d_y of a pooling, never 0."""
    size = (*x[:2], *output_size(x[2:], kernel, attrs))
    return dyadic(("pool", "d_y", key), size, 6, 2) + 0.125


def max_cases() -> Iterator[Case]:
    """Yield the cases of `max_pool` and `max_pool_backward`."""
    ties = tied("odd", (1, 2, 5, 3))
    ties[0, 0, 1, 2] = ties[0, 0, 2, 0] = 1.0  # the first by rows is not the first by columns
    negative = -1.0 - np.abs(dyadic(("pool", "negative"), (2, 1, 3, 4), 7, 4))
    below = np.where(tied("inf", (1, 1, 3, 4)) < 0, -np.inf, -1.0)
    below[0, 0, 1, 2] = np.inf
    for purpose, tier, x, (kernel, attrs), ops in (
        ("ties; odd strides, dilations and paddings", "T8", ties, ((3, 2), ODD), BOTH),
        ("a negative map: padding must not win", "T8", negative, ((2, 3), THIRDS), BOTH),
        ("windows of -inf, and an infinity", "T8", below, ((2, 2), QUARTERS), BOTH),
        ("a 1x3 kernel on a 10x4 map", "T24", dyadic(("pool", "line"), (1, 1, 10, 4), 24, 20),
         ((1, 3), {"stride": [3, 2], "padding": [0, 1, 0, 1]}), BOTH),
        ("padding behind alone", "T8", dyadic(("pool", "behind"), (1, 2, 3, 3), 7, 3) - 16,
         ((2, 2), BEHIND), BOTH),
        ("values that single precision rounds", "T53", double(("pool",), (1, 1, 3, 3), 52),
         ((2, 2), {}), BOTH),
        ("18 taps, the maximum among the last (beyond an index of 4 bits)", "T8",
         np.arange(28.0).reshape(1, 1, 4, 7) / 4 - 3,
         (LONG, {}), PLACE),
        ("zeros of both signs are equal", "T8", SIGNED_ZEROS, ((2, 2), {}), PLACE),
        ("windows apart: pixels that none reaches", "T8", tied("apart", (1, 2, 4, 5)) + 1,
         ((1, 2), APART), BOTH),
    ):  # fmt: skip
        given = {"kernel": list(kernel), **attrs}
        d_y = gradient(subject(purpose), x.shape, kernel, attrs)
        d_y = double(("pool", "d_y"), d_y.shape, 52) if tier == "T53" else d_y
        for op in ops:
            inputs = {"x": x} if op == "max_pool" else {"d_y": d_y, "x": x}
            yield Case(op, tier, purpose, inputs, given, ("4.3", "C1"))


def average_cases() -> Iterator[Case]:
    """Yield the cases of `average_pool` and `average_pool_backward`, in both conventions."""
    for purpose, tier, shape, (kernel, attrs) in (
        ("divisors that are powers of two", "T8", (1, 2, 3, 3), ((2, 2), QUARTERS)),
        ("divisors that are not", "T11", (2, 1, 5, 4), ((2, 3), THIRDS)),
        ("odd strides, dilations and paddings", "REAL", (1, 2, 5, 3), ((3, 2), ODD)),
        ("padding behind alone", "T8", (1, 2, 3, 3), ((2, 2), BEHIND)),
        ("padding before alone", "T8", (2, 2, 2, 2), ((2, 2), BEFORE)),
        ("windows apart: pixels that none reaches", "T8", (1, 2, 4, 5), ((1, 2), APART)),
        ("18 taps (more than a vector of 16)", "T8", (1, 1, 4, 7), (LONG, {})),
        ("infinities stay in their windows", "T8", (1, 1, 3, 7), ((2, 2), {})),
        ("dilated, stride 1, four taps", "T8", (1, 2, 4, 5), ((2, 2), {"dilation": [2, 3]})),
    ):
        bits = {"T8": 8, "T11": 11, "REAL": 24}[tier]
        x = dyadic(("pool", "average", subject(purpose)), shape, bits, bits - 3)
        if "infinities" in purpose:
            x[0, 0, 0, 1], x[0, 0, 2, 4] = np.inf, -np.inf
        d_y = gradient(subject(purpose), shape, kernel, attrs)
        d_y = dyadic(("pool", "real"), d_y.shape, 24, 20) if tier == "REAL" else d_y
        for counts in (False, True) if "padding" in attrs else (False,):
            counted = "padding counted" if counts else "padding not counted"
            where = f"{purpose}; {counted}" if "padding" in attrs else purpose
            given = {"kernel": list(kernel), **attrs, "count_include_pad": counts}
            clauses = ("4.3", "C1")
            yield Case("average_pool", tier, where, {"x": x}, given, clauses)
            inputs: Arrays = {"d_y": d_y, "x": x}
            yield Case("average_pool_backward", tier, where, inputs, given, clauses)


def global_cases() -> Iterator[Case]:
    """Yield the cases of `global_average_pool` and its gradient."""
    for purpose, tier, shape, bits in (
        ("eight positions (the mean is exact)", "T8", (2, 3, 2, 4), 8),
        ("fifteen positions (the mean is rounded)", "T11", (1, 2, 5, 3), 11),
        ("sums that are rounded", "REAL", (2, 1, 3, 2), 24),
        ("35 positions (three more than a warp has threads)", "T11", (1, 2, 5, 7), 11),
    ):
        key = subject(purpose)
        x = dyadic(("pool", "global", key), shape, bits, bits - 7)
        d_y = dyadic(("pool", "global d_y", key), (*shape[:2], 1, 1), min(bits, 8), 4)
        yield Case("global_average_pool", tier, purpose, {"x": x}, {}, ("4.3",))
        inputs = {"d_y": d_y, "x": x}
        yield Case("global_average_pool_backward", tier, purpose, inputs, {}, ("4.3",))
    x = dyadic(("pool", "global", "131"), (1, 2, 1, 131), 8, 1)
    yield Case("global_average_pool", "T8", "131 positions (more than two panels of 64)",
               {"x": x}, {}, ("4.3",))  # fmt: skip
