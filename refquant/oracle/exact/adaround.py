"""Scalar twin of AdaRound's weight quantizer: one weight at a time.

Written from methods 5.4 and 6.1 to 6.5. Everything but the sigmoid, its inverse and the power
is rational, so `soft_level`, `hard_code` and `soft_slope` are exact when w and step (and h) are
Fractions or tracked numbers. A NaN weight rests at level 0, the infinities at the ends; none of
them has a gradient. Imports the standard library only.
"""

import math
from typing import Any

from refquant.oracle.exact.real import clip, literal, log, power, sigmoid
from refquant.oracle.exact.tracked import Tracked, special, split

LN11 = 2.3978952727983707  # log(11) to 17 digits: the stretched sigmoid meets 0 and 1 there
CLIP = 1e-4  # of the start named "clipped"


def fraction(w: Any, step: Any) -> Any:
    """f = w/s - floor(w/s), 0 where w/s is not finite; just below 0 the subtraction may round."""
    u = w / step
    if special(u):
        return 0 * step
    rounds = -0.5 < getattr(u, "value", u) < 0
    return split(u)[1] if isinstance(u, Tracked) and not rounds else u - math.floor(u)


def init_alpha(w: Any, step: Any, how: str = "ratio") -> Any:
    """log((1 + 10 f)/(11 - 10 f)), and -LN11 itself where f = 0; or one of two other forms."""
    f = fraction(w, step)
    if how == "quotient":
        return -log((literal(1.1, f) + literal(0.1, f)) / (f + literal(0.1, f)) - 1)
    if how == "clipped":
        kept = clip(f, literal(CLIP, f), literal(1 - CLIP, f))
        sigma = (kept + literal(0.1, f)) / literal(1.2, f)
        return log(sigma / (1 - sigma))
    return literal(-LN11, f) if f == 0 else log((1 + 10 * f) / (11 - 10 * f))


def rectified_sigmoid(alpha: Any) -> Any:
    """clip(1.2 sigma(alpha) - 0.1, 0, 1)."""
    return clip(literal(1.2, alpha) * sigmoid(alpha) - literal(0.1, alpha), 0, 1)


def rectified_slope(alpha: Any, edge: str = "inclusive") -> Any:
    """1.2 sigma (1 - sigma), or 0 where h is saturated (at the edge: only under "strict")."""
    end, size = literal(LN11, alpha), abs(alpha)
    if not (size <= end if edge == "inclusive" else size < end):
        return 0 * alpha
    sigma = sigmoid(alpha)
    return literal(1.2, alpha) * sigma * (1 - sigma)


def soft_level(w: Any, step: Any, h: Any, n: int, p: int) -> Any:
    """clip(floor(w/s) + h, n, p)."""
    u = w / step
    if special(u):
        return 0 if u != u else p if u > 0 else n
    return clip(math.floor(u) + h, n, p)


def soft_slope(w: Any, step: Any, h: Any, n: int, p: int) -> Any:
    """d w_hat / d h = s [n <= floor(w/s) + h <= p]."""
    u = w / step
    inside = not special(u) and n <= math.floor(u) + h <= p
    return step if inside else 0 * step


def hard_code(w: Any, step: Any, alpha: Any, zero_point: int, n: int, p: int) -> int:
    """clip(floor(w/s) + [alpha >= 0], n, p) + zero_point."""
    return hard_level(w, step, is_up(alpha), n, p) + zero_point


def hard_level(w: Any, step: Any, up: bool, n: int, p: int) -> int:
    """clip(floor(w/s) + up, n, p)."""
    return int(soft_level(w, step, int(up), n, p))


def is_up(number: Any, tie: str = "up") -> bool:
    """Whether a number is > 0, or is 0 and ties go up: the hard decision. By its value alone."""
    value = getattr(number, "value", number)
    return bool(value >= 0 if tie == "up" else value > 0)


def regularizer(h: Any, beta: Any) -> Any:
    """1 - |2h - 1|^beta of one decision."""
    return 1 - power(abs(2 * h - 1), beta)


def regularizer_slope(h: Any, beta: Any) -> Any:
    """Its derivative in h: -2 beta |2h - 1|^(beta - 1) sign(2h - 1), 0 at h = 1/2."""
    centred = 2 * h - 1
    if beta == 1 and centred == 0:
        return 0 * centred
    size = -2 * beta * power(abs(centred), beta - 1)
    return size if is_up(centred) else -size
