"""Scalar twin of LSQ+ in both parametrisations, exact on Fractions.

Written from methods 2.2. Each form returns ``(y, M, level, u)`` of one number, y being s level
(+ offset). Rounding is half to even; the mask M is on the rounded value, both ends inside, without
NaN and infinities; NaN is quantized like 0. Imports the standard library only.
"""

from typing import Any

from refquant.oracle.exact.real import clip
from refquant.oracle.exact.tracked import rational, special


def integer(x: Any, step: Any, zero_point: Any, n: int, p: int) -> tuple[Any, bool, int, Any]:
    """Form (a): r = rint(x/s) + Z, q = clip(r, n, p), y = s (q - Z), Z = rint(z)."""
    z = round(rational(zero_point))
    u = x / step
    r = z if u != u else nearest(u, n - z, p - z) + z
    level = min(p, max(n, r)) - z
    return step * level, not special(u) and n <= r <= p, level, u


def real(x: Any, step: Any, offset: Any, n: int, p: int) -> tuple[Any, bool, int, Any]:
    """Form (b): v = (x - o)/s, q = clip(rint(v), n, p), y = s q + o."""
    v = (x - offset) / step
    r = nearest(-offset / step if v != v else v, n, p)
    level = min(p, max(n, r))
    return step * level + offset, not special(v) and n <= r <= p, level, v


def nearest(u: Any, n: int, p: int) -> Any:
    """rint(u), of huge and infinite u n - 1 or p + 1."""
    return round(rational(clip(u, n - 1, p + 1)))


FORMS = {"integer": integer, "real": real}


def row_backward(
    form: str, row: list[Any], d_row: list[Any], place: tuple[Any, Any], grid: tuple[int, int]
) -> tuple[list[Any], Any, Any]:
    """(d_x, d_s, d_z or d_o) of numbers that share place = (step, zero point or offset).

    Each is summed as autodiff rounds it: d_y q apart from d_y M u, all apart from those inside.
    """
    step, found = place[0], [FORMS[form](x, *place, *grid) for x in row]
    pairs = list(zip(d_row, found, strict=True))
    d_x = [step * d_y / step if inside else 0 * d_y for d_y, (_, inside, _, _) in pairs]
    d_s = sum(d_y * level for d_y, (_, _, level, _) in pairs)
    d_s -= sum(d_u * u for d_u, (_, inside, _, u) in zip(d_x, found, strict=True) if inside)
    clipped = -step if form == "integer" else 1  # what an element adds that is clipped
    d_other = sum(clipped * d_y for d_y in d_row) - sum(clipped * inner for inner in d_x)
    return d_x, d_s, d_other
