"""Inputs for `logsqrt2_quant`."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from refquant.oracle.case import Case
from refquant.oracle.draw import dyadic, single

CLAUSES = ("2.6", "C8", "P64")
# Powers of two are even codes; 0.71 and 0.3535 are close to odd ones.
LEVELS = np.array([1.0, 0.5, 0.25, 0.125, 2.0**-6, 2.0**-7, 2.0**-8, 91 / 128, 181 / 512])
# 2^(-k/4) for odd k: where -2 log2(x) is a whole number and a half.
BORDERS = (0.8408964153, 0.5946035575, 0.4204482076, 0.2973017788, 0.2102241038)


def cases() -> Iterator[Case]:
    """Yield the cases of the op."""

    def case(tier: str, purpose: str, x: Any, scale: Any, bits: int) -> Case:
        return Case(
            "logsqrt2_quant", tier, purpose, {"x": x, "scale": scale}, {"bits": bits}, CLAUSES,
        )  # fmt: skip

    special = np.array([0.0, -0.0, np.nan, np.inf, 1.5, 2.0, 8.0, 2.0**-100])
    for bits in (2, 3, 4):
        last = np.ldexp(1.0, -np.arange(-1, 2) - (1 << bits - 1))
        x = np.concatenate([LEVELS, last, single(last * 1.3), special[:6]])
        yield case("T24", f"levels of {bits} bits, the last ones, zeros, beyond the scale", x, 1.0,
                   bits)  # fmt: skip
    yield case("T24", "a scale that is no power of two", np.append(LEVELS * 0.75, [0.8125, 0.0]),
               0.75, 4)  # fmt: skip
    yield case("T24", "zeros of both signs, NaN, infinity, values beyond the scale", special, 0.5,
               4)  # fmt: skip
    tiny = np.array([2.0**-30, 2.0**-60, 2.0**-126, 2.0**-127, 2.0**-140, 2.0**-149])
    yield case("T24", "tiny and subnormal values, many bits", tiny, 1.0, 9)
    below = np.ldexp(1.0, [-1021, -1022, -1023, -1030, -1074])
    yield case("T53", "ratios below the normal doubles, twelve bits", below, 1.0, 12)
    yield case("REAL", "the float nearest to a border of two codes: both are right",
               single([BORDERS[0], 0.7]), 1.0, 3)  # fmt: skip
    x = np.abs(dyadic(("logsqrt2_quant", "x"), (5, 9), 24, 24))
    yield case("REAL", "any probabilities, any scale", x, single(0.937), 4)
    yield case("REAL", "one number, no axes", single(0.3), single(0.999), 8)
