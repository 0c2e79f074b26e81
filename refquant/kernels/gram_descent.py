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
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy import add, divide, equal, multiply, sqrt, subtract  # a look-up less a call

from refquant import numerics as nx
from refquant._checks import check_dtype
from refquant._types import Array

Function = Callable[[Array, Array], object]

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8  # Adam's constants in all released codes (methods.md 5.7)
TOP = 1.0 / 1.2  # where the stretched sigmoid meets 0 and 1, as a hyperbolic tangent
ULPS = 4.0  # tanh is that good


class GramProblem(NamedTuple):
    """What stays fixed; float32 or float64, all of one dtype. See the module's table."""

    gram: Array
    curve: Array
    linear: Array
    free: Array


@dataclass(frozen=True, slots=True)  # whose fields are read sooner than a tuple's
class Buffers:
    """Everything that a step reads or writes; (g, o, d) where nothing else is said.

    Attributes
    ----------
    y : array
        alpha / 2, the result.
    means : (2, g, o, d) array
        Adam's m and v, without their factors, of the gradient without its row's factor.
    terms : (2, g, o, d) array
        What is added to them, the gradient and its square.
    m, v, grad, t : arrays
        The halves of these two, as views; `t` is scratch before.
    offset, inverse : arrays
        What the linear term and the weights at h = 1/2 add, and 1 / (1.2 curve / 2).
    c, slope, live : arrays
        Scratch; `live` is bool.
    eps : array
        Adam's epsilon for each row.
    all_free : bool
    low, high, one, b1, b2 : arrays without axes
        Where c is clipped; 1; Adam's constants.
    times, tanh, log, exp : functions, called as ``f(x, out)``
        What a machine may round in its own way, the first the product with the Gram matrix: those
        of the arithmetic in force when the buffers were made, for all steps.
    """

    y: Array
    means: Array
    terms: Array
    m: Array
    v: Array
    grad: Array
    t: Array
    offset: Array
    inverse: Array
    c: Array
    slope: Array
    live: Array
    eps: Array
    all_free: bool
    low: Array
    high: Array
    one: Array
    b1: Array
    b2: Array
    times: Function
    tanh: Function
    log: Function
    exp: Function


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
    """

    move: Array
    rise: Array
    power: Array
    factor: Array
    penalized: bool


def start(problem: GramProblem, alpha: Array, edge: str = "inclusive") -> Buffers:
    """Return the buffers before the first step, for alpha of shape (g, o, d).

    Raises
    ------
    TypeError
        If an array is not of the dtype of alpha: every step would convert it.
    """
    kind, half = alpha.dtype, problem.curve * 0.5
    for name, value in problem._asdict().items():
        check_dtype("gram_descent.start", name, value, kind)
    inverse = np.broadcast_to(1.0 / (1.2 * half), alpha.shape).astype(kind)
    end = TOP * (1.0 + (ULPS if edge == "inclusive" else -ULPS) * np.finfo(kind).eps)
    eps = EPS / (0.36 * half * math.sqrt(1.0 - BETA2))
    means, terms = (np.zeros((2, *alpha.shape), kind) for _ in range(2))
    c, slope = (np.empty_like(alpha) for _ in range(2))
    low, high, one, b1, b2 = (np.asarray(x, kind) for x in (-end, end, 1.0, BETA1, BETA2))
    times, tanh, log, exp = _functions(problem.gram)
    return Buffers(
        y=alpha * kind.type(0.5),
        means=means,
        terms=terms,
        m=means[0],
        v=means[1],
        grad=terms[0],
        t=terms[1],
        offset=nx.matmul(problem.free, problem.gram) / 1.2 + problem.linear * inverse,
        inverse=inverse,
        c=c,
        slope=slope,
        live=np.empty(alpha.shape, dtype=np.bool_),
        eps=np.broadcast_to(eps, alpha.shape).astype(kind),
        all_free=bool(problem.free.all()),
        low=low,
        high=high,
        one=one,
        b1=b1,
        b2=b2,
        times=times,
        tanh=tanh,
        log=log,
        exp=exp,
    )


def _functions(gram: Array) -> list[Function]:
    """Return `times`, `tanh`, `log` and `exp` of `Buffers`."""
    if nx.current().mode == "fast":
        return [lambda c, out: np.matmul(c, gram, out), np.tanh, np.log, np.exp]
    return [_into(f) for f in (nx.multiplier(gram), nx.tanh, nx.log, nx.exp)]


def _into(function: Callable[[Array], Array]) -> Function:
    def write(x: Array, out: Array) -> None:
        """Write what the function returns to `out`."""
        out[...] = function(x)

    return write


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
    move, rise, power, factor = (np.asarray(value, like.dtype) for value in found)
    return Numbers(move, rise, power, factor, lam != 0.0)


def gram_step(problem: GramProblem, b: Buffers, n: Numbers) -> None:
    """Move `b.y` by one step of Adam, in place."""
    _soft(b)
    if b.all_free:
        b.times(b.c, b.grad)
        add(b.grad, b.offset, b.grad)
    else:
        multiply(b.c, problem.free, b.t)
        b.times(b.t, b.grad)
        add(b.grad, b.offset, b.grad)
        multiply(b.grad, problem.free, b.grad)
    if n.penalized:
        _penalty(b, n)
        add(b.grad, b.t, b.grad)
    subtract(b.one, b.slope, b.slope)
    b.t[...] = b.live  # at once: a product would convert it in pieces
    multiply(b.slope, b.t, b.slope)
    multiply(b.grad, b.slope, b.grad)
    _adam(b, n)


def gradient(problem: GramProblem, b: Buffers) -> Array:
    """Return dL/dalpha as the first step from fresh buffers found it."""
    return np.asarray(b.m * (0.18 * problem.curve))


def alpha_of(b: Buffers) -> Array:
    """Return alpha."""
    return np.asarray(b.y + b.y)


def _soft(b: Buffers) -> None:
    """c, its square in `slope`, and where it is not clipped."""
    b.tanh(b.y, b.t)
    b.t.clip(b.low, b.high, out=b.c)  # np.minimum by a number takes four times as long
    equal(b.t, b.c, b.live)
    multiply(b.c, b.c, b.slope)


def _penalty(b: Buffers, n: Numbers) -> None:
    """-2 lam beta |1.2 c|^(beta - 1) sign(c) / (1.2 curve / 2), in `t`; slope is still c^2.

    Above beta = 2 as c |c|^(beta - 2), by exp and log: faster than a power and a sign, which are
    taken below, where that would be 0 times infinity at c = 0.
    """
    if n.power > 0.0:
        b.log(b.slope, b.t)
        multiply(b.t, n.power, b.t)
        b.exp(b.t, b.t)
        multiply(b.t, b.c, b.t)
    else:
        b.t[...] = nx.power(b.slope, float(n.power) + 0.5)
        multiply(b.t, np.sign(b.c), b.t)
    multiply(b.t, n.factor, b.t)
    multiply(b.t, b.inverse, b.t)


def _adam(b: Buffers, n: Numbers) -> None:
    multiply(b.m, b.b1, b.m)
    multiply(b.v, b.b2, b.v)
    multiply(b.grad, b.grad, b.t)
    add(b.means, b.terms, b.means)
    sqrt(b.v, b.grad)
    multiply(b.grad, n.rise, b.grad)
    add(b.grad, b.eps, b.grad)
    divide(b.m, b.grad, b.grad)
    multiply(b.grad, n.move, b.grad)
    subtract(b.y, b.grad, b.y)
