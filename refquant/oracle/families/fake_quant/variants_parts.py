"""Parts of a wrong `fake_quant`: how parameters are laid out, codes made, special values read."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.fake_quant import plain_uniform as plain

BEYOND = 2.0**31


def on_axis(axis: int) -> Any:
    """Parameters along a fixed axis, repeated or cut to its length."""

    def wrong(parameter: Array, own: int | None, x: Array) -> Array:
        if own is None or x.ndim == 0:
            return parameter
        return plain.along(np.resize(parameter, x.shape[axis]), axis % x.ndim, x)

    return wrong


def first_of_all(parameter: Array, axis: int | None, x: Array) -> Array:
    """The parameter of the first channel for all."""
    return np.asarray(parameter.ravel()[0])


def reversed_channels(parameter: Array, axis: int | None, x: Array) -> Array:
    """Parameters in reversed order."""
    return plain.along(parameter[::-1] if axis is not None else parameter, axis, x)


def power_of_two(s: Array, axis: int | None, x: Array) -> Array:
    """The step rounded to the nearest power of two."""
    return plain.along(np.exp2(np.rint(np.log2(s))).astype(s.dtype), axis, x)


def zero_inside(rounding: Any) -> Any:
    """rint(u + z), clipped to the codes."""
    return lambda r, z, ends, u: np.clip(rounding(u + z), *ends).astype(np.int64)


def wraps(r: Array, z: Array, ends: tuple[int, int], u: Array) -> Array:
    """The code modulo the number of codes."""
    r = np.where(np.abs(r) < 2.0**52, r, 0)
    return (r.astype(np.int64) + z - ends[0]) % (ends[1] - ends[0] + 1) + ends[0]


def cast_first(limit: float) -> Any:
    """A cast to integers before the clip: out of range it is the lowest integer."""

    def wrong(r: Array, z: Array, ends: tuple[int, int], u: Array) -> Array:
        cast = np.where(np.abs(r) < limit, r, -limit)
        return plain.to_codes(np.asarray(cast), z, ends, u)

    return wrong


def unclipped_above(r: Array, z: Array, ends: tuple[int, int], u: Array) -> Array:
    """No limit above."""
    return np.clip(r, ends[0] - z, 2.0**52).astype(np.int64) + z


def unclipped_below(r: Array, z: Array, ends: tuple[int, int], u: Array) -> Array:
    """No limit below."""
    return np.clip(r, -(2.0**52), ends[1] - z).astype(np.int64) + z


def clipped_then_rounded(r: Array, z: Array, ends: tuple[int, int], u: Array) -> Array:
    """The quotient clipped to n..p and then rounded; where the clip moves it, it is whole."""
    clipped = np.clip(u, ends[0] - z, ends[1] - z)
    return np.where(clipped == u, r, clipped).astype(np.int64) + z


def codes_by(clip: Any) -> Any:
    """Codes from the rounded values alone."""
    return lambda r, z, ends, u: clip(r, z, ends).astype(np.int64)


def shifted(low: int, high: int) -> Any:
    """A code range with its ends moved."""

    def wrong(grid: str, bits: int) -> tuple[int, int]:
        ends = plain.code_range(grid, bits)
        return ends[0] + low, ends[1] + high

    return wrong


def as_kind(given: str, taken: str) -> Any:
    """One kind of grid taken for another."""
    return lambda grid, bits: plain.code_range(taken if grid == given else grid, bits)


def infinite_as(value: float, sign: float) -> Any:
    """One infinity replaced before the rounding."""

    def wrong(u: Array, policy: str) -> Array:
        return np.where(u == sign * np.inf, value, plain.replace_nan(u, policy))

    return wrong


def one_at_least(x: Array, s: Array) -> Array:
    """A quotient of at least one element."""
    u = x / s
    return u if u.size else np.zeros(1, x.dtype)


def in_float16(x: Array, s: Array) -> Array:
    """Product with a reciprocal in half precision."""
    return np.asarray(x * (1 / s).astype(np.float16).astype(x.dtype))


def double_division(x: Array, s: Array) -> Array:
    """Half of the quotient is rounded first: to sixteenths."""
    return np.asarray(np.rint(x / s * 16) / 16)
