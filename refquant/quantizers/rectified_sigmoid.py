"""The rectified sigmoid h(alpha): the share of a step by which AdaRound rounds a weight up.

References: Nagel et al., arXiv:2004.10568, equation 23; methods, sections 6.1 and 6.2.

    paper         here         shape       meaning
    V             alpha        any         logit of the rounding decision
    sigma         sigma        like alpha  logistic function of alpha
    h(V)          h            like alpha  in [0, 1]
    gamma, zeta   GAMMA, ZETA  --          ends of the stretch, -0.1 and 1.1

    h  = clip(1.2 sigma(alpha) - 0.1, 0, 1)
    h' = 1.2 sigma (1 - sigma) where not saturated, else 0

Kinks: h is saturated from |alpha| = ln 11 on. The edge itself, where every weight that lies on
the grid starts, passes the gradient under edge="inclusive" (torch.clamp, the default) and not
under edge="strict", which freezes those weights for good (decision D37).

Differs from: released codes evaluate 1.1 - (-0.1), which is 1.2000000000000002 in float64, and
read saturation off the stretched sigmoid, which at -ln 11 comes out as 1.4e-17, -1.4e-17 or 0
depending on width and precision. Here the width is the literal 1.2 and saturation is read
off alpha. In both precisions the float LN11 lies just above ln 11 and its neighbour below it,
so h = 0 or 1 from LN11 on, and nowhere else, is also the exact answer.
"""

from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_finite, check_in, check_shape
from refquant._types import Array

GAMMA, ZETA = -0.1, 1.1  # ends of the stretched sigmoid, text below eq. 23
WIDTH = 1.2  # zeta - gamma as a literal: the float difference is 1.2000000000000002
LN11 = 2.3978952727983707  # log((1 - gamma) / (zeta - 1)), where the stretch meets 0 and 1
EDGES = ("inclusive", "strict")


class RectifiedSigmoidCache(NamedTuple):
    """What `rectified_sigmoid_forward` leaves: dh/d alpha, like alpha."""

    slope: Array


def rectified_sigmoid_forward(
    alpha: Array, edge: str = "inclusive"
) -> tuple[Array, RectifiedSigmoidCache]:
    """h(alpha) = clip(1.2 sigma(alpha) - 0.1, 0, 1), eq. 23.

    Parameters
    ----------
    alpha : Array
        float32 or float64, finite, any shape.
    edge : {"inclusive", "strict"}
        Whether the gradient passes where |alpha| = LN11.

    Returns
    -------
    h : Array
        Like `alpha`, in [0, 1]; exactly 0 or 1 from |alpha| = LN11 on.
    cache : RectifiedSigmoidCache
        For `rectified_sigmoid_backward`.

    Raises
    ------
    TypeError, ValueError
        If `alpha` is not a finite floating array, or `edge` is unknown.
    """
    check_array("rectified_sigmoid_forward", "alpha", alpha)
    check_finite("rectified_sigmoid_forward", "alpha", alpha)
    check_in("rectified_sigmoid_forward", "edge", edge, EDGES)
    sigma = nx.sigmoid(alpha)
    size = np.abs(alpha)
    end = (alpha > 0.0).astype(alpha.dtype)
    h = nx.either(size >= LN11, end, np.clip(sigma * WIDTH + GAMMA, 0.0, 1.0))
    live = size <= LN11 if edge == "inclusive" else size < LN11
    slope = nx.masked(WIDTH * sigma * (1.0 - sigma), live)
    return h, RectifiedSigmoidCache(slope)


def rectified_sigmoid_backward(d_h: Array, cache: RectifiedSigmoidCache) -> Array:
    """d_alpha = d_h h'(alpha); `d_h` like alpha."""
    check_array("rectified_sigmoid_backward", "d_h", d_h)
    check_shape("rectified_sigmoid_backward", "d_h", d_h, cache.slope.shape)
    return np.asarray(d_h * cache.slope)
