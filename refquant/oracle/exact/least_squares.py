"""Scalar twin of the output transform, its least squares fit, its folding and its batch norm map.

Written from methods 4.2, 15.1 and 15.3. A group is a flat list of the values that share one
(xi, eta). Everything is rational once sd is given, so Fractions stay exact. Imports the standard
library only.
"""

from typing import Any

Values = list[Any]


def transform(y0: Any, bias: Any, xi: Any, eta: Any) -> Any:
    """xi y0 + b + eta."""
    return xi * y0 + bias + eta


def mean(values: Values) -> Any:
    """The mean of a group."""
    return sum(values) / len(values)


def mean_square(y: Values, y0: Values, bias: Any, xi: Any, eta: Any) -> Any:
    """Mean of (y - xi y0 - b - eta)^2."""
    errors = [a - transform(b, bias, xi, eta) for a, b in zip(y, y0, strict=True)]
    return mean([e * e for e in errors])


def fit(y: Values, y0: Values, bias: Any) -> tuple[Any, Any]:
    """The (xi, eta) of least mean_square; xi = 1 where y0 does not vary."""
    target = [v - bias for v in y]
    t_mean, p_mean = mean(target), mean(y0)
    variance = mean([(p - p_mean) * (p - p_mean) for p in y0])
    if variance == 0:
        return variance + 1, t_mean - p_mean
    pairs = zip(target, y0, strict=True)
    xi = mean([(t - t_mean) * (p - p_mean) for t, p in pairs]) / variance
    return xi, t_mean - xi * p_mean


def residual(y: Values, y0: Values) -> Any:
    """(1 - rho^2) var(y), from cov^2 / (var var) = rho^2; var(y) where y0 does not vary."""
    y_mean, p_mean = mean(y), mean(y0)
    var_y = mean([(v - y_mean) * (v - y_mean) for v in y])
    var_p = mean([(v - p_mean) * (v - p_mean) for v in y0])
    if var_p == 0:
        return var_y
    cov = mean([(a - y_mean) * (b - p_mean) for a, b in zip(y, y0, strict=True)])
    return var_y - cov * cov / var_p


def fold(xi: Any, eta: Any, s_w: Any, s_x: Any, bias: Any) -> tuple[Any, Any]:
    """(st, bt) of one channel, AT eq. 9."""
    return xi * s_w * s_x, bias + eta


def batch_norm(x: Any, gamma: Any, beta: Any, mu: Any, sd: Any) -> Any:
    """gamma (x - mu) / sd + beta."""
    return gamma * (x - mu) / sd + beta


def batch_norm_to_transform(
    new: tuple[Any, Any], old: tuple[Any, Any], mu: Any, sd: Any, bias: Any
) -> tuple[Any, Any]:
    """(xi, eta) of training (gamma, beta) from `old`, at which the norm was folded, to `new`.

    Found from two points: the transform of the folded output must equal the trained norm where
    the product is 0 and where it is 1.
    """
    at = [batch_norm(core + bias, new[0], new[1], mu, sd) for core in (0, 1)]
    offset = batch_norm(bias, old[0], old[1], mu, sd)  # the folded bias
    unit = old[0] / sd  # the folded product of core = 1
    xi = (at[1] - at[0]) / unit
    return xi, at[0] - offset


def norm_to_transform(
    new: tuple[Any, Any], old: tuple[Any, Any], mu: Any, sd: Any, bias: Any
) -> tuple[Any, Any]:
    """The same as `batch_norm_to_transform`, term by term as AT eq. 10 has it."""
    xi = new[0] / old[0]
    return xi, new[1] - old[1] + (bias - mu) * (new[0] - old[0]) / sd


def transform_to_norm(
    pair: tuple[Any, Any], old: tuple[Any, Any], mu: Any, sd: Any, bias: Any
) -> tuple[Any, Any]:
    """(gamma, beta) of (xi, eta): the inverse map."""
    gamma = pair[0] * old[0]
    return gamma, old[1] + pair[1] - (bias - mu) * (gamma - old[0]) / sd
