"""The operations whose last bits a machine may choose, sent to the current arithmetic.

Everything else in refquant (+ - * / sqrt abs rint floor clip comparisons) is plain NumPy,
because IEEE 754 leaves it no choice.

In fast, each function is NumPy's. In pinned, float32 operands are widened, the result is
computed in float64 and rounded once; every NaN is np.nan; nothing warns.
"""

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from refquant._checks import complaint
from refquant._types import Array
from refquant.numerics import fast_arithmetic as fast
from refquant.numerics import pinned_arithmetic as pinned
from refquant.numerics.context import current

Axis = int | tuple[int, ...] | None


def matmul(a: Array, b: Array) -> Array:
    """Return the matrix product, batched and broadcast as `np.matmul` does.

    Parameters
    ----------
    a : (..., m, k) float32 or float64
    b : (..., k, n) float32 or float64

    Returns
    -------
    (..., m, n) array of the wider dtype; zeros if k is 0.

    Raises
    ------
    TypeError
        If an operand is not a float32 or float64 array.
    ValueError
        If an operand has fewer than two axes, or the shapes do not match.
    """
    _check_operands(a, b)
    now = current()
    if now.slices is None:
        return np.asarray(fast.matmul(a, b))
    dtype = np.result_type(a, b)
    with np.errstate(over="ignore"):
        return pinned.matmul(a, b, now.slices).astype(dtype, copy=False)


def sum(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Return the sum over `axis` (None: all axes); zero over an empty axis.

    Parameters
    ----------
    x : float32 or float64 array
    axis : int, tuple of int or None
    keepdims : bool
        Keep the summed axes with length one.

    Returns
    -------
    Array of the dtype of `x`; a scalar if no axis is left.
    """
    axes = _axes(x, axis)
    total = fast.sum(x, axes) if _is_fast() else _pinned()
    return total if keepdims else np.squeeze(total, axis=axes)[()]


def mean(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Return `sum` divided by the number of elements, in the dtype of `x`; see `sum`."""
    count = 1
    for i in _axes(x, axis):
        count *= x.shape[i]
    result: Array = sum(x, axis, keepdims) / x.dtype.type(count)
    return result


def exp(x: Array) -> Array:
    """Return e to the power `x`, element by element."""
    return fast.exp(x) if _is_fast() else _pinned()


def log(x: Array) -> Array:
    """Return the natural logarithm; -inf at 0, NaN below."""
    return fast.log(x) if _is_fast() else _pinned()


def log2(x: Array) -> Array:
    """Return the logarithm to base 2, exact at powers of two; -inf at 0, NaN below."""
    return fast.log2(x) if _is_fast() else _pinned()


def power(x: Array, p: Array | float) -> Array:
    """Return ``x ** p``; NaN for a negative `x` with an exponent that is no integer."""
    return fast.power(x, p) if _is_fast() else _pinned()


def tanh(x: Array) -> Array:
    """Return the hyperbolic tangent."""
    return fast.tanh(x) if _is_fast() else _pinned()


def cos(x: Array) -> Array:
    """Return the cosine of `x` in radians."""
    return fast.cos(x) if _is_fast() else _pinned()


def sigmoid(x: Array) -> Array:
    """Return ``1 / (1 + exp(-x))``, evaluated so that exp never overflows; 0.5 at 0."""
    e = exp(-np.abs(x))
    result: Array = np.where(np.signbit(x), e, e.dtype.type(1)) / (1 + e)
    return result


def softmax(x: Array, axis: int = -1) -> Array:
    """Return ``exp(x) / sum(exp(x))`` along `axis`, shifted by the largest entry."""
    e = exp(x - x.max(axis=axis, keepdims=True))
    result: Array = e / sum(e, axis, keepdims=True)
    return result


def log_softmax(x: Array, axis: int = -1) -> Array:
    """Return the logarithm of `softmax`, without forming it."""
    shifted = x - x.max(axis=axis, keepdims=True)
    result: Array = shifted - log(sum(exp(shifted), axis, keepdims=True))
    return result


def _is_fast() -> bool:
    return current().mode == "fast"


def _pinned() -> Any:
    raise NotImplementedError("pinned arithmetic arrives with the next commits")


def _axes(x: Array, axis: Axis) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(x.ndim))
    return tuple(sorted(normalize_axis_tuple(axis, x.ndim)))


def _check_operands(a: Array, b: Array) -> None:
    for name, x in (("a", a), ("b", b)):
        if x.dtype.char not in "fd":
            fix = f"Cast it: {name}.astype(numpy.float64)."
            raise TypeError(complaint("matmul", name, x.dtype, "float32 or float64", fix))
        if x.ndim < 2:
            got = f"of shape {x.shape}"
            raise ValueError(complaint("matmul", name, got, "an array of at least 2 axes"))
    if a.shape[-1] != b.shape[-2]:
        got = f"of shape {b.shape} beside {a.shape}"
        raise ValueError(complaint("matmul", "b", got, f"{a.shape[-1]} rows"))
