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

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_finite, check_operand, complaint
from refquant._types import Array
from refquant.quantizers.transform import shared_axes, spread_parameter, transform_shape

Rows = Callable[[slice], Array]


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
    pair = _prepared("fit_transform", y, y0, bias)
    shape = transform_shape(granularity, y0.shape)
    fit = _fit(pair, shape)
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
    pair = _prepared("nested_losses", y, y0, bias)
    error = pair.target(slice(None)) - pair.product(slice(None))
    shift = nx.mean(error, axis=shared_axes(y0.shape[1:2], y0.ndim), keepdims=True)
    fits = {
        kind: float(nx.mean(_fit(pair, transform_shape(kind, y0.shape)).mse))
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


class _Pair(NamedTuple):
    """Output wanted less bias, and product: float64, of a slice of samples; shape of all."""

    target: Rows
    product: Rows
    shape: tuple[int, ...]


def _fit(pair: _Pair, shape: tuple[int, ...]) -> TransformFit:
    """OLS of target on product; parts keep one axis for each axis of the product."""
    axes = shared_axes(shape, len(pair.shape))
    mean = partial(nx.mean_by_rows, shape=pair.shape, axis=axes)
    low, high = nx.range_by_rows(pair.product, pair.shape, axes)
    base, _ = nx.range_by_rows(pair.target, pair.shape, axes)
    spread = high - low
    flat = spread == 0.0
    unit = np.ldexp(1.0, np.where(flat, 0, np.frexp(spread)[1]))
    x_mean = mean(lambda rows: (pair.product(rows) - low) / unit)
    t_mean = mean(lambda rows: pair.target(rows) - base)

    def x(rows: slice) -> Array:
        """Return the product, scaled and centred."""
        return (pair.product(rows) - low) / unit - x_mean

    def t(rows: slice) -> Array:
        """Return the target, centred."""
        return pair.target(rows) - base - t_mean

    variance = mean(lambda rows: x(rows) ** 2)
    slope = mean(lambda rows: x(rows) * t(rows))
    slope = np.where(flat, unit, slope / np.where(flat, 1.0, variance))
    mse = mean(lambda rows: (t(rows) - slope * x(rows)) ** 2)
    xi = slope / unit
    eta = base - xi * low + (t_mean - slope * x_mean)
    return TransformFit(xi, eta, mse)


def _mean_square(error: Array) -> float:
    """Mean of the squares over all elements."""
    return float(nx.mean(error * error))


def _prepared(function: str, y: Array, y0: Array, bias: Array | None) -> _Pair:
    """y - bias and y0, after checking the arguments."""
    check_array(function, "y0", y0)
    if y0.ndim < 2 or y0.size == 0:
        got = f"of shape {y0.shape}"
        raise ValueError(complaint(function, "y0", got, "(n, c, ...) with at least one element"))
    check_operand(function, "y", y, y0.shape, y0.dtype)
    check_finite(function, "y0", y0)
    check_finite(function, "y", y)
    shift = np.zeros(())
    if bias is not None:
        check_operand(function, "bias", bias, y0.shape[1:2], y0.dtype)
        check_finite(function, "bias", bias)
        shift = spread_parameter(bias.astype(np.float64), y0.ndim)
    return _Pair(
        lambda rows: y[rows].astype(np.float64) - shift,
        lambda rows: y0[rows].astype(np.float64),
        y0.shape,
    )
