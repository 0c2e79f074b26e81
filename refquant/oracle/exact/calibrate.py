"""Scalar twins of the calibrators that look at ranges, moments and squared errors.

Written from methods.md 3, 3.1, 3.2 and 3.4 with conventions 13, 17 and 19 of section 21.
Arguments are flat lists of the numbers that share a step (apply them row by row for a step per
channel), floats or Fractions; for Fractions everything is exact except powers other than 2 and
square roots. A grid is its kind and its bits.
"""

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from refquant.oracle.exact.real import larger, smaller

EPS = Fraction(1e-8)  # the binary64 number that the floor of every step is


def codes(kind: str, bits: int) -> tuple[int, int]:
    """Lowest and highest code of a grid (table 1.2)."""
    if kind in ("unsigned", "affine"):
        return 0, 2**bits - 1
    top = 2 ** (bits - 1) - 1
    return (-top if kind == "narrow" else -top - 1), top


def range_to_qparams(
    lo: Any, hi: Any, kind: str, bits: int, divisor: str = "half_span", eps: Any = EPS
) -> tuple[Any, int]:
    """Step and zero point that cover [lo, hi] (section 3)."""
    n, p = codes(kind, bits)
    nought = 0 * lo
    if kind == "affine":
        lo, hi = smaller(lo, nought), larger(hi, nought)
        step = larger((hi - lo) / p, eps)
        return step, min(max(-round(lo / step), 0), p)
    if kind == "unsigned":
        return larger(larger(hi, nought) / p, eps), 0
    if divisor == "amct":
        return larger(larger(hi / p, lo / n), eps), 0
    reach = larger(-lo, hi)
    return larger(reach / (Fraction(p - n, 2) if divisor == "half_span" else p), eps), 0


def minmax(batches: list[list[Any]]) -> tuple[Any, Any]:
    """Smallest and largest value of all batches."""
    return min(min(b) for b in batches), max(max(b) for b in batches)


def ema(batches: list[list[Any]], momentum: Any) -> tuple[Any, Any]:
    """Exponential moving average of the ranges, started at the first batch."""
    lo, hi = min(batches[0]), max(batches[0])
    for b in batches[1:]:
        lo = momentum * lo + (1 - momentum) * min(b)
        hi = momentum * hi + (1 - momentum) * max(b)
    return lo, hi


def average(batches: list[list[Any]]) -> tuple[Any, Any]:
    """Mean of the minima and mean of the maxima."""
    t = len(batches)
    return sum(min(b) for b in batches) / t, sum(max(b) for b in batches) / t


def percentile_range(x: list[Any], q: float, rule: str) -> tuple[Any, Any]:
    """Quantiles 1 - q and q; positions in binary64, values by order or by interpolation."""
    values = sorted(x)
    count = len(values)
    if rule == "ppq":
        return values[int(count * (1.0 - q))], values[min(int(count * q), count - 1)]
    ends = []
    for position in ((count - 1) * (1.0 - q), (count - 1) * q):
        left = math.floor(position)
        right = min(left + 1, count - 1)
        weight = type(values[0])(position - left)
        ends.append(values[left] + weight * (values[right] - values[left]))
    return ends[0], ends[1]


def score(
    x: list[Any], step: Any, zero: int, grid: tuple[str, int], p: Any, total: bool = False
) -> Any:
    """Mean (or sum) of |step * clip(rint(v / step), n - z, p - z) - v|^p."""
    low, high = codes(*grid)
    result = 0 * x[0]
    for v in x:
        level = min(max(round(v / step), low - zero), high - zero)
        error = abs(step * level - v)
        result += error * error if p == 2 else float(error) ** p
    return result if total else result / len(x)


def search_candidates(
    x: list[Any], search: str, grid: tuple[str, int], divisor: str = "half_span"
) -> Iterator[tuple[Any, int]]:
    """Steps and zero points of the table of section 3.2, in order."""
    kind, bits = grid
    lo, hi = min(x), max(x)
    nought = 0 * lo
    symmetric = kind in ("signed", "narrow")
    if search in ("shrink80", "mq80", "mq95", "omse"):
        count = {"shrink80": 80, "mq80": 80, "mq95": 95, "omse": 50 if symmetric else 90}[search]
        for i in range(count):
            f = Fraction(100 - i, 100)
            if search == "shrink80" and kind == "affine":
                step = max((hi * f - lo * f) / (2**bits - 1), EPS)
                yield step, round(-lo * f / step)
            else:
                yield range_to_qparams(lo * f, hi * f, kind, bits, divisor)
    elif search in ("grid100_1d", "fro") or (search == "grid100_2d" and not lo < 0 < hi):
        reach = max(abs(lo), hi)
        for i in range(1, 101):
            end = reach * Fraction(i, 100)
            low, high = (-end if lo < 0 else nought), (end if hi > 0 else nought)
            yield range_to_qparams(low, high, kind, bits, divisor)
    elif search == "grid100_2d":
        for i in range(1, 101):
            for zero in range(2**bits):
                yield max((hi - lo) * Fraction(i, 100) / (2**bits - 1), EPS), zero
    else:
        low, high = percentile_range(x, 0.999999, "ppq")
        for i in range(70, 131):
            f = Fraction(i, 100)
            if kind == "affine":
                yield range_to_qparams(min(low, nought), max(high, nought) * f, kind, bits)
            else:
                yield range_to_qparams(low * f, high * f, kind, bits, divisor)


def mse_search(
    x: list[Any], search: str, grid: tuple[str, int], p: Any, divisor: str = "half_span"
) -> tuple[Any, int, Any]:
    """Step, zero point and score of the first candidate with the smallest score."""
    best: tuple[Any, int, Any] | None = None
    for step, zero in search_candidates(x, search, grid, divisor):
        value = score(x, step, zero, grid, p, total=search == "fro")
        if best is None or value < best[2]:
            best = step, zero, value
    if best is None:
        raise ValueError("mse_search(): no candidate")
    return best


def least_squares_step(w: list[Any], q: list[int], fallback: Any) -> Any:
    """<w, q> / <q, q>, or `fallback` where all q are 0 (P46)."""
    square = sum(level * level for level in q)
    return sum(a * b for a, b in zip(w, q, strict=True)) / square if square else fallback


def lloyd(
    w: list[Any], step: Any, zero: int, grid: tuple[str, int], iters: int
) -> tuple[Any, list[Any]]:
    """Last step and the iters + 1 squared errors of alternating minimisation (3.2)."""
    low, high = codes(*grid)
    errors = [score(w, step, zero, grid, 2, total=True)]
    for _ in range(iters):
        q = [min(max(round(v / step), low - zero), high - zero) for v in w]
        fitted = least_squares_step(w, q, step)
        if fitted == step:
            break
        step = fitted
        errors.append(score(w, step, zero, grid, 2, total=True))
    return step, errors + [errors[-1]] * (iters + 1 - len(errors))


def lsq_init(x: list[Any], kind: str, bits: int) -> Any:
    """2 mean|x| / sqrt(p), at least the floor; exact where p is a square (2 bits, signed)."""
    p = codes(kind, bits)[1]
    root = math.isqrt(p) if math.isqrt(p) ** 2 == p else math.sqrt(p)
    return max(2 * (sum(abs(v) for v in x) / len(x)) / root, EPS)


def lsq_plus_init(w: list[Any], bits: int, divisor: str) -> float:
    """max(|mu - 3 sd|, |mu + 3 sd|) / 2^(b-1), or over 2^b for "mqbench" (D6)."""
    mu = sum(w) / len(w)
    sd = math.sqrt(sum((v - mu) ** 2 for v in w) / len(w))
    reach = max(abs(mu - 3 * sd), abs(mu + 3 * sd))
    return float(max(reach / 2 ** (bits - 1 if divisor == "paper" else bits), EPS))


def lsq_plus_activations(x: list[Any], bits: int, p: Any, steps: int) -> tuple[Any, Any, Any]:
    """Step, offset and score of the best of the ranges (min, max) (1 - 0.01 i)."""
    best: tuple[Any, Any, Any] | None = None
    for i in range(steps):
        f = Fraction(100 - i, 100)
        lo, hi = min(x) * f, max(x) * f
        step = max((hi - lo) / (2**bits - 1), EPS)
        value = score([v - lo for v in x], step, 0, ("unsigned", bits), p)
        if best is None or value < best[2]:
            best = step, lo, value
    if best is None:
        raise ValueError("lsq_plus_activations(): steps is below 1; expected at least 1.")
    return best
