"""Numbers as an engineer compares them: value, bits, and the distance in steps of each kind."""

import math
import struct

from refquant.oracle.compare import Mismatch


def bits(value: float | int | bool, dtype: str) -> str:
    """Return the bits of a float in hexadecimal, "" for anything else."""
    if not isinstance(value, float):
        return ""
    if dtype == "float64":
        return "0x" + struct.pack(">d", value).hex()
    try:
        return "0x" + struct.pack(">f", value).hex()
    except OverflowError:
        return "beyond float32"


def ulps(expected: float, actual: float, dtype: str) -> float | None:
    """Return the distance in units of the last place of `expected`; None if not finite."""
    if not (math.isfinite(expected) and math.isfinite(actual)):
        return None
    precision, smallest = (53, -1074) if dtype == "float64" else (24, -149)
    exponent = math.frexp(expected)[1] if expected else smallest + precision
    unit = math.ldexp(1.0, max(exponent - precision, smallest))
    return abs(actual - expected) / unit


def distance(mismatch: Mismatch, dtype: str) -> str:
    """Return how far a wrong element is off: "2 LSB" for codes, "3.5 ulp" for floats."""
    a, b = mismatch.expected, mismatch.actual
    if a is None or isinstance(a, bool):
        return ""
    if isinstance(a, int):
        return f"{int(b) - a:+d} LSB"
    off = ulps(a, float(b), dtype) if a else None  # there is no last place of zero
    return "" if off is None else f"{off:.3g} ulp"
