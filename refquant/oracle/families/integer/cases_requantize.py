"""Inputs for `requant_float`, `requant_fixed` and `quantize_multiplier`."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from refquant.oracle.case import Case
from refquant.oracle.draw import codes, single

EXTREMES = np.array([2**31 - 1, -(2**31), 2**30, -(2**30), 2**30 - 1, 0, 1, -1])
SMALL = np.arange(-7, 8)
SIGNED: dict[str, Any] = {"grid": "signed"}
WIDE = {"bits": 16, "grid": "signed"}  # for results beyond 8 bits
HALF = 2**30  # m0 of 1/2


def cases() -> Iterator[Case]:
    """Yield the cases of the three ops."""
    yield from float_cases()
    yield from fixed_cases()
    yield from multiplier_cases()


def float_case(
    tier: str, purpose: str, acc: Any, place: tuple[Any, ...], attrs: dict[str, Any],
) -> Case:  # fmt: skip
    """One case of `requant_float`; place is scale, offset, step and zero point."""
    names = ("acc", "scale", "offset", "step", "zero_point")
    inputs = dict(zip(names, (acc, *place), strict=True))
    clauses = ("17.3", "17.5", "17.6", "P42")
    return Case("requant_float", tier, purpose, inputs, attrs, clauses)


def float_cases() -> Iterator[Case]:
    """Ties, both ends, a fused ReLU, channels, real scales."""
    case = float_case
    acc = np.concatenate([SMALL, [700, -700, 512]])
    yield case("T8", "ties and both ends, odd zero point", acc, (0.25, 0.25, 0.5, 5), {})
    yield case("T8", "a negative scale", acc, (-0.25, 0.25, 0.5, 5), {})
    yield case("T8", "a fused ReLU", acc, (0.25, -0.25, 0.5, 5), {"relu": True})
    yield case("T8", "a fused ReLU, zero point at the lowest code", acc, (0.5, -0.5, 0.5, 0),
               {"relu": True})  # fmt: skip
    yield case("T8", "a fused ReLU comes after the offset", acc, (0.25, 1.0, 0.5, 5),
               {"relu": True})  # fmt: skip
    yield case("T8", "a fused ReLU, a negative scale", acc, (-0.25, 0.375, 0.5, 5),
               {"relu": True})  # fmt: skip
    yield case("T8", "signed codes with a fused ReLU", acc, (0.25, 0.125, 0.5, -3),
               SIGNED | {"relu": True})  # fmt: skip
    yield case("T8", "narrow codes: the lowest is not used", acc, (0.5, 0.0, 0.25, 0),
               {"grid": "narrow"})  # fmt: skip
    yield case("T8", "a dead channel: the offset alone", acc, (0.0, 0.75, 0.5, 3), {})
    acc = codes(("requant_float", "maps"), (2, 3, 2, 2), -400, 400)
    per_channel = np.array([0.25, -0.125, 0.0625]), np.array([0.5, -1.0, 0.375])
    yield case("T8", "channels on axis 1", acc, (*per_channel, 0.25, 7), {"axis": 1})
    acc = codes(("requant_float", "square"), (3, 3), -400, 400)
    yield case("T8", "a square matrix, channels last", acc, (*per_channel, 0.25, 7),
               {"axis": 1})  # fmt: skip
    yield case("T8", "a square matrix, channels first", acc, (*per_channel, 0.25, 7),
               {"axis": 0})  # fmt: skip
    yield case("T8", "one number, no axes", np.array(7), (0.25, 0.0, 0.5, 2), {})
    yield case("T8", "real values beyond 32 bits", np.array([2**30, -(2**30), 3 * 2**29, 5, 0]),
               (8.0, 0.25, 0.25, 200), {})  # fmt: skip
    yield case("T53", "accumulators of 32 bits", EXTREMES, (2.0**-24, 0.5, 1.0, 3),
               {"bits": 8})  # fmt: skip
    odd = np.array([2**25 + 1, 2**25 - 1, -(2**25) - 1, 3 * 2**25 + 1, 5 * 2**26 - 1, 2**31 - 3])
    yield case("T53", "accumulators beyond 24 bits, a unit beside ties", odd,
               (2.0**-26, 0.0, 1.0, 100), {})  # fmt: skip
    hair = np.array([0.5 + 2.0**-20, 0.5 - 2.0**-20, 1.5 - 2.0**-20, -0.5 - 2.0**-20])
    yield case("T24", "scales a hair beside ties", np.array([1, 1, 1, 1]),
               (hair, np.zeros(4), 1.0, 3), {"axis": 0})  # fmt: skip
    yield case("T24", "offsets a hair beside ties", np.array([2, -1, 3, 0]),
               (np.zeros(4), hair, 1.0, 3), {"axis": 0})  # fmt: skip
    ends = np.array([-40000, -32769, -32768, 0, 32767, 32768, 40000, 70000])
    for kind, zero in (("signed", 0), ("unsigned", 0), ("affine", 40000)):
        yield case("T24", f"16 bits, {kind}: both ends", ends, (1.0, 0.25, 1.0, zero),
                   {"bits": 16, "grid": kind})  # fmt: skip
    yield case("T8", "signed codes: the lowest is used", acc, (0.25, 0.25, 0.5, 0), SIGNED)
    acc = codes(("requant_float", "real"), (6, 7), -30000, 30000)
    yield case("REAL", "any scale, offset and step", acc,
               (single(0.00713), single(0.317), single(0.0931), 2001), {"bits": 12})  # fmt: skip
    acc = codes(("requant_float", "rows"), (4, 3), -3000, 3000)
    place = single([0.00213, -0.0017, 0.0041]), single([0.5, 1.7, -2.3]), single(0.0471), 101
    yield case("REAL", "any scales, a channel of either sign", acc, place, {"axis": 1})


Fixed = tuple[str, Any, tuple[Any, Any, int], dict[str, Any]]


def fixed_cases() -> Iterator[Case]:
    """Purpose, acc, (m0, exponent, zero point) and attributes, in two stages and in one."""
    for purpose, acc, place, attrs in (*fixed_products(), *fixed_shifts(), *fixed_codes()):
        inputs = dict(zip(("acc", "m0", "exponent", "zero_point"), (acc, *place), strict=True))
        for stages in ("double", "single"):
            yield Case(
                "requant_fixed", "T8", f"{purpose}, {stages}", inputs,
                {"requantize": stages, **attrs}, ("17.4", "17.5", "C15", "P57"),
            )  # fmt: skip


def fixed_products() -> Iterator[Fixed]:
    """Ties of either rounding, multipliers of either sign, the one product that does not fit."""
    yield "M = 1/2 and its ties", SMALL, (HALF, 0, 0), SIGNED
    yield "M = 1/4: two roundings differ from one", SMALL, (HALF, 1, 0), SIGNED
    yield "M = 1/4: ties of either sign, affine", np.arange(-14, 15), (HALF, 1, 131), {}
    yield "M = -1/4: ties take the sign of the product", np.arange(-14, 15), (-HALF, 1, 131), {}
    yield "M = -3/8, a negative scale", SMALL, (-3 * 2**29, 0, 0), SIGNED
    acc = np.concatenate([SMALL * 256 + d for d in (127, 128, 129)])
    yield "M = 2^-9: ties of a long shift", acc, (HALF, 8, 0), SIGNED
    beside = np.array([16777729, -16777729, 16778753, -16778753, 16777727])
    yield "M = 2^-10: accumulators of 25 bits beside ties", beside, (HALF, 9, 0), WIDE
    acc = codes(("requant_fixed", "acc"), 60, -(2**20), 2**20)
    yield "any multiplier", acc, (1490923821, 13, 0), SIGNED
    yield "any negative multiplier", acc, (-1490923821, 7, 0), WIDE
    near = np.array([13 * 2**30 + 1, 13 * 2**30 + 1, 9 * 2**30 - 1, 9 * 2**30 - 1]) // [7, 7, 5, 5]
    place = near, np.zeros(4, np.int64), 0
    yield "one unit beside ties", np.array([-7, 7, 5, -5]), place, SIGNED | {"axis": 0}
    yield "the one product that does not fit", EXTREMES, (-(2**31), 16, 0), WIDE
    yield "results and a zero point beyond 32 bits", EXTREMES, (2**31 - 1, 0, 200), {}
    yield "the one product that does not fit, clipped", EXTREMES[:4], (-(2**31), 0, 0), WIDE
    yield "a multiplier of 0", EXTREMES, (0, 0, 5), {}


def fixed_shifts() -> Iterator[Fixed]:
    """Left shifts that saturate, right shifts up to the widths of registers and beyond."""
    yield "M = 6: a left shift", SMALL, (3 * 2**29, -3, 0), SIGNED
    acc = np.array([2**30, -(2**30), 2**20, -(2**20), 3, -3])
    yield "a left shift that saturates, then 8 bits", acc, (HALF, -12, 9), {}
    yield "the longest left shifts", np.array([1, -1, 2, 0, 7, -7]), (HALF, -31, 0), SIGNED
    yield "left shifts beyond 31", np.array([1, -1, 0]), (HALF, -40, 0), SIGNED
    for e in (30, 31, 32, 40, 64):
        yield f"extremes, shifted by {e}", EXTREMES, (2**31 - 1, e, 0), SIGNED
    yield "extremes, shifted by 15", EXTREMES, (2**31 - 1, 15, 0), WIDE


def fixed_codes() -> Iterator[Fixed]:
    """Both ends of the codes, a fused ReLU, channels."""
    yield "both ends, odd zero point", SMALL * 80, (HALF, 0, 5), {}
    yield "unsigned codes", SMALL * 80, (HALF, 0, 0), {"grid": "unsigned"}
    yield "a zero point above 127", SMALL * 40, (HALF, 0, 200), {}
    ends = np.array([-(2**17), -65537, 0, 3, 50000, 2**17])
    yield "16 bits, both ends", ends, (HALF, 0, 40000), {"bits": 16}
    yield "a fused ReLU", SMALL, (HALF, 0, 5), {"relu": True}
    yield "a fused ReLU, M = -3/8", SMALL * 8, (-3 * 2**29, 0, 5), {"relu": True}
    yield "signed codes with a fused ReLU", SMALL, (HALF, 0, -3), SIGNED | {"relu": True}
    yield "narrow codes (the lowest is not used)", SMALL * 64, (HALF, 0, 0), {"grid": "narrow"}
    parameters = np.array([HALF, -3 * 2**29, 2**31 - 1]), np.array([0, 1, -1]), 7
    acc = codes(("requant_fixed", "maps"), (2, 3, 2, 2), -40, 40)
    yield "channels on axis 1", acc, parameters, SIGNED | {"axis": 1}
    acc = codes(("requant_fixed", "square"), (3, 3), -40, 40)
    yield "a square matrix, channels first", acc, parameters, SIGNED | {"axis": 0}


def multiplier_cases() -> Iterator[Case]:
    """Powers of two, mantissas of 24 and of 53 bits, ties, zero."""

    def case(tier: str, purpose: str, m: Any, how: str) -> Case:
        return Case(
            "quantize_multiplier", tier, purpose, {"multiplier": m}, {"mantissa_rounding": how},
            ("17.4", "C16"),
        )  # fmt: skip

    near_one = 1 - 2.0**-24
    exact = [0.5, 0.25, 1.0, 0.75, 3.0, -0.375, -6.0, 0.0, -0.0, near_one, -near_one, 2.0**-60]
    yield case("T24", "powers of two, mantissas of 24 bits, zero", np.array(exact), "rint")
    yield case("T24", "one number, no axes", np.array(0.0078125), "rint")
    tiny = np.array([2.0**-149, 3 * 2.0**-140, -(2.0**-127), 2.0**-126, -5 * 2.0**-130])
    yield case("T24", "subnormal numbers of float32", tiny, "rint")
    tiny = np.array([2.0**-1074, -3 * 2.0**-1070, 2.0**-1023, 2.0**-1022])
    yield case("T53", "subnormal numbers of float64", tiny, "rint")
    unit = 2.0**-31
    ties = np.array([[0.5 + unit / 2, 0.5 + 1.5 * unit], [-0.5 - 2.5 * unit, 3.0 + 10 * unit]])
    full = np.array([1 - 2.0**-33, -1 + 2.0**-33, 1 - 2.0**-32, 1 - 2.0**-31])
    for how in ("rint", "half_away"):
        yield case("T53", f"ties of the 32nd bit by {how}", ties, how)
        yield case("T53", f"mantissas rounded to 2^31 by {how}", full, how)
        yield case("T53", f"mantissas of 53 bits by {how}",
                   np.array([0.7, -1.1, 0.0003471, 123.456, 1e-9]), how)  # fmt: skip
