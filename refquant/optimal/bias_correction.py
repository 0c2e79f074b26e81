"""Bias correction: the shift of each output channel that removes its mean error.

References: methods, section 8 (P50); Nagel et al., "Data-Free Quantization Through Weight
Equalization and Bias Correction", ICCV 2019, arXiv:1906.04721, section 4.2 and appendix C.

    paper      here        shape             meaning
    y, yhat    y, y_hat    (n, c_out, ...)   output wanted and got, on calibration data
    b          bias        (c_out,)          bias that y_hat already contains
    W, What    w, w_hat    (c_out, c_in/g,   float and dequantised weight
                           ...)
    bet, gam   beta,gamma  (c_in,)           mean and standard deviation of the input before its
                                             ReLU: shift and scale of the batch norm there
    E          mean        (c_in,)           expected input
    phi, Phi   density     --                standard normal density and distribution function
               distribution

    empirical   b <- b + mean over samples and positions of (y - yhat)
    analytic    b <- b - sum over c_in/g and kernel of (What - W) E
                E = gam phi(bet/gam) + bet Phi(bet/gam) under a ReLU, E = bet without;
                under a ReLU6 that of a ReLU less that of one with bet - 6 (appendix C)

The empirical form is the optimum over shifts with xi = 1, so the mean error afterwards is 0: up
to rounding in floats, exactly in exact arithmetic. The analytic form needs no data, assumes a
normal input and takes no notice of padding, where the input is 0 and not E.

Edge cases: gamma is taken by its size, since -gam describes the same distribution; gamma = 0
gives the constant input max(bet, 0). No correction clips.

Differs from: PPQ keeps an empirical correction only where the loss of the block falls, as
`refquant.methods.finish.CorrectBias(keep="better")` does.
"""

import math
from collections.abc import Callable

import numpy as np

from refquant import numerics as nx
from refquant._checks import (
    check_array,
    check_finite,
    check_in,
    check_int,
    check_operand,
    complaint,
)
from refquant._types import Array
from refquant.quantizers.transform import shared_axes

INPUTS = ("relu", "relu6", "linear")
ROOT_TWO_PI = math.sqrt(2.0 * math.pi)
FAR = 9.0  # beyond, the distribution function is 0 or 1 to the last bit of 1
TERMS = 160  # the series below has settled to the last bit at |t| = FAR


def correct_bias(y: Array, y_hat: Array, bias: Array) -> Array:
    """Empirical correction b + mean(y - y_hat), golden op 61.

    Parameters
    ----------
    y, y_hat : (n, c_out, ...) arrays, float32 or float64
        Finite, at least one element per channel.
    bias : (c_out,) array of the same dtype

    Returns
    -------
    (c_out,) array in the dtype of `y`
        Computed in float64 and rounded once.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not fit, an entry is not finite, or a channel is empty.
    """
    check_array("correct_bias", "y", y)
    if y.ndim < 2 or y.size == 0:
        got = f"of shape {y.shape}"
        message = complaint("correct_bias", "y", got, "(n, c_out, ...) with elements")
        raise ValueError(message)
    check_operand("correct_bias", "y_hat", y_hat, y.shape, y.dtype)
    check_operand("correct_bias", "bias", bias, y.shape[1:2], y.dtype)
    for name, value in (("y", y), ("y_hat", y_hat), ("bias", bias)):
        check_finite("correct_bias", name, value)

    def error(rows: slice) -> Array:
        """Return y - y_hat of some samples."""
        return y[rows].astype(np.float64) - y_hat[rows].astype(np.float64)

    return shifted(bias, error, y.shape)


def shifted(bias: Array, error: Callable[[slice], Array], shape: tuple[int, ...]) -> Array:
    """Return b + mean(y - y_hat), the error made a few samples at a time.

    Parameters
    ----------
    bias : (c_out,) array
        Its dtype is that of the result.
    error : callable
        ``error(rows)`` is y - y_hat of a slice of samples, float64.
    shape : tuple of int
        (n, c_out, ...), of y.
    """
    mean = nx.mean_by_rows(error, shape, shared_axes(bias.shape, len(shape)))
    return np.asarray((bias.astype(np.float64) + mean.reshape(-1)).astype(bias.dtype))


def expected_input(beta: Array, gamma: Array, kind: str = "relu") -> Array:
    """Mean of a normal input N(beta, gamma^2), after a ReLU or as it is, section 8.

    Parameters
    ----------
    beta, gamma : (c_in,) arrays, float32 or float64
        Mean and standard deviation; the sign of gamma does not matter.
    kind : {"relu", "relu6", "linear"}
        What stands between the batch norm and the layer.

    Returns
    -------
    (c_in,) array in the dtype of `beta`
        Computed in float64, within 3e-15 (|beta| + |gamma|), under a ReLU6, the difference of two
        such, within 3e-15 (2 |beta| + 2 |gamma| + 6); at least 0 under both.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not fit, an entry is not finite, or the kind is unknown.
    """
    check_array("expected_input", "beta", beta, ndim=1)
    check_operand("expected_input", "gamma", gamma, beta.shape, beta.dtype)
    check_finite("expected_input", "beta", beta)
    check_finite("expected_input", "gamma", gamma)
    check_in("expected_input", "kind", kind, INPUTS)
    if kind == "linear":
        return beta.copy()
    middle, width = beta.astype(np.float64), np.abs(gamma.astype(np.float64))
    mean = _rectified(middle, width)
    if kind == "relu6":  # min(max(x, 0), 6) = max(x, 0) - max(x - 6, 0)
        mean = np.maximum(mean - _rectified(middle - 6.0, width), 0.0)
    return np.asarray(mean.astype(beta.dtype))


def _rectified(middle: Array, width: Array) -> Array:
    """The mean of max(x, 0) for x from N(middle, width^2)."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        t = np.where(width == 0.0, FAR, middle / width)
    t = np.clip(t, -FAR, FAR)
    density = nx.exp(-0.5 * t * t) / ROOT_TWO_PI
    mean = width * density + middle * normal_distribution(t)
    return np.where(np.abs(t) == FAR, np.maximum(middle, 0.0), np.maximum(mean, 0.0))


def correct_bias_analytic(
    bias: Array, w: Array, w_hat: Array, mean: Array, groups: int = 1
) -> Array:
    """Analytic correction b - sum (w_hat - w) E, section 8.

    Parameters
    ----------
    bias : (c_out,) array, float32 or float64
    w, w_hat : (c_out, c_in/groups, ...) arrays of the same dtype
        Float and dequantised weight; any kernel axes, or none.
    mean : (c_in,) array of the same dtype
        E of `expected_input`.
    groups : int
        Groups of the convolution; divides c_out and c_in.

    Returns
    -------
    (c_out,) array in the dtype of `bias`
        Computed in float64 and rounded once.

    Raises
    ------
    TypeError, ValueError
        If shapes, dtypes or groups do not fit, or an entry is not finite.
    """
    function = "correct_bias_analytic"
    check_array(function, "w", w)
    check_int(function, "groups", groups, 1)
    if w.ndim < 2 or w.size == 0 or w.shape[0] % groups:
        got = f"of shape {w.shape} in {groups} groups"
        raise ValueError(complaint(function, "w", got, "(c_out, c_in/groups, ...)"))
    check_operand(function, "w_hat", w_hat, w.shape, w.dtype)
    check_operand(function, "bias", bias, w.shape[:1], w.dtype)
    check_operand(function, "mean", mean, (w.shape[1] * groups,), w.dtype)
    for name, value in (("w", w), ("w_hat", w_hat), ("bias", bias), ("mean", mean)):
        check_finite(function, name, value)
    error = w_hat.astype(np.float64) - w.astype(np.float64)
    error = nx.sum(error.reshape(*w.shape[:2], -1), axis=2)
    inputs = np.repeat(mean.astype(np.float64).reshape(groups, -1), len(w) // groups, axis=0)
    return np.asarray((bias.astype(np.float64) - nx.sum(error * inputs, axis=1)).astype(w.dtype))


def normal_distribution(t: Array) -> Array:
    """Phi(t), the standard normal distribution function, absolute error below 3e-15.

    Integrating phi by parts again and again gives, with all terms of one sign,
    Phi(t) = 1/2 + phi(t) (t + t^3/3 + t^5/(3 5) + ...).

    Parameters
    ----------
    t : float64 array
        Finite; counted as -9 or 9 beyond those.

    Returns
    -------
    float64 array like `t`, in [0, 1]
    """
    near = np.clip(t, -FAR, FAR)
    term = total = near
    for k in range(1, TERMS):
        term = term * (near * near) / (2.0 * k + 1.0)
        total = total + term
    value = 0.5 + nx.exp(-0.5 * near * near) / ROOT_TWO_PI * total
    return np.asarray(np.clip(value, 0.0, 1.0))
