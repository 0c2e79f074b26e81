"""AQuant's learned border: B as a function of the input it rounds.

References: AQuant, arXiv:2208.11945, AQ eq.8 and 9; methods, sections 13.3 and 13.4.

    paper     here         shape          meaning
    b_j       b0, b1, b2   (c, k)         coefficients, 0 at the start: B = 1/2, nearest
    alpha_j   fusion       (c, k)         fusion weights, 1 at the start
    u         u            (n, c, k, l)   input in units of the step
    P         --           (n, c, k, l)   `border_poly`
    B         border       (n, c, k, l)   `border_fuse`; (n, c, 1, l) where the taps share it

c counts input channels and k the k_h k_w positions of the kernel (K); a fully connected
layer is k = 1, l = 1. In a grouped layer a border belongs to an input channel and is shared by
the outputs of its group.

Edge cases: with k = 1 or fuse="none" there are no fusion weights.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from refquant._checks import check_finite, check_int, check_operand, complaint
from refquant._types import Array
from refquant.quantizers.border_fuse import (
    BorderFuseCache,
    border_fuse_backward,
    border_fuse_forward,
)
from refquant.quantizers.border_options import BorderOptions
from refquant.quantizers.border_poly import (
    BorderPolyCache,
    border_poly_backward,
    border_poly_forward,
)


class BorderParams(NamedTuple):
    """The parameters of a border, or their gradients; each (c, k).

    Attributes
    ----------
    b0, b1 : Array
        Coefficients of 1 and u.
    b2 : Array or None
        Coefficient of u^2; None in the linear mode.
    fusion : Array or None
        Fusion weights; None where they are fixed at 1 or nothing is fused.
    """

    b0: Array
    b1: Array
    b2: Array | None = None
    fusion: Array | None = None


class BorderCache(NamedTuple):
    """What `border_forward` leaves: the caches of its two parts."""

    poly: BorderPolyCache
    fuse: BorderFuseCache


class BorderGrads(NamedTuple):
    """dL/du, like u, and the gradients of the parameters."""

    u: Array
    params: BorderParams


def init_border(
    channels: int, taps: int, options: BorderOptions, dtype: npt.DTypeLike = np.float64
) -> BorderParams:
    """The parameters at which the border is 1/2: b = 0, fusion weights 1, methods 13.3.

    Parameters
    ----------
    channels, taps : int
        Input channels c and kernel positions k.
    options : BorderOptions
        Its `degree`, `fuse` and `fusion_weights` decide which parameters exist.
    dtype : float32 or float64

    Returns
    -------
    BorderParams
        Each (channels, taps); `b2` None for degree 1, `fusion` None where fixed, not fused
        or taps = 1.
    """
    check_int("init_border", "channels", channels, 1)
    check_int("init_border", "taps", taps, 1)
    zeros = np.zeros((channels, taps), dtype)
    learned = options.fusion_weights == "learned" and options.fuses(taps)
    return BorderParams(
        zeros,
        zeros.copy(),
        zeros.copy() if options.degree == 2 else None,
        np.ones((channels, taps), dtype) if learned else None,
    )


def border_forward(
    u: Array, params: BorderParams, options: BorderOptions
) -> tuple[Array, BorderCache]:
    """The border of every element, AQ eq.8 and 9.

    Parameters
    ----------
    u : (n, c, k, l) array, float32 or float64
        In units of the step, finite.
    params : BorderParams
        Finite, of the dtype of `u`.
    options : BorderOptions

    Returns
    -------
    border : (n, c, k, l) array, or (n, c, 1, l) where the taps share it
        In [0, 1].
    cache : BorderCache

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes or the degree do not fit, or a parameter is not finite.
    """
    _check_params(params, u, options)
    p, poly = border_poly_forward(u, params.b0, params.b1, params.b2)
    border, fuse = border_fuse_forward(p, params.fusion, options)
    return border, BorderCache(poly, fuse)


def border_backward(d_border: Array, cache: BorderCache) -> BorderGrads:
    """Gradients of u and of the parameters, methods 13.4; `d_border` like the border."""
    fused = border_fuse_backward(d_border, cache.fuse)
    d_u, d_b0, d_b1, d_b2 = border_poly_backward(fused.p, cache.poly)
    return BorderGrads(d_u, BorderParams(d_b0, d_b1, d_b2, fused.weights))


def _check_params(params: BorderParams, u: Array, options: BorderOptions) -> None:
    """Refuse parameters that are missing, superfluous, misshapen or not finite."""
    if (params.b2 is None) != (options.degree == 1):
        got = "None" if params.b2 is None else "given"
        expected = f"{'None' if options.degree == 1 else 'an array'} with degree={options.degree}"
        raise ValueError(complaint("border_forward", "b2", got, expected))
    for name, value in params._asdict().items():
        if value is not None:
            check_operand("border_forward", name, value, u.shape[1:3], u.dtype)
            check_finite("border_forward", name, value)
