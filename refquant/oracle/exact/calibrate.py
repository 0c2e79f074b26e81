"""Scalar twins of the calibrators that look at ranges, moments and squared errors.

Written from methods.md 3, 3.1, 3.2 and 3.4 with conventions 13, 17 and 19 of section 21.
Arguments are flat lists of the numbers that share a step (apply them row by row for a step per
channel), floats or Fractions; for Fractions everything is exact except powers other than 2 and
square roots. A grid is its kind and its bits.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from refquant.oracle.exact import real
from refquant.oracle.exact.choices import either, first_smallest, roundings
from refquant.oracle.exact.real import larger, smaller
from refquant.oracle.exact.tracked import split

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
        lo, hi = blend(lo, min(b), momentum), blend(hi, max(b), momentum)
    return lo, hi


def blend(a: Any, b: Any, share: Any) -> Any:
    """share a + (1 - share) b, or a moved towards b."""
    return either(share * a + (1 - share) * b, a + (1 - share) * (b - a))


def average(batches: list[list[Any]]) -> tuple[Any, Any]:
    """Mean of the minima and mean of the maxima."""
    t = len(batches)
    return sum(min(b) for b in batches) / t, sum(max(b) for b in batches) / t


def percentile_range(x: list[Any], q: float, rule: str) -> tuple[Any, Any]:
    """Quantiles 1 - q and q, by order (positions in binary64) or by interpolation."""
    values = sorted(x)
    count = len(values)
    if rule == "ppq":
        share = float(q)
        return values[int(count * (1.0 - share))], values[min(int(count * share), count - 1)]
    low, high = (_between(values, (count - 1) * share) for share in (1 - q, q))
    return low, high


def _between(values: list[Any], position: Any) -> Any:
    """Sorted values read at a real position."""
    left, weight = split(position)
    a, b = values[left], values[min(left + 1, len(values) - 1)]
    return blend(b, a, weight) if weight else a


def score(
    x: list[Any], step: Any, zero: int, grid: tuple[str, int], p: Any, total: bool = False
) -> Any:
    """Mean (or sum) of |step * clip(rint(v / step), n - z, p - z) - v|^p."""
    low, high = codes(*grid)
    result = 0 * x[0]
    for v in x:
        levels = (min(max(k, low - zero), high - zero) for k in roundings(v / step))
        errors = [abs(step * level - v) for level in levels]
        error = either(errors[0], errors[-1])
        result += error * error if p == 2 else real.power(error, p)
    return result if total else result / len(x)


def search_candidates(
    x: list[Any], search: str, grid: tuple[str, int], divisor: str = "half_span"
) -> Iterator[tuple[Any, int]]:
    """Steps and zero points of the table of section 3.2, in order."""
    kind, bits = grid
    lo, hi = min(x), max(x)
    nought, eps = 0 * lo, real.constant(EPS, lo)
    symmetric = kind in ("signed", "narrow")
    if search in ("shrink80", "mq80", "mq95", "omse"):
        count = {"shrink80": 80, "mq80": 80, "mq95": 95, "omse": 50 if symmetric else 90}[search]
        for i in range(count):
            f = hundredths(100, -i, lo)
            if search == "shrink80" and kind == "affine":
                step = larger((hi * f - lo * f) / (2**bits - 1), eps)
                yield step, -round(lo * f / step)
            else:
                yield range_to_qparams(lo * f, hi * f, kind, bits, divisor, eps)
    elif search in ("grid100_1d", "fro") or (search == "grid100_2d" and not lo < 0 < hi):
        reach = larger(abs(lo), hi)
        for i in range(1, 101):
            end = reach * hundredths(0, i, lo)
            low, high = (-end if lo < 0 else nought), (end if hi > 0 else nought)
            yield range_to_qparams(low, high, kind, bits, divisor, eps)
    elif search == "grid100_2d":
        for i in range(1, 101):
            step = larger((hi - lo) * hundredths(0, i, lo) / (2**bits - 1), eps)
            yield from ((step, zero) for zero in range(2**bits))
    else:
        low, high = percentile_range(x, 0.999999, "ppq")
        for i in range(61):
            f = hundredths(70, i, lo)
            if kind == "affine":
                low, top = smaller(low, nought), larger(high, nought) * f
                yield range_to_qparams(low, top, kind, bits, eps=eps)
            else:
                yield range_to_qparams(low * f, high * f, kind, bits, divisor, eps)


def hundredths(start: int, i: int, like: Any) -> Any:
    """(start + i) / 100, rounded once, or start / 100 plus i times 0.01."""
    a, b, c = (real.constant(Fraction(k, 100), like) for k in (start + i, start, 1))
    return either(a, b + i * c)


def mse_search(
    x: list[Any], search: str, grid: tuple[str, int], p: Any, divisor: str = "half_span"
) -> tuple[Any, int, Any]:
    """Step, zero point and score of the first candidate with the smallest score."""
    found = list(search_candidates(x, search, grid, divisor))
    scores = [score(x, step, zero, grid, p, search == "fro") for step, zero in found]
    best = first_smallest(scores)
    return *found[best], scores[best]


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
    last: list[int] = []
    for _ in range(iters):
        q = [min(max(round(v / step), low - zero), high - zero) for v in w]
        if q == last or not any(q):  # the step is the best one for these codes already
            break
        last, step = q, least_squares_step(w, q, step)
        errors.append(score(w, step, zero, grid, 2, total=True))
    return step, errors + [errors[-1]] * (iters + 1 - len(errors))


def lsq_init(x: list[Any], kind: str, bits: int) -> Any:
    """2 mean|x| / sqrt(p), at least the floor."""
    mean = sum(abs(v) for v in x) / len(x)
    root = real.sqrt(codes(kind, bits)[1] + 0 * mean)
    return larger(2 * mean / root, real.constant(EPS, mean))


def lsq_plus_init(w: list[Any], bits: int, divisor: str) -> Any:
    """max(|mu - 3 sd|, |mu + 3 sd|) / 2^(b-1), or over 2^b for "mqbench" (D6)."""
    mu = sum(w) / len(w)
    sd = real.sqrt(sum((v - mu) ** 2 for v in w) / len(w))
    reach = larger(abs(mu - 3 * sd), abs(mu + 3 * sd))
    return larger(reach / 2 ** (bits - (divisor == "paper")), real.constant(EPS, mu))


def lsq_plus_activations(x: list[Any], bits: int, p: Any, steps: int) -> tuple[Any, Any, Any]:
    """Step, offset and score of the best of the ranges (min, max) (1 - 0.01 i)."""
    found = []
    for i in range(steps):
        f = hundredths(100, -i, x[0])
        lo, hi = min(x) * f, max(x) * f
        step = larger((hi - lo) / (2**bits - 1), real.constant(EPS, lo))
        found.append((step, lo, score([v - lo for v in x], step, 0, ("unsigned", bits), p)))
    return found[first_smallest([value for *_, value in found])]
