"""How far a quantized network is from its float original: accuracy, SQNR, KL of the logits."""

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_shape, complaint
from refquant._types import Array


def accuracy(logits: Array, labels: Array) -> float:
    """Return the share of rows whose largest logit is at the label; ties go to the first.

    Parameters
    ----------
    logits : array (n, classes)
    labels : integer array (n,)
    """
    check_array("accuracy", "logits", logits, 2)
    check_shape("accuracy", "labels", labels, logits.shape[:1])
    return int((logits.argmax(axis=1) == labels).sum()) / len(labels)


def sqnr_db(reference: Array, approximation: Array) -> float:
    """Return the signal-to-quantization-noise ratio in dB, ``10 log10(|r|^2 / |r - a|^2)``.

    Infinite where both are equal; higher is better.

    Raises
    ------
    ValueError
        If the shapes differ or the reference is all zero.
    """
    check_shape("sqnr_db", "approximation", approximation, reference.shape)
    signal = _energy(reference)
    if signal == 0.0:
        raise ValueError(complaint("sqnr_db", "reference", "all zero", "a signal"))
    noise = _energy(reference - approximation)
    return float("inf") if noise == 0.0 else 10.0 * _log10(signal / noise)


def kl_divergence(reference: Array, approximation: Array) -> float:
    """Return the mean over rows of KL(softmax(reference) || softmax(approximation)), in nats."""
    check_shape("kl_divergence", "approximation", approximation, reference.shape)
    log_p, log_q = nx.log_softmax(reference, axis=1), nx.log_softmax(approximation, axis=1)
    return float(nx.mean(nx.sum(nx.exp(log_p) * (log_p - log_q), axis=1)))


def _energy(values: Array) -> float:
    flat = values.astype("float64").reshape(-1)
    return float(nx.sum(flat * flat))


def _log10(value: float) -> float:
    logs = nx.log(np.array([value, 10.0]))
    return float(logs[0] / logs[1])
