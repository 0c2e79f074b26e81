"""The border polynomial P(u), one set of coefficients per channel and kernel position.

References: AQuant, arXiv:2208.11945, AQ eq.8; methods, section 13.3, golden op 45.

    paper   here         shape         meaning
    u       u            (n, c, k, l)  input in units of the step: image, channel, tap, window
    b_j     b0, b1, b2   (c, k)        coefficients; b2 is None in the linear mode
    P       p            (n, c, k, l)  (b2 u + b1) u + b0

P is the border less its constant 1/2, before it is bounded: b = 0 is nearest rounding.
Evaluated by Horner's rule: two products and two sums per element (AQ Fig 3), and no
inf - inf at large u.

Edge cases: an overflow gives an infinite P, which every bound sends to an end of [0, 1].
"""

from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_operand
from refquant._types import Array


class BorderPolyCache(NamedTuple):
    """What `border_poly_forward` leaves: its arguments but b0."""

    u: Array
    b1: Array
    b2: Array | None


class BorderPolyGrads(NamedTuple):
    """dL/du, like u, and dL/db, each (c, k); `b2` is None in the linear mode."""

    u: Array
    b0: Array
    b1: Array
    b2: Array | None


def border_poly_forward(
    u: Array, b0: Array, b1: Array, b2: Array | None = None
) -> tuple[Array, BorderPolyCache]:
    """P = b2 u^2 + b1 u + b0, AQ eq.8.

    Parameters
    ----------
    u : (n, c, k, l) array, float32 or float64
        Without NaN or infinities.
    b0, b1 : (c, k) array of the same dtype
    b2 : (c, k) array or None
        None: the linear border.

    Returns
    -------
    p : array like `u`
    cache : BorderPolyCache

    Raises
    ------
    TypeError, ValueError
        If dtypes or shapes do not fit.
    """
    shape = check_array("border_poly_forward", "u", u, ndim=4).shape[1:3]
    check_operand("border_poly_forward", "b0", b0, shape, u.dtype)
    check_operand("border_poly_forward", "b1", b1, shape, u.dtype)
    slope = b1[:, :, None]
    with np.errstate(over="ignore"):
        if b2 is not None:
            check_operand("border_poly_forward", "b2", b2, shape, u.dtype)
            slope = b2[:, :, None] * u + slope
        return np.asarray(slope * u + b0[:, :, None]), BorderPolyCache(u, b1, b2)


def border_poly_backward(d_p: Array, cache: BorderPolyCache) -> BorderPolyGrads:
    """d_u = d_p (2 b2 u + b1) and d_bj = sum_{n,l} d_p u^j, methods 13.4; `d_p` like u."""
    u, b1, b2 = cache
    check_operand("border_poly_backward", "d_p", d_p, u.shape, u.dtype)
    # From the left, so that a blocked element (d_p = 0) stays 0 where u^2 overflows.
    with np.errstate(over="ignore"):
        first = d_p * u
        d_b2 = None if b2 is None else nx.sum(first * u, axis=(0, 3))
        d_u = d_p * b1[:, :, None]
        if b2 is not None:
            d_u = d_u + 2.0 * b2[:, :, None] * first
    return BorderPolyGrads(d_u, nx.sum(d_p, axis=(0, 3)), nx.sum(first, axis=(0, 3)), d_b2)
