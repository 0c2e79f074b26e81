"""How far wrong elements are off, as a picture: a histogram over powers of two.

The distance is in LSB for codes and in units of the last place for floats. A dashed line marks how
far they may be off. Infinities, NaN and elements of which zero is right have no such distance; they
stand on the right.
"""

from dataclasses import dataclass

import numpy as np

from refquant._types import Array
from refquant.oracle.digits import steps
from refquant.oracle.wrong import Wrong

BINS, SHORT = 9, 6
BAR, GAP, LEFT, HEIGHT, FLOOR = 30, 16, 8, 64, 84  # pixels


@dataclass(frozen=True)
class Bar:
    """One bar of the histogram.

    Attributes
    ----------
    count : int
    text, tick : str
        What it is, in words and for below it; no tick where the scale has numbers at its ends.
    octaves : (int, int) or None
        It holds distances from 2^a to below 2^b; None for elements without a distance.
    """

    count: int
    text: str
    tick: str = ""
    octaves: tuple[int, int] | None = None


def histogram(wrong: Wrong, dtype: str) -> str:
    """Return the picture and its caption as HTML; "" where no element has a distance.

    Parameters
    ----------
    wrong : Wrong
    dtype : str
        The arithmetic that the backend declares.
    """
    apart, limit = steps(wrong, dtype)
    unit = f"ulp of {dtype}" if wrong.expected.dtype.kind == "f" else "LSB"
    if not np.isfinite(apart).any():
        return ""
    counted = np.isfinite(apart)
    bars = bins(apart[counted], unit) + _rest(wrong, counted)
    ends = sorted({float(limit[counted].min()), float(limit[counted].max())})
    allowed = "right is " + ("up to " if ends[-1] else "only ")
    allowed += " to ".join(f"{end:.3g}" for end in ends) + ", by element" * (len(ends) > 1)
    says = f"Off by, in {unit}: " + ", ".join(f"{bar.count} {bar.text}" for bar in bars)
    return (
        f"<figure>{_drawn(bars, ends, f'{says}; {allowed}')}"
        f"<figcaption>off by, in {unit}; dashed: {allowed}</figcaption></figure>"
    )


def bins(apart: Array, unit: str) -> list[Bar]:
    """Return bars of one or more powers of two each that hold all of these distances."""
    octave = np.frexp(apart)[1] - 1
    low, high = int(octave.min()), int(octave.max())
    if unit == "LSB" and high < SHORT:
        return _whole(octave, range(low, high + 1))
    wide = -(-(high - low + 1) // BINS)
    found = []
    for start in range(low, high + 1, wide):
        stop = start + wide
        count = int(np.count_nonzero((octave >= start) & (octave < stop)))
        text = f"from {_power(start)} to below {_power(stop)}"
        found.append(Bar(count, text, octaves=(start, stop)))
    return found


def _whole(octave: Array, octaves: range) -> list[Bar]:
    """Return bars of small whole distances, which are named: 1, 2-3, 4-7, ..."""
    names = ("1", *(f"{1 << e}-{(2 << e) - 1}" for e in range(1, SHORT)))
    counts = {e: int(np.count_nonzero(octave == e)) for e in octaves}
    return [Bar(n, f"of {names[e]}", names[e], (e, e + 1)) for e, n in counts.items()]


def _power(exponent: int) -> str:
    """Return a power of two as it is read best."""
    return str(1 << exponent) if 0 <= exponent < 10 else f"2^{exponent}"


def _edge(exponent: int) -> str:
    """Return a power of two for below the scale, its exponent raised."""
    if 0 <= exponent < 10:
        return str(1 << exponent)
    return f'2<tspan dy="-4" font-size="8">{exponent}</tspan>'


def _rest(wrong: Wrong, counted: Array) -> list[Bar]:
    """Return bars of the elements without a distance."""
    zero = ~counted & (wrong.expected == 0) & np.isfinite(wrong.actual)
    odd = ~counted & ~zero
    both = (zero, "where 0 is right", "of zero"), (odd, "not finite", "NaN, inf")
    found = ((int(np.count_nonzero(mask)), text, tick) for mask, text, tick in both)
    return [Bar(count, text, tick) for count, text, tick in found if count]


def _drawn(bars: list[Bar], limits: list[float], title: str) -> str:
    tallest = max(bar.count for bar in bars)
    scale = [bar for bar in bars if bar.octaves]
    drawn, x = _edges(scale), LEFT + GAP
    for bar in scale:
        drawn.append(_bar(bar, x + BAR // 2, tallest))
        x += BAR
    for bar in bars[len(scale) :]:  # what has no distance stands apart, with a longer name
        drawn.append(_bar(bar, x + GAP + BAR, tallest))
        x += GAP + 2 * BAR
    drawn += [_allowed(scale, limit) for limit in limits]
    width = x + 2 * LEFT
    return (
        f'<svg class="steps" role="img" aria-label="{title}" width="{width}" height="104" '
        f'viewBox="0 0 {width} 104"><title>{title}</title>{"".join(drawn)}'
        f'<path class="axis" d="M{LEFT} {FLOOR}h{width - 3 * LEFT}"/></svg>'
    )


def _edges(scale: list[Bar]) -> list[str]:
    """Number the ends of the bars that have no name."""
    octaves = [bar.octaves for bar in scale if bar.octaves and not bar.tick]
    ends = [start for start, _ in octaves] + [stop for _, stop in octaves[-1:]]
    return [
        f'<text x="{LEFT + GAP + BAR * i}" y="{FLOOR + 14}">{_edge(end)}</text>'
        for i, end in enumerate(ends)
    ]


def _bar(bar: Bar, middle: int, tallest: int) -> str:
    """Draw one bar, its count above it and its name below."""
    tall = max(2, round(HEIGHT * bar.count / tallest)) if bar.count else 0
    left, top, wide = middle - BAR // 2 + 1, FLOOR - tall, BAR - 2
    return (
        f'<path class="wrong" d="M{left} {top}h{wide}v{tall}h-{wide}z"/>'
        f'<text x="{middle}" y="{top - 4}">{bar.count or ""}</text>'
        f'<text x="{middle}" y="{FLOOR + 14}">{bar.tick}</text>'
    )


def _allowed(scale: list[Bar], limit: float) -> str:
    """Draw the line up to which elements may be off: before the first bar, or within the scale."""
    (low, first), x = scale[0].octaves or (0, 1), float(LEFT)
    mantissa, exponent = np.frexp(limit)
    octaves = exponent - 1 - low + 2 * mantissa - 1  # evenly between two powers of two
    if limit > 0 and octaves >= 0:
        x += GAP + BAR * min(len(scale), octaves / (first - low))
    return f'<path class="allowed" d="M{x:.0f} {FLOOR - HEIGHT}v{HEIGHT}"/>'
