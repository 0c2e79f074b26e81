"""Numbers as an engineer compares them: value, bits, and the distance in steps of each kind."""

import math
import struct

import numpy as np

from refquant._types import Array
from refquant.oracle.case import Case
from refquant.oracle.compare import Mismatch
from refquant.oracle.wrong import Wrong


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


def last_place(value: Array, dtype: str) -> Array:
    """Return the unit in the last place of finite numbers; of zero, the smallest subnormal."""
    precision, smallest = (53, -1074) if dtype == "float64" else (24, -149)
    exponent = np.where(value == 0, smallest, np.frexp(value)[1] - precision)
    return np.ldexp(1.0, np.maximum(exponent, smallest))


def ulps(expected: float, actual: float, dtype: str) -> float | None:
    """Return the distance in units of the last place of `expected`; None if not finite."""
    if not (math.isfinite(expected) and math.isfinite(actual)):
        return None
    return float(abs(actual - expected) / last_place(np.asarray(expected), dtype))


def steps(wrong: Wrong, dtype: str) -> tuple[Array, Array]:
    """Return how far each wrong element is off, and may be: in LSB for codes, in ulp for floats.

    NaN where there is no such number: at infinities, NaN and booleans, and where zero is right,
    which has no last place.
    """
    if wrong.expected.dtype.kind == "b":
        return np.full(len(wrong.at), np.nan), wrong.limit
    expected, actual = wrong.expected.astype(np.float64), wrong.actual.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(actual - expected)
        if wrong.expected.dtype.kind != "f":
            return apart, wrong.limit
        counted = np.isfinite(apart) & (expected != 0)
        unit = last_place(np.where(counted, expected, 1.0), dtype)
        none = np.where(counted, 1.0, np.nan)
        return none * apart / unit, none * wrong.limit / unit


def distance(mismatch: Mismatch, dtype: str) -> str:
    """Return how far a wrong element is off: "2 LSB" for codes, "3.5 ulp" for floats."""
    a, b = mismatch.expected, mismatch.actual
    if a is None or isinstance(a, bool):
        return ""
    if isinstance(a, int):
        return f"{int(b) - a:+d} LSB"
    off = ulps(a, float(b), dtype) if a else None  # there is no last place of zero
    return "" if off is None else f"{off:.3g} ulp"


def beside(case: Case, mismatch: Mismatch) -> str:
    """Return the inputs at the wrong element, of those that have the output's shape: "x = 2.5"."""
    wrong = mismatch.elements
    same = {k: v for k, v in case.inputs.items() if wrong and v.shape == wrong.shape}
    return ", ".join(f"{name} = {value[mismatch.index].item()!r}" for name, value in same.items())


def counted(number: int, what: str, many: str = "") -> str:
    """Return a number with its noun: 1 case, 2 cases."""
    return f"{number} {what if number == 1 else many or what + 's'}"
