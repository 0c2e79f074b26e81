"""The rounding regulariser: the price of a rounding decision that is still open.

References: Nagel et al., arXiv:2004.10568, equation 24; methods, section 5.4.

    paper     here      shape   meaning
    V         alpha     any     logits of the rounding decisions
    h(V)      h         any     rectified sigmoid of alpha, in [0, 1]
    beta      beta      --      exponent: large is flat, small pushes h to 0 and 1
    lambda    lam       --      weight of the term

    R     = lam sum(1 - |2h - 1|^beta)
    dR/dh = -2 lam beta |2h - 1|^(beta - 1) sign(2h - 1)

A sum, not a mean. R = 0 if and only if every h is 0 or 1; R = lam per weight at h = 1/2.

Kinks: at h = 1/2 the derivative is 0 (for beta = 1, where it jumps, by choice); the clip of h
follows `edge`, as in `rectified_sigmoid`.

Differs from: the vendor's prose says a large beta makes the term strong; it makes it nearly
flat, hence free, for |2h - 1| below about 0.88 (decision D8, property P23).
"""

from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import complaint
from refquant._types import Array
from refquant.quantizers.rectified_sigmoid import (
    rectified_sigmoid_backward,
    rectified_sigmoid_forward,
)


class RegularizerCache(NamedTuple):
    """What `rounding_regularizer_forward` leaves: dR/d alpha, like alpha."""

    d_alpha: Array


def rounding_regularizer_forward(
    alpha: Array, beta: float, lam: float = 1.0, edge: str = "inclusive"
) -> tuple[float, RegularizerCache]:
    """R = lam sum(1 - |2h - 1|^beta), eq. 24; 0 if and only if every h is 0 or 1.

    Parameters
    ----------
    alpha : Array
        float32 or float64, finite, any shape.
    beta : float
        Exponent, at least 1: large is flat, small pushes h to 0 and 1.
    lam : float
        Weight, finite.
    edge : {"inclusive", "strict"}
        See `rectified_sigmoid_forward`.

    Returns
    -------
    value : float
        R.
    cache : RegularizerCache
        For `rounding_regularizer_backward`.

    Raises
    ------
    TypeError, ValueError
        If `alpha` is not a finite floating array, `beta` < 1, or `lam` is not finite.
    """
    function = "rounding_regularizer_forward"
    if not 1.0 <= beta < np.inf:
        fix = "Below 1 the slope at h = 1/2 is infinite."
        raise ValueError(complaint(function, "beta", beta, "a finite number of at least 1", fix))
    if not np.isfinite(lam):
        raise ValueError(complaint(function, "lam", lam, "a finite number"))
    h, sigmoid = rectified_sigmoid_forward(alpha, edge)
    centred = 2.0 * h - 1.0
    size, exponent, weight = np.abs(centred), float(beta), float(lam)
    value = weight * float(nx.sum(1.0 - nx.power(size, exponent)))
    d_h = -2.0 * weight * exponent * nx.power(size, exponent - 1.0) * np.sign(centred)
    return value, RegularizerCache(rectified_sigmoid_backward(d_h, sigmoid))


def rounding_regularizer_backward(d_value: float, cache: RegularizerCache) -> Array:
    """d_alpha = d_value dR/dh h'(alpha); `d_value` = dL/dR, 1 where R is a term of L."""
    return np.asarray(float(d_value) * cache.d_alpha)
