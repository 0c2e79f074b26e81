"""Mixing values with their quantised selves: QDrop's random drop and NWQ's annealed mixup.

References: Wei et al., "QDrop", ICLR 2022, arXiv:2203.05740, sections 3 and 4; methods,
sections 10.1, 10.3, 10.4 and 11, decisions D13, D14 and D26; golden ops 53 and 54.

    paper   here    shape         meaning
    x       x       any           value, or the input of a unit from the float network
    Q(x)    x_q     like x        its quantised self, or the input from the quantised prefix
    m       mask    like x        share of Q(x): bool (QDrop), or numbers in [0, 1] (POS)
    pr      --      --            probability of m = 1, of *keeping* the quantised value (D26)
    P       share   () or like x  share of x (AMixup); bool draws of it are allowed as well
    u       --      like x        relative noise: x_hat = x (1 + u), u = 0 where x = 0

    QDrop    y = m Q(x) + (1 - m) x      d_x = (1 - m) d_y    d_x_q = m d_y
    AMixup   y = P x + (1 - P) Q(x)      d_x = P d_y          d_x_q = (1 - P) d_y

d_x is the direct part: the quantiser's backward turns d_x_q into the rest of it and into the
gradient of its step, so that nothing else has to know about the mask. With m = 1 all goes through
the quantiser, with m = 0 nothing does and the step's gradient is 0 (P30). AMixup is the same
operation with m = 1 - P: P = 1 is the identity, P = 0 the quantiser (P85). Averaged over masks, y
is pr Q(x) + (1 - pr) x (P76).

Multiplicative noise on the inputs of a product is noise on its weights (P31):

    W_hat (x (1 + u)) = (W_hat (1 + V)) x,    V_ij = u_j

Edge cases: shares of exactly 0 and 1 select, so the other operand may be NaN or infinite there.

Differs from: QDrop's code calls pr `drop_prob`: its 1.0 means that nothing is dropped (D26). The
masks of NWQ and of POS are reconstructions from abstracts (D13, D14).
"""

from typing import Any, NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_operand, check_shape, complaint
from refquant._types import Array
from refquant.quantizers.levels import check_broadcast


class MixCache(NamedTuple):
    """What a mix leaves: the shares of x and x_q, in the dtype of x, and the shape of x."""

    of_x: Array
    of_q: Array
    shape: tuple[int, ...]


class MixGrads(NamedTuple):
    """dL/dx by the direct path and dL/dx_q, both like x."""

    x: Array
    x_q: Array


def qdrop_mix_forward(x: Array, x_q: Array, mask: Array) -> tuple[Array, MixCache]:
    """y = m Q(x) + (1 - m) x, methods 10.1, golden op 53.

    Parameters
    ----------
    x : Array
        float32 or float64, any shape.
    x_q : Array
        Shape and dtype of `x`.
    mask : Array
        Shape of `x`: bool, or numbers in [0, 1] in the dtype of `x`.

    Returns
    -------
    y : Array
        Like `x`.
    cache : MixCache
        For `mix_backward`.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit, or a number of the mask lies outside [0, 1].
    """
    _check_pair("qdrop_mix_forward", x, x_q)
    m = _share("qdrop_mix_forward", "mask", mask, x)
    check_shape("qdrop_mix_forward", "mask", m, x.shape)
    return _mixed(x, x_q, MixCache(np.asarray(1.0 - m), m, x.shape))


def amixup_forward(x: Array, x_q: Array, share: Any) -> tuple[Array, MixCache]:
    """y = P x + (1 - P) Q(x), methods 11, golden op 54.

    Parameters
    ----------
    x, x_q : Array
        As in `qdrop_mix_forward`.
    share : float or Array
        P: one number in [0, 1], or numbers or bools that broadcast to `x`.

    Returns
    -------
    y : Array
        Like `x`.
    cache : MixCache
        For `mix_backward`.

    Raises
    ------
    TypeError, ValueError
        As `qdrop_mix_forward`.
    """
    _check_pair("amixup_forward", x, x_q)
    of_x = _share("amixup_forward", "share", share, x)
    check_broadcast("amixup_forward", of_x.shape, "x", x.shape)
    return _mixed(x, x_q, MixCache(of_x, np.asarray(1.0 - of_x), x.shape))


def mix_backward(d_y: Array, cache: MixCache) -> MixGrads:
    """d_x = (1 - m) d_y and d_x_q = m d_y, with m = 1 - P after AMixup; `d_y` like x."""
    check_array("mix_backward", "d_y", d_y)
    check_shape("mix_backward", "d_y", d_y, cache.shape)
    of_x, of_q = (share.astype(d_y.dtype, copy=False) for share in (cache.of_x, cache.of_q))
    return MixGrads(np.asarray(of_x * d_y), np.asarray(of_q * d_y))


def noise_in_weights(w_hat: Array, x: Array, x_hat: Array) -> Array:
    """The weights W_hat (1 + V) that give on x what W_hat gives on x_hat, methods 10.3 (P31).

    Parameters
    ----------
    w_hat : (c_out, features) array, float32 or float64
        Weights of a fully connected layer.
    x, x_hat : (features,) arrays of the same dtype
        One input and its disturbed self; x_hat is 0 where x is 0.

    Returns
    -------
    (c_out, features) array
        w_hat times x_hat / x, column by column; unchanged where x = 0.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not fit, or x_hat is not 0 where x is 0.
    """
    check_array("noise_in_weights", "w_hat", w_hat, ndim=2)
    check_operand("noise_in_weights", "x", x, w_hat.shape[1:], w_hat.dtype)
    check_operand("noise_in_weights", "x_hat", x_hat, w_hat.shape[1:], w_hat.dtype)
    silent = x == 0.0
    if np.any(x_hat[silent] != 0.0):
        got = "not 0 where x is 0"
        fix = "Noise relative to 0 does not exist; use a grid that has a level at 0."
        raise ValueError(complaint("noise_in_weights", "x_hat", got, "0 there", fix))
    factor = np.where(silent, np.ones_like(x), x_hat / np.where(silent, np.ones_like(x), x))
    return np.asarray(w_hat * factor)


def _mixed(x: Array, x_q: Array, shares: MixCache) -> tuple[Array, MixCache]:
    """The weighted sum of both; what has the share 0 is not looked at, be it infinite."""
    part_x = shares.of_x * nx.masked(x, shares.of_x != 0.0)
    part_q = shares.of_q * nx.masked(x_q, shares.of_q != 0.0)
    return np.asarray(part_x + part_q), shares


def _check_pair(function: str, x: Any, x_q: Any) -> None:
    """Refuse operands that are not floating arrays of one shape and dtype."""
    check_array(function, "x", x)
    check_operand(function, "x_q", x_q, x.shape, x.dtype)


def _share(function: str, name: str, value: Any, x: Array) -> Array:
    """Bools or numbers in [0, 1] in the dtype of x; an error otherwise."""
    array = np.asarray(value)
    if array.dtype != np.bool_ and array.dtype.kind not in "fiu":
        raise TypeError(complaint(function, name, array.dtype, "bool, or numbers in [0, 1]"))
    if not np.all((array >= 0) & (array <= 1)):
        got = f"in {array.min()}..{array.max()}"
        raise ValueError(complaint(function, name, got, "bool, or numbers in [0, 1]"))
    return array.astype(x.dtype)
