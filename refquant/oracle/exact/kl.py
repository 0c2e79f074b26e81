"""Scalar twins of the two calibrators that compare histograms by their KL divergence.

Written from methods.md 3.3, D5 and conventions 2 to 4 of section 21. Arguments are flat lists of
floats or Fractions; both are turned into Fractions, so that the bins and the steps are exact and
only the logarithms are floats.
"""

import math
from fractions import Fraction
from typing import Any

SMALLEST = Fraction(1, 2**23)


def histogram(x: list[Any], bins: int, mirrored: bool) -> list[int]:
    """Counts over [-T, T] or [0, T], T = max|x| > 0: bins [a, b), the last one closed."""
    reach = max(abs(Fraction(v)) for v in x)
    counts = [0] * bins
    for v in x:
        share = (Fraction(v) + reach) / (2 * reach) if mirrored else Fraction(v) / reach
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
        first, end = (math.ceil(Fraction(k * m, groups)) for k in (j, j + 1))
        members = range(first, end)
        filled = [k for k in members if p[k] != 0]
        for k in filled:
            q[k] = Fraction(sum(p[k] for k in members), len(filled))
    return q


def smoothed(hist: list[Any]) -> list[Fraction]:
    """Zeros become 1e-4; the others get plus 1e-4 zeros / non-zeros, unless that is >= 1."""
    small = Fraction(1, 10**4)
    zeros = sum(1 for v in hist if v == 0)
    added = small * zeros / (len(hist) - zeros)
    if added >= 1:
        return [Fraction(v) for v in hist]
    return [small if v == 0 else v + added for v in hist]


def divergence(p: list[Fraction], q: list[Fraction]) -> float:
    """sum p ln(p / q) after normalisation; 0 ln 0 counts as 0."""
    mass_p, mass_q = sum(p), sum(q)
    terms = []
    for a, b in zip(p, q, strict=True):
        if a:
            ratio = (a / mass_p) / (b / mass_q)
            terms.append(float(a / mass_p) * (math.log(ratio) if ratio != 1 else 0.0))
    return math.fsum(terms)


def amct_divergences(x: list[Any], bits: int, bins: int, searches: int) -> list[float]:
    """The divergence of every window i of section 3.3 (i)."""
    counts = histogram(x, bins, mirrored=True)
    result = []
    for i in range(searches):
        p = window(counts, i)
        result.append(divergence(smoothed(p), smoothed(merged(p, 2**bits - 1))))
    return result


def amct_step(x: list[Any], bits: int, bins: int, i: int) -> Fraction:
    """(T - i 2T / bins) / 2^(b-1); 1 if that is below 2^-23 or T = 0."""
    reach = max(abs(Fraction(v)) for v in x)
    step = (reach - i * (2 * reach / bins)) / 2 ** (bits - 1)
    return step if step >= SMALLEST else Fraction(1)


def kl_amct(x: list[Any], bits: int, bins: int = 512, searches: int = 20) -> Fraction:
    """The step of the window with the first smallest divergence."""
    if all(v == 0 for v in x):
        return Fraction(1)
    scores = amct_divergences(x, bits, bins, searches)
    return amct_step(x, bits, bins, scores.index(min(scores)))


def trt_divergences(x: list[Any], bits: int, bins: int) -> list[float]:
    """The divergence of R = 1, 2, .. times 2^(b-1) bins, section 3.3 (ii); inf if Q is empty."""
    h = histogram([abs(v) for v in x], bins, mirrored=False)
    first = int(0.002 * bins)
    h = [0] * first + [1] + h[first + 1 :]
    levels, total = 2 ** (bits - 1), sum(h)
    result = []
    for r_bins in range(levels, bins + 1, levels):
        kept = h[:r_bins]
        p = [*kept[:-1], kept[-1] + sum(h[r_bins:])]
        q = merged(kept, levels)
        mass = sum(q)
        terms = [
            a / total * (math.log10(a / total + 1e-30) - math.log10(float(b / mass) + 1e-30))
            for a, b in zip(p, q, strict=True)
            if mass and a
        ]
        result.append(math.fsum(terms) if mass else math.inf)
    return result


def trt_step(x: list[Any], bits: int, bins: int, multiple: int) -> Fraction:
    """R (T / bins) / 2^(b-1) for R = multiple * 2^(b-1); 1 if T = 0."""
    reach = max(abs(Fraction(v)) for v in x)
    return multiple * reach / bins if reach else Fraction(1)


def kl_trt(x: list[Any], bits: int, bins: int = 4096) -> Fraction:
    """The step of the R with the first smallest divergence; empty candidates never win."""
    if all(v == 0 for v in x):
        return Fraction(1)
    scores = trt_divergences(x, bits, bins)
    return trt_step(x, bits, bins, scores.index(min(scores)) + 1)
