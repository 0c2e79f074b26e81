"""Batch normalisation per channel: with given statistics, with its own, and folded away.

S. Ioffe, C. Szegedy, "Batch Normalization", ICML 2015, arXiv:1502.03167; methods.md 4.2.

    y = gamma * (x - mean) / sd + beta,   sd = sqrt(var + eps),   channels on axis 1

    paper     here         shape          meaning
    t         x            (n, c, ...)    input; statistics run over every axis but 1
    mu, var   mean, var    (c,)           statistics; var is the population variance (divides by
                                          the count m, not m - 1)
    gam, bet  gamma, beta  (c,)           learnable scale and shift
    eps       eps          float          added to var, at least 0
    Gt        d_x          as x           frozen statistics: d_y * gamma / sd; own statistics:
                                          gamma / sd * (d_y - mean(d_y) - x_hat * mean(d_y * x_hat))
    Ggam      d_gamma      (c,)           sum of d_y * x_hat, x_hat = (x - mean) / sd
    Gbet      d_beta       (c,)           sum of d_y

The operations run in the order written, each rounded once, so frozen statistics give the same
bits as the scalar formula. Edge cases: var + eps must be positive; a single value per channel is
normalised to 0 (torch refuses it). Not modelled: running averages; the caller keeps the
statistics it wants. Differs from: frameworks whose running variance divides by m - 1.
"""

from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_operand, complaint
from refquant._types import Array


class BatchNormCache(NamedTuple):
    """What both forwards leave for their backward; per channel, except x."""

    x: Array
    gamma: Array
    mean: Array
    var: Array
    sd: Array  # sqrt(var + eps)


class BatchNormGrads(NamedTuple):
    """dL/dx, dL/d gamma, dL/d beta."""

    x: Array
    gamma: Array
    beta: Array


def batch_norm_forward(
    x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float
) -> tuple[Array, BatchNormCache]:
    """Normalise with given statistics, methods.md 4.2.

    Parameters
    ----------
    x : (n, c, ...) array, float32 or float64
    gamma, beta, mean, var : (c,) arrays of the same dtype
    eps : float
        var + eps must be positive.

    Returns
    -------
    y : array, shape and dtype of x
    cache : BatchNormCache

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not fit, or var + eps is not positive.
    """
    function = "batch_norm_forward"
    _check(function, x, gamma=gamma, beta=beta, mean=mean, var=var)
    sd = _deviation(function, var, eps)
    return _normalise(x, gamma, beta, mean, sd), BatchNormCache(x, gamma, mean, var, sd)


def batch_norm_backward(d_y: Array, cache: BatchNormCache) -> BatchNormGrads:
    """Gradients with frozen statistics, methods.md 4.2.

    Parameters
    ----------
    d_y : array, shape and dtype of x
    cache : BatchNormCache
        Of `batch_norm_forward`.

    Returns
    -------
    BatchNormGrads
    """
    x, gamma, _, _, sd = cache
    check_operand("batch_norm_backward", "d_y", d_y, x.shape, x.dtype)
    d_x = d_y * _wide(gamma, x) / _wide(sd, x)
    return BatchNormGrads(d_x, nx.sum(d_y * _x_hat(cache), _axes(x)), nx.sum(d_y, _axes(x)))


def batch_norm_train_forward(
    x: Array, gamma: Array, beta: Array, eps: float
) -> tuple[Array, BatchNormCache]:
    """Normalise with the statistics of x itself, Ioffe and Szegedy, Algorithm 1.

    Parameters
    ----------
    x : (n, c, ...) array, float32 or float64, at least one value per channel
    gamma, beta : (c,) arrays of the same dtype
    eps : float
        var + eps must be positive, so a constant channel needs eps > 0.

    Returns
    -------
    y : array, shape and dtype of x
        The same bits as `batch_norm_forward` with `cache.mean` and `cache.var`.
    cache : BatchNormCache

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not fit, x is empty, or var + eps is not positive.
    """
    function = "batch_norm_train_forward"
    _check(function, x, gamma=gamma, beta=beta)
    if x.size == 0:
        raise ValueError(complaint(function, "x", f"of shape {x.shape}", "at least one value"))
    mean = nx.mean(x, _axes(x))
    centred = x - _wide(mean, x)
    var = nx.mean(centred * centred, _axes(x))
    sd = _deviation(function, var, eps)
    return _normalise(x, gamma, beta, mean, sd), BatchNormCache(x, gamma, mean, var, sd)


def batch_norm_train_backward(d_y: Array, cache: BatchNormCache) -> BatchNormGrads:
    """Gradients through the statistics as well, Ioffe and Szegedy, section 3.

    Parameters
    ----------
    d_y : array, shape and dtype of x
    cache : BatchNormCache
        Of `batch_norm_train_forward`.

    Returns
    -------
    BatchNormGrads
    """
    x, gamma, _, _, sd = cache
    check_operand("batch_norm_train_backward", "d_y", d_y, x.shape, x.dtype)
    x_hat = _x_hat(cache)
    d_gamma, d_beta = nx.sum(d_y * x_hat, _axes(x)), nx.sum(d_y, _axes(x))
    count = x.size // x.shape[1]
    centred = d_y - _wide(d_beta / count, x) - x_hat * _wide(d_gamma / count, x)
    return BatchNormGrads(centred * _wide(gamma, x) / _wide(sd, x), d_gamma, d_beta)


def fold_batch_norm(
    w: Array,
    bias: Array | None,
    gamma: Array,
    beta: Array,
    mean: Array,
    var: Array,
    eps: float,
) -> tuple[Array, Array]:
    """The filter and bias that convolve and normalise in one go, methods.md 4.2, P04.

    Parameters
    ----------
    w : (c_out, ...) array, float32 or float64
        Filter of the convolution or linear layer before the batch norm.
    bias : (c_out,) array or None
        None counts as zero.
    gamma, beta, mean, var : (c_out,) arrays of the dtype of w
    eps : float

    Returns
    -------
    w_folded : array, shape and dtype of w
        w * gamma / sd.
    bias_folded : (c_out,) array
        beta + gamma * (bias - mean) / sd.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not fit, or var + eps is not positive.
    """
    function = "fold_batch_norm"
    if check_array(function, "w", w).ndim < 2:
        got = f"of shape {w.shape}"
        raise ValueError(complaint(function, "w", got, "at least 2 axes (c_out, ...)"))
    pairs = {"gamma": gamma, "beta": beta, "mean": mean, "var": var}
    for name, value in (pairs if bias is None else {"bias": bias, **pairs}).items():
        check_operand(function, name, value, w.shape[:1], w.dtype)
    sd = _deviation(function, var, eps)
    rows = (-1, *[1] * (w.ndim - 1))
    offset = -mean if bias is None else bias - mean
    return w * gamma.reshape(rows) / sd.reshape(rows), beta + gamma * offset / sd


def _normalise(x: Array, gamma: Array, beta: Array, mean: Array, sd: Array) -> Array:
    """gamma * (x - mean) / sd + beta, in that order."""
    y: Array = _wide(gamma, x) * (x - _wide(mean, x)) / _wide(sd, x) + _wide(beta, x)
    return y


def _x_hat(cache: BatchNormCache) -> Array:
    """(x - mean) / sd."""
    x_hat: Array = (cache.x - _wide(cache.mean, cache.x)) / _wide(cache.sd, cache.x)
    return x_hat


def _wide(per_channel: Array, x: Array) -> Array:
    """(c,) as (c, 1, ...), to broadcast against x."""
    return per_channel.reshape(-1, *[1] * (x.ndim - 2))


def _axes(x: Array) -> tuple[int, ...]:
    """Every axis but the channels'."""
    return (0, *range(2, x.ndim))


def _deviation(function: str, var: Array, eps: float) -> Array:
    """sqrt(var + eps), refused where it is not the square root of a positive number."""
    shifted = var + float(eps)
    if not (eps >= 0.0 and bool(np.all(shifted > 0.0))):
        worst = int(np.argmin(shifted))
        got = f"{var[worst]} at channel {worst} with eps {eps}"
        fix = "A constant channel needs eps > 0."
        expected = "var + eps positive, eps at least 0"
        raise ValueError(complaint(function, "var", got, expected, fix))
    return np.sqrt(shifted)


def _check(function: str, x: Array, **per_channel: Array) -> None:
    """Refuse an x without channels, and parameters that are not one number per channel."""
    if check_array(function, "x", x).ndim < 2:
        raise ValueError(complaint(function, "x", f"of shape {x.shape}", "(n, c, ...)"))
    for name, value in per_channel.items():
        check_operand(function, name, value, (x.shape[1],), x.dtype)
