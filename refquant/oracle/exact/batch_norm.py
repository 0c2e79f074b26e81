"""Scalar twin of batch norm and its folding, methods 4.2, channel by channel.

    y = gamma * (t - mean) / sd + beta,   sd = sqrt(var + eps)

A channel is a flat list of its values t, over samples and positions. Everything is rational once
sd is given, so Fractions stay exact. Implementations differ in whether they form gamma / sd first;
the errors of tracked numbers cover both. Imports the standard library only.
"""

from typing import Any

from refquant.oracle.exact import real
from refquant.oracle.exact.choices import either

Values = list[Any]


def deviation(var: Any, eps: Any) -> Any:
    """sd = sqrt(var + eps)."""
    return real.sqrt(var + eps)


def statistics(t: Values) -> tuple[Any, Any]:
    """(mean, population variance): both divide by the number of values."""
    count = len(t)
    mean = sum(t) / count
    return mean, sum((v - mean) * (v - mean) for v in t) / count


def batch_norm(t: Values, gamma: Any, beta: Any, mean: Any, sd: Any) -> Values:
    """gamma * (t - mean) / sd + beta."""
    return [normalised(v, gamma, beta, mean, sd) for v in t]


def normalised(v: Any, gamma: Any, beta: Any, mean: Any, sd: Any) -> Any:
    """One value; or by a scale and a shift, as of a folded layer."""
    scale = gamma / sd
    return either(gamma * (v - mean) / sd + beta, v * scale + (beta - mean * scale))


def batch_norm_backward(
    d_y: Values, t: Values, gamma: Any, mean: Any, sd: Any
) -> tuple[Values, Any, Any]:
    """(d_t, d_gamma, d_beta) with mean and sd frozen."""
    d_t = [scaled(g, gamma, sd) for g in d_y]
    d_gamma = sum(scaled(g, v - mean, sd) for g, v in zip(d_y, t, strict=True))
    return d_t, d_gamma, sum(d_y)


def scaled(v: Any, factor: Any, sd: Any) -> Any:
    """v * factor / sd, or v * (factor / sd)."""
    return either(v * factor / sd, v * (factor / sd))


def batch_norm_train_backward(
    d_y: Values, t: Values, gamma: Any, sd: Any
) -> tuple[Values, Any, Any]:
    """(d_t, d_gamma, d_beta) where mean and sd are those of t.

    Entry by entry through the chain rule: with m values,
        d mean / d t_j = 1 / m,   d sd / d t_j = (t_j - mean) / (m * sd),
        d y_i / d t_j = gamma * ([i = j] - 1 / m) / sd
                        - gamma * (t_i - mean) / sd**2 * d sd / d t_j.
    """
    m, (mean, _) = len(t), statistics(t)
    d_t = []
    for j in range(m):
        d_mean, d_sd = 1 / (t[j] * 0 + m), (t[j] - mean) / (m * sd)
        total = t[j] * 0
        for i in range(m):
            own = (1 if i == j else 0) - d_mean
            total += d_y[i] * (gamma * own / sd - gamma * (t[i] - mean) / (sd * sd) * d_sd)
        d_t.append(total)
    d_gamma = sum(g * (v - mean) / sd for g, v in zip(d_y, t, strict=True))
    return d_t, d_gamma, sum(d_y)


def fold(w: Values, bias: Any, gamma: Any, beta: Any, mean: Any, sd: Any) -> tuple[Values, Any]:
    """(w * gamma / sd, beta + gamma * (bias - mean) / sd) of one output channel, w flat."""
    return [scaled(v, gamma, sd) for v in w], normalised(bias, gamma, beta, mean, sd)
