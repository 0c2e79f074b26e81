"""Inputs for LSQ+ in both forms, forward and backward."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.case import Case
from refquant.oracle.draw import codes, dyadic, single, subject
from refquant.oracle.families.fake_quant.cases_uniform import ends

SPECIAL = np.array([np.nan, np.inf, -np.inf, 2.0**40, -(2.0**40), 0.0])
# Learned zero points of 3 bits, and what they are in either form.
ZERO_POINTS = {
    2.5: ("a tie, to the even 2", "between levels"),
    3.5: ("a tie, to the even 4", "between levels, on the other side of even"),
    3.3125: ("rounded down to 3", "off every half"),
    0.75: ("rounded up to 1", "near the lowest level"),
    -1.25: ("every level above 0", "every level above 0"),
    8.5: ("a tie, to the even 8; every level below 0", "every level below 0"),
}


def cases() -> Iterator[Case]:
    """Yield the cases of the four ops."""
    for name in ("lsqplus_int", "lsqplus_real"):
        for case in forward_cases(name):
            yield case
            yield gradient(case)


def gradient(case: Case) -> Case:
    """The same inputs and a d_y, with a factor on the gradients where there are channels."""
    x = case.inputs["x"]
    key = case.op, subject(case.purpose)
    d_y = codes(key, x.shape, -15, 15) / 4 + 0.125
    factor = 1.0 if case.attrs.get("axis") is None else 0.25
    if case.tier == "REAL":
        d_y, factor = dyadic(key, x.shape, 24, 23), 0.15430334996209191
    return Case(
        f"{case.op}_backward", case.tier, case.purpose, {**case.inputs, "d_y": d_y},
        {**case.attrs, "grad_scale": factor}, ("2.2", "D2", "C21", "P55"),
    )  # fmt: skip


def kinks(zero: float, second: str) -> str:
    """What the ends of a range with this zero point are for, in either form."""
    learned, fixed = ZERO_POINTS[zero]
    if second == "offset":
        return f"both kinks, offset of {-zero} steps ({fixed})"
    return f"both kinks, zero point {zero} ({learned})"


def forward_cases(name: str) -> Iterator[Case]:
    """Cases of one form; its second parameter is in units of the step, or of x."""
    second, unit = ("zero_point", 1.0) if name == "lsqplus_int" else ("offset", -0.25)
    unsigned = {} if name == "lsqplus_int" else {"grid": "unsigned"}

    def case(
        tier: str, purpose: str, x: Array, place: tuple[Any, Any], attrs: dict[str, Any],
    ) -> Case:  # fmt: skip
        inputs = {"x": x, "s": place[0], second: place[1]}
        return Case(name, tier, purpose, inputs, unsigned | attrs, ("2.2", "1.1"))

    for zero in ZERO_POINTS:
        shift = np.rint(zero) if second == "zero_point" else zero
        u = ends("unsigned", 3, 0) - shift
        yield case("T8", kinks(zero, second), u / 4, (0.25, zero * unit), {"bits": 3})
    yield case("T8", "NaN, infinities and huge values", SPECIAL, (0.25, 2.75 * unit), {"bits": 3})
    yield case("T8", "NaN, infinities, and 0 outside the range", SPECIAL, (0.25, -2.0 * unit),
               {"bits": 3})  # fmt: skip
    beside = np.array([2.5 + 2.0**-18, 3.5 - 2.0**-18, 0.5 + 2.0**-20])
    u = np.array([-3.0, -1.25, 0.0, 0.5, 1.75, 4.0, 6.5])
    yield case("T24", f"{second}s a hair from a tie".replace("_", " "), np.tile(u / 4, (3, 1)),
               (np.full(3, 0.25), beside * unit), {"bits": 3, "axis": 0})  # fmt: skip
    key = (name, "square")
    steps, zeros = np.array([0.125, 0.5, 0.25]), np.array([2.75, 8.0, 5.5])
    for axis in (0, 1):
        yield case("T8", f"a square matrix, channels on axis {axis}", dyadic(key, (3, 3), 6, 4),
                   (steps, zeros * unit), {"bits": 4, "axis": axis})  # fmt: skip
    yield case("T8", "feature maps, parameters per channel", dyadic((name, "maps"), (2, 3, 2, 2), 6,
               4), (steps[::-1], zeros * unit), {"bits": 4, "axis": 1})  # fmt: skip
    yield case("T8", "131 values (more than two panels of 64)", dyadic((name, "131"), (131,), 6, 4),
               (0.25, 3.25 * unit), {"bits": 4})  # fmt: skip
    yield case("T8", "one number, no axes", np.array(0.625), (0.25, 3.25 * unit), {"bits": 4})
    yield case("REAL", "any values, any step", dyadic((name, "real"), (6, 7), 24, 22),
               (single(0.0237), single(97.3 * (1.0 if unit == 1 else -0.0237))), {})  # fmt: skip
    yield case("REAL", "any values, any step per channel", dyadic((name, "rows"), (3, 5), 24, 22),
               (single([0.3, 0.041, 0.19]), single([1.3, 7.7, 4.1]) * unit),
               {"bits": 4, "axis": 0})  # fmt: skip
    if second == "offset":
        for tier, (offset, step), point in (
            ("T53", (1000.1, 0.0237), 41),
            ("REAL", (97.3, single(0.37)), 16),
        ):
            many = round(offset / float(step))
            offset = np.floor(np.ldexp(offset, point))  # in units of 2^-point, as x
            below = np.floor(offset + np.ldexp(step * (np.arange(12) + 0.5), point))
            yield case(tier, f"beside ties, an offset of {many} steps",
                       np.ldexp(np.stack([below, below + 1]), -point),
                       (step, np.ldexp(offset, -point)), {"bits": 4})  # fmt: skip
        for grid in ("signed", "narrow", "affine"):
            yield case("T8", f"both ends of {grid} levels", ends(grid, 3, 0) / 4 + 0.375,
                       (0.25, 0.375), {"bits": 3, "grid": grid})  # fmt: skip
