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
    if x.size <= TERMS * 8:
        return np.abs(x).max(axis=-1, keepdims=True)
    return np.maximum(x.max(axis=-1, keepdims=True), -x.min(axis=-1, keepdims=True))


def is_moderate(largest: Array) -> bool:
    """Say whether all rows are finite, and zero or within 1/LIMIT..LIMIT."""
    if not largest.max() < LIMIT:
        return False
    if largest.min() > 1.0 / LIMIT:
        return True
    return not bool(((largest > 0.0) & (largest <= 1.0 / LIMIT)).any())


def shifter(largest: Array, bits: int) -> Array:
    """Return 1.5 * 2^(52 - b) * 2^e for rows with these largest entries."""
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
    rest, last = x, parts[-1]
    for i, part in enumerate(parts[:-1]):
        np.add(rest, shift, out=part)
        part -= shift
        np.subtract(rest, part, out=last)
        if not last.any():
            return Cut(data, i + 1)
        rest, shift = last, shift * 2.0**-bits
    np.add(rest, shift, out=last)
    last -= shift
    return Cut(data, slices)


def _room(x: Array, slices: int) -> tuple[Array, list[Array]]:
    """Allocate (..., r, slices * k) in the memory order of `x`, and its slices as views."""
    *batch, r, k = x.shape
    if abs(x.strides[-1]) <= abs(x.strides[-2]):
        room = np.empty((*batch, r, slices, k))
        return room.reshape(*batch, r, slices * k), [room[..., i, :] for i in range(slices)]
    room = np.empty((*batch, slices, k, r))
    parts = [room[..., i, :, :].mT for i in range(slices)]
    return room.reshape(*batch, slices * k, r).mT, parts
