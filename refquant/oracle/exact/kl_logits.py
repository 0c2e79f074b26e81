"""Scalar twin of the KL divergence of two softmaxes.

Written from methods.md 5.3. Logits are rows of finite floats, Fractions or tracked numbers; for
Fractions the answer is right to 60 digits. Each row is shifted by its largest logit, which changes
nothing and keeps exp small. Imports the standard library only.
"""

from typing import Any

from refquant.oracle.exact.real import exp, log

Rows = list[list[Any]]


def log_probabilities(row: list[Any], temperature: Any) -> list[Any]:
    """ln of exp(t_c / T) / sum exp(t / T) of one sample."""
    top = max(row, key=lambda v: getattr(v, "value", v))
    shifted = [(v - top) / temperature for v in row]
    total = log(sum(exp(v) for v in shifted))
    return [v - total for v in shifted]


def probabilities(row: list[Any], temperature: Any) -> list[Any]:
    """exp(t_c / T) / sum exp(t / T) of one sample."""
    top = max(row, key=lambda v: getattr(v, "value", v))
    weights = [exp((v - top) / temperature) for v in row]
    total = sum(weights)
    return [weight / total for weight in weights]


def kl_logits(z: Rows, t: Rows, temperature: Any = 1.0) -> tuple[Any, Rows]:
    """(mean of sum P_f (ln P_f - ln P_q), its gradient (P_q - P_f) / (T n) in z)."""
    value, d_z = 0 * z[0][0], []
    for row, target in zip(z, t, strict=True):
        p_q, p_f = probabilities(row, temperature), probabilities(target, temperature)
        log_q, log_f = log_probabilities(row, temperature), log_probabilities(target, temperature)
        value += sum(f * (a - b) for f, a, b in zip(p_f, log_f, log_q, strict=True))
        d_z.append([(q - f) / (temperature * len(z)) for q, f in zip(p_q, p_f, strict=True)])
    return value / len(z), d_z
