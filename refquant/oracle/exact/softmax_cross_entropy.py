"""Scalar twin of softmax cross entropy: mean over n of -log(exp(t[label]) / sum_c exp(t[c])).

Every logarithm and exponential is of float64 `math`; the largest logit is taken out first, which
changes nothing in exact arithmetic. Imports the standard library only.
"""

import math


def probabilities(logits: list[float]) -> list[float]:
    """exp(t_c) / sum exp(t) of one sample."""
    top = max(logits)
    weights = [math.exp(t - top) for t in logits]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def softmax_cross_entropy(logits: list[list[float]], labels: list[int]) -> float:
    """Mean over samples of log(sum exp(t)) - t[label]."""
    losses = []
    for row, label in zip(logits, labels, strict=True):
        top = max(row)
        losses.append(math.log(math.fsum(math.exp(t - top) for t in row)) - (row[label] - top))
    return math.fsum(losses) / len(losses)


def softmax_cross_entropy_backward(
    d_loss: float, logits: list[list[float]], labels: list[int]
) -> list[list[float]]:
    """d_loss * (probability - [c = label]) / n."""
    d_logits = []
    for row, label in zip(logits, labels, strict=True):
        shares = probabilities(row)
        hot = [1.0 if c == label else 0.0 for c in range(len(row))]
        d_logits.append([d_loss * (p - h) / len(logits) for p, h in zip(shares, hot, strict=True)])
    return d_logits
