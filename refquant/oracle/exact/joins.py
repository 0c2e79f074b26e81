"""Scalar twins of add, concat and flatten, forward and backward.

Written from methods.md 4.3. Arrays are nested lists of floats or Fractions; add works at any
depth, concat joins axis 1, flatten keeps axis 0. Everything is exact for Fractions.
"""

from collections.abc import Iterator
from typing import Any


def add(*xs: Any) -> Any:
    """Return the sum of the inputs, from left to right."""
    if isinstance(xs[0], list):
        return [add(*entries) for entries in zip(*xs, strict=True)]
    total = xs[0]
    for x in xs[1:]:
        total = total + x
    return total


def add_backward(d_y: Any, inputs: int) -> list[Any]:
    """Return the gradient once for every input."""
    return [d_y for _ in range(inputs)]


def concat(*xs: Any) -> Any:
    """Return the inputs joined along axis 1."""
    y = []
    for samples in zip(*xs, strict=True):
        channels: list[Any] = []
        for sample in samples:
            channels.extend(sample)
        y.append(channels)
    return y


def concat_backward(d_y: Any, channels: list[int]) -> list[Any]:
    """Return the channels of the gradient that belong to each input."""
    parts, start = [], 0
    for count in channels:
        parts.append([[sample[start + i] for i in range(count)] for sample in d_y])
        start += count
    return parts


def _numbers(nested: Any) -> Iterator[Any]:
    """Yield the entries in row-major order."""
    if not isinstance(nested, list):
        yield nested
        return
    for entry in nested:
        yield from _numbers(entry)


def flatten(x: Any) -> Any:
    """Return one row of numbers for every sample."""
    return [list(_numbers(sample)) for sample in x]


def _refill(shape_of: Any, numbers: Iterator[Any]) -> Any:
    if not isinstance(shape_of, list):
        return next(numbers)
    return [_refill(entry, numbers) for entry in shape_of]


def flatten_backward(d_y: Any, x: Any) -> Any:
    """Return the rows of the gradient, nested as x is."""
    return [_refill(sample, iter(row)) for sample, row in zip(x, d_y, strict=True)]
