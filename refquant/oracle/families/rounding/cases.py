"""Inputs for `round` and `border_round`."""

from collections.abc import Iterator

import numpy as np

from refquant.oracle.case import Case
from refquant.oracle.draw import dyadic
from refquant.quantizers.rounding import ROUNDINGS

SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0])
TIES = np.arange(-9, 10) / 2  # every half, odd and even neighbours, both signs
NEAR = np.array([0.25, 0.75, 1.25, 2.875, -0.25, -0.75, -1.125, -2.875, 100.0, -100.0])
HALF_BELOW = 0.49999999999999994  # the double whose sum with 1/2 rounds to 1
TIES_BESIDE = np.array([HALF_BELOW, -HALF_BELOW, 2.5000000000000004, 2.0**52 - 0.5])
WHOLE_BESIDE = np.array([2.0000000000000004, 1.9999999999999998, -1.9999999999999998])


def cases() -> Iterator[Case]:
    """Yield the cases of the family."""
    for mode in ROUNDINGS:
        attrs = {"mode": mode}
        yield Case(
            "round", "T8", f"{mode} at ties and beside them", {"x": np.append(TIES, NEAR)}, attrs,
            ("1.1",),
        )  # fmt: skip
        yield Case(
            "round", "T24", f"{mode} of special and large values",
            {"x": np.append(SPECIAL, [8388607.5, 8388608.0, 16777215.0, -8388607.5, 2.0**100])},
            attrs, ("1.4",),
        )  # fmt: skip
        whole = mode in ("floor", "ceil")
        yield Case(
            "round", "T53", f"{mode} one ulp from a {'whole number' if whole else 'tie'}",
            {"x": WHOLE_BESIDE if whole else TIES_BESIDE}, attrs, ("1.4",),
        )  # fmt: skip
    yield from border_cases()


def border_cases() -> Iterator[Case]:
    """Yield the cases of `border_round`: fractions below, at and above every kind of border."""
    borders = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    fractions = np.array([0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875])
    whole = np.array([-3.0, -1.0, 0.0, 2.0])
    u, border = np.meshgrid((whole[:, None] + fractions).ravel(), borders)
    yield Case(
        "border_round", "T8", "fractions at, below and above borders 0 to 1",
        {"u": u.ravel(), "border": border.ravel()}, {}, ("1.1", "D1", "P66", "P09"),
    )  # fmt: skip
    yield Case("border_round", "T24",
               "NaN, infinities, zeros, and tiny negative numbers, whose fraction is nearly 1",
               {"u": np.append(SPECIAL, [-(2.0**-30), -0.25, -0.5]), "border": np.full(8, 0.5)}, {},
               ("1.4", "P09"))  # fmt: skip
    yield Case(
        "border_round", "T24", "a border just below and just above the fraction of a large value",
        {
            "u": np.array([1024.25, 1024.25, -1023.75, -1023.75]),
            "border": 0.25 + np.array([-(2.0**-26), 2.0**-25, -(2.0**-26), 2.0**-25]),
        },
        {}, ("1.1", "D1"),
    )  # fmt: skip
    eps = 2.0**-22
    tiny = np.array([eps, 1 + eps, 2.0**-60, 0.0, 1 - eps, 3 - 2 * eps, -eps])
    yield Case(
        "border_round", "T24", "fractions next to borders of 0 and 1",
        {"u": tiny, "border": np.array([0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0])}, {},
        ("1.1", "D1", "P66"),
    )  # fmt: skip
    yield Case(
        "border_round", "REAL", "any fraction, any border",
        {
            "u": dyadic(("border_round", "u"), (4, 16), 24, 19),
            "border": np.abs(dyadic(("border_round", "border"), (4, 16), 24, 24)),
        },
        {}, ("P66", "1.4"),
    )  # fmt: skip
    hair = np.array([2.0**-40, -(2.0**-40), 2.0**-44, 0.0])
    yield Case(
        "border_round", "T53", "fractions a hair above, below and at the border",
        {"u": 0.25 + hair + np.array([[0.0], [-3.0], [64.0]]), "border": np.full((3, 4), 0.25)},
        {}, ("1.1", "D1"),
    )  # fmt: skip
