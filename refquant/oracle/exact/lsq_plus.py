"""Scalar twin of LSQ+ in both parametrisations, exact on Fractions.

Written from methods 2.2. Each function returns y and the element's shares of the gradients for
d_y = 1: ``(y, dy/dx, dy/ds, dy/d(offset or zero point))``. Rounding is half to even; the mask is
on the rounded value, both ends inside. Imports the standard library only.
"""

from fractions import Fraction
from typing import Any


def integer(x: Any, step: Any, zero_point: Any, n: int, p: int) -> tuple[Any, Any, Any, Any]:
    """Form (a): r = rint(x/s) + Z, q = clip(r, n, p), y = s (q - Z), Z = rint(z)."""
    z = round(Fraction(zero_point))
    r = round(Fraction(x / step)) + z
    if n <= r <= p:
        return step * (r - z), 1, (r - z) - x / step, 0
    q = n if r < n else p
    return step * (q - z), 0, q - z, -step


def real(x: Any, step: Any, offset: Any, n: int, p: int) -> tuple[Any, Any, Any, Any]:
    """Form (b): v = (x - o)/s, q = clip(rint(v), n, p), y = s q + o."""
    v = (x - offset) / step
    r = round(Fraction(v))
    if n <= r <= p:
        return step * r + offset, 1, r - v, 0
    q = n if r < n else p
    return step * q + offset, 0, q, 1
