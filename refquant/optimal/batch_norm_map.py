"""A batch norm trained on top of a quantised layer is an output transform, and conversely.

Reference: AdaQTransform, equation 10; methods, section 15.3 and decision D19 (P43).

    paper        here            shape   meaning
    gam0, bet0   norm.gamma/beta (c,)    scale and shift when the norm was folded
    mu, sd       norm.mean/sd    (c,)    its statistics, frozen; sd = sqrt(var + eps)
    b            norm.bias       (c,)    bias of the convolution before the norm, or None
    gam, bet     gamma, beta     (c,)    scale and shift after training
    xi, eta      same            (c,)    the output transform with the same effect

With core the product of the un-folded weight, core_f = (gam0/sd) core that of the folded one and
b_f = bet0 + gam0 (b - mu)/sd the folded bias,

    gam (core + b - mu)/sd + bet = xi core_f + b_f + eta
    xi  = gam / gam0             eta = (bet - bet0) + (b - mu)(gam - gam0)/sd
    gam = xi gam0                bet = bet0 + eta - (b - mu)(gam - gam0)/sd

Exact in real numbers, in both directions; gam0 = 0 is refused, as then core_f is 0.

When the integer weights agree as well: with folded steps s |gam0|/sd the levels are those of
the un-folded weight where gam0 > 0. Where gam0 < 0 they are their negatives on a narrow grid
under a rounding symmetric about 0, but not on [-2^(b-1), 2^(b-1) - 1], whose ends differ.

Differs from: equation 10 as printed, which adds b without the factor gam/sd; the two are equal
where the convolution has no bias (decision D19).
"""

from typing import NamedTuple

import numpy as np

from refquant._checks import check_array, check_finite, check_operand, check_positive, complaint
from refquant._types import Array


class FoldedNorm(NamedTuple):
    """A batch norm as it was folded: (c,) arrays of one dtype; bias of the layer or None."""

    gamma: Array
    beta: Array
    mean: Array
    sd: Array
    bias: Array | None = None


class AffinePair(NamedTuple):
    """A scale and a shift per channel: (xi, eta) of the transform or (gamma, beta) of the norm."""

    scale: Array
    shift: Array


def batch_norm_to_transform(gamma: Array, beta: Array, norm: FoldedNorm) -> AffinePair:
    """(xi, eta) with the effect of training a folded norm to (gamma, beta), AT eq. 10.

    Parameters
    ----------
    gamma, beta : (c,) arrays, float32 or float64
        The norm after training.
    norm : FoldedNorm
        The norm when it was folded; gamma nowhere 0, sd positive.

    Returns
    -------
    AffinePair
        xi and eta, in the dtype of the arguments.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not fit, an entry is not finite, norm.gamma is 0 or norm.sd not
        positive.
    """
    _check("batch_norm_to_transform", norm, gamma=gamma, beta=beta)
    shift = (beta - norm.beta) + _centre(norm) * (gamma - norm.gamma) / norm.sd
    return AffinePair(gamma / norm.gamma, shift)


def transform_to_batch_norm(xi: Array, eta: Array, norm: FoldedNorm) -> AffinePair:
    """(gamma, beta) of an un-folded norm with the effect of (xi, eta): the inverse map.

    Parameters
    ----------
    xi, eta : (c,) arrays, float32 or float64
    norm : FoldedNorm
        As in `batch_norm_to_transform`.

    Returns
    -------
    AffinePair
        gamma and beta, in the dtype of the arguments.

    Raises
    ------
    TypeError, ValueError
        As `batch_norm_to_transform`.
    """
    _check("transform_to_batch_norm", norm, xi=xi, eta=eta)
    gamma = xi * norm.gamma
    beta = (norm.beta + eta) - _centre(norm) * (gamma - norm.gamma) / norm.sd
    return AffinePair(gamma, beta)


def _centre(norm: FoldedNorm) -> Array:
    """b - mu: where the norm's input stands when the product is 0."""
    return -norm.mean if norm.bias is None else norm.bias - norm.mean


def _check(function: str, norm: FoldedNorm, **pair: Array) -> None:
    """Refuse arguments that do not fit together or a norm that cannot be inverted."""
    check_array(function, "norm.gamma", norm.gamma, ndim=1)
    named = {f"norm.{k}": v for k, v in norm._asdict().items() if v is not None} | pair
    for name, value in named.items():
        check_operand(function, name, value, norm.gamma.shape, norm.gamma.dtype)
        check_finite(function, name, value)
    check_positive(function, "norm.sd", norm.sd)
    if not norm.gamma.all():
        where = int(np.argmin(norm.gamma != 0.0))
        fix = "A channel with gamma 0 has no product left to scale; drop it."
        raise ValueError(complaint(function, "norm.gamma", f"0 at channel {where}", "no 0", fix))
