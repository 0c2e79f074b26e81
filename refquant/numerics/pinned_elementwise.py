"""Run an elementwise kernel of pinned arithmetic over arrays of any shape, block by block.

A kernel is written with single ufunc calls (+ - * / sqrt rint floor where, comparisons and
bit views of float64), each of which IEEE 754 defines to the last bit. No two of them can be
contracted into a fused multiply-add, because each is a call of its own.
"""

from collections.abc import Callable

import numpy as np

from refquant._types import Array

BLOCK = 3 * 2**12  # numbers; calls cost little beside it, and a few such arrays fit the cache

Kernel = Callable[..., Array]


def elementwise(kernel: Kernel, *operands: Array | float) -> Array:
    """Apply `kernel` to float64 operands, broadcast against each other.

    Parameters
    ----------
    kernel : callable
        From 1-D float64 arrays (and the scalars among the operands) to a 1-D float64 array.
    operands : arrays or numbers
        float32 operands are widened. Scalars after the first operand stay scalars.

    Returns
    -------
    Array of the broadcast shape: float32 if every array operand is, else float64. Every NaN
    is np.nan. A scalar if all operands are.
    """
    arrays = [np.asarray(x) for x in operands]
    shape = np.broadcast_shapes(*(x.shape for x in arrays))
    dtype = _dtype(operands)
    flat = [np.broadcast_to(x, shape).ravel() if x.ndim else x for x in arrays]
    flat = [x.astype(np.float64, copy=False) for x in flat]
    out = np.empty(shape).ravel()
    with np.errstate(all="ignore"):
        for start in range(0, out.size, BLOCK):
            block = slice(start, start + BLOCK)
            out[block] = kernel(*(x[block] if x.ndim else np.atleast_1d(x) for x in flat))
        bad = np.isnan(out)
        if bad.any():
            out[bad] = np.nan
        result: Array = out.reshape(shape).astype(dtype, copy=False)[()]
    return result


def _dtype(operands: tuple[Array | float, ...]) -> np.dtype[np.floating]:
    """float32 if all operands that are arrays are float32, else float64."""
    kinds = {x.dtype for x in operands if isinstance(x, np.ndarray | np.generic)}
    return np.dtype(np.float32 if kinds == {np.dtype(np.float32)} else np.float64)


def horner(z: Array, coefficients: tuple[float, ...]) -> Array:
    """Return c[0] + c[1] z + c[2] z^2 + ..., from the highest power down."""
    total: Array = z * coefficients[-1]
    for c in coefficients[-2:0:-1]:
        total += c
        total *= z
    total += coefficients[0]
    return total


def head(x: Array) -> Array:
    """Return the upper 26 bits of the significand, so that products of two heads are exact."""
    bits: Array = x.view(np.int64) & -(1 << 27)
    return bits.view(np.float64)


def power_of_two(k: Array) -> Array:
    """Return 2^k for whole numbers k in [-1022, 1023], by writing the exponent field."""
    shifted = k + (2.0**52 + 1023.0)  # the low bits of the significand now hold k + 1023
    return (shifted.view(np.int64) << 52).view(np.float64)
