"""Inputs for `fake_quant` and its gradient by C's round, half away from zero, and by
floor(x + 1/2): what other cases ask of rint, asked of a backend that declares one of these and is
held to nothing else; and fewer by the other rules, with which other goldens stay the same.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from refquant.oracle.case import Case
from refquant.oracle.draw import codes, dyadic, single
from refquant.oracle.families.fake_quant.cases_gradient import gradient
from refquant.oracle.families.fake_quant.cases_uniform import SPECIAL, ends, uniform

RULES = ("half_away", "half_up")
DIRECTED = ("floor", "ceil")
GRIDS = (("signed", 8, 0), ("narrow", 8, 0), ("unsigned", 8, 0), ("affine", 8, 128),
         ("signed", 4, 0), ("affine", 3, 7))  # fmt: skip
STEPS, ZEROS = np.array([0.125, 0.5, 0.25]), np.array([3, 8, 5])


def cases() -> Iterator[Case]:
    """Yield the cases of both ops."""
    for rule in RULES:
        yield from forward_cases({"rounding": rule})
        yield from backward_cases({"rounding": rule})
    for rule in (*RULES, "half_down", *DIRECTED):
        yield from few_cases({"rounding": rule})
    for rule in DIRECTED:
        yield from directed_cases({"rounding": rule})


def few_cases(rule: dict[str, Any]) -> Iterator[Case]:
    """What no other golden asks of these rules: a tiny step, unsigned codes.

    95/32 is rounded to 3 by whoever keeps four bits of the fraction.
    """
    name = rule["rounding"]
    yield uniform("T8", f"{name}: one number, no axes, the step 2^-20", np.array(95 * 2.0**-25),
                  2.0**-20, 3, {"grid": "affine", **rule}, ("1.1", "2.1"))  # fmt: skip
    yield low_end("unsigned", rule, ("1.3",))


def low_end(kind: str, attrs: dict[str, Any], clauses: tuple[str, ...]) -> Case:
    """Both kinks of a grid of 2 bits, of which the lower one tells the kinds apart."""
    u, name = ends(kind, 2, 0), attrs["rounding"]
    d_y = codes(("fake_quant_backward", name, kind), u.shape, 1, 15) / 4
    return gradient("T8", f"{name}: both kinks of {kind} 2 bits", (u / 2, 0.5, 0, d_y),
                    {"bits": 2, "grid": kind, **attrs}, clauses)  # fmt: skip


def forward_cases(rule: dict[str, Any]) -> Iterator[Case]:
    """Both ends of six grids, special values, a step for each channel, any numbers."""
    name = rule["rounding"]
    for kind, bits, zero in GRIDS:
        yield uniform("T11", f"{name}: both ends of {kind} {bits} bits, zero point {zero}",
                      ends(kind, bits, zero) / 8, 0.125, zero,
                      {"bits": bits, "grid": kind, **rule}, ("1.1", "1.2"))  # fmt: skip
    affine = {"grid": "affine", **rule}
    special = np.tile(np.append(SPECIAL, [2.0**100, -(2.0**100), 0.375]), (3, 1))
    yield uniform("T8", f"{name}: special values in every channel", special, STEPS,
                  np.array([131, 0, 255]), {"axis": 0, **affine}, ("1.1", "2.1"))  # fmt: skip
    x = dyadic(("fake_quant", "square"), (3, 3), 6, 4)
    for axis in (0, 1):
        yield uniform("T8", f"{name}: a square matrix, channels on axis {axis}", x, STEPS, ZEROS,
                      {"bits": 4, "axis": axis, **affine}, ("1.1", "2.1"))  # fmt: skip
    yield uniform("REAL", f"{name}: any values, any step",
                  dyadic(("fake_quant", name), (6, 7), 24, 22), single(0.0237), 131, affine,
                  ("1.1", "2.1"))  # fmt: skip


def backward_cases(rule: dict[str, Any]) -> Iterator[Case]:
    """Both kinks, a zero point above 127, special values, a step for each channel."""
    name, affine = rule["rounding"], {"grid": "affine", **rule}
    u = ends("affine", 8, 200)
    d_y = codes(("fake_quant_backward", name), u.shape, 1, 15) / 4
    yield gradient("T11", f"{name}: both kinks, a zero point above 127", (u / 4, 0.25, 200, d_y),
                   affine, ("1.3", "2.1"))  # fmt: skip
    u = np.array([np.nan, np.inf, -np.inf, 2.0**40, -(2.0**40), 0.25, -0.5])
    yield gradient("T8", f"{name}: NaN, infinities and huge values",
                   (u / 4, 0.25, 3, np.arange(1.0, 8)), {"bits": 3, **affine},
                   ("2.1",))  # fmt: skip
    x, d_y = (dyadic(("fake_quant_backward", name, i), (3, 3), 6, 4) for i in range(2))
    for axis, grad_scale in ((0, 0.25), (1, 1.0)):
        yield gradient("T8", f"{name}: a square matrix, channels on axis {axis}",
                       (x, STEPS, ZEROS, d_y),
                       {"bits": 4, "axis": axis, "grad_scale": grad_scale, **affine},
                       ("2.1", "C21"))  # fmt: skip


def directed_cases(rule: dict[str, Any]) -> Iterator[Case]:
    """Channels between two other axes, with special values; a narrow grid; any values.

    The fraction of +-2^-60 is lost where the zero point is added before the rounding.
    """
    name = rule["rounding"]
    u = np.array([[[np.nan, 1.25], [np.inf, -(2.0**-60)]], [[-2.5, 2.0**-60], [-np.inf, 0.75]]])
    steps = np.array([0.25, 2.0])
    d_y = codes(("fake_quant_backward", name, "d"), (2, 2, 2), 1, 15) / 4
    yield gradient("T8", f"{name}: special values, channels between two axes",
                   (u * steps[:, None], steps, np.array([3, 5]), d_y),
                   {"bits": 3, "grid": "affine", "axis": 1, "grad_scale": 0.25, **rule},
                   ("2.1", "C21"))  # fmt: skip
    yield low_end("narrow", {"mask": "unrounded", **rule}, ("1.3", "D2"))
    x, d_y = (dyadic(("fake_quant_backward", name, i), (12,), 24, 23) for i in ("any", "d any"))
    yield gradient("REAL", f"{name}: any values, one step", (x, single(0.237), 5, d_y),
                   {"bits": 4, "grid": "affine", **rule}, ("2.1",))  # fmt: skip
    yield uniform("REAL", f"{name}: any values, any step", x, single(0.0237), 101,
                  {"grid": "affine", **rule}, ("2.1",))  # fmt: skip
