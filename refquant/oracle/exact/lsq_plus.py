"""Scalar twin of LSQ+ in both parametrisations, exact on Fractions.

Written from methods 2.2. Each function returns y and the element's shares of the gradients for
d_y = 1: ``(y, dy/dx, dy/ds, dy/d(offset or zero point))``. Rounding is half to even; the mask is
on the rounded value, both ends inside, without NaN and infinities; NaN is quantised like 0.
Imports the standard library only.
"""

from typing import Any

from refquant.oracle.exact.real import clip
from refquant.oracle.exact.tracked import rational, special


def integer(x: Any, step: Any, zero_point: Any, n: int, p: int) -> tuple[Any, Any, Any, Any]:
    """Form (a): r = rint(x/s) + Z, q = clip(r, n, p), y = s (q - Z), Z = rint(z)."""
    z = round(rational(zero_point))
    u = x / step
    r = z if u != u else nearest(u, n - z, p - z) + z
    if not special(u) and n <= r <= p:
        return step * (r - z), 1, (r - z) - u, 0
    q = min(p, max(n, r))
    return step * (q - z), 0, q - z, -step


def real(x: Any, step: Any, offset: Any, n: int, p: int) -> tuple[Any, Any, Any, Any]:
    """Form (b): v = (x - o)/s, q = clip(rint(v), n, p), y = s q + o."""
    v = (x - offset) / step
    r = nearest(-offset / step if v != v else v, n, p)
    if not special(v) and n <= r <= p:
        return step * r + offset, 1, r - v, 0
    q = min(p, max(n, r))
    return step * q + offset, 0, q, 1


def nearest(u: Any, n: int, p: int) -> Any:
    """rint(u), of huge and infinite u n - 1 or p + 1."""
    return round(rational(clip(u, n - 1, p + 1)))


FORMS = {"integer": integer, "real": real}


def row_backward(
    form: str, row: list[Any], d_row: list[Any], place: tuple[Any, Any], grid: tuple[int, int]
) -> tuple[list[Any], Any, Any]:
    """(d_x, d_s, d_z or d_o) of numbers that share place = (step, zero point or offset)."""
    shares = [FORMS[form](x, *place, *grid) for x in row]
    d_x = [place[0] * d_y * share[1] / place[0] for d_y, share in zip(d_row, shares, strict=True)]
    d_s = sum(d_y * share[2] for d_y, share in zip(d_row, shares, strict=True))
    clipped = -place[0] if form == "integer" else 1  # what it adds; all less inside, as autodiff
    d_other = sum(clipped * d_y for d_y in d_row) - sum(clipped * inner for inner in d_x)
    return d_x, d_s, d_other
