"""Inputs for `fake_quant`.

`u` is x / s: the cases are made in units of the step, which is a power of two outside REAL. What
matters comes in 8 bits too, for kernels that know no other width.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.case import Case
from refquant.oracle.draw import codes, dyadic, single
from refquant.quantizers.grid import Grid
from refquant.quantizers.rounding import ROUNDINGS

TIES = np.arange(-4.5, 6)  # of the affine grid of 3 bits with zero point 3: n, p = -3, 4
BESIDE = np.array([-2.75, -1.25, -0.25, 0.25, 0.75, 1.125, 2.875, 0.0, -0.0, 4.0, -3.0])
SPECIAL = np.array([np.nan, np.inf, -np.inf, 2.0**40, -(2.0**40), 2.0**33, 2.0**31])
# kind, bits, zero point: each bit width, zero points odd, at both ends and in the middle
GRIDS = (
    ("signed", 2, 0),
    ("narrow", 2, 0),
    ("affine", 2, 1),
    ("affine", 3, 7),
    ("unsigned", 3, 0),
    ("affine", 4, 0),
    ("signed", 4, 0),
    ("narrow", 5, 0),
    ("affine", 6, 33),
    ("signed", 7, 0),
    ("signed", 8, 0),
    ("affine", 8, 128),
    ("narrow", 8, 0),
    ("unsigned", 8, 0),
    ("signed", 16, 0),
    ("affine", 16, 32769),
)


def ends(kind: str, bits: int, zero: int) -> Array:
    """u at, and a quarter, a half and more beside both ends and the middle of the levels."""
    n, p = Grid(kind, bits).limits(zero)
    beside = np.array([-1.5, -1.0, -0.75, -0.5, -0.25, 0.0, 0.5, 1.0])
    return np.concatenate([n + beside, p - beside, [-0.5, 0.5]])


def uniform(
    tier: str, purpose: str, x: Any, s: Any, zero: Any, attrs: dict[str, Any],
    clauses: tuple[str, ...],
) -> Case:  # fmt: skip
    """One case of `fake_quant`."""
    inputs = {"x": x, "s": s, "zero_point": zero}
    return Case("fake_quant", tier, purpose, inputs, attrs, clauses)


def cases() -> Iterator[Case]:
    """Yield the cases of the op."""
    yield from rounding_cases()
    yield from grid_cases()
    yield from axis_cases()
    yield from magnitude_cases()
    yield from real_cases()


def rounding_cases() -> Iterator[Case]:
    """Ties, neighbours and special values, by every rule and policy, with an odd zero point."""
    u = np.concatenate([TIES, BESIDE, SPECIAL])
    few = np.array([-1.5, -0.5, 0.5, 2.5, -2.25, 1.0])
    for rounding in ROUNDINGS:
        attrs = {"grid": "affine", "rounding": rounding}
        purpose = f"{rounding} at ties, beside them, of special values; odd zero point"
        yield uniform("T8", purpose, u / 4, 0.25, 131, attrs, ("1.1", "2.1"))
        some = few if rounding != "rint" else u
        purpose = f"{rounding} at ties, 3 bits"
        yield uniform("T8", purpose, some / 4, 0.25, 3, attrs | {"bits": 3}, ("1.1",))
    for nan in ("low", "high"):
        attrs = {"grid": "affine", "nan": nan}
        x = np.array([np.nan, np.inf, -np.inf, 0.25, 2.0**33, -(2.0**33), np.nan])
        yield uniform("T8", f"NaN takes the {nan} end", x, 0.25, 131, attrs, ("2.1",))
    for grid in ("signed", "narrow"):
        x = np.array([np.nan, np.inf, -np.inf, 0.25])
        yield uniform("T8", f"NaN takes the low end of {grid} codes", x, 0.25, 0,
                      {"bits": 3, "grid": grid, "nan": "low"}, ("2.1",))  # fmt: skip
    half_below = np.array([0.49999999999999994, -0.49999999999999994, 2.5000000000000004])
    for rounding in ("rint", "half_up", "half_down", "half_away"):
        yield uniform(
            "T53", f"{rounding} one ulp from a tie in double precision",
            half_below, 1.0, 0, {"bits": 3, "rounding": rounding}, ("1.1", "1.4"),
        )  # fmt: skip


def grid_cases() -> Iterator[Case]:
    """Both ends of every kind and width of grid."""
    for kind, bits, zero in GRIDS:
        tier = "T24" if bits == 16 else "T11"
        attrs = {"bits": bits, "grid": kind}
        purpose = f"both ends of {kind} {bits} bits, zero point {zero}"
        x = ends(kind, bits, zero) / 8
        yield uniform(tier, purpose, x, 0.125, zero, attrs, ("1.2", "P07"))
    on_grid = np.arange(-8, 8) / 32
    yield uniform(
        "T8", "values that are levels already", on_grid, 1 / 32, 0, {"bits": 4}, ("P05", "1.2")
    )
    yield uniform(
        "T8", "every code of a grid comes back",
        (np.arange(16) - 11) / 4, 0.25, 11, {"bits": 4, "grid": "affine"}, ("P05", "P07"),
    )  # fmt: skip


def axis_cases() -> Iterator[Case]:
    """A step and a zero point per channel, on every axis; 0-d and empty tensors."""
    affine: dict[str, Any] = {"grid": "affine"}
    x = dyadic(("fake_quant", "square"), (3, 3), 6, 4)
    for axis, bits in ((0, 8), (1, 8), (1, 4)):
        attrs = {"bits": bits, "grid": "affine", "axis": axis}
        finer = 32 if bits == 8 else 1
        yield uniform(
            "T8", f"a square matrix, channels on axis {axis}, {bits} bits", x,
            np.array([0.125, 0.5, 0.25]) / finer, np.array([3, 8, 5]) * (2 * bits - 7), attrs,
            ("1.2", "2.1"),
        )  # fmt: skip
    x = dyadic(("fake_quant", "weights"), (4, 2, 1, 3), 6, 4)
    yield uniform(
        "T8", "weights of a convolution, a step per output channel far from the others", x,
        np.array([2.0, 0.0078125, 0.25, 0.5]), np.zeros(4, int), {"axis": 0}, ("2.1",),
    )  # fmt: skip
    x = dyadic(("fake_quant", "maps"), (2, 3, 2, 2), 6, 4)
    yield uniform(
        "T8", "feature maps, parameters per channel, zero points at both ends", x,
        np.array([0.03125, 0.0078125, 0.25]), np.array([0, 255, 77]),
        affine | {"axis": 1}, ("1.2",),
    )  # fmt: skip
    x = dyadic(("fake_quant", "tokens"), (1, 2, 3), 6, 4)
    yield uniform(
        "T8", "tokens, channels last", x,
        np.array([0.5, 0.0625, 0.25]), np.array([1, 2, 9]), affine | {"axis": 2, "bits": 4},
        ("1.2",),
    )  # fmt: skip
    special = np.array([np.nan, np.inf, -np.inf, 2.0**100, -(2.0**100), 0.375])
    yield uniform(
        "T8", "NaN, infinities and values beyond 1e30 in every channel", np.tile(special, (3, 1)),
        np.array([0.25, 0.5, 0.125]), np.array([131, 0, 255]), affine | {"axis": 0}, ("1.2", "2.1"),
    )  # fmt: skip
    yield uniform("T8", "one number, no axes", np.array(0.625), 0.25, 3, affine, ("2.1",))
    yield uniform("T8", "one channel of one number (its axes must stay)", np.array([[1.125]]),
                  np.array([0.25]), np.array([3]), affine | {"axis": 0}, ("2.1",))  # fmt: skip
    yield uniform("T8", "no numbers at all", np.zeros((2, 0)), 0.25, 3, affine, ("2.1",))
    yield uniform("T8", "all zero (every code is the zero point)", np.zeros((2, 3)), 0.25, 9,
                  affine, ("2.1", "P07"))  # fmt: skip


def magnitude_cases() -> Iterator[Case]:
    """Steps at both ends of float32, quotients that overflow it, values beyond int32 and int64."""
    tiny, large = 2.0**-126, 2.0**120
    u = np.array([0.5, 1.5, -0.5, -2.5, 126.5, 140.0, -128.5, 3.25, 0.0])
    yield uniform("T11", "the smallest normal step", u * tiny, tiny, 0, {}, ("1.4",))
    yield uniform("T11", "the step 2^120, whose levels reach the end of float32", u * large, large,
                  0, {}, ("1.4",))  # fmt: skip
    yield uniform(
        "T24", "quotients beyond int32, int64 and float32",
        np.array([2.0**30, 2.0**31, 2.0**32, 2.0**62, 2.0**63, 2.0**64, 2.0**127, -(2.0**31),
                  -(2.0**32), -(2.0**63), -(2.0**64), -(2.0**127), 12.75, -12.75, 3.0e9, -3.0e9]),
        0.0625, 117, {"grid": "affine"}, ("2.1", "1.4"),
    )  # fmt: skip
    yield uniform(
        "T24", "values smaller than the step by more than the precision",
        np.array([2.0**-100, -(2.0**-100), 2.0**-140, -(2.0**-140), 1.5, -1.5]),
        1.0, 1, {"bits": 2, "grid": "affine"}, ("1.4",),
    )  # fmt: skip


def real_cases() -> Iterator[Case]:
    """Steps that are no powers of two: quotients are rounded, and a few are in doubt."""
    x = dyadic(("fake_quant", "real"), (8, 12), 24, 22)
    yield uniform(
        "REAL", "any values, any step", x, single(0.0237), 131, {"grid": "affine"}, ("2.1",)
    )
    yield uniform("REAL", "four values far from ties, a step that is no power of two",
                  single([0.7, -0.31, 0.093, 1.1]), single(0.0237), 101, {"grid": "affine"},
                  ("2.1",))  # fmt: skip
    yield uniform("T53", "a step of 53 bits, which single precision rounds",
                  np.array([0.7, -0.31, 0.093, 1.1, -1.7]), 0.0237, 101, {"grid": "affine"},
                  ("2.1", "1.4"))  # fmt: skip
    steps = single([0.3, 0.0127, 0.77, 0.041, 0.19])
    x = dyadic(("fake_quant", "real rows"), (3, 5, 4), 24, 22)
    yield uniform(
        "REAL", "any values, a step per channel", x, steps, np.zeros(5, int),
        {"bits": 4, "axis": 1, "rounding": "half_up"}, ("2.1",),
    )  # fmt: skip
    levels = np.array([-2.5, 5.5, -6.0, 3.0, 7.0, -8.0, 12.5, 0.25, 3.75])
    x = np.append(single(0.1 * levels), 1.25)
    yield uniform(
        "REAL", "multiples and a half of a step, rounded: two answers are right", x,
        single(0.1), 0, {"bits": 4}, ("1.4",),
    )  # fmt: skip
    x = np.append(np.array([3.0]), codes(("fake_quant", "whole"), 12, -60, 60))
    yield uniform("REAL", "whole numbers over 0.24 (3 / 0.24 lies beside the tie 12.5)", single(x),
                  single(0.24), 101, {"grid": "affine"}, ("1.4",))  # fmt: skip
