"""Inputs for the scales."""

from collections.abc import Iterator

import numpy as np

from refquant._types import Array
from refquant.oracle.case import Case
from refquant.oracle.draw import dyadic


def real(key: tuple[int | str, ...], size: int, point: int = 22) -> Array:
    """Positive 24-bit numbers below 2^(24 - point)."""
    drawn = np.abs(dyadic(("redistribution", *key), size, 24, point))
    return np.asarray(drawn + np.ldexp(1.0, -point))


def cases() -> Iterator[Case]:
    """Yield the cases of the family."""
    yield from smoothquant_cases()
    yield from osplus_cases()
    yield from repq_cases()
    yield from cle_cases()


def smoothquant_cases() -> Iterator[Case]:
    """All strengths, silent activations, dead weights, ranges far apart."""
    squares = {"x_max": np.array([4.0, 0.25, 9.0, 0.0, 1.0, 64.0]),
               "w_max": np.array([1.0, 4.0, 0.25, 1.0, 0.0, 0.0625])}  # fmt: skip
    drawn = {"x_max": real(("x",), 8), "w_max": real(("w",), 8, 26)}
    for alpha in (0.5, 0.0, 1.0, 0.75, 0.3):
        attrs = {} if alpha == 0.5 else {"alpha": alpha}
        yield Case("smoothquant_scale", "T8", f"alpha {alpha}: squares, silence, dead weights",
                   squares, attrs, ("16", "P61"))  # fmt: skip
    for alpha in (0.5, 0.8):
        yield Case("smoothquant_scale", "REAL", f"alpha {alpha}: any ranges", drawn,
                   {"alpha": alpha}, ("16",))  # fmt: skip


def osplus_cases() -> Iterator[Case]:
    """Channels inside and outside the threshold, of one sign, silent, not centred."""
    few = {"low": np.array([-4.0, 1.0, -8.0, 0.0, -0.5, 2.0, -3.0]),
           "high": np.array([4.0, 9.0, -2.0, 0.0, 0.25, 2.0, 1.0])}  # fmt: skip
    for threshold in (1.0, 2.0, 0.75):
        attrs = {} if threshold == 1.0 else {"threshold": threshold}
        yield Case("osplus_shift_scale", "T8",
                   f"threshold {threshold}: inside, outside, of one sign, silent", few, attrs,
                   ("16", "C9", "P60"))  # fmt: skip
    low = -real(("low",), 6)
    drawn = {"low": low, "high": low + real(("span",), 6).astype(np.float32)}
    yield Case("osplus_shift_scale", "REAL", "any ranges",
               {k: v.astype(np.float32) for k, v in drawn.items()}, {"threshold": 0.7},
               ("16", "C9"))  # fmt: skip


def repq_cases() -> Iterator[Case]:
    """Means of steps and zero points, ties of the latter, one channel."""
    for zeros, words in (
        ([3, 5, 4, 0], "zero points whose mean is whole"),
        ([2, 3, 3, 2], "zero points of mean 5/2: to the even 2"),
        ([3, 4, 3, 4], "zero points of mean 7/2: to the even 4"),
        ([7, 7, 0, 1], "zero points of mean 15/4: to 4"),
    ):
        given = {"s": np.array([0.25, 0.5, 1.0, 0.25]), "zero_point": np.array(zeros)}
        yield Case("repq_reparam", "T8", words, given, {}, ("16", "D21", "P62", "P63"))
    wide = {"s": np.array([0.25, 0.5, 1.0, 0.25]), "zero_point": np.array([200, 250, 3, 180])}
    yield Case("repq_reparam", "T8", "zero points whose sum and gaps leave a byte", wide, {},
               ("16", "P62", "P63"))  # fmt: skip
    drawn = {"s": real(("s",), 7, 27), "zero_point": np.array([3, 14, 8, 0, 15, 9, 2])}
    yield Case("repq_reparam", "REAL", "any steps", drawn, {}, ("16", "P62"))


def cle_cases() -> Iterator[Case]:
    """Squares, silent channels on either side, a clip on both sides, one that moves the 1."""
    few = {"r1": np.array([1.0, 4.0, 0.25, 0.0, 2.0, 0.0, 0.00390625, 3.0]),
           "r2": np.array([4.0, 1.0, 0.25, 1.0, 0.0, 0.0, 4.0, 12.0])}  # fmt: skip
    for clip, words in (
        (None, "no clip"),
        ([0.125, 8.0], "a clip"),
        ([2.0, 4.0], "a clip that moves the neutral 1"),
    ):
        attrs = {} if clip is None else {"clip": clip}
        yield Case("cle_scale", "T8", f"squares and silent channels, {words}", few, attrs,
                   ("16", "C10", "P65"))  # fmt: skip
    tiny = {"r1": np.ldexp([1.0, 3.0, 4.0, 1.0], [-30, 0, -60, -20]),
            "r2": np.ldexp([4.0, 0.75, 1.0, 1.0], [-30, -40, -60, -30])}  # fmt: skip
    yield Case("cle_scale", "T24", "ranges of a billionth and less, not silent", tiny, {},
               ("16", "C10", "P65"))  # fmt: skip
    for tier, exponent in (("T24", 80), ("T53", 600)):
        size = np.ldexp(1.0, [-exponent, exponent, -exponent, exponent])
        far = {"r1": size * [1.0, 1.0, 0.75, 3.0], "r2": size * [4.0, 0.25, 3.0, 0.1875]}
        yield Case("cle_scale", tier, f"ranges about 2^-{exponent} and 2^{exponent}: their product "
                   "is none of that arithmetic", far, {}, ("16", "P65"))  # fmt: skip
    drawn = {"r1": real(("r1",), 8), "r2": real(("r2",), 8, 24)}
    yield Case("cle_scale", "REAL", "any ranges", drawn, {}, ("16", "P65"))
    wide = drawn | {"r1": drawn["r1"] * np.ldexp(1.0, np.arange(-14, 18, 4))}
    yield Case("cle_scale", "REAL", "ranges far apart, PPQ's clip", wide, {"clip": [0.1, 10.0]},
               ("16",))  # fmt: skip
