"""Inputs for AdaQuant's quantizer, forward and backward."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.case import Case
from refquant.oracle.draw import codes, dyadic, single, subject
from refquant.oracle.families.fake_quant.cases_uniform import ends

# Lower ends in units of the step, on 3 bits, and the zero points that they give.
MINIMA = {
    -3.0: "zero point 3",
    -2.5: "a tie, zero point 2",
    -3.5: "a tie, zero point 4",
    -3.3125: "zero point 3, levels off the range",
    1.5: "above 0, zero point held at 0",
    -8.25: "below 0, zero point held at 7",
    0.0: "zero point 0, the first code",
    -7.0: "zero point 7, the last code",
}


def cases() -> Iterator[Case]:
    """Yield the cases of both ops."""
    for case in forward_cases():
        yield case
        yield gradient(case)
    for span, clipped, side in (
        (2.0**-22, 2.0**-20, "below 1e-6"),
        (2.0**18, 2.0**16, "above 1e5"),
    ):
        x = single([0.3, -0.2, 1.7, -1.1, 0.7]) * clipped  # in about the widths that remain
        ends = {"span": np.asarray(span), "minimum": np.asarray(-0.8125 * span)}
        yield Case("adaquant_quant", "REAL", f"a width {side} moves the zero point",
                   {"x": x, **ends}, {"bits": 3}, ("2.3",))  # fmt: skip


def gradient(case: Case) -> Case:
    """The same inputs and a d_y."""
    shape = case.inputs["x"].shape
    key = case.op, subject(case.purpose)
    d_y = codes(key, shape, -15, 15) / 4 + 0.125
    if case.tier == "REAL":
        d_y = dyadic(key, shape, 24, 23)
    return Case(
        "adaquant_quant_backward", case.tier, case.purpose, {**case.inputs, "d_y": d_y},
        case.attrs, ("2.3", "1.3", "C12", "P55"),
    )  # fmt: skip


def forward_cases() -> Iterator[Case]:
    """Clamp edges, ties with every kind of zero point, clipped ranges, channels."""

    def case(
        tier: str, purpose: str, x: Array, place: tuple[Any, Any], attrs: dict[str, Any],
    ) -> Case:  # fmt: skip
        inputs = {"x": x, "span": place[0], "minimum": place[1]}
        return Case("adaquant_quant", tier, purpose, inputs, attrs, ("2.3", "1.1"))

    for low, says in MINIMA.items():
        zero = np.clip(np.rint(-low), 0, 7)
        u = np.concatenate([ends("unsigned", 3, 0) - zero, [1.5, 2.5]])
        purpose = f"range from {low} steps of 1/4 on: its ends and ties ({says})"
        yield case("T8", purpose, u / 4, (7 / 4, low / 4), {"bits": 3})
    u = np.array([-8.0, -6.5, -0.25, 0.0, 0.75, 1.5, 7.25, 8.0])
    lows = np.array([0.25, 0.5, -7.25, -7.5])
    yield case("T8", "zero points that rounding brings to an end of the codes, or past it",
               np.tile(u / 4, (4, 1)), (np.full(4, 7 / 4), lows / 4),
               {"bits": 3, "axis": 0})  # fmt: skip
    lows = -np.array([2.5, 3.5]) + np.array([[2.0**-18], [-(2.0**-18)]])
    yield case("T24", "zero points a hair from a tie", np.tile(u / 4, (4, 1)),
               (np.full(4, 7 / 4), lows.ravel() / 4), {"bits": 3, "axis": 0})  # fmt: skip
    special = np.array([np.nan, np.inf, -np.inf, 2.0**40, -(2.0**40), 0.0, 0.25])
    yield case("T8", "NaN, infinities and huge values", special, (15 / 4, -1.25), {"bits": 4})
    yield case("T8", "a range above 0, with NaN", special, (15 / 4, 1.0), {"bits": 4})
    for span, side in ((2.0**-20, "below 1e-6"), (100002.0, "above 1e5")):
        x = single([0.3, -0.2, 1.7, -1.1, 0.7]) * min(span, 2.0**16)
        yield case("REAL", f"a width {side} (clamped to it)", x, (span, -span / 4), {"bits": 4})
    yield case("REAL", "a width of 1e5 is inside", single([3.3e4, -9e3, 99999.0, 2.0e5]),
               (1.0e5, -1.1e4), {})  # fmt: skip
    yield case("T53", "a width of 1e-6 is inside", np.array([3.3e-7, -0.9e-7, 2e-6]),
               (1e-6, -1.1e-7), {})  # fmt: skip
    spans, minima = np.array([15 / 8, 15 / 2, 15 / 4]), np.array([-0.375, -3.0, -2.0])
    for axis in (0, 1):
        x = dyadic(("adaquant", "square"), (3, 3), 6, 4)
        yield case("T8", f"a square matrix, channels on axis {axis}", x, (spans, minima),
                   {"bits": 4, "axis": axis})  # fmt: skip
    yield case("T8", "feature maps, a range per channel", dyadic(("adaquant", "maps"), (2, 3, 2, 2),
               6, 4), (spans[::-1], minima), {"bits": 4, "axis": 1})  # fmt: skip
    yield case("T8", "131 values (more than two panels of 64)", dyadic(("adaquant", "131"), (131,),
               6, 4), (3.75, -0.75), {"bits": 4})  # fmt: skip
    yield case("T8", "one number, no axes", np.array(0.625), (3.75, -0.75), {"bits": 4})
    yield case("REAL", "any values, any range", dyadic(("adaquant", "real"), (6, 7), 24, 22),
               (single(2.93), single(-1.337)), {})  # fmt: skip
    yield case("REAL", "any values, any range per channel", dyadic(("adaquant", "rows"), (3, 5), 24,
               22), (single([0.77, 3.1, 1.9]), single([-0.31, 0.2, -2.7])),
               {"bits": 4, "axis": 0})  # fmt: skip
