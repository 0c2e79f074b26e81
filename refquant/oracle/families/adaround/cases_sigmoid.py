"""Inputs for the rectified sigmoid and the rounding regulariser."""

from collections.abc import Iterator

import numpy as np

from refquant._types import Array
from refquant.oracle.case import Case
from refquant.oracle.draw import dyadic

LN11 = 2.3978952727983707
EIGHTHS = np.array([0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 2.25, 2.375, 2.4375, 3.0, 5.0, 20.0])
GRID = np.array([EIGHTHS, -EIGHTHS])
FLOAT_EDGE = float(np.float32(LN11))
BESIDE = np.array([FLOAT_EDGE - 2.0**-22, FLOAT_EDGE + 2.0**-21])
FAR = np.array([2.0**-30, 88.0, 104.0, 710.0, 1024.0])
AT_EDGE = np.array([LN11, -LN11, np.nextafter(LN11, 0.0), np.nextafter(LN11, 3.0), 1.0])


def cases() -> Iterator[Case]:
    """Yield the cases of the four ops."""
    far = np.concatenate([BESIDE, -BESIDE, FAR, -FAR])
    real = dyadic(("rect_sigmoid", "alpha"), (5, 8), 24, 22)
    yield Case(
        "rect_sigmoid", "T8", "both signs, beside both saturations and beyond",
        {"alpha": GRID}, {}, ("6.1", "P21"),
    )  # fmt: skip
    yield Case("rect_sigmoid", "T24", "next to ln 11, and where exp overflows", {"alpha": far}, {},
               ("6.1", "P21"))  # fmt: skip
    yield Case("rect_sigmoid", "REAL", "any alpha", {"alpha": real}, {}, ("6.1",))
    yield from _backward(real)
    yield from _regularizer(real)


def _backward(real: Array) -> Iterator[Case]:
    d_h = dyadic(("rect_sigmoid", "d_h"), GRID.shape, 8, 4)
    for edge in ("inclusive", "strict"):
        yield Case(
            "rect_sigmoid_backward", "T8", f"{edge}: both signs, saturated and not",
            {"alpha": GRID, "d_h": d_h}, {"edge": edge}, ("6.2",),
        )  # fmt: skip
        yield Case(
            "rect_sigmoid_backward", "T53",
            f"{edge}: at ln 11 itself, where weights on the grid are",
            {"alpha": AT_EDGE, "d_h": np.array([1.0, 2.0, 3.0, 5.0, 7.0])}, {"edge": edge},
            ("6.2", "D37"),
        )  # fmt: skip
    d_h = dyadic(("rect_sigmoid", "real d_h"), real.shape, 24, 22)
    yield Case("rect_sigmoid_backward", "REAL", "any alpha, any gradient",
               {"alpha": real, "d_h": d_h}, {}, ("6.2",))  # fmt: skip


def _regularizer(real: Array) -> Iterator[Case]:
    some = GRID[:, 1:9]
    for beta, lam in ((2.0, 0.5), (20.0, 1.0), (8.5, 0.01)):
        attrs = {"beta": beta, "lam": lam}
        yield Case("round_reg", "T8", f"beta {beta}, open decisions of both kinds",
                   {"alpha": some}, attrs, ("5.4", "P23"))  # fmt: skip
        yield Case("round_reg_backward", "T8", f"beta {beta}, open decisions of both kinds",
                   {"alpha": some}, attrs, ("5.4", "6.2", "P23"))  # fmt: skip
    ends = np.array([[0.0, 0.0, 3.0], [-3.0, 20.0, -20.0]])
    yield Case("round_reg", "T8", "h = 1/2 costs lambda, h = 0 and 1 cost nothing",
               {"alpha": ends}, {"beta": 4.0, "lam": 0.25}, ("5.4", "P20"))  # fmt: skip
    yield Case("round_reg", "T8", "all decided: 0", {"alpha": ends[1:]}, {}, ("P20",))
    yield Case("round_reg_backward", "T8", "no push at h = 1/2 nor at 0 and 1",
               {"alpha": ends}, {"beta": 4.0, "lam": 0.25}, ("5.4", "P23"))  # fmt: skip
    yield Case("round_reg_backward", "T8", "no push at h = 1/2, the exponent below 2",
               {"alpha": ends}, {"beta": 1.5, "lam": 0.25}, ("5.4", "P23"))  # fmt: skip
    for op in ("round_reg", "round_reg_backward"):
        yield Case(op, "T8", "beta 1: the push does not depend on how far h is from 1/2",
                   {"alpha": some}, {"beta": 1.0, "lam": 0.5}, ("5.4", "P23"))  # fmt: skip
    many = dyadic(("round_reg", "many"), (17, 16), 3, 1)
    yield Case("round_reg", "T8", "more than 256 weights", {"alpha": many},
               {"beta": 2.0, "lam": 0.5}, ("5.4",))  # fmt: skip
    yield Case("round_reg", "REAL", "any alpha, the exponent of a late step",
               {"alpha": real[:2]}, {"beta": 2.4, "lam": 0.01}, ("5.4",))  # fmt: skip
    yield Case("round_reg_backward", "REAL", "any alpha, the exponent of a late step",
               {"alpha": real[:2]}, {"beta": 2.4, "lam": 0.01}, ("5.4", "6.2"))  # fmt: skip
    for edge in ("inclusive", "strict"):
        yield Case("round_reg_backward", "T53", f"{edge}: at ln 11 itself",
                   {"alpha": AT_EDGE}, {"edge": edge}, ("6.2", "D37"))  # fmt: skip
