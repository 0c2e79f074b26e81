"""AdaRound's weight quantiser: each weight learns whether to round down or up.

References: Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization",
ICML 2020, arXiv:2004.10568, equations 22 and 23; methods, sections 6.1 to 6.5. The
regulariser is in `rounding_regularizer`.

    paper     here       shape       meaning
    W         w          any         float weight
    s         step       see QParams frozen
    F, f      base, frac like w      floor(W / s), W / s - F in [0, 1)
    V         alpha      like w      the only thing learned
    h(V)      h          like w      rectified sigmoid, see `rectified_sigmoid`
    n, p      low, high  like step   code_min - zero_point, code_max - zero_point

    alpha0  = log((1 + 10 f) / (11 - 10 f))        h(alpha0) = f: learning starts at W
    w_hat   = s clip(F + h, n, p)                  soft, used while learning    eq. 22
    codes   = clip(F + [alpha >= 0], n, p) + z     hard, what is deployed
    d_alpha = d_w_hat s [n <= F + h <= p] h'(alpha)

Kinks: the level clip passes its gradient on the closed interval; that of h is an argument,
`edge`. The floor and the step carry no gradient.

Edge cases: a weight on the grid has alpha0 = -LN11 and h = 0, both exactly; a tie f = 1/2 has
alpha0 = 0 and rounds up. Where W / s is negative and tiny, f rounds to 1 and alpha0 = LN11: the
hard code is still 0. NaN weights take the zero point, the infinities the ends, both with f = 0
and no gradient. A weight that was quantised before may miss its grid point by an ulp, so that
F is one lower and f nearly 1: carry codes, do not recompute them.

Differs from: released codes start at -log((zeta - gamma) / (f - gamma) - 1), the same function
with other rounding errors: in float64 it gives -4e-16 at f = 1/2 and rounds ties down. It is
offered as `alpha_init="quotient"`. onnxsim keeps f and the sigmoid 1e-4 away from 0 and 1, so
that no weight starts at an edge of h: `alpha_init="clipped"`. AMCT leaves the soft weight and lets
a later rint decide; here the hard decision is explicit (decision D12). Brevitas and onnxsim round
h = 1/2 down: `tie="down"`.
"""

from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_finite, check_in, check_operand, check_shape
from refquant._types import Array
from refquant.quantizers.grid import QParams
from refquant.quantizers.levels import clip_levels, limits_for, ratio, step_for, within
from refquant.quantizers.rectified_sigmoid import GAMMA as GAMMA
from refquant.quantizers.rectified_sigmoid import LN11 as LN11
from refquant.quantizers.rectified_sigmoid import ZETA as ZETA
from refquant.quantizers.rectified_sigmoid import (
    rectified_sigmoid_backward as rectified_sigmoid_backward,
)
from refquant.quantizers.rectified_sigmoid import (
    rectified_sigmoid_forward as rectified_sigmoid_forward,
)
from refquant.quantizers.rounding_regularizer import (
    rounding_regularizer_backward as rounding_regularizer_backward,
)
from refquant.quantizers.rounding_regularizer import (
    rounding_regularizer_forward as rounding_regularizer_forward,
)

INITS = ("ratio", "quotient", "clipped")
TIES = ("up", "down")
CLIP = 1e-4  # onnxsim


class AdaRoundCache(NamedTuple):
    """What `adaround_forward` leaves for its backward.

    Attributes
    ----------
    levels : Array
        clip(F + h, n, p), the soft level, like w.
    inside : Array
        n <= F + h <= p, bool, like w.
    slope : Array
        dh/d alpha, like w.
    step : Array
        In the dtype of w.
    """

    levels: Array
    inside: Array
    slope: Array
    step: Array


def init_alpha(w: Array, qparams: QParams, alpha_init: str = "ratio") -> Array:
    """The alpha with h(alpha) = f, so that learning starts at the float weight, methods 6.3.

    Parameters
    ----------
    w : Array
        float32 or float64, any shape.
    qparams : QParams
        The step broadcasts to `w`.
    alpha_init : {"ratio", "quotient", "clipped"}
        "ratio": log((1 + 10 f) / (11 - 10 f)), and -LN11 exactly where f = 0. "quotient": the
        released -log((zeta - gamma) / (f - gamma) - 1), float errors included. "clipped": the
        logit of (f - gamma) / (zeta - gamma), f clipped to [1e-4, 1 - 1e-4].

    Returns
    -------
    Array
        Like `w`, in [-LN11, LN11] under "ratio".

    Raises
    ------
    TypeError, ValueError
        If `w` is not a floating array, the step does not fit, or `alpha_init` is unknown.
    """
    check_in("init_alpha", "alpha_init", alpha_init, INITS)
    u = ratio(w, step_for("init_alpha", w, qparams.step, "w"))
    finite = np.where(np.isfinite(u), u, np.zeros_like(u))
    frac = finite - np.floor(finite)
    if alpha_init == "quotient":
        return -nx.log((ZETA - GAMMA) / (frac - GAMMA) - 1.0)
    if alpha_init == "clipped":
        sigmoid = (np.clip(frac, CLIP, 1.0 - CLIP) - GAMMA) / (ZETA - GAMMA)
        return nx.log(sigmoid / (1.0 - sigmoid))
    alpha = nx.log((1.0 + 10.0 * frac) / (11.0 - 10.0 * frac))
    edge = np.where(frac > 0.5, LN11, -LN11).astype(w.dtype)
    return np.where((frac == 0.0) | (frac == 1.0), edge, np.clip(alpha, -LN11, LN11))


def adaround_forward(
    w: Array, alpha: Array, qparams: QParams, edge: str = "inclusive"
) -> tuple[Array, AdaRoundCache]:
    """Soft-quantised weight s clip(F + h(alpha), n, p), eq. 22.

    Parameters
    ----------
    w : Array
        float32 or float64, any shape.
    alpha : Array
        Like `w`, finite.
    qparams : QParams
        The step broadcasts to `w`.
    edge : {"inclusive", "strict"}
        See `rectified_sigmoid_forward`.

    Returns
    -------
    w_hat : Array
        Like `w`.
    cache : AdaRoundCache
        For `adaround_backward`.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit, `alpha` is not finite, or `edge` is unknown.
    """
    step, base, low, high = _base("adaround_forward", w, alpha, qparams)
    h, sigmoid = rectified_sigmoid_forward(alpha, edge)
    levels = base + h
    inside = within(levels, low, high)
    clipped = clip_levels(levels, low, high)
    return np.asarray(step * clipped), AdaRoundCache(clipped, inside, sigmoid.slope, step)


def adaround_backward(d_w_hat: Array, cache: AdaRoundCache) -> Array:
    """d_alpha = d_w_hat s [n <= F + h <= p] h'(alpha), methods 6.2; `d_w_hat` like w."""
    check_array("adaround_backward", "d_w_hat", d_w_hat)
    check_shape("adaround_backward", "d_w_hat", d_w_hat, cache.levels.shape)
    return np.asarray(d_w_hat * cache.step * nx.masked(cache.slope, cache.inside))


def adaround_codes(w: Array, alpha: Array, qparams: QParams, tie: str = "up") -> Array:
    """Hard codes clip(F + [alpha >= 0], n, p) + zero_point, methods 6.5.

    Parameters
    ----------
    w, alpha : Array
        float32 or float64, equal shapes and dtypes; `alpha` finite.
    qparams : QParams
        The step broadcasts to `w`.
    tie : {"up", "down"}
        Where h = 1/2, which is alpha = 0.

    Returns
    -------
    Array
        int64, like `w`, in [code_min, code_max].

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit, `alpha` is not finite, or `tie` is unknown.
    """
    check_in("adaround_codes", "tie", tie, TIES)
    _, base, low, high = _base("adaround_codes", w, alpha, qparams)
    up = alpha >= 0.0 if tie == "up" else alpha > 0.0
    levels = clip_levels(base + up, low, high)
    return np.asarray(levels.astype(np.int64) + qparams.zero_point)


def _base(
    function: str, w: Array, alpha: Array, qparams: QParams
) -> tuple[Array, Array, Array, Array]:
    """(step, floor(W / s), n, p) in the dtype of w, after checking the arguments."""
    step = step_for(function, w, qparams.step, "w")
    check_operand(function, "alpha", alpha, w.shape, w.dtype)
    check_finite(function, "alpha", alpha)
    return step, np.asarray(np.floor(ratio(w, step))), *limits_for(w, qparams)
