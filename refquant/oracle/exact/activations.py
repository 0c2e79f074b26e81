"""Scalar twins of relu, relu6, leaky_relu and sigmoid, forward and backward.

Written from methods.md 4.3 and 1.4. Arguments are nested lists of floats or Fractions, of any
depth, or single numbers; all but the sigmoid are exact for Fractions. At their kinks relu and
relu6 have gradient 0 and leaky_relu has its slope.
"""

import math
from collections.abc import Callable
from typing import Any


def _each(function: Callable[..., Any], *nested: Any) -> Any:
    """Apply a function of numbers to nested lists of one shape, entry by entry."""
    if isinstance(nested[0], list):
        return [_each(function, *entries) for entries in zip(*nested, strict=True)]
    return function(*nested)


def relu(x: Any) -> Any:
    """Return max(x, 0) of every entry."""
    return _each(lambda a: 0 if a <= 0 else a, x)


def relu_backward(d_y: Any, x: Any) -> Any:
    """Return d_y where x > 0, else 0."""
    return _each(lambda d, a: d if a > 0 else 0, d_y, x)


def relu6(x: Any) -> Any:
    """Return min(max(x, 0), 6) of every entry."""
    return _each(lambda a: 0 if a <= 0 else 6 if a >= 6 else a, x)


def relu6_backward(d_y: Any, x: Any) -> Any:
    """Return d_y where 0 < x < 6, else 0."""
    return _each(lambda d, a: d if 0 < a < 6 else 0, d_y, x)


def leaky_relu(x: Any, slope: Any) -> Any:
    """Return x where x > 0, else slope * x."""
    return _each(lambda a: a if a > 0 else slope * a, x)


def leaky_relu_backward(d_y: Any, x: Any, slope: Any) -> Any:
    """Return d_y where x > 0, else slope * d_y."""
    return _each(lambda d, a: d if a > 0 else slope * d, d_y, x)


def _sigmoid(a: float) -> float:
    if a >= 0:
        return 1.0 / (1.0 + math.exp(-a))
    growing = math.exp(a)  # exp(-a) would overflow for large negative a
    return growing / (1.0 + growing)


def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + exp(-x)) of every entry."""
    return _each(_sigmoid, x)


def sigmoid_backward(d_y: Any, x: Any) -> Any:
    """Return d_y * sigma(x) * sigma(-x), with sigma(-x) = 1 - sigma(x)."""
    return _each(lambda d, a: d * (_sigmoid(a) * _sigmoid(-a)), d_y, x)
