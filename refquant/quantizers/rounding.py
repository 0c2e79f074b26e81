"""Rounding functions: six standard ones, and rounding at a movable border.

References: methods, sections 1.1 and 1.4; IEEE Std 754-2019, section 5.9 (roundToIntegral);
AQuant for the border. With F = floor(u) and f = u - F:

    name         exact meaning               ties           seen in
    rint         nearest                     to even        torch.round, ONNX QuantizeLinear
    half_up      floor(u + 1/2)              up             AdaRound at its initial alpha
    half_down    ceil(u - 1/2)               down           AQuant's border at B = 1/2
    half_away    sign(u) floor(|u| + 1/2)    away from 0    gemmlowp
    floor, ceil  F, -floor(-u)               --             the base AdaRound starts from
    border(u,B)  F + [f > B]                 f = B: down    AQuant

    paper   here     shape               meaning
    u       u, x     any                 value in units of the step
    B       border   broadcasts to u     border in [0, 1], in units of the step

Every result equals the exact one, for every finite float32 and float64. Two float hazards
shape the code: ``u + 1/2`` rounds 0.49999999999999994 up to 1, so half_up tests
``f >= 1/2`` instead; and f itself is exact except on -1/2 < u < 0, where `border_round`
compares ``u > B - 1`` (where B - 1 is inexact, B < 1/2 and both sides say "up").

Edge cases: NaN gives NaN; an infinity gives itself; |u| >= 2^52 (float32: 2^23) is integral
and gives itself; a zero result carries the sign of u, as IEEE 754 asks, so -0.3 gives -0.0
under "rint" and "ceil".

Differs from: AQuant prints ``ceil(u - B)``, which moves an integral u when B = 1 and, in
floats, can lose B altogether (u = 1024.3); decision D1.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from refquant._checks import check_array, check_in, complaint
from refquant._types import Array


def round_to(x: Array, mode: str = "rint") -> Array:
    """Round to integers, methods 1.1.

    Parameters
    ----------
    x : Array
        float32 or float64, any shape.
    mode : {"rint", "half_up", "half_down", "half_away", "floor", "ceil"}
        Which integer, and what happens at ties.

    Returns
    -------
    Array
        Whole numbers, in the shape and dtype of `x`. NaN and the infinities pass through; a
        zero keeps the sign of `x`.

    Raises
    ------
    TypeError, ValueError
        If `x` is not a floating array, or `mode` is unknown.
    """
    check_array("round_to", "x", x)
    check_in("round_to", "mode", mode, ROUNDINGS)
    return np.asarray(np.copysign(ROUNDINGS[mode](x), x))


def border_round(u: Array, border: Any) -> Array:
    """Round up where the fraction exceeds the border: floor(u) + [f > B], methods 1.1 and 1.4.

    Parameters
    ----------
    u : Array
        float32 or float64, any shape, in units of the step.
    border : float or Array
        Borders in [0, 1], broadcasting to the shape of `u`; taken in the dtype of `u`.

    Returns
    -------
    Array
        Whole numbers, in the shape and dtype of `u`. At f = B the result is floor(u). NaN
        and the infinities pass through; a zero keeps the sign of `u`.

    Raises
    ------
    TypeError
        If `u` is not a floating array.
    ValueError
        If a border lies outside [0, 1] or is NaN, or does not broadcast to `u`.
    """
    check_array("border_round", "u", u)
    b = _check_border(border, u)
    base = np.floor(u)
    up = np.where((u > -0.5) & (u < 0.0), u > b - 1.0, _fraction(u, base) > b)
    return np.asarray(np.copysign(base + up, u))


def _check_border(border: Any, u: Array) -> Array:
    """`border` in the dtype and shape of `u`; ValueError if it does not fit."""
    b = np.asarray(border, dtype=u.dtype)
    if not np.all((b >= 0.0) & (b <= 1.0)):
        got = f"in {b.min()}..{b.max()}"
        raise ValueError(complaint("border_round", "border", got, "numbers in 0..1"))
    try:
        return np.broadcast_to(b, u.shape)
    except ValueError as error:
        got, expected = f"of shape {b.shape}", f"a shape that broadcasts to {u.shape}"
        raise ValueError(complaint("border_round", "border", got, expected)) from error


def _fraction(u: Array, base: Array) -> Array:
    """u - floor(u); NaN (quietly) where u is not finite, so that no border is exceeded."""
    with np.errstate(invalid="ignore"):
        return np.asarray(u - base)


def _half_up(x: Array) -> Array:
    base = np.floor(x)
    return np.asarray(base + (_fraction(x, base) >= 0.5))


def _half_down(x: Array) -> Array:
    return -_half_up(-x)


def _half_away(x: Array) -> Array:
    return np.asarray(np.copysign(_half_up(np.abs(x)), x))


def _rint(x: Array) -> Array:
    return np.asarray(np.rint(x))


def _floor(x: Array) -> Array:
    return np.asarray(np.floor(x))


def _ceil(x: Array) -> Array:
    return np.asarray(np.ceil(x))


ROUNDINGS: dict[str, Callable[[Array], Array]] = {
    "rint": _rint,
    "half_up": _half_up,
    "half_down": _half_down,
    "half_away": _half_away,
    "floor": _floor,
    "ceil": _ceil,
}
