"""Nearest plane: round one weight after another, each against the errors of those before it.

References: L. Babai, "On Lovasz' lattice reduction and the nearest lattice point problem",
Combinatorica 6 (1986); the same idea for weights is Frantar et al., "GPTQ", arXiv:2210.17323.

    paper   here     shape    meaning
    G       gram     (d, d)   = L D L^T in the order of the weights' own moments, smallest first
    --      wanted   (o, d)   the real h at which the loss of a row is smallest
    z       target   (d, o)   L^T wanted, less what the weights decided so far ask of the others

    curve (h - wanted) G (h - wanted)^T = curve sum_j D_j (h_j + sum_{k > j} L_kj h_k - z_j)^2

From the last weight to the first, each term is made as small as h_j in {0, 1} can make it, with
all the others that it contains already decided. The order puts what weighs most first. One pass;
no guarantee within {0, 1}, but steepest descent from here ends lower than from nearest rounding.

Edge cases: a weight that is not free has h = 0. A singular G gets a little more on its diagonal.
"""

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.optimal.factor import BLOCK, forward_substitution, ldl
from refquant.optimal.row_flips import Rows

DAMP = 1e-6  # of the mean second moment, on the diagonal: bounds what rounding can do to a pivot


def nearest_plane(rows: Rows) -> Array:
    """Return a choice for every row, bool (o, d)."""
    diagonal = np.diag(rows.gram)
    damp = DAMP * float(nx.mean(diagonal)) or 1.0
    order = np.argsort(diagonal, kind="stable")
    gram = rows.gram[np.ix_(order, order)] + damp * np.eye(len(order))
    lower, pivots = ldl(gram, damp)
    linear = rows.linear[:, order].T
    slope = linear / (-2.0 * np.where(rows.curve > 0.0, rows.curve, 1.0))
    target = forward_substitution(lower, slope) / pivots[:, None]
    h = np.empty(rows.free.shape, dtype=np.bool_)
    h[:, order] = _decided(lower, target, rows.free[:, order].T).T
    return h


def _decided(lower: Array, target: Array, free: Array) -> Array:
    """Return h, (d, o), decided from the last weight to the first; `target` is written to."""
    h, d = np.zeros(target.shape), len(target)
    for end in range(d, 0, -BLOCK):
        begin = max(0, end - BLOCK)
        for j in range(end - 1, begin - 1, -1):
            h[j] = (target[j] > 0.5) & free[j]
            target[begin:j] -= lower[j, begin:j, None] * h[j]
        target[:begin] -= nx.matmul(lower[begin:end, :begin].T, h[begin:end])
    return h > 0.0
