"""Random numbers as a pure function of a key: the same integers in any language, for ever.

The stream of a key is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom
number generators", OOPSLA 2014), started at a state that is hashed from the key. All
arithmetic is on unsigned 64-bit integers, modulo 2^64::

    mix(z):     z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
                z = (z ^ (z >> 27)) * 0x94D049BB133111EB
                return z ^ (z >> 31)
    word(s):    a string: FNV-1a of its ASCII bytes,
                h = 0xCBF29CE484222325; for each byte c: h = (h ^ c) * 0x100000001B3
    state(key): h = 0; for each part w: h = mix((h ^ word(w)) + 0x9E3779B97F4A7C15)
    bits(i):    mix(state + (i + 1) * 0x9E3779B97F4A7C15),   i = 0, 1, 2, ... in C order

A key is (seed, unit, phase, step, node, sample), or any tuple of integers in [0, 2^64) and
ASCII strings. Element i depends on the key and i only, so a longer draw starts with the
shorter one. Nothing is stored and no global state is touched.

Everything but `normal` is integer work and is exact in either arithmetic; `normal` goes
through the logarithm and cosine of the current arithmetic.
"""

from math import ceil, prod, tau

import numpy as np

from refquant._checks import check_int, complaint
from refquant._types import Array
from refquant.numerics import operations as ops

Key = tuple[int | str, ...]
Shape = int | tuple[int, ...]

GOLDEN = 0x9E3779B97F4A7C15
MASK = 0xFFFFFFFFFFFFFFFF
BLOCK = 2**14  # words mixed together
STEPS = np.arange(1, BLOCK + 1, dtype=np.uint64) * np.uint64(GOLDEN)
FNV_OFFSET, FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3


def bits(key: Key, shape: Shape) -> Array:
    """Return 64 random bits per element.

    Parameters
    ----------
    key : tuple of int and str
        Which stream; see the recipe above.
    shape : int or tuple of int
        Shape of the result, filled in C order.

    Returns
    -------
    uint64 array of that shape.

    Raises
    ------
    TypeError, ValueError
        If the key is not a tuple of integers in [0, 2^64) and ASCII strings.
    """
    dims = (shape,) if isinstance(shape, int) else tuple(shape)
    stream, begin = np.empty(prod(dims), np.uint64), state(key)
    for start in range(0, len(stream), BLOCK):  # in pieces that stay in the cache
        _fill(stream[start : start + BLOCK], begin, start)
    return stream.reshape(dims)


def uniform(key: Key, shape: Shape) -> Array:
    """Return float64 numbers in [0, 1): the upper 53 bits divided by 2^53, exactly."""
    return (bits(key, shape) >> np.uint64(11)) * 2.0**-53


def integers(key: Key, high: int, shape: Shape) -> Array:
    """Return int64 numbers in [0, high): the upper 32 bits times `high`, shifted right by 32.

    ``1 <= high <= 2^32``. The probability of a value differs from 1/high by less than 2^-32.
    """
    high = check_int("integers", "high", high, 1, 2**32)
    product = (bits(key, shape) >> np.uint64(32)) * np.uint64(high)
    return (product >> np.uint64(32)).astype(np.int64)


def bernoulli(key: Key, keep: float, shape: Shape) -> Array:
    """Return booleans, True where `uniform` lies below `keep` (so never at 0, always at 1)."""
    if not 0.0 <= keep <= 1.0:
        raise ValueError(complaint("bernoulli", "keep", keep, "a probability in [0, 1]"))
    dims = (shape,) if isinstance(shape, int) else tuple(shape)
    found, begin = np.ones(prod(dims), bool), state(key)
    # uniform < keep, without making it: the upper 53 bits lie below ceil(2^53 keep).
    bound, drawn = ceil(float(keep) * 2.0**53) << 11, np.empty(min(found.size, BLOCK), np.uint64)
    for start in range(0, found.size if bound < 2**64 else 0, BLOCK):
        part = found[start : start + BLOCK]
        words = _fill(drawn[: part.size], begin, start, last=bound % 2**33 != 0)
        np.less(words, np.uint64(bound), out=part)
    return found.reshape(dims)


def permutation(key: Key, n: int) -> Array:
    """Return the int64 permutation of range(n) that sorts `bits`, ties in order of index."""
    return np.argsort(bits(key, n), kind="stable").astype(np.int64)


def normal(key: Key, shape: Shape) -> Array:
    """Return standard normal float64 numbers by the method of Box and Muller.

    Element i is ``sqrt(-2 log(1 - u)) cos(2 pi v)`` with u and v the uniform numbers 2i and
    2i + 1 of the stream. The last bits are those of the current arithmetic.
    """
    dims = (shape,) if isinstance(shape, int) else tuple(shape)
    pairs = uniform(key, (prod(dims), 2))
    radius = np.sqrt(-2.0 * ops.log(1.0 - pairs[:, 0]))
    return (radius * ops.cos(tau * pairs[:, 1])).reshape(dims)


def state(key: Key) -> int:
    """Return the 64-bit state at which the stream of `key` starts."""
    if not isinstance(key, tuple):
        fix = "Write (seed, unit, ...)."
        raise TypeError(complaint("counter", "key", type(key).__name__, "a tuple", fix))
    h = 0
    for part in key:
        h = _mix_int(((h ^ _word(part)) + GOLDEN) & MASK)
    return h


def _word(part: int | str) -> int:
    if not isinstance(part, str):
        return check_int("counter", "key", part, 0, MASK)
    if not part.isascii():
        raise ValueError(complaint("counter", "key", repr(part), "ASCII strings"))
    h = FNV_OFFSET
    for byte in part.encode("ascii"):
        h = ((h ^ byte) * FNV_PRIME) & MASK
    return h


def _mix_int(z: int) -> int:
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def _fill(part: Array, begin: int, start: int, last: bool = True) -> Array:
    """Put the numbers of a stream from number `start` on, at most `BLOCK`, into `part`.

    Without the last step of `mix` only their upper 31 bits are right: all that matters to who
    compares them with a multiple of 2^33.
    """
    np.add(STEPS[: part.size], np.uint64((begin + start * GOLDEN) & MASK), out=part)
    part ^= part >> np.uint64(30)
    part *= np.uint64(0xBF58476D1CE4E5B9)
    part ^= part >> np.uint64(27)
    part *= np.uint64(0x94D049BB133111EB)
    if last:
        part ^= part >> np.uint64(31)
    return part
