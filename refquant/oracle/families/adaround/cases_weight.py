"""Inputs for AdaRound's weight quantizer."""

from collections.abc import Iterator

import numpy as np

from refquant._types import Array
from refquant.oracle.case import Case
from refquant.oracle.draw import dyadic

LN11 = 2.3978952727983707
FRACTIONS = np.array([0.0, 0.125, 0.25, 0.5, 0.625, 0.875])
# Levels from below the lowest of 3 bits (-4..3) to above the highest, fractions of every kind.
LEVELS = np.array(
    [[-5.5, -4.25, -4.0, -3.125, -1.5, -0.25, 0.0], [0.5, 1.75, 2.5, 3.0, 3.25, 4.5, 9.0]]
)
DECISIONS = np.array(
    [[0.5, 0.25, -0.75, 3.0, 0.0, -3.0, 1.0], [0.0, -1.25, 2.0, -0.5, 5.0, -5.0, -1.0]]
)
STEPS = np.array([0.5, 2.0])
SPECIAL = np.array([[np.nan, np.inf, -np.inf, 2.0**100, -(2.0**100), -0.0]])
# As many columns as rows; -2^-60 has a fraction that is rounded to 1.
MIXED = np.array([[np.nan, 1.25, -(2.0**-60)], [np.inf, -1.5, 2.0**100], [-np.inf, 0.375, 2.75]])
SQUARE_STEPS = np.array([0.5, 2.0, 0.25])
REAL_STEPS = np.array([0.3000001, 1.7000003, 0.07000001]).astype(np.float32).astype(np.float64)


def weights(levels: Array, steps: Array, decisions: Array) -> dict[str, Array]:
    """Inputs with weights at these levels, on a symmetric grid."""
    zero = np.zeros(steps.shape, np.int64)
    return {"w": levels * steps[:, None], "s": steps, "zero_point": zero, "alpha": decisions}


def real(key: str) -> dict[str, Array]:
    """Weights of 24 bits, steps that are no powers of two, decisions of both signs."""
    return {
        "w": dyadic((key, "w"), (3, 2, 4), 24, 23),
        "s": REAL_STEPS,
        "zero_point": np.array([8, 3, 15]),
        "alpha": dyadic((key, "alpha"), (3, 2, 4), 24, 22),
    }


def cases() -> Iterator[Case]:
    """Yield the cases of the three ops."""
    yield from _init()
    yield from _weight()
    yield from _backward()


def _init() -> Iterator[Case]:
    levels = np.array([-3.0, -1.0, 0.0, 5.0])[:, None] + FRACTIONS
    steps = np.array([1.0, 0.25, 2.0, 0.5])
    for how in ("ratio", "quotient", "clipped"):
        attrs = {"alpha_init": how}
        yield Case("adaround_init_alpha", "T8", f"{how}: on the grid, ties and between, both signs",
                   {"w": levels * steps[:, None], "s": steps}, attrs, ("6.3", "D37"))  # fmt: skip
        yield Case("adaround_init_alpha", "REAL", f"{how}: any weight, one step",
                   {"w": dyadic(("init", how), (2, 3, 2), 24, 22), "s": np.asarray(REAL_STEPS[0])},
                   attrs, ("6.3",))  # fmt: skip
    for how in ("quotient", "clipped"):
        yield Case("adaround_init_alpha", "T8", f"{how}: square; NaN, infinities, a fraction of 1",
                   {"w": MIXED * SQUARE_STEPS[:, None], "s": SQUARE_STEPS}, {"alpha_init": how},
                   ("1.4", "6.3", "D37"))  # fmt: skip
    small = np.array([[-(2.0**-30), 2.0**-30, -(2.0**-26), 0.5 - 2.0**-25, -0.5 + 2.0**-25]])
    yield Case("adaround_init_alpha", "T24", "tiny negative weights, whose fraction is nearly 1",
               {"w": small, "s": np.array([1.0])}, {}, ("1.4", "6.3"))  # fmt: skip
    square = LEVELS.ravel()[:9].reshape(3, 3) * np.array([[0.5], [2.0], [0.25]])
    yield Case("adaround_init_alpha", "T8", "a square matrix: steps belong to its rows",
               {"w": square, "s": np.array([0.5, 2.0, 0.25])}, {}, ("6.3",))  # fmt: skip
    tiny = np.array([[-(2.0**-60), -(2.0**-100), -(2.0**-54), 2.0**-60]])
    yield Case("adaround_init_alpha", "T24", "fractions that float64 rounds to 1",
               {"w": tiny, "s": np.array([1.0])}, {}, ("1.4", "6.3"))  # fmt: skip
    yield Case("adaround_init_alpha", "T24", "NaN, infinities and weights too large for a fraction",
               {"w": SPECIAL, "s": np.asarray(0.5)}, {}, ("1.4", "D37"))  # fmt: skip


def _weight() -> Iterator[Case]:
    both = weights(LEVELS, STEPS, DECISIONS)
    for rounding in ("soft", "hard"):
        yield Case("adaround_weight", "T8", f"{rounding}: below, at, between and above the ends",
                   both, {"bits": 3, "rounding": rounding}, ("6.1", "1.2", "6.5"))  # fmt: skip
        yield Case("adaround_weight", "T8", f"{rounding}: the narrow grid has no lowest code",
                   weights(LEVELS, np.ones(2), DECISIONS),
                   {"bits": 3, "grid": "narrow", "rounding": rounding},
                   ("1.2",))  # fmt: skip
        yield Case("adaround_weight", "T8", f"{rounding}: a zero point for each channel",
                   {**both, "zero_point": np.array([5, 2])},
                   {"bits": 3, "grid": "affine", "rounding": rounding}, ("6.1", "1.2"))  # fmt: skip
        yield Case("adaround_weight", "REAL",
                   f"{rounding}: any weight, steps that are no powers of two",
                   real("weight"), {"grid": "affine", "rounding": rounding},
                   ("6.1", "D12"))  # fmt: skip
        special = {"w": SPECIAL, "s": np.asarray(0.5), "zero_point": np.asarray(6),
                   "alpha": np.array([[2.0, -2.0, 2.0, -2.0, 2.0, 0.0]])}  # fmt: skip
        yield Case("adaround_weight", "T24", f"{rounding}: NaN, infinities, overflow",
                   special, {"grid": "affine", "rounding": rounding}, ("1.4",))  # fmt: skip
    yield Case("adaround_weight", "T8", "hard: unsigned codes", both,
               {"bits": 3, "grid": "unsigned", "rounding": "hard"}, ("1.2",))  # fmt: skip
    high = {**weights(np.array([[-202.5, -200.0, -3.0, 0.0, 54.0, 54.75, 57.0]]), np.array([0.25]),
                      DECISIONS[:1]), "zero_point": np.array([200])}  # fmt: skip
    yield Case("adaround_weight", "T11", "hard: 8 bits, a zero point above 127", high,
               {"bits": 8, "grid": "affine", "rounding": "hard"}, ("6.1", "1.2"))  # fmt: skip
    beside = np.array([[1 - 2.0**-24, -(2.0**-24), -1 - 2.0**-23, 2 - 2.0**-23]])
    for rounding in ("soft", "hard"):
        yield Case("adaround_weight", "T24", f"{rounding}: weights just below the grid",
                   weights(beside, np.ones(1), np.array([[4.0, -4.0, -4.0, 4.0]])),
                   {"rounding": rounding}, ("6.1", "6.5"))  # fmt: skip
    square = weights(LEVELS.reshape(-1)[:9].reshape(3, 3), np.array([0.5, 2.0, 0.25]),
                     DECISIONS.reshape(-1)[:9].reshape(3, 3))  # fmt: skip
    yield Case("adaround_weight", "T8", "a square matrix: steps belong to its rows", square,
               {"bits": 3, "rounding": "hard"}, ("6.1",))  # fmt: skip
    ties = np.array([[0.0, -0.0, 2.0**-100, -(2.0**-100)], [0.0, 1.0, -1.0, -0.0]])
    for tie in ("up", "down"):
        yield Case("adaround_weight", "T8",
                   f"alpha = 0 goes {tie}, its neighbours as their sign says",
                   {"w": np.array([[0.5, -1.5, 2.25, 2.25], [1.5, 0.0, 1.0, -1.0]]),
                    "s": np.asarray(1.0), "zero_point": np.asarray(0), "alpha": ties},
                   {"rounding": "hard", "tie": tie}, ("6.5", "D12"))  # fmt: skip
    levels, steps = np.arange(-20, 20) + 0.5, np.array([0.0237, 0.3, 0.7])
    yield Case("adaround_weight", "T53", "hard: codes are whole numbers, not quotients",
               weights(np.tile(levels, (3, 1)), steps, np.tile(np.where(levels < 0, -1.0, 1.0),
               (3, 1))), {"bits": 8, "rounding": "hard"}, ("6.1", "6.5"))  # fmt: skip
    wide = np.array([[127.5, 126.5, -128.0, -128.5, 99.25, 128.0]])
    yield Case("adaround_weight", "T11", "8 bits: the ends are saturated, not wrapped",
               weights(wide, np.array([0.25]), np.array([[1.0, 1.0, -1.0, -1.0, 1.0, 1.0]])),
               {"bits": 8, "rounding": "hard"}, ("1.2", "6.5"))  # fmt: skip


def _backward() -> Iterator[Case]:
    both = weights(LEVELS, STEPS, DECISIONS)
    d_w_hat = dyadic(("weight", "d_w_hat"), LEVELS.shape, 8, 5)
    for edge in ("inclusive", "strict"):
        attrs = {"bits": 3, "edge": edge}
        yield Case("adaround_weight_backward", "T8", f"{edge}: clipped, saturated and live weights",
                   {**both, "d_w_hat": d_w_hat}, attrs, ("6.2", "P29"))  # fmt: skip
        pruned = weights(
            np.array([[0.0, 1.0, 0.0]]), np.array([0.5]), np.array([[-LN11, LN11, 0.5]])
        )
        yield Case("adaround_weight_backward", "T53", f"{edge}: weights that lie on the grid",
                   {**pruned, "d_w_hat": np.array([[1.0, -2.0, 3.0]])}, attrs,
                   ("D37",))  # fmt: skip
    yield Case("adaround_weight_backward", "T8", "a zero point for each channel",
               {**both, "zero_point": np.array([5, 2]), "d_w_hat": d_w_hat},
               {"bits": 3, "grid": "affine"}, ("6.2", "P29"))  # fmt: skip
    ends = np.array([[-4.0, 2.75, 3.0], [-4.75, 3.5, -4.5], [1.5, -0.25, 2.0]])
    live = np.array([[-LN11 / 2, 1.0, -1.0], [1.5, -1.5, 0.5], [0.25, -0.75, 2.0]])
    square = weights(ends, np.array([0.5, 2.0, 0.25]), np.round(live * 8) / 8)
    yield Case("adaround_weight_backward", "T8", "square; levels at, across and off the ends",
               {**square, "d_w_hat": dyadic(("square", "d"), (3, 3), 7, 4) + 0.0625},
               {"bits": 3}, ("6.2", "P29"))  # fmt: skip
    for grid in ("narrow", "unsigned"):
        yield Case("adaround_weight_backward", "T8", f"the {grid} grid",
                   {**both, "d_w_hat": d_w_hat}, {"bits": 3, "grid": grid}, ("6.2",))  # fmt: skip
    exact = weights(np.array([[-4.0, 3.0, 2.0]]), np.array([0.5]), np.array([[-3.0, -3.0, 3.0]]))
    yield Case("adaround_weight_backward", "T8", "levels exactly at the ends",
               {**exact, "d_w_hat": np.array([[1.0, 2.0, -3.0]])}, {"bits": 3},
               ("6.2", "P29"))  # fmt: skip
    yield Case("adaround_weight_backward", "REAL", "any weight, steps that are no powers of two",
               {**real("backward"), "d_w_hat": dyadic(("backward", "d"), (3, 2, 4), 24, 22)},
               {"grid": "affine"}, ("6.2",))  # fmt: skip
    special = {"w": SPECIAL, "s": np.asarray(0.5), "zero_point": np.asarray(6),
               "alpha": np.array([[0.5, -0.25, 1.0, 0.75, -1.5, 0.25]]),
               "d_w_hat": np.array([[1.0, 2.0, -3.0, 0.5, 1.5, -2.0]])}  # fmt: skip
    yield Case("adaround_weight_backward", "T24", "NaN, infinities, overflow: only a finite weight "
               "on the grid learns", special, {"grid": "affine"}, ("6.2", "P29"))  # fmt: skip
