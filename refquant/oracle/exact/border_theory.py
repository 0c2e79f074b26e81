"""Scalar twin of the border's theory and of its closed form, exact on Fractions.

Written from methods 13.2. Numbers are all floats or all Fractions. Imports the standard library
only.
"""

from fractions import Fraction
from typing import Any

HALF = Fraction(1, 2)


def error(delta: Any, w: Any, dw: Any, x_prime: Any, e: Any) -> Any:
    """g(D) = (w + dw)(x' + D) - w x with x = x' - e, AQ eq.6 before it is rearranged."""
    return (w + dw) * (x_prime + delta) - w * (x_prime - e)


def border(w: Any, dw: Any, x_prime: Any, e: Any) -> Any:
    """B^E of AQ eq.7, not clipped: where the line through g(0) and g(1) is half a slope high."""
    if w + dw == 0:
        return HALF
    return HALF + dw / (w + dw) * x_prime + w / (w + dw) * e


def shared_border(slopes: list[Any], offsets: list[Any]) -> Any:
    """B* as the A^2-weighted mean of the B_i = 1/2 + c_i / A_i."""
    pairs = [(a, c) for a, c in zip(slopes, offsets, strict=True) if a != 0]
    if not pairs:
        return HALF
    return sum(a * a * (HALF + c / a) for a, c in pairs) / sum(a * a for a, _ in pairs)


def moments(border: Any, slope: Any, offset: Any) -> tuple[Any, Any]:
    """(E[g], E[g^2]) for f uniform on [0, 1): integrals of g over D from -B to 1 - B.

    The antiderivatives are (A D + c)^2 / (2 A) and (A D + c)^3 / (3 A); A must not be 0.
    """
    low, high = offset - slope * border, offset + slope * (1 - border)
    return (high**2 - low**2) / (2 * slope), (high**3 - low**3) / (3 * slope)


def closed_form(
    w: list[list[Any]], w_hat: list[list[Any]], shape: tuple[int, int, int], e: tuple[Any, Any, Any]
) -> list[list[tuple[Any, Any, Any]]]:
    """(b0, b1, b2) of every channel and tap; shape = (c_in, taps, groups), e = (e0, e1, e2).

    By interpolation: B*(u) - 1/2 is a parabola in u, taken at u = 0, 1, 2.
    """
    result = []
    for row in columns(w, w_hat, shape):
        line = []
        for real, hat in row:
            values = []
            for u in (0, 1, 2):
                noise = e[0] + e[1] * u + e[2] * u * u
                offsets = [(h - r) * u + r * noise for r, h in zip(real, hat, strict=True)]
                values.append(shared_border(hat, offsets) - HALF)
            b2 = (values[2] - 2 * values[1] + values[0]) / 2
            line.append((values[0], values[1] - values[0] - b2, b2))
        result.append(line)
    return result


def closed_ratios(real: list[Any], hat: list[Any]) -> tuple[Any, Any]:
    """(sum A w / sum A^2, sum A dw / sum A^2) of one channel and tap; zeros where sum A^2 is."""
    squares = sum(a * a for a in hat)
    if squares == 0:
        return squares, squares
    pairs = list(zip(hat, real, strict=True))
    return sum(a * w for a, w in pairs) / squares, sum(a * (a - w) for a, w in pairs) / squares


def columns(
    w: list[list[Any]], w_hat: list[list[Any]], shape: tuple[int, int, int]
) -> list[list[tuple[list[Any], list[Any]]]]:
    """[channel][tap]: (weights, quantized weights) of the outputs that read the position."""
    c_in, taps, groups = shape
    per_group, outputs = c_in // groups, len(w) // groups
    result = []
    for channel in range(c_in):
        group, inner = divmod(channel, per_group)
        rows = range(group * outputs, (group + 1) * outputs)
        places = range(inner * taps, (inner + 1) * taps)
        result.append([([w[i][j] for i in rows], [w_hat[i][j] for i in rows]) for j in places])
    return result
