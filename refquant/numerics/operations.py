"""The operations whose last bits a machine may choose, sent to the current arithmetic.

Everything else in refquant (+ - * / sqrt abs rint floor clip comparisons) is plain NumPy,
because IEEE 754 leaves it no choice.

In fast, each function is NumPy's. In pinned, float32 operands are widened, the result is
computed in float64 and rounded once; every NaN is np.nan; nothing warns.
"""

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from refquant._checks import complaint
from refquant._types import Array
from refquant.numerics import fast_arithmetic as fast
from refquant.numerics import (
    pinned_arithmetic,
    pinned_cos,
    pinned_exp,
    pinned_log,
    pinned_multiplier,
    pinned_power,
    pinned_self_product,
    pinned_sums,
)
from refquant.numerics.context import current
from refquant.numerics.pinned_elementwise import elementwise

Axis = int | tuple[int, ...] | None
Operation = Callable[..., Any]


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
    with np.errstate(all="ignore"):
        return pinned_arithmetic.matmul(a, b, now.slices).astype(dtype, copy=False)


def multiplier(b: Array) -> Callable[[Array], Array]:
    """Return ``a -> matmul(a, b)``, in the arithmetic in force now, for a `b` that stays as it is.

    The same bits. In pinned arithmetic what depends on `b` alone is done once, and kept: the
    slices take as much memory as `b`, in float64, for each of them.
    """
    now = current()
    if now.slices is None:
        return partial(matmul, b=b)
    times = pinned_multiplier.multiplier(b, now.slices)

    def product(a: Array) -> Array:
        """Check, multiply, and round once."""
        _check_operands(a, b)
        return times(a).astype(np.result_type(a, b), copy=False)

    return product


def self_product(x: Array) -> Array:
    """Return ``matmul(x, x.mT)`` for (..., m, k): the same bits, half the work for BLAS."""
    _check_operands(x, x.mT)
    now = current()
    if now.slices is None:
        return np.asarray(fast.matmul(x, x.mT))
    return pinned_self_product.self_product(x, now.slices).astype(x.dtype, copy=False)


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
    total: Array = _chosen(fast.sum, pinned_sums.sum)(x, axes)
    return total if keepdims else np.squeeze(total, axis=axes)[()]


def mean(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Return `sum` divided by the number of elements (NaN if there are none); see `sum`."""
    return _composed(_mean, x, _axes(x, axis), keepdims)


def exp(x: Array) -> Array:
    """Return e to the power `x`, element by element."""
    return _applied(fast.exp, pinned_exp.exp, x)


def log(x: Array) -> Array:
    """Return the natural logarithm; -inf at 0, NaN below."""
    return _applied(fast.log, pinned_log.log, x)


def log2(x: Array) -> Array:
    """Return the logarithm to base 2, exact at powers of two; -inf at 0, NaN below."""
    return _applied(fast.log2, pinned_log.log2, x)


def tanh(x: Array) -> Array:
    """Return the hyperbolic tangent."""
    return _applied(fast.tanh, pinned_exp.tanh, x)


def power(x: Array, p: Array | float) -> Array:
    """Return ``x ** p``; NaN for a negative `x` with an exponent that is not whole."""
    result: Array = _chosen(fast.power, pinned_power.power)(x, p)
    return result


def cos(x: Array) -> Array:
    """Return the cosine of `x` in radians; pinned takes at most 2^20, else ValueError."""
    result: Array = _chosen(fast.cos, pinned_cos.cos)(x)
    return result


def sigmoid(x: Array) -> Array:
    """Return ``1 / (1 + exp(-x))``, evaluated so that exp never overflows; 0.5 at 0."""
    return _applied(fast.sigmoid, pinned_exp.sigmoid, x)


def softmax(x: Array, axis: int = -1) -> Array:
    """Return ``exp(x) / sum(exp(x))`` along `axis`, shifted by the largest entry.

    NaN along a slice that holds a NaN or +inf, or nothing but -inf.
    """
    return _composed(_softmax, x, axis)


def log_softmax(x: Array, axis: int = -1) -> Array:
    """Return the logarithm of `softmax`, without forming it."""
    return _composed(_log_softmax, x, axis)


def _mean(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    count = prod(x.shape[i] for i in axes)
    result: Array = sum(x, axes, keepdims) / x.dtype.type(count)
    return result


def _softmax(x: Array, axis: int) -> Array:
    e = exp(x - x.max(axis=axis, keepdims=True))
    result: Array = e / sum(e, axis, keepdims=True)
    return result


def _log_softmax(x: Array, axis: int) -> Array:
    shifted = x - x.max(axis=axis, keepdims=True)
    result: Array = shifted - log(sum(exp(shifted), axis, keepdims=True))
    return result


def _chosen(in_fast: Operation, in_pinned: Operation) -> Operation:
    return in_fast if current().mode == "fast" else in_pinned


def _applied(ufunc: Operation, kernel: Operation, x: Array) -> Array:
    """Apply the ufunc in fast, the kernel in pinned."""
    result: Array = ufunc(x) if current().mode == "fast" else elementwise(kernel, x)
    return result


def _composed(function: Operation, x: Array, *settings: Any) -> Array:
    """Apply a function of this file to `x`; in pinned widen first and round once at the end."""
    result: Array
    if current().mode == "fast":
        result = function(x, *settings)
        return result
    with np.errstate(all="ignore"):
        result = function(np.asarray(x, np.float64), *settings)
        dtype = np.float32 if np.asarray(x).dtype == np.float32 else np.float64
        return np.where(np.isnan(result), np.nan, result).astype(dtype)[()]


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
