"""ASoftmax: each weight learns a softmax over a few neighbouring levels, and is cooled to one.

References: Wang et al., "Leveraging Inter-Layer Dependency for Post-Training Quantization"
(NWQ), NeurIPS 2022; the definitions are reconstructions from its abstract, methods, section 11
and decision D14 (golden op 55).

    paper   here         shape       meaning
    W       w            any         float weight
    s       step         see QParams frozen
    F       base         like w      floor(W / s)
    --      offsets      (M,)        whole numbers; (0, 1) by default
    c_m     candidates   (.., M)     F + offset_m: the levels to choose from, in u-space
    v       logits       (.., M)     the only thing learned
    tau     temperature  number      > 0, annealed towards 0
    pi      weights      (.., M)     softmax(v / tau) over the last axis
    n, p    low, high    like step   code_min - zero_point, code_max - zero_point

    v_m   = log(max(1 - |f - offset_m|, floor))                    start: sum pi c is nearly W / s
    w_hat = s clip(sum_m pi_m c_m, n, p)                           soft, used while learning
    d_v_m = d_w_hat s M pi_m (c_m - sum_k pi_k c_k) / tau          M = [n <= sum pi c <= p]
    codes = clip(c_argmax, n, p) + z                               hard, what is deployed

Two candidates: pi_1 = sigma((v_1 - v_0) / tau), an un-stretched AdaRound with a temperature; as
tau -> 0 the softmax becomes the argmax; the gradient sums to 0 over the candidates (P84).

Kink: the level clip passes its gradient on the closed interval. Edge cases: equal logits harden
to the first candidate listed. The sum is taken over the offsets and F added once, so that
one-hot weights give the level exactly. NaN weights take the zero point, the infinities the ends,
both without gradient. Very small tau is safe: logits far below the largest get weight 0.

Differs from: AdaRound rounds up where undecided; here, with (0, 1), equal logits round down.
"""

from typing import Any, NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import (
    check_array,
    check_finite,
    check_int,
    check_operand,
    check_positive,
    check_shape,
    complaint,
)
from refquant._types import Array
from refquant.quantizers.grid import QParams
from refquant.quantizers.levels import clip_levels, limits_for, ratio, step_for, within

OFFSETS = (0, 1)


class ASoftmaxCache(NamedTuple):
    """What `asoftmax_forward` leaves: dq/dv (.., M), and the step in the dtype of w."""

    slope: Array
    step: Array


def asoftmax_init(
    w: Array, qparams: QParams, offsets: tuple[int, ...] = OFFSETS, floor: float = 1e-3
) -> Array:
    """Logits at which, with tau = 1, the soft weight is W up to the floor; the choice is ours.

    The two levels around W / s share the softmax as its fraction f says, 1 - f and f; every other
    candidate has the floor. Without it a weight on the grid could never move.

    Parameters
    ----------
    w : Array
        float32 or float64, any shape.
    qparams : QParams
        The step broadcasts to `w`.
    offsets : tuple of int
        Distinct; 0 and 1 among them.
    floor : float
        In (0, 1/2].

    Returns
    -------
    Array
        Like `w` with a last axis of M more; values that are not finite have f = 0.

    Raises
    ------
    TypeError, ValueError
        If `w` or the step does not fit, an offset is missing, or the floor out of range.
    """
    check_start("asoftmax_init", offsets, floor)
    u = ratio(w, step_for("asoftmax_init", w, qparams.step, "w"))
    finite = np.where(np.isfinite(u), u, np.zeros_like(u))
    distance = np.abs(
        (finite - np.floor(finite))[..., None] - _offsets("asoftmax_init", offsets, w)
    )
    return nx.log(np.maximum(1.0 - distance, w.dtype.type(floor)))


def check_start(function: str, offsets: tuple[int, ...], floor: float) -> None:
    """Refuse candidates without the two levels around a weight, or a floor outside (0, 1/2]."""
    if not {0, 1} <= set(offsets):
        fix = "Add the levels below and above the weight."
        raise ValueError(complaint(function, "offsets", offsets, "0 and 1 among them", fix))
    if not 0.0 < floor <= 0.5:
        raise ValueError(complaint(function, "floor", floor, "a share in (0, 1/2]"))


def asoftmax_forward(
    w: Array,
    logits: Array,
    qparams: QParams,
    temperature: float,
    offsets: tuple[int, ...] = OFFSETS,
) -> tuple[Array, ASoftmaxCache]:
    """w_hat = s clip(sum_m pi_m c_m, n, p), methods 11.

    Parameters
    ----------
    w : Array
        float32 or float64, any shape.
    logits : Array
        v: the shape of `w` with a last axis of M more, its dtype; finite.
    qparams : QParams
        The step broadcasts to `w`.
    temperature : float
        tau, positive.
    offsets : tuple of int
        At least one; distinct.

    Returns
    -------
    w_hat : Array
        Like `w`.
    cache : ASoftmaxCache
        For `asoftmax_backward`.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit, logits are not finite, or tau is not positive.
    """
    function = "asoftmax_forward"
    step = step_for(function, w, qparams.step, "w")
    moves = _offsets(function, offsets, w)
    _check_logits(function, logits, w, moves)
    tau = float(check_positive(function, "temperature", float(temperature)))
    with np.errstate(over="ignore"):
        cooled = (logits - logits.max(axis=-1, keepdims=True)) / tau
    weights = nx.softmax(cooled, axis=-1)
    mean = np.asarray(nx.sum(weights * moves, axis=-1, keepdims=True))
    level = np.floor(ratio(w, step)) + mean[..., 0]
    low, high = limits_for(w, qparams)
    inside = within(level, low, high)[..., None]
    slope = np.where(inside, weights * (moves - mean) / tau, np.zeros_like(weights))
    return np.asarray(step * clip_levels(level, low, high)), ASoftmaxCache(slope, step)


def asoftmax_backward(d_w_hat: Array, cache: ASoftmaxCache) -> Array:
    """d_v_m = d_w_hat s M pi_m (c_m - sum pi c) / tau, methods 11.

    Parameters
    ----------
    d_w_hat : Array
        dL/dw_hat, like w.
    cache : ASoftmaxCache
        From `asoftmax_forward`.

    Returns
    -------
    Array
        Like the logits.

    Raises
    ------
    TypeError, ValueError
        If `d_w_hat` is not a floating array of the shape of w.
    """
    check_array("asoftmax_backward", "d_w_hat", d_w_hat)
    check_shape("asoftmax_backward", "d_w_hat", d_w_hat, cache.slope.shape[:-1])
    return np.asarray((d_w_hat * cache.step)[..., None] * cache.slope)


def asoftmax_codes(
    w: Array, logits: Array, qparams: QParams, offsets: tuple[int, ...] = OFFSETS
) -> Array:
    """Hard codes clip(c_argmax, n, p) + zero_point; the first of equal logits wins.

    Parameters
    ----------
    w, logits, qparams, offsets
        As in `asoftmax_forward`.

    Returns
    -------
    Array
        int64, like `w`, in [code_min, code_max].

    Raises
    ------
    TypeError, ValueError
        As `asoftmax_forward`.
    """
    step = step_for("asoftmax_codes", w, qparams.step, "w")
    moves = _offsets("asoftmax_codes", offsets, w)
    _check_logits("asoftmax_codes", logits, w, moves)
    level = np.floor(ratio(w, step)) + moves[np.argmax(logits, axis=-1)]
    levels = clip_levels(level, *limits_for(w, qparams))
    return np.asarray(levels.astype(np.int64) + qparams.zero_point)


def _offsets(function: str, offsets: Any, w: Array) -> Array:
    """The offsets in the dtype of w; an error unless they are distinct integers."""
    whole = [check_int(function, "offsets", m, -(1 << 16), 1 << 16) for m in offsets]
    if not whole or len(set(whole)) < len(whole):
        raise ValueError(complaint(function, "offsets", offsets, "distinct integers, one or more"))
    return np.array(whole, dtype=w.dtype)


def _check_logits(function: str, logits: Any, w: Array, moves: Array) -> None:
    """Refuse logits that do not belong to w and the offsets."""
    check_operand(function, "logits", logits, (*w.shape, len(moves)), w.dtype)
    check_finite(function, "logits", logits)
