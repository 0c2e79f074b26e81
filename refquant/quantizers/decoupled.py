"""AdaRound with one step to quantise and another to dequantise: AdaQTransform's cases 2.x.

References: AdaQTransform, equations 2, 5, 6 and 7; methods, sections 15.1 and 15.2.

    paper   here        shape         meaning
    W       w           any           float weight, frozen
    s_w     qparams     see QParams   quantisation step: decides the level
    s'_w    s_d         () or as s_w  dequantisation step; s_w itself where tied
    h       h(alpha)    like w        rectified sigmoid
    w_int   levels      like w        clip(floor(W / s_w) + h, n, p), soft
    M       inside      like w        n <= floor(W / s_w) + h <= p, bool
    What    w_hat       like w        s_d w_int

    case    s_d     learned beside alpha    adds up to
    1.1     s_w     --                      AdaRound (BRECQ, QDrop, and AdaQTransform itself)
    tied    s_w     s_w                     d_s_w = sum d_w_hat (w_int - M W / s_w)
    2.1     s'_w    s_w                     d_s_w = sum d_w_hat s_d M (-W / s_w^2)
    2.2     s'_w    s_d                     d_s_d = sum d_w_hat w_int
    2.3     s'_w    s_w and s_d             both of the last two
    all                                     d_alpha = d_w_hat s_d M h'(alpha)

The floor is straight-through in s_w: floor(W / s_w) counts as W / s_w plus a constant, and alpha
does not follow s_w. Kinks: M is inclusive; the edge of h is the argument `edge`. Whether s'_w is
frozen or learned changes no value: the case only says which gradients exist.

Edge cases: s_d equal to s_w gives the bits of `adaround_forward`. NaN weights decode to 0, the
infinities to an end; neither passes a gradient to alpha or through W / s_w.

Differs from: the paper's case 1.2, which rounds to nearest and is `fake_quant_forward` (decision
D32); "tied" is AdaRound with a learned step, which the paper does not list.
"""

from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_in, check_shape, complaint
from refquant._types import Array
from refquant.quantizers.adaround import adaround_forward
from refquant.quantizers.grid import QParams
from refquant.quantizers.levels import ratio, step_for, step_slope, sum_to_shape

LEARNED = {
    "1.1": (),
    "tied": ("s_w",),
    "2.1": ("s_w",),
    "2.2": ("s_d",),
    "2.3": ("s_w", "s_d"),
}
TIED = ("1.1", "tied")  # cases without a dequantisation step of their own


class DecoupledCache(NamedTuple):
    """What `decoupled_forward` leaves for its backward.

    Attributes
    ----------
    case : str
        A key of `LEARNED`.
    u : Array
        W / s_w, like w.
    levels : Array
        clip(F + h, n, p), like w.
    inside : Array
        n <= F + h <= p, bool, like w.
    slope : Array
        dh/d alpha, like w.
    s_w, s_d : Array
        Both steps in the dtype of w.
    """

    case: str
    u: Array
    levels: Array
    inside: Array
    slope: Array
    s_w: Array
    s_d: Array


class DecoupledGrads(NamedTuple):
    """dL/d alpha like w; dL/ds_w and dL/ds_d like their step, None where the case freezes it."""

    alpha: Array
    s_w: Array | None
    s_d: Array | None


def decoupled_forward(
    w: Array,
    alpha: Array,
    qparams: QParams,
    s_d: Array | None,
    case: str = "2.2",
    edge: str = "inclusive",
) -> tuple[Array, DecoupledCache]:
    """Soft weight s_d clip(floor(W / s_w) + h(alpha), n, p), AT eq. 5.

    Parameters
    ----------
    w : Array
        float32 or float64, any shape.
    alpha : Array
        Like `w`, finite.
    qparams : QParams
        s_w, zero point and grid; the step broadcasts to `w`.
    s_d : Array or None
        Dequantisation step, positive, broadcasting to `w`; None in the cases 1.1 and tied.
    case : {"1.1", "tied", "2.1", "2.2", "2.3"}
        Which steps are learned.
    edge : {"inclusive", "strict"}
        See `rectified_sigmoid_forward`.

    Returns
    -------
    w_hat : Array
        Like `w`.
    cache : DecoupledCache
        For `decoupled_backward`.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit, a step is not a positive normal number, `alpha` is
        not finite, the case is unknown, or `s_d` is given where it is tied or absent where not.
    """
    check_in("decoupled_forward", "case", case, LEARNED)
    w_hat, cache = adaround_forward(w, alpha, qparams, edge)
    step = _dequantization_step(w, s_d, case, cache.step)
    if s_d is not None:
        w_hat = np.asarray(step * cache.levels)
    u = ratio(w, cache.step)
    saved = DecoupledCache(case, u, cache.levels, cache.inside, cache.slope, cache.step, step)
    return w_hat, saved


def decoupled_backward(d_w_hat: Array, cache: DecoupledCache) -> DecoupledGrads:
    """Gradients of alpha and of the learned steps, methods 15.2; `d_w_hat` like w."""
    check_array("decoupled_backward", "d_w_hat", d_w_hat)
    check_shape("decoupled_backward", "d_w_hat", d_w_hat, cache.levels.shape)
    slope = nx.masked(cache.slope, cache.inside)
    learned = LEARNED[cache.case]
    d_s_w = _d_s_w(d_w_hat, cache) if "s_w" in learned else None
    d_s_d = None
    if "s_d" in learned:
        d_s_d = sum_to_shape(d_w_hat * cache.levels, cache.s_d.shape)
    return DecoupledGrads(np.asarray(d_w_hat * cache.s_d * slope), d_s_w, d_s_d)


def _d_s_w(d_w_hat: Array, cache: DecoupledCache) -> Array:
    """The gradient of s_w: through the levels alone, and where tied through the product too."""
    if cache.case == "tied":
        each = step_slope(cache.levels, cache.u, cache.inside)
    else:
        through_floor = step_slope(np.zeros_like(cache.u), cache.u, cache.inside)
        each = through_floor * (cache.s_d / cache.s_w)
    return sum_to_shape(d_w_hat * each, cache.s_w.shape)


def _dequantization_step(w: Array, s_d: Array | None, case: str, s_w: Array) -> Array:
    """s_d in the dtype of w, checked; s_w where the case ties them."""
    function, tied = "decoupled_forward", case in TIED
    if tied != (s_d is None):
        got = "None" if s_d is None else "an array"
        expected = f"{'None' if tied else 'a step'} in case {case}"
        raise ValueError(complaint(function, "s_d", got, expected))
    if s_d is None:
        return s_w
    check_array(function, "s_d", s_d)
    return step_for(function, w, s_d, "w")
