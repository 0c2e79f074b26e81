"""What the inputs of a case are made of, and which arithmetic can represent them.

    tier   significant bits of an input   for
    T8     8                              bfloat16 and wider
    T11    11                             float16, TF32 and wider
    T24    24                             float32 and wider
    T53    53                             float64 only: hazards of double precision
    REAL   24, scales not powers of two   float32 and float64: results are rounded

In the T tiers products and sums of a case fit float32 (T53: float64) in any order, so that any
correct arithmetic gives the same bits; where a function rounds all the same (a division by three,
an exponential), the element has a bound. An arithmetic narrower than float32 means the
matrices that are multiplied are rounded to it and products are accumulated in float32, as tensor
cores do; it is not held to ops that multiply what they computed themselves.
"""

import math
from dataclasses import dataclass

import numpy as np

from refquant._checks import complaint
from refquant._types import Array


@dataclass(frozen=True)
class Tier:
    """Significant bits of inputs, and bits of the arithmetic that the counts are for."""

    name: str
    bits: int
    precision: int = 24


TIERS = {
    tier.name: tier
    for tier in (
        Tier("T8", 8),
        Tier("T11", 11),
        Tier("T24", 24),
        Tier("T53", 53, 53),
        Tier("REAL", 24),
    )
}


@dataclass(frozen=True)
class Format:
    """An arithmetic that a backend may declare.

    Attributes
    ----------
    name : str
    precision : int
        Significant bits of one rounded operation: the unit roundoff is 2^-precision.
    tiers : tuple of str
        Tiers it is held to.
    """

    name: str
    precision: int
    tiers: tuple[str, ...]

    @property
    def roundoff(self) -> float:
        """The unit roundoff."""
        return math.ldexp(1.0, -self.precision)

    @property
    def narrow(self) -> bool:
        """Whether products take fewer digits than float32 has."""
        return "T24" not in self.tiers

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """Of the arrays that a backend is handed."""
        return np.dtype(np.float64 if self.name == "float64" else np.float32)


FORMATS = {
    item.name: item
    for item in (
        Format("float64", 53, ("T8", "T11", "T24", "T53", "REAL")),
        Format("float32", 24, ("T8", "T11", "T24", "REAL")),
        Format("tf32", 24, ("T8", "T11")),
        Format("float16", 24, ("T8", "T11")),
        Format("bfloat16", 24, ("T8",)),
    )
}


def narrowed(value: Array) -> Array:
    """Return whole numbers as int32, as kernels take them, where all of them fit."""
    info = np.iinfo(np.int32)
    fits = bool(np.all((value >= info.min) & (value <= info.max)))
    return value.astype(np.int32) if fits else value.copy()


def significant_bits(x: Array) -> Array:
    """Return how many significant bits each finite number has; 0 for zero, NaN and infinities."""
    mantissa, _ = np.frexp(np.where(np.isfinite(x), x, 0.0).astype(np.float64))
    whole = np.abs(np.ldexp(mantissa, 53)).astype(np.int64)
    lowest = whole & -whole
    return np.where(whole == 0, 0, 53 - np.frexp(lowest.astype(np.float64))[1] + 1)


def check_tier(where: str, name: str, value: Array, tier: Tier) -> None:
    """Raise ValueError if a float array holds numbers that the tier does not allow."""
    if value.dtype.kind != "f":
        return
    bits = significant_bits(value)
    with np.errstate(over="ignore", invalid="ignore"):
        single = value.astype(np.float32).astype(np.float64)
    narrow = tier.precision == 24 and np.any(single != value)
    if np.any(bits > tier.bits) or (narrow and not np.isnan(value).any()):
        got = f"{int(bits.max(initial=0))} significant bits"
        fix = "Round the inputs, or name the tier that they belong to."
        raise ValueError(complaint(where, name, got, f"at most {tier.bits} ({tier.name})", fix))
