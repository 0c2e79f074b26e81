"""`logsqrt2_quant` in plain NumPy."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain


def halvings(x: Array, d: Array) -> Array:
    """-2 log2(x / d)."""
    return np.asarray(-2 * np.log2(x / d))


def is_zero(r: Array, bits: int) -> Array:
    """r >= 2^b, or NaN."""
    return np.asarray(~(r < 2**bits))


def clipped(r: Array, zero: Array, bits: int) -> Array:
    """Codes."""
    return np.clip(np.where(zero, 2**bits - 1, r), 0, 2**bits - 1).astype(np.int64)


def decoded(q: Array, d: Array) -> Array:
    """d 2^(-q/2): an odd q is a rounded square root more than a power of two."""
    root = np.where(q % 2 == 1, np.sqrt(d.dtype.type(2)), d.dtype.type(1))
    return np.asarray(np.ldexp(d * root, -((q + 1) // 2)))


def _run(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    x, d, bits = inputs["x"], inputs["scale"], attrs["bits"]
    r = part.rounded(part.halvings(x, d))
    zero = part.is_zero(r, bits)
    q = part.clipped(r, zero, bits)
    y = np.where(part.no_value(zero), 0, part.decoded(q, d)).astype(x.dtype)
    return {"y": y, "codes": q, "zero": zero}


LOG_SQRT2 = Plain(
    _run,
    {
        "halvings": halvings,
        "rounded": np.rint,
        "is_zero": is_zero,
        "clipped": clipped,
        "decoded": decoded,
        "no_value": lambda zero: zero,
    },
)
