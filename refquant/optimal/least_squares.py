"""Best scale and shift of a quantised layer's output, by ordinary least squares.

References: methods, sections 15.3 and 15.6 (P44, P48), 3.2 (P46), convention 20.

    paper    here   shape           meaning
    y        y      (n, c, ...)     output wanted
    y0       y0     (n, c, ...)     product of the quantised weight and input, before the bias
    b        bias   (c,) or None    bias, not scaled by xi
    xi*      xi     see below       cov(y - b, y0) / var(y0)
    eta*     eta    like xi         mean(y - b) - xi* mean(y0)
    --       mse    like xi         mean of (y - b - xi* y0 - eta*)^2 = (1 - rho^2) var(y - b)

Means run over the elements that share xi, so the shape of xi, eta and mse is that of
`quantizers.transform.transform_shape`: (c,) per channel, () per layer, (c, ...) per pixel.

The optimal losses are nested (P48), here as means over all of y:

    pixel <= channel <= layer <= none,      channel <= shift <= none

where "shift" is bias correction, xi = 1 and the best eta per channel.

Computed in float64 whatever the dtype, and rounded once to the dtype of y0. Both variables are
counted from their smallest value before centring, so a large common offset costs no digits, and
y0 is scaled by a power of two, so its square neither overflows nor vanishes.

Edge cases: y0 constant where it shares xi (a single element always is): xi = 1 and
eta = mean(y - b - y0), convention 20; what counts is min = max, not a variance that rounding
makes small. xi may come out negative or 0 (decision D33).
"""

from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_finite, check_operand, complaint
from refquant._types import Array
from refquant.quantizers.transform import shared_axes, spread_parameter, transform_shape


class TransformFit(NamedTuple):
    """Least squares xi and eta, and the mean squared error they leave; equal shapes."""

    xi: Array
    eta: Array
    mse: Array


class NestedLosses(NamedTuple):
    """Mean squared error over all of y, after the best correction of each kind."""

    none: float
    shift: float
    layer: float
    channel: float
    pixel: float


def fit_transform(
    y: Array, y0: Array, bias: Array | None = None, granularity: str = "channel"
) -> TransformFit:
    """Least squares xi and eta for frozen codes, methods 15.3.

    Parameters
    ----------
    y, y0 : (n, c, ...) arrays, float32 or float64
        Wanted output and product, finite, at least one element each.
    bias : (c,) array or None
        None counts as zero.
    granularity : {"channel", "layer", "pixel", "network"}
        What shares xi and eta.

    Returns
    -------
    TransformFit
        In the dtype of `y0`; computed in float64.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not fit, an entry is not finite, y0 is empty, or the
        granularity is unknown.
    """
    target, product = _prepared("fit_transform", y, y0, bias)
    shape = transform_shape(granularity, y0.shape)
    fit = _fit(target, product, shape)
    return TransformFit(*(part.reshape(shape).astype(y0.dtype) for part in fit))


def nested_losses(y: Array, y0: Array, bias: Array | None = None) -> NestedLosses:
    """What each kind of correction can reach at best, the chain of P48.

    Parameters
    ----------
    y, y0, bias : arrays
        As in `fit_transform`.

    Returns
    -------
    NestedLosses
        Python floats, computed in float64.

    Raises
    ------
    TypeError, ValueError
        As `fit_transform`.
    """
    target, product = _prepared("nested_losses", y, y0, bias)
    error = target - product
    shift = nx.mean(error, axis=shared_axes(y0.shape[1:2], y0.ndim), keepdims=True)
    fits = {
        kind: float(nx.mean(_fit(target, product, transform_shape(kind, y0.shape)).mse))
        for kind in ("layer", "channel", "pixel")
    }
    return NestedLosses(_mean_square(error), _mean_square(error - shift), **fits)


def best_step(w: Array, levels: Array) -> Array:
    """The dequantisation step s' that brings s' * levels closest to w, row by row (P46).

    Parameters
    ----------
    w : (rows, ...) array, float32 or float64
    levels : array like `w`
        Whole numbers w_int in u-space (or soft ones), frozen.

    Returns
    -------
    (rows,) array in the dtype of `w`
        <w, q> / <q, q>, computed in float64. Not positive where the levels point away from w;
        0 where all levels of a row are 0 and every step is as good.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit, or an entry is not finite.
    """
    check_array("best_step", "w", w)
    check_operand("best_step", "levels", levels, w.shape, w.dtype)
    if w.size == 0 or w.ndim == 0:
        raise ValueError(complaint("best_step", "w", f"of shape {w.shape}", "(rows, ...)"))
    check_finite("best_step", "w", w)
    check_finite("best_step", "levels", levels)
    rows, q = (v.astype(np.float64).reshape(len(w), -1) for v in (w, levels))
    norm = nx.sum(q * q, axis=1)
    flat = norm == 0.0
    step = nx.sum(rows * q, axis=1) / np.where(flat, 1.0, norm)
    return np.asarray(np.where(flat, 0.0, step).astype(w.dtype))


def _fit(target: Array, product: Array, shape: tuple[int, ...]) -> TransformFit:
    """OLS of target on product; parts keep one axis for each axis of the product."""
    axes = shared_axes(shape, product.ndim)
    low = product.min(axis=axes, keepdims=True)
    spread = product.max(axis=axes, keepdims=True) - low
    flat = spread == 0.0
    unit = np.ldexp(1.0, np.where(flat, 0, np.frexp(spread)[1]))
    x = (product - low) / unit
    base = target.min(axis=axes, keepdims=True)
    t = target - base
    x_mean, t_mean = (nx.mean(v, axis=axes, keepdims=True) for v in (x, t))
    x_centred, t_centred = x - x_mean, t - t_mean
    variance = nx.mean(x_centred * x_centred, axis=axes, keepdims=True)
    slope = nx.mean(x_centred * t_centred, axis=axes, keepdims=True)
    slope = np.where(flat, unit, slope / np.where(flat, 1.0, variance))
    rest = t_centred - slope * x_centred
    mse = nx.mean(rest * rest, axis=axes, keepdims=True)
    xi = slope / unit
    eta = base - xi * low + (t_mean - slope * x_mean)
    return TransformFit(xi, eta, mse)


def _mean_square(error: Array) -> float:
    """Mean of the squares over all elements."""
    return float(nx.mean(error * error))


def _prepared(function: str, y: Array, y0: Array, bias: Array | None) -> tuple[Array, Array]:
    """(y - bias, y0) in float64, after checking the arguments."""
    check_array(function, "y0", y0)
    if y0.ndim < 2 or y0.size == 0:
        got = f"of shape {y0.shape}"
        raise ValueError(complaint(function, "y0", got, "(n, c, ...) with at least one element"))
    check_operand(function, "y", y, y0.shape, y0.dtype)
    check_finite(function, "y0", y0)
    check_finite(function, "y", y)
    target = y.astype(np.float64)
    if bias is not None:
        check_operand(function, "bias", bias, y0.shape[1:2], y0.dtype)
        check_finite(function, "bias", bias)
        target = target - spread_parameter(bias.astype(np.float64), y0.ndim)
    return target, y0.astype(np.float64)
