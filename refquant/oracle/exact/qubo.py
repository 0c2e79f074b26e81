"""Scalar twin of the rounding of one row as a QUBO, methods section 7: loops over indices.

    (S(F + h) - w)^T x      the error of one column x;   S = diag(s), h_i in {0, 1}

A row is the lists w, step, low, high (n and p per weight); data is a list of columns, each a
list of d numbers. Everything is rational, so Fractions and
tracked numbers stay exact. Imports the standard library
only.
"""

import itertools
import math
from typing import Any

Vector = list[Any]
Matrix = list[list[Any]]


def moment(first: Matrix, second: Matrix) -> Matrix:
    """sum over columns of first_i second_j / m."""
    d, m = len(first[0]), len(first)
    return [
        [sum(a[i] * b[j] for a, b in zip(first, second, strict=True)) / m for j in range(d)]
        for i in range(d)
    ]


def base_levels(w: Vector, step: Vector, low: Vector, high: Vector) -> tuple[list[int], list[bool]]:
    """Clipped floor of every weight, and whether rounding up differs from rounding down."""
    base, free = [], []
    for value, s, n, p in zip(w, step, low, high, strict=True):
        floor = math.floor(value / s)
        down, up = min(p, max(n, floor)), min(p, max(n, floor + 1))
        base.append(down)
        free.append(up != down)
    return base, free


def layer_mse(levels: Vector, w: Vector, step: Vector, data: Matrix, data_hat: Matrix) -> Any:
    """Mean over columns of (sum_i s_i q_i xh_i - sum_i w_i x_i)^2, by definition."""
    total = 0 * w[0]
    for x, x_hat in zip(data, data_hat, strict=True):
        got = sum(s * q * v for s, q, v in zip(step, levels, x_hat, strict=True))
        wanted = sum(a * v for a, v in zip(w, x, strict=True))
        total += (got - wanted) * (got - wanted)
    return total / len(data)


def build_symmetric(
    w: Vector, step: Vector, base: list[int], free: list[bool], gram: Matrix
) -> tuple[Matrix, Any]:
    """(Q, c) where target and input are the same: s_i s_j G_ij, and f on the diagonal."""
    d = len(w)
    f = [w[i] / step[i] - base[i] for i in range(d)]
    push = [sum(step[i] * step[j] * gram[i][j] * f[j] for j in range(d)) for i in range(d)]
    constant = sum(f[i] * push[i] for i in range(d))
    return _keep(step, gram, [-2 * v for v in push], free), constant


def build_asymmetric(
    row: tuple[Vector, Vector, list[int], list[bool]], gram: Matrix, cross: Matrix, plain: Matrix
) -> tuple[Matrix, Any]:
    """(Q, c) for a quantized input with target w^T x; row is (w, step, base, free)."""
    w, step, base, free = row
    d = len(w)
    q_part = [sum(step[i] * step[j] * gram[i][j] * base[j] for j in range(d)) for i in range(d)]
    t_part = [sum(step[i] * cross[i][j] * w[j] for j in range(d)) for i in range(d)]
    power = sum(w[i] * plain[i][j] * w[j] for i in range(d) for j in range(d))
    constant = sum(base[i] * (q_part[i] - 2 * t_part[i]) for i in range(d)) + power
    linear = [2 * (q_part[i] - t_part[i]) for i in range(d)]
    return _keep(step, gram, linear, free), constant


def energy(q: Matrix, h: tuple[int, ...]) -> Any:
    """sum_ij h_i Q_ij h_j."""
    k = range(len(h))
    return sum(q[i][j] for i in k for j in k if h[i] and h[j])


def exact_optimum(q: Matrix) -> tuple[tuple[int, ...], Any]:
    """The first minimiser in lexicographic order, which is that of product()."""
    best = min(itertools.product((0, 1), repeat=len(q)), key=lambda h: energy(q, h))
    return best, energy(q, best)


def flipped(h: tuple[int, ...], i: int) -> tuple[int, ...]:
    """The choice with variable i the other way."""
    return tuple(1 - value if j == i else value for j, value in enumerate(h))


def one_flip(q: Matrix, start: tuple[int, ...]) -> tuple[int, ...]:
    """Flip the variable that lowers the energy most, lowest index first, until none lowers it."""
    h = tuple(start)
    while True:
        energies = [energy(q, flipped(h, i)) for i in range(len(h))]
        if not energies or min(energies) >= energy(q, h):
            return h
        i = energies.index(min(energies))
        h = flipped(h, i)


def _keep(step: Vector, gram: Matrix, linear: Vector, free: list[bool]) -> Matrix:
    """s_i s_j G_ij with the linear terms on the diagonal, fixed rows and columns dropped."""
    kept = [i for i, is_free in enumerate(free) if is_free]
    return [
        [step[i] * step[j] * gram[i][j] + (linear[i] if i == j else 0) for j in kept] for i in kept
    ]
