"""The fast arithmetic: BLAS and NumPy ufuncs as they come, in the dtype of the operands.

The last bits depend on the BLAS kernel, the thread count, the SIMD level and the NumPy
version. NumPy's floating-point warnings are left to the caller's `np.errstate`.
"""

import numpy as np

from refquant._types import Array

matmul = np.matmul
exp = np.exp
log = np.log
log2 = np.log2
tanh = np.tanh
cos = np.cos


def sum(x: Array, axis: tuple[int, ...]) -> Array:
    """Sum over `axis`, which stays as an axis of length one."""
    total: Array = np.sum(x, axis=axis, keepdims=True)
    return total


def power(x: Array, p: Array | float) -> Array:
    """``x ** p``."""
    result: Array = np.power(x, p)
    return result


def sigmoid(x: Array) -> Array:
    """``1 / (1 + exp(-x))``, split by sign so that exp never overflows."""
    value: Array = np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))
    return value[()]
