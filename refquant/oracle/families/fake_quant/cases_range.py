"""Inputs for `range_to_qparams`."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from refquant.oracle.case import Case
from refquant.oracle.draw import dyadic, single

CLAUSES = ("3", "D3", "C22")
# Straddling, above, below, at one end of 0, empty at 0 and elsewhere, far from symmetric.
LO = np.array([-1.5, 0.5, -3.0, 0.0, -2.0, 0.0, 1.25, -0.0625, -4.0])
HI = np.array([2.25, 3.5, -0.75, 1.75, 0.0, 0.0, 1.25, 6.0, 3.9375])


def cases() -> Iterator[Case]:
    """Yield the cases of the op."""

    def case(
        tier: str, purpose: str, ends: tuple[Any, Any], attrs: dict[str, Any],
    ) -> Case:  # fmt: skip
        inputs = dict(zip(("lo", "hi"), ends, strict=True))
        return Case("range_to_qparams", tier, purpose, inputs, attrs, CLAUSES)

    for bits in (8, 4, 2):
        yield case("T8", f"ranges of every kind, affine {bits} bits", (LO, HI), {"bits": bits})
    yield case("T8", "ranges of every kind, unsigned", (LO, HI), {"grid": "unsigned"})
    for grid in ("signed", "narrow"):
        for divisor in ("half_span", "p", "amct"):
            attrs = {"grid": grid, "divisor": divisor}
            yield case("T8", f"ranges of every kind, {grid} by {divisor}", (LO, HI), attrs)
    attrs = {"grid": "signed", "divisor": "amct"}
    ends = -np.array([2.0, 2.0, 2.03125, 0.5]), np.array([1.984375, 2.0, 2.0, 3.96875])
    yield case("T8", "signed by amct about the ratio 128 to 127", ends, attrs)
    ends = -np.array([2.0, 2.0, 1.0]), np.array([1.9921875, 1.96875, -0.5])
    yield case("T8", "signed by amct, the lower end a little larger, or alone", ends, attrs)
    ends = -np.array([2.0, 1.0, 1.5]), np.array([1.0, 2.0, 1.5])
    yield case("T8", "narrow by amct, either end the larger", ends, {**attrs, "bits": 3})
    eps = 2.0**-20
    lo = -np.array([2.5, 3.5, 2.25, 0.5, 1.5, 0.0, 9.0]) * eps
    yield case("T8", "steps at the floor: ties of the zero point", (lo, lo + 12 * eps),
               {"bits": 8, "eps": eps})  # fmt: skip
    yield case("T8", "steps at the floor of 1e-8: zeros and ranges that are tiny",
               (np.array([0.0, -(2.0**-40), 2.0**-40]), np.array([0.0, 2.0**-42, 2.0**-40])),
               {"bits": 4})  # fmt: skip
    yield case("T8",
               "symmetric ranges: -lo / s is a tie but for the rounding of s, both codes are right",
               (np.array([-1.0, -3.0, -0.75]), np.array([1.0, 3.0, 0.78125])), {})  # fmt: skip
    a, b = dyadic(("range_to_qparams", "a"), (4, 1), 24, 22), dyadic(
        ("range_to_qparams", "b"), (4, 1), 24, 22)  # fmt: skip
    ends = np.minimum(a, b), np.maximum(a, b)
    yield case("REAL", "any ranges, affine", ends, {})
    yield case("REAL", "any ranges, signed", ends, {"grid": "signed", "bits": 5})
    yield case("REAL", "one range, no axes", (single(-0.71), single(1.9)), {"bits": 3})
    yield case("T24", "16 bits: a zero point of 65535",
               (np.array([-1.0, -65535.0, 0.0]), np.array([65534.0, 0.0, 3.0])),
               {"bits": 16})  # fmt: skip
