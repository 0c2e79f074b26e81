"""`range_to_qparams` in plain NumPy."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.fake_quant.plain_uniform import code_range
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain


def with_zero(lo: Array, hi: Array) -> tuple[Array, Array]:
    """The range stretched to hold 0."""
    return np.minimum(lo, 0), np.maximum(hi, 0)


def zero_of(a: Array, s: Array, b: Array, top: int) -> Array:
    """clip(-rint(a / s), 0, 2^bits - 1); b is for those who do it wrong."""
    return np.clip(-np.rint(a / s), 0, top).astype(np.int64)


def half_span(lo: Array, hi: Array, n: int, p: int) -> Array:
    """T / ((p - n) / 2)."""
    return np.asarray(np.maximum(-lo, hi) / ((p - n) / 2))


def by_p(lo: Array, hi: Array, n: int, p: int) -> Array:
    """T / p."""
    return np.asarray(np.maximum(-lo, hi) / p)


def amct(lo: Array, hi: Array, n: int, p: int) -> Array:
    """Each end by the code it is to have."""
    return np.maximum(hi / p, lo / n)


def at_least(s: Array, eps: float) -> Array:
    """max(s, eps)."""
    return np.asarray(np.maximum(s, s.dtype.type(eps)))


def _run(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    lo, hi, grid = inputs["lo"], inputs["hi"], attrs["grid"]
    n, p = part.code_range(grid, attrs["bits"])
    if grid == "affine":
        a, b = part.with_zero(lo, hi)
        s = part.at_least(part.affine(a, b, p), attrs["eps"])
        return {"s": s, "zero_point": part.zero_of(a, s, b, p)}
    symmetric = part.unsigned if grid == "unsigned" else getattr(part, attrs["divisor"])
    s = part.at_least(symmetric(lo, hi, n, p), attrs["eps"])
    return {"s": s, "zero_point": np.zeros(s.shape, np.int64)}


RANGE_TO_QPARAMS = Plain(
    _run,
    {
        "code_range": code_range,
        "with_zero": with_zero,
        "affine": lambda a, b, p: np.asarray((b - a) / p),
        "zero_of": zero_of,
        "unsigned": lambda lo, hi, n, p: np.asarray(np.maximum(hi, 0) / p),
        "half_span": half_span,
        "p": by_p,
        "amct": amct,
        "at_least": at_least,
    },
)
