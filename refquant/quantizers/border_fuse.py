"""From the polynomial's values P to borders B: bounded, and shared by the taps of a channel.

References: AQuant, arXiv:2208.11945, AQ eq.9; methods, section 13.3 (decisions D16 and D38), golden
op 47.

    paper     here      shape          meaning
    P_j       p         (n, c, k, l)   polynomial at tap j of a window
    E_j       e         (n, c, k, l)   bound(P_j)
    alpha_j   weights   (c, k)         fusion weights; None stands for all 1
    F, Q      mean      (n, c, 1, l)   (1/K) sum_j alpha_j E_j, or of alpha_j P_j
    B         border    see below      border in [0, 1]

    fuse         B                                            shape
    none         E                                            (n, c, k, l)
    bound_fuse   clip(mean_j alpha_j E_j, 0, 1)               (n, c, 1, l)
    fuse_bound   bound(mean_j alpha_j P_j)                    (n, c, 1, l)
    centred      clip(1/2 + mean_j alpha_j (E_j - 1/2), 0, 1) (n, c, 1, l)

The mean runs over all K taps, those that fell on padding included (D38). With K = 1 every
row is the first one and there are no weights (P67). Only under "fuse_bound" can alpha_j be
absorbed into the coefficients (P71).

Kinks: the clips of the mean pass their gradient on the closed interval, or, under
border_mask="open", everywhere.

Edge cases: with alpha = 1 the clip of "bound_fuse" does nothing. Under "fuse_bound" P enters
the mean within +-2^100, so that infinities of both signs do not meet; no bound sees the
difference.
"""

from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_operand, complaint
from refquant._types import Array
from refquant.quantizers.border_bound import (
    BorderBoundCache,
    border_bound_backward,
    border_bound_forward,
)
from refquant.quantizers.border_options import BorderOptions

HUGE = 2.0**100


class TapMeanCache(NamedTuple):
    """What `tap_mean_forward` leaves: its arguments."""

    t: Array
    weights: Array | None


class BorderFuseCache(NamedTuple):
    """What `border_fuse_forward` leaves.

    Attributes
    ----------
    order : str
        The row of the module's table that was used.
    bound : BorderBoundCache
        Of P, or of the mean under "fuse_bound".
    mean : TapMeanCache or None
        None if nothing was fused.
    live : Array or None
        Where the clip of the mean passes its gradient; None if there is no such clip.
    """

    order: str
    bound: BorderBoundCache
    mean: TapMeanCache | None
    live: Array | None


class BorderFuseGrads(NamedTuple):
    """dL/dP, like p, and dL/d weights, (c, k) or None without weights."""

    p: Array
    weights: Array | None


def tap_mean_forward(t: Array, weights: Array | None) -> tuple[Array, TapMeanCache]:
    """(1/K) sum_j w_j t_j over axis 2, kept with length one; `weights` (c, k) or None (all 1)."""
    scaled = t if weights is None else weights[:, :, None] * t
    return nx.sum(scaled, axis=2, keepdims=True) / t.shape[2], TapMeanCache(t, weights)


def tap_mean_backward(d_mean: Array, cache: TapMeanCache) -> BorderFuseGrads:
    """d_t_j = d_mean w_j / K and d_w_j = sum_{n,l} d_mean t_j / K; `d_mean` (n, c, 1, l)."""
    t, weights = cache
    share = d_mean / t.shape[2]
    if weights is None:
        return BorderFuseGrads(np.broadcast_to(share, t.shape), None)
    return BorderFuseGrads(share * weights[:, :, None], nx.sum(share * t, axis=(0, 3)))


def border_fuse_forward(
    p: Array, weights: Array | None, options: BorderOptions
) -> tuple[Array, BorderFuseCache]:
    """Bound and fuse, AQ eq.9.

    Parameters
    ----------
    p : (n, c, k, l) array, float32 or float64
    weights : (c, k) array of the same dtype, or None
        None stands for all 1, and is required where nothing is fused.
    options : BorderOptions
        Reads `fuse`, `border_mask` and what the bound reads.

    Returns
    -------
    border : (n, c, 1, l) array, or like `p` if nothing is fused
        In [0, 1].
    cache : BorderFuseCache

    Raises
    ------
    TypeError, ValueError
        If dtypes or shapes do not fit, or weights come with nothing to fuse.
    """
    taps = check_array("border_fuse_forward", "p", p, ndim=4).shape[2]
    order = options.fuse if options.fuses(taps) else "none"
    _check_weights(p, weights, order)
    if order == "none":
        e, bound = border_bound_forward(p, options)
        return e, BorderFuseCache(order, bound, None, None)
    if order == "fuse_bound":
        mean, mean_cache = tap_mean_forward(np.clip(p, -HUGE, HUGE), weights)
        border, bound = border_bound_forward(mean, options)
        return border, BorderFuseCache(order, bound, mean_cache, None)
    e, bound = border_bound_forward(p, options)
    centre = 0.5 if order == "centred" else 0.0
    mean, mean_cache = tap_mean_forward(e - centre, weights)
    fused = mean + centre
    live = (fused >= 0.0) & (fused <= 1.0)
    live = live | (options.border_mask == "open")
    return np.clip(fused, 0.0, 1.0), BorderFuseCache(order, bound, mean_cache, live)


def border_fuse_backward(d_border: Array, cache: BorderFuseCache) -> BorderFuseGrads:
    """dL/dP and dL/d weights of `border_fuse_forward`, methods 13.4; `d_border` like its border."""
    if cache.mean is None:
        return BorderFuseGrads(border_bound_backward(d_border, cache.bound), None)
    if cache.live is None:
        return tap_mean_backward(border_bound_backward(d_border, cache.bound), cache.mean)
    d_mean = np.where(cache.live, d_border, np.zeros_like(d_border))
    grads = tap_mean_backward(d_mean, cache.mean)
    return BorderFuseGrads(border_bound_backward(grads.p, cache.bound), grads.weights)


def _check_weights(p: Array, weights: Array | None, order: str) -> None:
    """ValueError unless the weights fit p and there is something to fuse."""
    if weights is None:
        return
    if order == "none":
        got = f"of shape {weights.shape} with {p.shape[2]} tap(s) and nothing to fuse"
        raise ValueError(complaint("border_fuse_forward", "weights", got, "None"))
    check_operand("border_fuse_forward", "weights", weights, p.shape[1:3], p.dtype)
