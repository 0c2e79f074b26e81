"""Scalar twins of the reconstruction loss and of both Fisher losses.

Written from methods.md 5.1 and 5.2. Arrays are nested lists of floats, Fractions or tracked
numbers, at least one axis deep. Exact but for exponents that are not whole; sign(0) = 0. Every
function returns (L, dL/dz) and divides last.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

from refquant.oracle.exact.real import power


def _each(function: Callable[..., Any], *nested: Any) -> Any:
    if isinstance(nested[0], list):
        return [_each(function, *entries) for entries in zip(*nested, strict=True)]
    return function(*nested)


def _numbers(nested: Any) -> Iterator[Any]:
    if not isinstance(nested, list):
        yield nested
        return
    for entry in nested:
        yield from _numbers(entry)


def _shape(nested: Any) -> list[int]:
    return [len(nested), *_shape(nested[0])] if isinstance(nested, list) else []


def _places(nested: Any, channel_axis: int) -> int:
    """Return numel / channels."""
    shape = _shape(nested)
    shape.pop(channel_axis)
    return math.prod(shape)


def _power(base: Any, exponent: Any) -> Any:
    """Return base ** exponent for base >= 0, by multiplication for whole exponents."""
    whole = math.floor(exponent)
    if exponent != whole:
        return power(base, exponent)
    result = 1
    for _ in range(whole):
        result = result * base
    return result


def _sign(number: Any) -> int:
    """-1, 0 or 1, by the value alone: a difference of two floats has the right sign."""
    value = getattr(number, "value", number)
    return int(value > 0) - int(value < 0)


def reconstruction_loss(
    z: Any, t: Any, p: Any = 2, channel_axis: int = 1, reduction: str = "channels"
) -> tuple[Any, Any]:
    """Return mean over all axes but the channels (or over all) of sum of |z - t|^p."""
    places = math.prod(_shape(z)) if reduction == "mean" else _places(z, channel_axis)
    d = _each(lambda a, b: a - b, z, t)
    total = sum(_power(abs(a), p) for a in _numbers(d))
    d_z = _each(lambda a: p * _power(abs(a), p - 1) * _sign(a) / places, d)
    return total / places, d_z


def fisher_diag_loss(z: Any, t: Any, g: Any, channel_axis: int = 1) -> tuple[Any, Any]:
    """Return mean over all axes but the channels of sum over channels of d^2 g^2."""
    places = _places(z, channel_axis)
    d = _each(lambda a, b: a - b, z, t)
    total = sum(_numbers(_each(lambda a, b: a * a * b * b, d, g)))
    return total / places, _each(lambda a, b: 2 * a * b * b / places, d, g)


def fisher_full_loss(z: Any, t: Any, g: Any) -> tuple[Any, Any]:
    """Return mean over all elements of S_n |d| g, over 100, with S_n = sum of |d| g in sample n."""
    divisor = 100 * math.prod(_shape(z))
    d = _each(lambda a, b: a - b, z, t)
    total, d_z = 0, []
    for sample, weights in zip(d, g, strict=True):
        felt = list(_numbers(_each(lambda a, b: abs(a) * b, sample, weights)))
        dot = sum(felt)
        total += sum(dot * a for a in felt)
        twice = dot / divisor + sum(a / divisor for a in felt)  # as autodiff adds and rounds it
        d_z.append(_each(lambda a, b, s=twice: _sign(a) * s * b, sample, weights))
    return total / divisor, d_z
