"""Inputs: dyadic ones from the counter-based generator, and numbers rounded to float32."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.numerics import counter


def dyadic(
    key: tuple[int | str, ...], shape: int | tuple[int, ...], bits: int, point: int
) -> Array:
    """Return k / 2^point with whole k, |k| < 2^bits, uniform and of both signs.

    `bits` is the tier's (8, 11 or 24); the numbers lie in (-2^(bits - point), 2^(bits - point)).
    """
    span = (1 << (bits + 1)) - 1
    whole = counter.integers(("oracle", *key), span, shape) - ((1 << bits) - 1)
    return np.asarray(np.ldexp(whole.astype(np.float64), -point))


def double(key: tuple[int | str, ...], shape: int | tuple[int, ...], point: int) -> Array:
    """Return odd k / 2^point, |k| < 2^53, of both signs: numbers that need all of float64."""
    high, low = dyadic((*key, "high"), shape, 25, -28), codes((*key, "low"), shape, 0, 2**27 - 1)
    return np.asarray(np.ldexp(high + (2 * low + 1), -point))


def codes(key: tuple[int | str, ...], shape: int | tuple[int, ...], low: int, high: int) -> Array:
    """Return int64 numbers in low..high, both included."""
    return np.asarray(counter.integers(("oracle", *key), high - low + 1, shape) + low)


def single(values: Any) -> Array:
    """Return numbers rounded to the 24 bits of float32: steps that are no powers of two."""
    return np.asarray(np.asarray(values, dtype=np.float32).astype(np.float64))


def subject(purpose: str) -> str:
    """Return a purpose without the reason in parentheses: a key for draws, so that a better reason
    changes no number.
    """
    return purpose.partition(" (")[0]
