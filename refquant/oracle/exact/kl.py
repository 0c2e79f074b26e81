"""Scalar twins of the two calibrators that compare histograms by their KL divergence.

Written from methods.md 3.3, D5 and conventions 2 to 4 of section 21. Arguments are flat lists of
numbers. Counts are whole and masses of bins are Fractions: exact; of floats and Fractions only the
logarithms are rounded. Logarithms of equal bins are taken once.
"""

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from refquant.oracle.exact import real
from refquant.oracle.exact.choices import first_smallest
from refquant.oracle.exact.tracked import Tracked, rational

SMALLEST = Fraction(1, 2**23)
SMOOTHING = Fraction(1, 10**4)
OFFSET = Fraction(1, 10**30)


def histogram(x: list[Any], bins: int, mirrored: bool) -> list[int]:
    """Counts over [-T, T] or [0, T], T = max|x| > 0: bins [a, b), the last one closed."""
    values = [rational(v) for v in x]
    reach = max(abs(v) for v in values)
    counts = [0] * bins
    for v in values:
        share = real.quotient(v + reach, 2 * reach) if mirrored else real.quotient(v, reach)
        counts[min(math.floor(share * bins), bins - 1)] += 1
    return counts


def window(counts: list[int], i: int) -> list[int]:
    """Bins [i, bins - i) with the mass outside added to the first and the last one."""
    end = len(counts) - i
    p = counts[i:end]
    p[0] += sum(counts[:i])
    p[-1] += sum(counts[end:])
    return p


def merged(p: list[int], groups: int) -> list[Fraction]:
    """Every group's mass divided over its non-zero bins."""
    m = len(p)
    q = [Fraction(0)] * m
    for j in range(groups):
        first, end = (-(-k * m // groups) for k in (j, j + 1))
        filled = [k for k in range(first, end) if p[k] != 0]
        for k in filled:
            q[k] = Fraction(sum(p[k] for k in filled), len(filled))
    return q


def number(mass: Fraction | int, like: Any) -> Any:
    """Return a mass, a quotient of counts, in the arithmetic of `like`."""
    return real.constant(Fraction(mass.numerator), like) / mass.denominator


def log(x: Any) -> Any:
    """Natural logarithm; a float, unless x is tracked."""
    return real.log(x if isinstance(x, Tracked) else float(x))


def smoothed(hist: list[Any], like: Any) -> dict[Any, Any]:
    """What a bin becomes: 1e-4 for 0, else plus 1e-4 zeros / non-zeros, unless that is >= 1."""
    zeros = hist.count(0)
    small = number(SMOOTHING, like)
    added = small * zeros / (len(hist) - zeros)
    if added >= 1:
        return {v: number(v, like) for v in set(hist)}
    return {v: number(v, like) + added if v else small for v in set(hist)}


def divergence(p: list[int], q: list[Fraction], like: Any) -> Any:
    """sum p ln(p / q), both smoothed and normalised; 0 ln 0 counts as 0."""
    of_p, of_q = smoothed(p, like), smoothed(q, like)
    mass_p, mass_q = sum(of_p[a] for a in p), sum(of_q[b] for b in q)
    terms = {}
    for a, b in set(zip(p, q, strict=True)):
        share = of_p[a] / mass_p
        terms[a, b] = share * log(share / (of_q[b] / mass_q)) if share else share
    return total(terms[a, b] for a, b in zip(p, q, strict=True))


def total(terms: Iterable[Any]) -> Any:
    """The sum of floats, correctly rounded, or of tracked numbers."""
    listed = list(terms)
    return sum(listed) if isinstance(listed[0], Tracked) else math.fsum(listed)


def amct_divergences(x: list[Any], bits: int, bins: int, searches: int) -> list[Any]:
    """The divergence of every window i of section 3.3 (i)."""
    counts = histogram(x, bins, mirrored=True)
    windows = (window(counts, i) for i in range(searches))
    return [divergence(p, merged(p, 2**bits - 1), x[0]) for p in windows]


def amct_step(x: list[Any], bits: int, bins: int, i: int) -> Any:
    """(T - i 2T / bins) / 2^(b-1); 1 if that is below 2^-23 or T = 0."""
    reach = max(abs(rational(v)) for v in x)
    step = (reach - i * (2 * reach / bins)) / 2 ** (bits - 1)
    return step if step >= SMALLEST else 0 * step + 1


def kl_amct(x: list[Any], bits: int, bins: int = 512, searches: int = 20) -> Any:
    """The step of the window with the first smallest divergence."""
    if all(v == 0 for v in x):
        return 0 * rational(x[0]) + 1
    scores = amct_divergences(x, bits, bins, searches)
    return amct_step(x, bits, bins, first_smallest(scores))


def trt_divergences(x: list[Any], bits: int, bins: int) -> list[Any]:
    """The divergence of R = 1, 2, .. times 2^(b-1) bins, section 3.3 (ii); inf if Q is empty."""
    h = histogram([abs(v) for v in x], bins, mirrored=False)
    first = int(0.002 * bins)
    h = [0] * first + [1] + h[first + 1 :]
    levels = 2 ** (bits - 1)
    return [trt_divergence(h, r_bins, levels, x[0]) for r_bins in range(levels, bins + 1, levels)]


def trt_divergence(h: list[int], r_bins: int, levels: int, like: Any) -> Any:
    """sum P (log10(P + 1e-30) - log10(Q + 1e-30)) of one R; inf if Q is empty."""
    kept = h[:r_bins]
    if not any(kept):
        return math.inf
    p, q = [*kept[:-1], kept[-1] + sum(h[r_bins:])], merged(kept, levels)
    pairs = [(a, b) for a, b in zip(p, q, strict=True) if a]
    mass, offset = sum(number(b, like) for _, b in pairs if b), number(OFFSET, like)
    terms = {}
    for a, b in set(pairs):
        of_p, of_q = number(a, like) / sum(h), number(b, like) / mass
        terms[a, b] = of_p * (log(of_p + offset) - log(of_q + offset))
    return total(terms[pair] for pair in pairs) / log(number(10, like))


def trt_step(x: list[Any], bits: int, bins: int, multiple: int) -> Any:
    """R (T / bins) / 2^(b-1) for R = multiple * 2^(b-1); 1 if T = 0."""
    reach = max(abs(rational(v)) for v in x)
    return multiple * reach / bins if reach else 0 * reach + 1


def kl_trt(x: list[Any], bits: int, bins: int = 4096) -> Any:
    """The step of the R with the first smallest divergence; empty candidates never win."""
    if all(v == 0 for v in x):
        return 0 * rational(x[0]) + 1
    scores = trt_divergences(x, bits, bins)
    return trt_step(x, bits, bins, first_smallest(scores) + 1)
