"""Rounding learnt directly: each weight's share of a step, a number in [0, 1], no sigmoid.

Reference: AE-QDrop's progressive optimisation, as reconstructed in methods.md 10.4 (D13).

    paper   here       shape       meaning
    W'      w          any         weight after the first stage
    s       step       see QParams frozen
    F       base       like w      floor(W' / s)
    v       h          like w      share of a step rounded up; learnt, projected to [0, 1]
    n, p    low, high  like step   code_min - zero_point, code_max - zero_point

    v_0   = W' / s - F                    learning starts at the weight itself
    w_hat = s clip(F + v, n, p)           soft        d_v = d_w_hat s [n <= F + v <= p]
    codes = clip(F + [v >= 1/2], n, p) + z            what is deployed

Kink: the level clip passes its gradient on the closed interval. Edge cases: a tie v = 1/2 rounds
up; values that are not finite have v = 0 and take the zero point or an end.

Differs from: AdaRound's h(alpha) has no gradient once it is 0 or 1 and is pushed there by a
penalty; here v moves freely between its bounds and is rounded at the end, however undecided.
"""

from typing import NamedTuple

import numpy as np

from refquant._checks import check_array, check_operand, check_shape
from refquant._types import Array
from refquant.quantizers.grid import QParams
from refquant.quantizers.levels import clip_levels, limits_for, ratio, step_for, within


class LinearRoundingCache(NamedTuple):
    """What the forward leaves: n <= F + v <= p, bool, like w; the step in the dtype of w."""

    inside: Array
    step: Array


def init_share(w: Array, qparams: QParams) -> Array:
    """v_0 = W' / s - floor(W' / s), in [0, 1], like `w`."""
    u = ratio(w, step_for("init_share", w, qparams.step, "w"))
    finite = np.where(np.isfinite(u), u, np.zeros_like(u))
    return np.asarray(finite - np.floor(finite))


def linear_rounding_forward(
    w: Array, h: Array, qparams: QParams
) -> tuple[Array, LinearRoundingCache]:
    """w_hat = s clip(F + v, n, p).

    Parameters
    ----------
    w, h : Array
        float32 or float64, equal shapes and dtypes.
    qparams : QParams
        The step broadcasts to `w`.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit.
    """
    step, level, low, high = _level("linear_rounding_forward", w, h, qparams)
    inside = within(level, low, high)
    return np.asarray(step * clip_levels(level, low, high)), LinearRoundingCache(inside, step)


def linear_rounding_backward(d_w_hat: Array, cache: LinearRoundingCache) -> Array:
    """d_v = d_w_hat s [n <= F + v <= p]; `d_w_hat` like w."""
    check_array("linear_rounding_backward", "d_w_hat", d_w_hat)
    check_shape("linear_rounding_backward", "d_w_hat", d_w_hat, cache.inside.shape)
    return np.asarray(np.where(cache.inside, d_w_hat * cache.step, np.zeros_like(d_w_hat)))


def linear_rounding_codes(w: Array, h: Array, qparams: QParams) -> Array:
    """Hard codes clip(F + [v >= 1/2], n, p) + z, int64, like `w`."""
    up = np.where(h >= 0.5, np.ones_like(h), np.zeros_like(h))
    _, level, low, high = _level("linear_rounding_codes", w, up, qparams)
    return np.asarray(clip_levels(level, low, high).astype(np.int64) + qparams.zero_point)


def _level(
    function: str, w: Array, h: Array, qparams: QParams
) -> tuple[Array, Array, Array, Array]:
    """(step, F + v, n, p) in the dtype of w, after checking the arguments."""
    step = step_for(function, w, qparams.step, "w")
    check_operand(function, "h", h, w.shape, w.dtype)
    return step, np.asarray(np.floor(ratio(w, step)) + h), *limits_for(w, qparams)
