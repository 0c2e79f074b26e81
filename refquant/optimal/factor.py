"""G = L D L^T of a symmetric positive matrix, and the solution of L y = b, in blocks.

Reference: G. Golub, C. Van Loan, "Matrix Computations", section 4.1. LAPACK's last bits differ
from machine to machine; here everything but one matrix product a block is elementwise, so pinned
arithmetic gives the same bits anywhere.

Edge cases: a pivot below the floor is raised to it, which makes the factor that of a matrix with
some more on the diagonal: a singular G has one too.
"""

import numpy as np

from refquant import numerics as nx
from refquant._types import Array

BLOCK = 64


def ldl(gram: Array, floor: float) -> tuple[Array, Array]:
    """Return the unit lower triangle L (d, d) and the pivots D (d,), float64.

    Parameters
    ----------
    gram : (d, d) float64 array
        Symmetric.
    floor : float
        Smallest pivot, positive.
    """
    rest, d = gram.copy(), len(gram)
    pivots = np.empty(d)
    for a in range(0, d, BLOCK):
        b = min(a + BLOCK, d)
        for j in range(a, b):
            pivots[j] = max(rest[j, j], floor)
            column = rest[j + 1 :, j] / pivots[j]
            rest[j + 1 :, j + 1 : b] -= column[:, None] * rest[j + 1 : b, j]
            rest[j + 1 :, j] = column
        below = rest[b:, a:b]
        rest[b:, b:] -= nx.matmul(below * pivots[a:b], below.T)
    return np.tril(rest, -1) + np.eye(d), pivots


def forward_substitution(lower: Array, b: Array) -> Array:
    """Return y with L y = b for many columns b, (d, n), float64."""
    y, d = b.copy(), len(b)
    for begin in range(0, d, BLOCK):
        end = min(begin + BLOCK, d)
        for j in range(begin, end):
            y[j + 1 : end] -= lower[j + 1 : end, j, None] * y[j]
        y[end:] -= nx.matmul(lower[end:, begin:end], y[begin:end])
    return y
