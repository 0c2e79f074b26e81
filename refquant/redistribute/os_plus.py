"""Outlier Suppression+: shift every channel to its middle, then shrink the channels that stick out.

References: Wei et al., "Outlier Suppression+: Accurate quantization of large language models by
equivalent and optimal shifting and scaling", EMNLP 2023, arXiv:2304.09145, section 4; methods,
section 16 (P60), golden op 63, conventions 7 and 9.

    paper         here        shape   meaning
    max_j, min_j  high, low   (c,)    range of channel j; after the shift from the scale on
    z_j           shift       (c,)    (max_j + min_j) / 2
    t             threshold   --      what no channel may exceed; one number for all channels
    sc_j          scale       (c,)    max(1, max_j / t, min_j / (-t))
    num           --          --      max(100, int(max / 0.5)) steps, max = max|X - z|

    t_k = max - k (max - smallest) / num,   k = 0 ... num;   t_num = smallest exactly
    x~ = (x - z) / sc,   W~ = W sc,   b~ = b + W z
    the first t_k with the smallest mean(sum over outputs |out_q - out|^2) wins

Edge cases: where max <= smallest the only threshold is `smallest`, at which every scale is 1.
Thresholds are float64. More than a hundred thousand of them are refused (max > 50000).

Differs from: the released code subtracts the step again and again, and so may miss the last
threshold by rounding; `smallest` is 1 there, 0.1 for LLaMA.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import (
    check_array,
    check_finite,
    check_operand,
    check_positive,
    complaint,
)
from refquant._types import Array

LEAST_STEPS, PER_STEP, MOST_STEPS = 100, 0.5, 100_000


class OsPlus(NamedTuple):
    """The winning scale and threshold, and the losses of all thresholds in the order tried."""

    scale: Array
    threshold: float
    thresholds: Array
    losses: Array


def osplus_shift(low: Array, high: Array) -> Array:
    """Middle of each channel, (max_j + min_j) / 2.

    Parameters
    ----------
    low, high : (c,) arrays, float32 or float64, of one dtype
        Finite, low <= high.

    Returns
    -------
    (c,) array of the same dtype
        Rounded once (float32) or halved first, so that it does not overflow (float64).
    """
    _check_range("osplus_shift", low, high)
    middle = 0.5 * low.astype(np.float64) + 0.5 * high.astype(np.float64)
    return np.asarray(middle.astype(low.dtype))


def osplus_scale(low: Array, high: Array, threshold: float) -> Array:
    """Scales max(1, max_j / t, min_j / (-t)).

    Parameters
    ----------
    low, high : (c,) arrays, float32 or float64, of one dtype
        Ranges after the shift (convention 9).
    threshold : float
        Positive.

    Returns
    -------
    (c,) array of the same dtype
        At least 1; 1 for a channel inside [-t, t].
    """
    _check_range("osplus_scale", low, high)
    check_positive("osplus_scale", "threshold", threshold)
    above = high.astype(np.float64) / threshold
    below = low.astype(np.float64) / -threshold
    with np.errstate(over="ignore"):
        scale = np.maximum(1.0, np.maximum(above, below)).astype(low.dtype)
    return check_finite("osplus_scale", "the scale", np.asarray(scale))


def osplus_thresholds(peak: float, smallest: float = 1.0) -> Array:
    """All thresholds in the order they are tried, the largest first.

    Parameters
    ----------
    peak : float
        max|X - z|, finite and at least 0.
    smallest : float
        The last threshold, positive.

    Returns
    -------
    (num + 1,) float64 array, or (1,) where peak <= smallest
    """
    check_positive("osplus_thresholds", "smallest", smallest)
    if not 0.0 <= peak <= PER_STEP * MOST_STEPS:
        expected = f"in [0, {PER_STEP * MOST_STEPS:g}]"
        fix = "Scale the network's input, or clip outliers."
        raise ValueError(complaint("osplus_thresholds", "peak", peak, expected, fix))
    if peak <= smallest:
        return np.array([float(smallest)])
    steps = max(LEAST_STEPS, int(peak / PER_STEP))
    thresholds = peak - np.arange(steps + 1) * ((peak - smallest) / steps)
    thresholds[-1] = smallest
    return thresholds


def osplus_search(
    low: Array, high: Array, loss: Callable[[Array], float], smallest: float = 1.0
) -> OsPlus:
    """The scale of the first threshold with the smallest loss, golden op 63.

    Parameters
    ----------
    low, high : (c,) arrays, float32 or float64, of one dtype
        Ranges after the shift (convention 9).
    loss : function of the (c,) scales
        `output_error` after quantizing x / sc and W sc.
    smallest : float
        The last threshold.

    Returns
    -------
    OsPlus

    Raises
    ------
    TypeError, ValueError
        As `osplus_thresholds` and `osplus_scale`; also if a loss is not finite.
    """
    _check_range("osplus_search", low, high)
    peak = float(np.maximum(np.abs(low), np.abs(high)).max())
    thresholds = osplus_thresholds(peak, smallest)
    losses = np.array([float(loss(osplus_scale(low, high, float(t)))) for t in thresholds])
    check_finite("osplus_search", "a loss", losses)
    best = float(thresholds[int(np.argmin(losses))])  # the first of equal ones
    return OsPlus(osplus_scale(low, high, best), best, thresholds, losses)


def output_error(out_q: Array, out: Array) -> float:
    """Mean over samples and positions of the sum over outputs of |out_q - out|^2.

    Parameters
    ----------
    out_q, out : (n, c_out, ...) arrays of one shape and dtype
        Computed in float64.
    """
    check_array("output_error", "out", out)
    check_operand("output_error", "out_q", out_q, out.shape, out.dtype)
    error = out_q.astype(np.float64) - out.astype(np.float64)
    return float(nx.mean(nx.sum(error * error, axis=1)))


def _check_range(function: str, low: Array, high: Array) -> None:
    check_array(function, "low", low, ndim=1)
    check_operand(function, "high", high, low.shape, low.dtype)
    check_finite(function, "low", low)
    check_finite(function, "high", high)
    if low.size == 0 or np.any(low > high):
        raise ValueError(complaint(function, "low", "empty or above high", "low <= high"))
