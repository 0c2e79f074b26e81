"""Full-batch AdaRound on a layer's quadratic, fused: a matrix product and two dozen passes.

Definition: the loop of `refquant.reconstruct.unit` with the exact gradient of the quadratic,
`refquant.quantizers.adaround`, `rounding_regularizer` and `refquant.optim.adam`.

    paper   here      shape       meaning
    G       gram      (g, d, d)   second moments of the inputs of each group
    --      curve     (g, o, 1)   L = sum_rows curve/2 h G h^T + linear h^T + constant
    --      linear    (g, o, d)
    --      free      (g, o, d)   1 where rounding makes a difference, else 0
    V       2 y       (g, o, d)   alpha, learnt in place
    h       --        (g, o, d)   clip(1/2 + 3/5 t, 0, 1), t = tanh(y)

With c = clip(t, -5/6, 5/6) and R = 0.18 curve, a constant of each row,

    dL/dalpha = R (1 - c^2) [t = c] (c free G + offset + 2 dR/dh / (1.2 curve))
    dR/dh     = -2 lam beta |2h - 1|^(beta - 1) sign(2h - 1),    2h - 1 = 1.2 c

What multiplies a whole row may leave the gradient, because Adam divides by its size: only epsilon
is then another one for each row. Likewise the running means are kept without their factors 1 - b1
and 1 - b2. That saves a third of the passes, and the result is the same but for rounding.

Pinned arithmetic runs the same passes: all but the product, tanh, log and exp are single operations
that IEEE 754 fixes to the last bit, and those come from `refquant.numerics`.

Differs from the definition: a weight beyond the range has no gradient of the loss at all, also
where it sits exactly at the last level (there the definition passes one that changes no level);
and saturation is read off t, within a few ulp of |alpha| = ln 11.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._types import Array

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8  # Adam's constants in all released codes (methods.md 5.7)
TOP = 1.0 / 1.2  # where the stretched sigmoid meets 0 and 1, as a hyperbolic tangent
ULPS = 4.0  # tanh is that good


class GramProblem(NamedTuple):
    """What stays fixed; float32 or float64, all of one dtype. See the module's table."""

    gram: Array
    curve: Array
    linear: Array
    free: Array


class Buffers(NamedTuple):
    """Everything that a step reads or writes; (g, o, d) but for the last two.

    Attributes
    ----------
    y : array
        alpha / 2, the result.
    m, v : arrays
        Adam's means, without their factors, of the gradient without its row's factor.
    offset, inverse : arrays
        What the linear term and the weights at h = 1/2 add, and 1 / (1.2 curve / 2).
    t, c, slope, grad, live : arrays
        Scratch; `live` is bool.
    eps : array
        Adam's epsilon for each row.
    all_free : bool
    ends : pair of 0-d arrays
        Where c is clipped.
    times : function or None
        The product with the Gram matrix in pinned arithmetic, None in fast: which of them was in
        force when the buffers were made is that of all steps.
    """

    y: Array
    m: Array
    v: Array
    offset: Array
    inverse: Array
    t: Array
    c: Array
    slope: Array
    grad: Array
    live: Array
    eps: Array
    all_free: bool
    ends: tuple[Array, Array]
    times: Callable[[Array], Array] | None


class Numbers(NamedTuple):
    """The scalars of one step as arrays without axes, which ufuncs take fastest.

    Attributes
    ----------
    move : array
        What multiplies m / (sqrt(v) / root + eps).
    rise : array
        1 / root, root = sqrt(1 - beta2^t).
    power, factor : arrays
        Of the regulariser: (beta - 2) / 2, and -2 lam beta 1.2^(beta - 1).
    penalized : bool
    one, b1, b2 : arrays
    """

    move: Array
    rise: Array
    power: Array
    factor: Array
    penalized: bool
    one: Array
    b1: Array
    b2: Array


def start(problem: GramProblem, alpha: Array, edge: str = "inclusive") -> Buffers:
    """Return the buffers before the first step, for alpha of shape (g, o, d)."""
    kind, half = alpha.dtype, problem.curve * 0.5
    inverse = np.broadcast_to(1.0 / (1.2 * half), alpha.shape).astype(kind)
    constant = nx.matmul(problem.free, problem.gram) / 1.2 + problem.linear * inverse
    end = TOP * (1.0 + (ULPS if edge == "inclusive" else -ULPS) * np.finfo(kind).eps)
    t, c, slope, grad = (np.empty_like(alpha) for _ in range(4))
    eps = EPS / (0.36 * half * math.sqrt(1.0 - BETA2))
    return Buffers(
        alpha * kind.type(0.5),
        np.zeros_like(alpha),
        np.zeros_like(alpha),
        constant,
        inverse,
        t,
        c,
        slope,
        grad,
        np.empty(alpha.shape, dtype=np.bool_),
        np.broadcast_to(eps, alpha.shape).astype(kind),
        bool(problem.free.all()),
        (np.asarray(-end, kind), np.asarray(end, kind)),
        nx.multiplier(problem.gram) if nx.current().mode == "pinned" else None,
    )


def numbers(
    rate: float, powers: tuple[float, float], lam: float, beta: float, like: Array
) -> Numbers:
    """Return the scalars of a step in the dtype of `like`.

    Parameters
    ----------
    rate : float
        Adam's learning rate of alpha.
    powers : pair of float
        beta1^t and beta2^t of step t, from 1; as running products, which no C library rounds.
    lam, beta : float
        Weight and exponent, at least 1, of the regulariser; a weight of 0 leaves it out.
    like : array
    """
    root = math.sqrt(1.0 - powers[1])
    adam = (1.0 - BETA1) / math.sqrt(1.0 - BETA2)
    found = (
        0.5 * rate / (1.0 - powers[0]) * adam,
        1.0 / root,
        0.5 * (beta - 2.0),
        -2.0 * lam * beta * float(nx.power(np.asarray(1.2), beta - 1.0)),
    )
    scalars = [np.asarray(value, like.dtype) for value in (*found, 1.0, BETA1, BETA2)]
    move, rise, power, factor, one, b1, b2 = scalars
    return Numbers(move, rise, power, factor, lam != 0.0, one, b1, b2)


def gram_step(problem: GramProblem, b: Buffers, n: Numbers) -> None:
    """Move `b.y` by one step of Adam, in place."""
    _soft(b)
    free = None if b.all_free else problem.free
    if free is not None:
        np.multiply(b.c, free, b.t)
    _product(b, b.c if free is None else b.t, problem.gram)
    np.add(b.grad, b.offset, b.grad)
    if free is not None:
        np.multiply(b.grad, free, b.grad)
    if n.penalized:
        _penalty(b, n)
        np.add(b.grad, b.t, b.grad)
    np.subtract(n.one, b.slope, b.slope)
    np.multiply(b.slope, b.live, b.slope)
    np.multiply(b.grad, b.slope, b.grad)
    _adam(b, n)


def gradient(problem: GramProblem, b: Buffers) -> Array:
    """Return dL/dalpha as the first step from fresh buffers found it."""
    return np.asarray(b.m * (0.18 * problem.curve))


def alpha_of(b: Buffers) -> Array:
    """Return alpha."""
    return np.asarray(b.y + b.y)


def _product(b: Buffers, c: Array, gram: Array) -> None:
    if b.times is None:
        np.matmul(c, gram, b.grad)
    else:
        b.grad[...] = b.times(c)


def _apply(b: Buffers, name: str, x: Array) -> None:
    """A function of `x` into `t`, in the arithmetic of the buffers."""
    if b.times is None:
        getattr(np, name)(x, b.t)
    else:
        b.t[...] = getattr(nx, name)(x)


def _soft(b: Buffers) -> None:
    """c, its square in `slope`, and where it is not clipped."""
    low, high = b.ends
    _apply(b, "tanh", b.y)
    np.minimum(b.t, high, out=b.c)
    np.maximum(b.c, low, out=b.c)
    np.equal(b.t, b.c, b.live)
    np.multiply(b.c, b.c, b.slope)


def _penalty(b: Buffers, n: Numbers) -> None:
    """-2 lam beta |1.2 c|^(beta - 1) sign(c) / (1.2 curve / 2), in `t`; slope is still c^2.

    Above beta = 2 as c |c|^(beta - 2), by exp and log: faster than a power and a sign, which are
    taken below, where that would be 0 times infinity at c = 0.
    """
    if n.power > 0.0:
        _apply(b, "log", b.slope)
        np.multiply(b.t, n.power, b.t)
        _apply(b, "exp", b.t)
        np.multiply(b.t, b.c, b.t)
    else:
        b.t[...] = nx.power(b.slope, float(n.power) + 0.5)
        np.multiply(b.t, np.sign(b.c), b.t)
    np.multiply(b.t, n.factor, b.t)
    np.multiply(b.t, b.inverse, b.t)


def _adam(b: Buffers, n: Numbers) -> None:
    np.multiply(b.m, n.b1, b.m)
    np.add(b.m, b.grad, b.m)
    np.multiply(b.v, n.b2, b.v)
    np.multiply(b.grad, b.grad, b.grad)
    np.add(b.v, b.grad, b.v)
    np.sqrt(b.v, b.grad)
    np.multiply(b.grad, n.rise, b.grad)
    np.add(b.grad, b.eps, b.grad)
    np.divide(b.m, b.grad, b.grad)
    np.multiply(b.grad, n.move, b.grad)
    np.subtract(b.y, b.grad, b.y)
