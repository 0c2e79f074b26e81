"""Why a border: the rounding of one factor that makes a product's error smallest and unbiased.

References: AQuant, arXiv:2208.11945, AQ Definition 2.1, eq.6 and 7, Fig 1; methods, section 13.2,
golden op 43. A weight w with error dw meets an input x' = x + e, in units of the step; x' is
moved to an integer by D in {-f, 1 - f}, f its fraction. Every argument broadcasts.

    paper   here         meaning
    w, dw   w, d_w       weight, and its quantization error
    x'      x_prime      noised input, e the noise it carries
    e       e            x' - x
    D       delta        -f rounds down, 1 - f rounds up
    A       slope        w + dw
    c       offset       dw x' + w e
    g(D)    result       (w + dw)(x' + D) - w x = A D + c                           AQ eq.6
    B^E     border       1/2 + c / A, clipped to [0, 1]                             AQ eq.7

    Definition 2.1   B is the border of g if |g(-B)| = |g(1 - B)| and exactly the fractions
                     below B go down.
    Optimal          f <= B^E  <=>  |g(-f)| <= |g(1 - f)|                           P10
    Unbiased         f uniform, A and c constant: E[g] = 0, E[g^2] = A^2/12         P12, P13
    Shared           B* = 1/2 + sum A_i c_i / sum A_i^2 over several outputs        P15

Edge cases: A = 0 (or, shared, all A_i = 0) gives 1/2: no direction is better. A border
outside [0, 1] means that one direction always wins; the clip changes that decision only at
f = 0 with B < 0. With dw = 0 and e = 0 the border is 1/2 (P09).
"""

from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_finite
from refquant._types import Array


class ErrorLine(NamedTuple):
    """The error g(D) = slope D + offset of one product."""

    slope: Array
    offset: Array


class ErrorMoments(NamedTuple):
    """E[g] and E[g^2]."""

    mean: Array
    second: Array


def error_line(w: Array, d_w: Array, x_prime: Array, e: Array) -> ErrorLine:
    """A = w + dw and c = dw x' + w e, AQ eq.6; float arrays, finite, broadcasting together."""
    return _line("error_line", w, d_w, x_prime, e)


def error_at(delta: Array, line: ErrorLine) -> Array:
    """g(D) = A D + c, AQ eq.6."""
    return np.asarray(line.slope * delta + line.offset)


def border_eq7(w: Array, d_w: Array, x_prime: Array, e: Array, clipped: bool = True) -> Array:
    """B^E = 1/2 + dw/(w+dw) x' + w/(w+dw) e, AQ eq.7.

    Parameters
    ----------
    w, d_w, x_prime, e : Array
        float32 or float64, finite, broadcasting together; x_prime and e in units of the step.
    clipped : bool
        Clip to [0, 1].

    Returns
    -------
    Array
        1/2 where w + dw = 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a finite floating array.
    """
    slope, offset = _line("border_eq7", w, d_w, x_prime, e)
    return _border(offset, slope, clipped)


def shared_border(slopes: Array, offsets: Array, clipped: bool = True) -> Array:
    """The best common border of several outputs, summed along axis 0, methods 13.2.

    Parameters
    ----------
    slopes, offsets : Array
        A_i and c_i, float32 or float64, finite, of equal shape.
    clipped : bool
        Clip to [0, 1].

    Returns
    -------
    Array
        B* = 1/2 + sum A_i c_i / sum A_i^2, the A_i^2-weighted mean of the B_i^E; 1/2 where all
        A_i are 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a finite floating array.
    """
    _check("shared_border", slopes=slopes, offsets=offsets)
    squares = np.asarray(nx.sum(slopes * slopes, axis=0))
    return _border(np.asarray(nx.sum(slopes * offsets, axis=0)), squares, clipped)


def border_imbalance(border: Array, line: ErrorLine) -> Array:
    """|g(-B)| - |g(1-B)|: zero at a border, AQ Definition 2.1."""
    return np.asarray(np.abs(error_at(-border, line)) - np.abs(error_at(1.0 - border, line)))


def down_is_better(fraction: Array, line: ErrorLine) -> Array:
    """Whether |g(-f)| <= |g(1-f)|: what the rounding of one product should do."""
    return np.asarray(border_imbalance(fraction, line) <= 0.0)


def error_moments(border: Array, line: ErrorLine) -> ErrorMoments:
    """E[g] and E[g^2] of rounding at a constant border, f uniform on [0, 1), methods 13.2.

    D is then uniform on [-B, 1 - B]: its mean is 1/2 - B and its second moment
    (B^3 + (1 - B)^3) / 3. With slope s and offset 0, the rounding error itself (P73).

    Parameters
    ----------
    border : Array
        In [0, 1].
    line : ErrorLine
        Independent of the fraction.

    Returns
    -------
    ErrorMoments
    """
    up = 1.0 - border
    mean = 0.5 - border
    second = (border * border * border + up * up * up) / 3.0
    slope, offset = line
    cross = 2.0 * slope * offset * mean
    return ErrorMoments(
        np.asarray(offset + slope * mean),
        np.asarray(slope * slope * second + cross + offset * offset),
    )


def moving_border(w: Array, d_w: Array, e: Array, m: Array) -> Array:
    """The fraction at which a moving error changes its best direction, methods 13.2.

    With x' = m + f the offset moves with f: g = A D + dw (m + f) + w e, which is C - w f going
    down and C + A - w f going up, C = dw m + w e. They are equally far from 0 at
    f* = (A/2 + C) / w. Needs w A > 0.

    Parameters
    ----------
    w, d_w, e, m : Array
        Weight, its error, noise, and the integer part of x'.

    Returns
    -------
    Array
        The switch f*, unclipped.
    """
    return np.asarray(((w + d_w) * 0.5 + (d_w * m + w * e)) / w)


def moving_bias(w: Array, d_w: Array, e: Array, m: Array) -> Array:
    """E[g] of rounding at `moving_border`, f uniform: -(dw/w)(C + dw/2), P14.

    Zero iff dw = 0 or C = -dw/2, else of second order in the errors: the paper's claim that a
    border removes the bias is exact only for an offset that stands still. Needs f* in [0, 1]
    and w A > 0.
    """
    return np.asarray(-(d_w / w) * (d_w * m + w * e + d_w * 0.5))


def _line(function: str, w: Array, d_w: Array, x_prime: Array, e: Array) -> ErrorLine:
    _check(function, w=w, d_w=d_w, x_prime=x_prime, e=e)
    return ErrorLine(np.asarray(w + d_w), np.asarray(d_w * x_prime + w * e))


def _border(top: Array, bottom: Array, clipped: bool) -> Array:
    """1/2 + top / bottom, 1/2 where bottom = 0."""
    with np.errstate(over="ignore"):
        shift = np.where(bottom == 0.0, 0.0, top / np.where(bottom == 0.0, 1.0, bottom))
    border = 0.5 + shift
    return np.asarray(np.clip(border, 0.0, 1.0) if clipped else border)


def _check(function: str, **arrays: Array) -> None:
    for name, value in arrays.items():
        check_finite(function, name, check_array(function, name, value))
