"""Choose between numbers by a mask, on their bits: np.where without its branch.

np.where tests the mask element by element; on masks without a pattern (a ReLU's, a drop's) the
processor mispredicts every other one, and it takes ten times as long as an addition. A pattern of
bits times 0 or 1 needs no test. Nothing is computed, so NaN, infinities and signs of zero are
those of np.where, in either arithmetic.
"""

import numpy as np

from refquant._types import Array

INTEGER = {np.dtype(np.float32): np.int32, np.dtype(np.float64): np.int64}


def masked(x: Array, mask: Array, out: Array | None = None) -> Array:
    """Return x where the mask holds, +0.0 elsewhere.

    Parameters
    ----------
    x : float32 or float64 array
    mask : bool array of its shape, or one that broadcasts against it
    out : array like x, or None
        Where to put it; x itself will do.
    """
    if out is not None:
        np.multiply(_bits(x), _bytes(mask), out=_bits(out))
        return out
    bits = _bits(x)
    kept = np.array(_bytes(mask), bits.dtype)  # at once: the product would convert it in pieces
    room = kept if kept.shape == bits.shape else None
    return np.asarray(np.multiply(bits, kept, out=room).view(x.dtype))


def either(mask: Array, a: Array, b: Array) -> Array:
    """Return a where the mask holds, b elsewhere; arrays of one dtype, float32 or float64."""
    bits = _bits(b)
    return np.asarray((((_bits(a) ^ bits) * _bytes(mask)) ^ bits).view(b.dtype))


def _bits(x: Array) -> Array:
    bits: Array = np.asarray(x).view(INTEGER[x.dtype])
    return bits


def _bytes(mask: Array) -> Array:
    """A mask as numbers, 0 and 1, which NumPy converts sooner: it need not ask of each."""
    return np.asarray(mask, np.bool_).view(np.int8)
