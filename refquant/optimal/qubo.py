"""Rounding one row of weights as a quadratic problem in binary variables.

Reference: methods, section 7 (P32, P33, P75; golden ops 38 and 39).

    paper   here        shape       meaning
    F       base        (d,)        floor(w / s), clipped, int64
    f       frac        (d,)        w / s - F; in [0, 1) where free
    h       h           (k,)        0 stays at F, 1 goes one up: one for each free weight
    S       --          (d, d)      diag(s)
    G       gram        (d, d)      X X^T / m; Gh, Cx of the asymmetric problem: `moments`
    Q       q           (k, k)      symmetric
    c       constant    --          what no choice changes

    symmetric    mean ((S(F + h) - w)^T x)^2 = h^T Q h + c
                 Q = S G S - 2 diag(S G S f)                      c = f^T S G S f
    asymmetric   mean ((S(F + h))^T xh - w^T x)^2 = h^T Q h + c
                 Q = S Gh S + 2 diag(S Gh S F - S Cx w)
                 c = F^T S Gh S F - 2 F^T S Cx w + w^T G w
    any target   mean ((S(F + h))^T xh - t)^2: mean(xh t) for Cx w, mean(t^2) for w^T G w

The linear terms stand on the diagonal since h^2 = h. A weight that is not free (see `row`) has
h = 0 and its clipped level in F, so its f may lie outside [0, 1); it takes part in f, F and c,
and only then are its row and column dropped. Rows of a layer are independent (P33): a layer is
one QUBO a row. Where the energy is an exact number so is the layer's error: nothing is
approximated.

Edge cases: a row without a free weight has a (0, 0) matrix and one choice, the empty one. The
best choice under a diagonal G is to round to nearest, h = [f > 1/2] (P75; at f = 1/2 both are).

Differs from: a public peer divides a bias by s_w s_x and multiplies it by another step (D40).
"""

from math import prod
from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_finite, check_operand, complaint
from refquant._types import Array
from refquant.optimal.moments import InputMoments, Target
from refquant.optimal.row import Row, check_row, floor_levels


class Qubo(NamedTuple):
    """Energy h^T q h + constant of the roundings of one row; see the module's table."""

    q: Array
    constant: float
    base: Array
    free: Array
    frac: Array


class Choice(NamedTuple):
    """A choice h, int64 (k,), and its energy h^T Q h, without the constant."""

    h: Array
    energy: float


def build_qubo(row: Row, moments: InputMoments, target: Target | None = None) -> Qubo:
    """The QUBO of one row, clipped weights eliminated, golden op 38.

    Parameters
    ----------
    row : Row
        d weights.
    moments : InputMoments
        d by d; asymmetric if `moments.cross` is given.
    target : Target or None
        What the product shall be instead of w^T x; `moments` then needs the Gram matrix alone.

    Returns
    -------
    Qubo
        float64.

    Raises
    ------
    TypeError, ValueError
        If the shapes do not fit, or only one of `cross` and `plain` is given.
    """
    check_row("build_qubo", row)
    check_moments("build_qubo", moments, len(row.w))
    wanted = target or row_target(row, moments)
    base, free = floor_levels(row)
    scaled = moments.gram * (row.step[:, None] * row.step)  # symmetric to the last bit
    frac = row.w / row.step - base
    if wanted is None:
        linear = -_times(scaled, frac)
        constant = _dot(frac, -linear)
    else:
        level = base.astype(np.float64)
        on_level, on_target = _times(scaled, level), row.step * wanted.cross
        linear = on_level - on_target
        constant = _dot(level, on_level) - 2.0 * _dot(level, on_target) + wanted.power
    q = scaled + np.diag(2.0 * linear)
    return Qubo(q[np.ix_(free, free)], constant, base, free, frac)


def qubo_energy(q: Array, h: Array) -> Array:
    """h^T Q h of one choice or of many, golden op 39.

    Parameters
    ----------
    q : (k, k) array, float32 or float64
    h : (..., k) array of 0 and 1, any integer or bool dtype

    Returns
    -------
    (...) float64 array

    Raises
    ------
    TypeError, ValueError
        If `q` is not a square, finite, symmetric float array, or `h` does not fit it.
    """
    wide = check_qubo("qubo_energy", q)
    bits = check_choice("qubo_energy", h, len(wide)).astype(np.float64)
    flat = bits.reshape(prod(bits.shape[:-1]), len(wide))
    return np.asarray(nx.sum(nx.matmul(flat, wide) * flat, axis=1)).reshape(bits.shape[:-1])


def choice_levels(qubo: Qubo, h: Array) -> Array:
    """Levels F + h of the whole row, clipped weights included; int64 (d,)."""
    bits = check_choice("choice_levels", h, len(qubo.q))
    levels = qubo.base.copy()
    levels[qubo.free] += bits
    return levels


def nearest_choice(qubo: Qubo) -> Array:
    """h = [f > 1/2]: round every free weight to nearest, ties down; int64 (k,)."""
    return (qubo.frac[qubo.free] > 0.5).astype(np.int64)


def check_qubo(function: str, q: Array) -> Array:
    """`q` in float64 if it is a finite symmetric square matrix; an error otherwise."""
    check_array(function, "q", q, ndim=2)
    if q.shape[0] != q.shape[1]:
        raise ValueError(complaint(function, "q", f"of shape {q.shape}", "a square matrix"))
    check_finite(function, "q", q)
    if not np.array_equal(q, q.T):
        fix = "The energy is that of (q + q.T) / 2."
        raise ValueError(complaint(function, "q", "not symmetric", "a symmetric matrix", fix))
    return q.astype(np.float64)


def check_choice(function: str, h: Array, size: int) -> Array:
    """`h` in int64 if it is an array of 0 and 1 with `size` entries in its last axis."""
    if not isinstance(h, np.ndarray) or h.dtype.kind not in "biu":
        got = getattr(h, "dtype", type(h).__name__)
        raise TypeError(complaint(function, "h", got, "an array of 0 and 1, integer or bool"))
    if h.ndim == 0 or h.shape[-1] != size:
        got = f"of shape {h.shape}"
        raise ValueError(complaint(function, "h", got, f"{size} entries in the last axis"))
    if not ((h == 0) | (h == 1)).all():
        raise ValueError(complaint(function, "h", f"in {h.min()}..{h.max()}", "only 0 and 1"))
    return h.astype(np.int64)


def check_moments(function: str, moments: InputMoments, size: int) -> None:
    """Refuse moments of another size, or with half of what the asymmetric form needs."""
    if (moments.cross is None) != (moments.plain is None):
        fix = "Build them with input_moments(x, x_hat)."
        got = "with only one of cross and plain"
        raise ValueError(complaint(function, "moments", got, "both or neither", fix))
    for name, part in moments._asdict().items():
        if part is not None:
            check_operand(function, f"moments.{name}", part, (size, size), np.dtype(np.float64))


def row_target(row: Row, moments: InputMoments) -> Target | None:
    """Return the target w^T x of the asymmetric problem; None of the symmetric one."""
    if moments.cross is None or moments.plain is None:
        return None
    power = _dot(row.w, _times(moments.plain, row.w))
    return Target(_times(moments.cross, row.w), power)


def _times(matrix: Array, vector: Array) -> Array:
    """Matrix times vector."""
    return np.asarray(nx.matmul(matrix, vector[:, None])[:, 0])


def _dot(a: Array, b: Array) -> float:
    """Inner product as a Python float."""
    return float(nx.sum(a * b))
