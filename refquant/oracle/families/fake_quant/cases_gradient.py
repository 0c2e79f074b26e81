"""Inputs for `fake_quant_backward`: both kinks, every grid, special values, channels, factors."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from refquant.oracle.case import Case
from refquant.oracle.draw import codes, dyadic, single
from refquant.oracle.families.fake_quant.cases_uniform import ends


def gradient(
    tier: str, purpose: str, inputs: tuple[Any, ...], attrs: dict[str, Any],
    clauses: tuple[str, ...],
) -> Case:  # fmt: skip
    """One case of `fake_quant_backward`; inputs are x, s, zero_point and d_y."""
    named = dict(zip(("x", "s", "zero_point", "d_y"), inputs, strict=True))
    return Case("fake_quant_backward", tier, purpose, named, attrs, clauses)


def cases() -> Iterator[Case]:
    """Yield the cases of the op."""
    u = ends("affine", 3, 3)
    d_y = codes(("fake_quant_backward", "d_y"), u.shape, 1, 15) / 4
    for mask in ("rounded", "unrounded"):
        yield gradient(
            "T8", f"both kinks, odd zero point, mask {mask}", (u / 4, 0.25, 3, d_y),
            {"bits": 3, "grid": "affine", "mask": mask}, ("1.3", "D2", "2.1", "P55"),
        )  # fmt: skip
    for kind, bits in (("signed", 2), ("narrow", 3), ("unsigned", 4), ("signed", 8)):
        u = ends(kind, bits, 0)
        d_y = codes(("fake_quant_backward", kind, bits), u.shape, -15, 15) / 8
        yield gradient(
            "T11", f"both kinks of {kind} {bits} bits", (u / 2, 0.5, 0, d_y),
            {"bits": bits, "grid": kind}, ("1.3", "D2", "P55"),
        )  # fmt: skip
    u = np.array([-201.0, -200.5, -200.0, -3.25, 0.0, 54.75, 55.5, 56.0])
    yield gradient("T11", "a zero point above 127, which int8 would turn negative",
                   (u / 4, 0.25, 200, np.arange(1.0, 9)), {"grid": "affine"},
                   ("1.3", "2.1"))  # fmt: skip
    for rounding in ("half_up", "half_down", "half_away", "floor", "ceil"):
        u = np.append(np.arange(-4.5, 4), [0.25, -0.25, 1.75, -3.25])
        yield gradient(
            "T8", f"ties by {rounding}", (u / 4, 0.25, 0, np.arange(1, 14) / 2),
            {"bits": 3, "rounding": rounding}, ("1.3", "2.1"),
        )  # fmt: skip
    u = np.array([np.nan, np.inf, -np.inf, 2.0**40, -(2.0**40), 0.25, -0.0])
    yield gradient(
        "T8", "NaN, infinities and huge values", (u / 4, 0.25, 3, np.arange(1.0, 8)),
        {"bits": 3, "grid": "affine"}, ("2.1",),
    )  # fmt: skip
    u = np.array([np.inf, -np.inf, 1.25])
    yield gradient("T8", "infinities alone (no NaN hides what they give)",
                   (u / 4, 0.25, 3, np.array([1.0, 2.0, 4.0])), {"bits": 3, "grid": "affine"},
                   ("2.1",))  # fmt: skip
    yield from shared_step_cases()


def shared_step_cases() -> Iterator[Case]:
    """Sums over the elements that share a step, and the factor on them."""
    x, d_y = (dyadic(("fake_quant_backward", "131", name), (131,), 6, 4) for name in ("x", "d"))
    yield gradient("T8", "131 values of one step (more than two panels of 64)",
                   (x, 0.25, 3, d_y), {"bits": 4, "grid": "affine"}, ("2.1", "C21"))  # fmt: skip
    for axis, grad_scale in ((0, 0.25), (1, 1.0)):
        x = dyadic(("fake_quant_backward", "x", axis), (3, 3), 6, 4)
        d_y = dyadic(("fake_quant_backward", "d_y", axis), (3, 3), 5, 3)
        yield gradient(
            "T8", f"a square matrix, channels on axis {axis}",
            (x, np.array([0.125, 0.5, 0.25]), np.array([3, 8, 5]), d_y),
            {"bits": 4, "grid": "affine", "axis": axis, "grad_scale": grad_scale},
            ("2.1", "C21"),
        )  # fmt: skip
    x = dyadic(("fake_quant_backward", "maps"), (2, 3, 2, 2), 6, 4)
    d_y = dyadic(("fake_quant_backward", "d maps"), (2, 3, 2, 2), 5, 3)
    yield gradient(
        "T8", "feature maps, parameters per channel",
        (x, np.array([0.25, 0.125, 0.5]), np.array([0, 15, 7]), d_y),
        {"bits": 4, "grid": "affine", "axis": 1}, ("2.1", "P56"),
    )  # fmt: skip
    x = np.array([[np.nan, np.inf, -np.inf, 2.0**100, 0.3125], [0.25, -0.375, 0.5, 1.25, -1.5]])
    yield gradient(
        "T8", "NaN, infinities and a value beyond 1e30 in one of two channels",
        (x, np.array([0.25, 0.125]), np.array([3, 8]), np.arange(1.0, 11).reshape(2, 5)),
        {"bits": 4, "grid": "affine", "axis": 0}, ("2.1",),
    )  # fmt: skip
    yield gradient(
        "T8", "all inside: the gradient of s is that of the rounding errors",
        (np.array([0.375, -0.625, 1.125, -1.375]), 0.5, 0, np.array([1.0, 2.0, -3.0, 0.5])),
        {"bits": 4}, ("P56",),
    )  # fmt: skip
    yield gradient("T8", "one number, no axes", (np.array(0.625), 0.25, 3, np.array(2.0)),
                   {"bits": 4, "grid": "affine", "grad_scale": 0.5}, ("C21",))  # fmt: skip
    yield gradient(
        "REAL", "any values, a step per channel, a real factor",
        (
            dyadic(("fake_quant_backward", "real"), (4, 3, 2), 24, 22),
            single([0.3, 0.0427, 0.77, 0.051]), np.zeros(4, int),
            dyadic(("fake_quant_backward", "d real"), (4, 3, 2), 24, 23),
        ),
        {"bits": 4, "axis": 0, "grad_scale": 0.15430334996209191}, ("2.1", "P55"),
    )  # fmt: skip
    yield gradient(
        "REAL", "any values, one step, mask unrounded",
        (
            dyadic(("fake_quant_backward", "real 1"), (40,), 24, 22), single(0.237), 5,
            dyadic(("fake_quant_backward", "d real 1"), (40,), 24, 23),
        ),
        {"bits": 4, "grid": "affine", "mask": "unrounded"}, ("2.1", "1.3"),
    )  # fmt: skip
