"""A-rounding: round to nearest, then flip a few elements so that the rounding errors cancel.

References: the activation rounding that AQuant compares itself with (its table 1 and appendix A);
the flips are those of Guo et al., "SQuant: On-the-Fly Data-Free Quantization via Diagonal Hessian
Approximation", ICLR 2022, arXiv:2202.07471; methods, section 14, decision D18, convention 18.

    paper   here        shape        meaning
    x / s   u           (.., C, K)   vectors in units of the step: C channels, K positions each
    n, p    low, high   like u       ends of u-space (whole numbers, broadcast against u)
    q       q           like u       rint(u), then flipped
    r       r           like u       q - u: in [-1/2, 1/2] at first, in (-1, 1) after the flips
    S_i     total       (.., C, 1)   sum of r over the positions of channel i
    T       total       (.., 1, 1)   sum of r over the vector
    n_i     wanted      (.., C, 1)   rint |S_i|, half to even: flips asked for

1. q = rint(u).
2. Channel stage. In every channel the n_i elements whose r has the sign of S_i are flipped
   against it (down where S_i > 0, up where S_i < 0), largest |r| first, ties by index; then
   |S_i| <= 1/2 (P36). Each channel names a candidate for the next stage: the last element flipped,
   to go back, if the flips reached or passed |S_i|; else the next one in the order.
3. Vector stage. Of the candidates whose flip goes against T, the rint |T| ones with the largest
   |r| (as it stands after stage 2) are flipped, ties by channel; then |T| <= 1/2 (P38) and
   |S_i| <= 1 (P37). Every q is the floor or the ceiling of its u (P39).

Clipping: an element at or above high is never flipped up from nearest, one at or below low never
down; errors count before the clip, which comes last. The bounds on S_i and T are those of r, and
hold where a channel (for T: the vector) has as many elements free to flip as are asked for.

Edge cases: S_i = 0 flips nothing and names no candidate, and neither does a channel whose free
elements are used up. K = 1 flips nothing in stage 2 (P77); whole u stay as they are (P78). NaN
gives level 0 and the infinities the ends, with r = 0: they take no part. Sums are in float64;
on dyadic u they are exact, elsewhere a sum within an ulp of a tie may round either way.

Differs from: AQuant prints T as a sum of absolute values; the signed sums are needed. Released
code of SQuant names a meaningless candidate where S_i = 0, and zeroes the error of an element
that cannot be flipped when it runs out of others.
"""

from typing import Any, NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, complaint
from refquant._types import Array


class Rounded(NamedTuple):
    """Levels q, int64 in [n, p]; residuals r = q - u before the clip, in the dtype of u."""

    q: Array
    r: Array


class Flipped(NamedTuple):
    """After stage 2: levels (.., C, K); candidate's position and move, (.., C, 1); move 0: none."""

    q: Array
    candidate: Array
    move: Array


def a_rounding(u: Array, n: Any, p: Any) -> Rounded:
    """Levels of both stages, methods 14, golden op 51.

    Parameters
    ----------
    u : (.., C, K) array, float32 or float64
        One vector for every index of the leading axes; C, K >= 1. A column of im2col is
        (channels, kernel positions), a row of a fully connected input (features, 1).
    n, p : int or integer array
        Ends of u-space, n <= p; arrays broadcast to the shape of `u`.

    Returns
    -------
    Rounded
        .q and .r like `u`. Where the clip is not active q = u + r; add the zero point for codes.

    Raises
    ------
    TypeError, ValueError
        If `u` is not such an array, or the ends are not whole numbers, do not broadcast, or
        leave n > p.
    """
    low, high = check_vectors("a_rounding", u, n, p)
    wide = finite_part(u)
    return finish(flip_vectors(flip_channels(wide, np.rint(wide), low, high), wide), u, low, high)


def flip_channels(u: Array, q: Array, low: Array, high: Array) -> Flipped:
    """Stage 2 on finite float64 `u` and its nearest levels `q`, (.., C, K) each."""
    r = q - u
    total = nx.sum(r, axis=-1, keepdims=True)
    sign = np.sign(total)
    free = (r * sign > 0.0) & np.where(sign > 0.0, u > low, u < high)
    order = _largest_first(r, free)
    available = np.count_nonzero(free, axis=-1, keepdims=True)
    flips = np.minimum(np.rint(np.abs(total)).astype(np.int64), available)
    flipped = q - sign * (np.argsort(order, axis=-1) < flips)
    back = flips >= np.abs(total)  # where both are 0, the sign is 0 too: no candidate
    place = np.where(back, flips - 1, np.minimum(flips, u.shape[-1] - 1))
    move = np.where(back, sign, np.where(flips < available, -sign, 0.0))
    return Flipped(flipped, np.take_along_axis(order, place, axis=-1), move)


def flip_vectors(state: Flipped, u: Array) -> Array:
    """Stage 3: the levels (.., C, K) after at most one more flip in each channel."""
    r = state.q - u
    total = nx.sum(r, axis=(-2, -1), keepdims=True)[..., 0]
    of_candidate = np.take_along_axis(r, state.candidate, axis=-1)[..., 0]
    useful = state.move[..., 0] * np.sign(total) < 0.0
    rank = np.argsort(_largest_first(of_candidate, useful), axis=-1)
    chosen = useful & (rank < np.rint(np.abs(total)))
    here = np.arange(u.shape[-1]) == state.candidate
    return np.asarray(state.q + np.where(here & chosen[..., None], state.move, 0.0))


def finite_part(u: Array) -> Array:
    """`u` in float64 with 0 for NaN and the infinities, so that they take no part."""
    return np.where(np.isfinite(u), u, 0.0).astype(np.float64)


def finish(q: Array, u: Array, low: Array, high: Array) -> Rounded:
    """Residuals before the clip, and clipped levels; non-finite u have r = 0."""
    levels = np.clip(np.where(np.isinf(u), u, q), low, high)
    return Rounded(levels.astype(np.int64), np.asarray((q - finite_part(u)).astype(u.dtype)))


def check_vectors(function: str, u: Any, n: Any, p: Any) -> tuple[Array, Array]:
    """The ends of u-space in the shape of u; an error if they or the vectors do not fit."""
    check_array(function, "u", u)
    if u.ndim < 2 or 0 in u.shape[-2:]:
        fix = "A matrix of features is (.., features, 1)."
        got = f"of shape {u.shape}"
        raise ValueError(complaint(function, "u", got, "(.., C, K) with C, K >= 1", fix))
    low, high = _end(function, "n", n, u.shape), _end(function, "p", p, u.shape)
    if not np.all(low <= high):
        raise ValueError(complaint(function, "n", "above p", "n <= p"))
    return low, high


def _end(function: str, name: str, value: Any, shape: tuple[int, ...]) -> Array:
    """One end of u-space as int64 in this shape."""
    array = np.asarray(value)
    if array.dtype.kind not in "iu":
        raise TypeError(complaint(function, name, array.dtype, "whole numbers of an integer type"))
    try:
        return np.broadcast_to(array.astype(np.int64), shape)
    except ValueError as error:
        got = f"of shape {array.shape}"
        raise ValueError(complaint(function, name, got, f"something that fits {shape}")) from error


def _largest_first(r: Array, free: Array) -> Array:
    """Positions along the last axis: free ones by falling |r|, ties by index, then the others."""
    return np.argsort(np.where(free, -np.abs(r), 1.0), axis=-1, kind="stable")
