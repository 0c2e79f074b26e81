"""Scalar twin of AdaRound's weight quantiser: one weight at a time.

Written from methods 5.4 and 6.1 to 6.5. Everything but the sigmoid, its inverse and the power
is rational, so `soft_level`, `hard_code` and `soft_slope` are exact when w and step (and h) are
Fractions. Imports the standard library only.
"""

import math
from typing import Any

LN11 = 2.3978952727983707  # log(11) to 17 digits: the stretched sigmoid meets 0 and 1 there


def fraction(w: Any, step: Any) -> Any:
    """f = w/s - floor(w/s)."""
    return w / step - math.floor(w / step)


def init_alpha(w: Any, step: Any) -> float:
    """log((1 + 10 f)/(11 - 10 f)), and -LN11 itself where f = 0."""
    f = fraction(w, step)
    return -LN11 if f == 0 else math.log((1 + 10 * f) / (11 - 10 * f))


def rectified_sigmoid(alpha: float) -> float:
    """clip(1.2 sigma(alpha) - 0.1, 0, 1), saturated from |alpha| = LN11 on."""
    if abs(alpha) >= LN11:
        return 1.0 if alpha > 0 else 0.0
    return min(1.0, max(0.0, 1.2 / (1.0 + math.exp(-alpha)) - 0.1))


def rectified_slope(alpha: float, edge: str = "inclusive") -> float:
    """1.2 sigma (1 - sigma), or 0 where h is saturated (at the edge: only under "strict")."""
    if abs(alpha) > LN11 or (edge == "strict" and abs(alpha) == LN11):
        return 0.0
    sigma = 1.0 / (1.0 + math.exp(-alpha))
    return 1.2 * sigma * (1.0 - sigma)


def soft_level(w: Any, step: Any, h: Any, n: int, p: int) -> Any:
    """clip(floor(w/s) + h, n, p)."""
    return min(p, max(n, math.floor(w / step) + h))


def soft_slope(w: Any, step: Any, h: Any, n: int, p: int) -> Any:
    """d w_hat / d h = s [n <= floor(w/s) + h <= p]."""
    return step if n <= math.floor(w / step) + h <= p else 0 * step


def hard_code(w: Any, step: Any, alpha: float, zero_point: int, n: int, p: int) -> int:
    """clip(floor(w/s) + [alpha >= 0], n, p) + zero_point."""
    up = 1 if alpha >= 0 else 0
    return int(min(p, max(n, math.floor(w / step) + up))) + zero_point


def regularizer(h: float, beta: float) -> float:
    """1 - |2h - 1|^beta of one decision."""
    return float(1.0 - abs(2.0 * h - 1.0) ** beta)


def regularizer_slope(h: float, beta: float) -> float:
    """Its derivative in h: -2 beta |2h - 1|^(beta - 1) sign(2h - 1), 0 at h = 1/2."""
    t = 2.0 * h - 1.0
    if t == 0.0:
        return 0.0
    return float(-2.0 * beta * abs(t) ** (beta - 1.0) * math.copysign(1.0, t))
