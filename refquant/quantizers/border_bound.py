"""The bound of the border: from the polynomial's value P to a border E in [0, 1].

References: AQuant, arXiv:2208.11945, AQ eq.7 and appendix; methods, section 13.3 (decisions D16
and D23), golden op 46.

    paper   here    shape     meaning
    P       p       any       border less 1/2, unbounded
    E       e       like p    border in [0, 1]
    D(P)    slope   like p    dE/dP
    sigma   sigma   like p    logistic function

    bound    scale   E                                           D(P), inside          saturates
    sigmoid  outer   clip(1/2 + kappa (sigma(P) - 1/2), 0, 1)    kappa sigma (1-sigma)  ln(7/3)
    sigmoid  inner   sigma(kappa P)                              kappa E (1 - E)        never
    clip     --      clip(1/2 + P, 0, 1)                         1                      1/2

E is 1/2 at P = 0; both sigmoids have slope kappa / 4 there.

Kinks: D is that of the inside on the closed interval |P| <= saturation and 0 beyond it
(border_mask="closed"), or nowhere 0 ("open"). Saturation is read off P, not off the clipped
value: near the edge that would depend on the last bit of the machine's exp.

Edge cases: P = +-inf gives 1 and 0, slope 0 under every sigmoid. The inner sigmoid never
saturates, but rounds to 1 from kappa P of about 37 on (float32: 17), where D(P) is 0 too.
"""

from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_operand, complaint
from refquant._types import Array
from refquant.quantizers.border_options import BorderOptions


class BorderBoundCache(NamedTuple):
    """What `border_bound_forward` leaves: D(P), like p."""

    slope: Array


def border_bound_forward(p: Array, options: BorderOptions) -> tuple[Array, BorderBoundCache]:
    """E = bound(P), methods 13.3.

    Parameters
    ----------
    p : Array
        float32 or float64, any shape, without NaN.
    options : BorderOptions
        Reads `bound`, `scale`, `kappa` and `border_mask`.

    Returns
    -------
    e : Array
        Like `p`, in [0, 1]; exactly 0 or 1 from |p| = `options.saturation` on.
    cache : BorderBoundCache

    Raises
    ------
    TypeError, ValueError
        If `p` is not a floating array, or holds NaN.
    """
    check_array("border_bound_forward", "p", p)
    if np.isnan(p).any():
        raise ValueError(complaint("border_bound_forward", "p", "NaN somewhere", "no NaN"))
    value, slope = _unclipped(p, options)
    edge = np.float64(options.saturation)  # compared in float64: exact for float32 as well
    end = (p > 0.0).astype(p.dtype)
    e = np.where(np.abs(p) >= edge, end, np.clip(value, 0.0, 1.0))
    if options.border_mask == "closed":
        slope = np.where(np.abs(p) <= edge, slope, np.zeros_like(slope))
    return e, BorderBoundCache(slope)


def border_bound_backward(d_e: Array, cache: BorderBoundCache) -> Array:
    """d_p = d_e D(P); `d_e` like p."""
    slope = cache.slope
    check_operand("border_bound_backward", "d_e", d_e, slope.shape, slope.dtype)
    return np.asarray(d_e * slope)


def _unclipped(p: Array, options: BorderOptions) -> tuple[Array, Array]:
    """E before its clip, and its slope."""
    kappa = options.kappa
    if options.bound == "clip":
        return 0.5 + p, np.ones_like(p)
    if options.scale == "inner":
        with np.errstate(over="ignore"):
            sigma = nx.sigmoid(kappa * p)
        return sigma, kappa * sigma * (1.0 - sigma)
    sigma = nx.sigmoid(p)
    return 0.5 + kappa * (sigma - 0.5), kappa * sigma * (1.0 - sigma)
