"""Cut the rows of a matrix into slices of few bits, so that a product of slices is exact.

The idea is that of Ozaki, Ogita, Oishi and Rump, "Error-free transformations of matrix
multiplication by using fast routines of matrix multiplication and its applications",
Numerical Algorithms 59 (2012), with slices aligned to the largest entry of each row.

    symbol    here         shape          meaning
    K         k            --             length of the product, at most 1024 at a time
    S         slices       --             number of slices
    b         bits         --             width of a slice
    2^e       --           (..., r, 1)    smallest power of two above the row's largest entry
    sigma     shifter      (..., r, 1)    1.5 * 2^(52 - b) * 2^e: adding it rounds to b bits

Slice i is a multiple of 2^(e - i b). Slice 1 has at most 2^b such units, every later one
at most 2^(b - 1), because it is the remainder of a rounding to nearest.

Edge cases: a row of zeros has the shifter 0 and zero slices. Rows must be finite and their
largest entries moderate (`is_moderate`), so that nothing over- or underflows.
"""

from typing import NamedTuple

import numpy as np

from refquant._types import Array

TERMS = 1024  # longest product of slices; it fixes the width of a slice for every longer one
LIMIT = 2.0**300  # largest entries within 1/LIMIT..LIMIT keep every product of slices normal
BLOCK = 2**14  # numbers that are cut together
PIECE = 2**17  # numbers that are searched together: as many as stay in the cache
EXPONENT_FIELD = 0x7FF0000000000000  # of a binary64 number


class Cut(NamedTuple):
    """Slices of a matrix, side by side along the last axis, in order or in reverse."""

    data: Array  # (..., r, slices * k)
    used: int  # slices from here on are zero and were left unwritten


def slice_bits(k: int, slices: int) -> int:
    """Return b, the width of a slice: the widest for which every partial sum is exact.

    Two slices need K 2^(2b) <= 2^53. With three, the third group of products (1*3, 2*2, 3*1)
    can reach 5/4 of that, so K is counted as 5K/4.
    """
    terms = min(k, TERMS)
    if slices == 3:
        terms += -(-terms // 4)
    return (53 - (terms - 1).bit_length()) // 2


def magnitude(x: Array) -> Array:
    """Return the largest absolute entry of each row, (..., r, 1); NaN if there is one."""
    if x.size <= PIECE:
        return _largest(x)
    found, axis = np.zeros((*x.shape[:-1], 1), x.dtype), _walk(x)
    for block in _blocks(x, axis, PIECE):
        rows = found[block] if axis == x.ndim - 2 else found
        np.maximum(rows, _largest(x[block]), out=rows)
    return found


def _largest(x: Array) -> Array:
    largest: Array = np.maximum.reduce(np.abs(x), axis=-1, keepdims=True)
    return largest


def is_moderate(largest: Array) -> bool:
    """Say whether all rows are finite, and zero or within 1/LIMIT..LIMIT."""
    if not np.maximum.reduce(largest, axis=None) < LIMIT:
        return False
    if np.minimum.reduce(largest, axis=None) > 1.0 / LIMIT:
        return True
    return not bool(((largest > 0.0) & (largest <= 1.0 / LIMIT)).any())


def row_shifter(x: Array, bits: int) -> Array | None:
    """Return the `shifter` of the rows of `x`; None if they are not all finite and moderate."""
    largest = magnitude(x).astype(np.float64, copy=False)
    return shifter(largest, bits) if is_moderate(largest) else None


def shifter(largest: Array, bits: int) -> Array:
    """Return 1.5 * 2^(52 - b) * 2^e for rows with these largest entries, in float64."""
    power = (largest.view(np.int64) & EXPONENT_FIELD).view(np.float64)  # 2^(e - 1)
    shift: Array = power * (1.5 * 2.0 ** (53 - bits))
    return shift


def cut(x: Array, shift: Array, bits: int, slices: int, reverse: bool) -> Cut:
    """Cut rows into slices.

    Parameters
    ----------
    x : (..., r, k) float64
    shift : (..., r, 1) from `shifter`
    bits, slices : int
    reverse : bool
        Lay the slices out from last to first, for the right operand.

    Returns
    -------
    Cut, in the memory order of `x`.
    """
    data, parts = _room(x, slices)
    if reverse:
        parts.reverse()
    used, axis = 0, _walk(x)
    for block in _blocks(x, axis, BLOCK):
        blocks = [part[block] for part in parts]
        block_shift = shift[block] if axis == x.ndim - 2 else shift
        used = max(used, _cut_block(x[block], block_shift, 2.0**-bits, blocks))
    return Cut(data, used)


def _walk(x: Array) -> int:
    """Return the axis, one of the last two, along which pieces of `x` lie together in memory."""
    return x.ndim - 2 if abs(x.strides[-1]) <= abs(x.strides[-2]) else x.ndim - 1


def _blocks(x: Array, axis: int, size: int) -> list[tuple[slice, ...]]:
    """Pieces of `x` along `axis` of about `size` numbers, for passes that stay in the cache."""
    n = x.shape[axis]
    step = max(1, size * n // x.size)
    before = (slice(None),) * axis
    return [(*before, slice(start, start + step)) for start in range(0, n, step)]


def _cut_block(x: Array, shift: Array, narrower: float, parts: list[Array]) -> int:
    """Write the slices of `x` to `parts`; return how many are not zero throughout.

    All passes are over arrays without gaps: an operand that is broadcast, or rows with others
    between them, would take NumPy up to three times as long in each of them.
    """
    sigma = np.empty_like(x)
    sigma[...] = shift
    *front, last = parts
    if not front:
        _round(x, sigma, last)
        return 1
    rest, piece = x.copy(order="K"), np.empty_like(x)
    for used, part in enumerate(front, 1):
        _round(rest, sigma, piece)
        part[...] = piece
        rest -= piece
        if not rest.any():
            for unused in parts[used:]:
                unused.fill(0.0)
            return used
        sigma *= narrower
    _round(rest, sigma, piece)
    last[...] = piece
    return len(parts)


def _round(x: Array, sigma: Array, out: Array) -> None:
    np.add(x, sigma, out=out)
    out -= sigma


def _room(x: Array, slices: int) -> tuple[Array, list[Array]]:
    """Allocate (..., r, slices * k) in the memory order of `x`; its slices besides, as views."""
    *batch, r, k = x.shape
    if _walk(x) == x.ndim - 2:
        room = np.empty((*batch, r, slices, k))
        return room.reshape(*batch, r, slices * k), [room[..., i, :] for i in range(slices)]
    room = np.empty((*batch, slices, k, r))
    parts = [room[..., i, :, :].mT for i in range(slices)]
    return room.reshape(*batch, slices * k, r).mT, parts
