"""How far a quantized network is from its float original: accuracy, SQNR, KL of the logits.

Each measure also exists image by image (`right_per_image`, `energy_per_image`, `kl_per_image`), so
that two methods can be compared on the same images.
"""

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_shape, complaint
from refquant._types import Array


def accuracy(logits: Array, labels: Array | None) -> float:
    """Return the share of rows whose largest logit is at the label; ties go to the first.

    Parameters
    ----------
    logits : float array (n, classes)
        A row with NaN counts as wrong.
    labels : integer array (n,)

    Raises
    ------
    TypeError, ValueError
        If an argument has another dtype or shape, there are no rows, or labels are None, as
        those of the calibration images are.
    """
    right = right_per_image(logits, labels, "accuracy")
    return int(right.sum()) / len(right)


def right_per_image(
    logits: Array, labels: Array | None, function: str = "right_per_image"
) -> Array:
    """Return, as bool (n,), which rows of the logits are largest at their label; see `accuracy`.

    `function` is the name that an error message shall bear.
    """
    check_array(function, "logits", logits, 2)
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu":
        got = str(getattr(labels, "dtype", type(labels).__name__))
        fix = "Calibration images have none; use those of the test set." if labels is None else ""
        raise TypeError(complaint(function, "labels", got, "an array of integers", fix))
    check_shape(function, "labels", labels, logits.shape[:1])
    if logits.size == 0:
        raise ValueError(complaint(function, "logits", "empty", "at least one row"))
    right: Array = (logits.argmax(axis=1) == labels) & ~np.isnan(logits).any(axis=1)
    return right


def sqnr_db(reference: Array, approximation: Array) -> float:
    """Return the signal-to-quantization-noise ratio in dB, ``10 log10(|r|^2 / |r - a|^2)``.

    Infinite where both are equal; higher is better. Computed in float64.

    Raises
    ------
    TypeError, ValueError
        If they are not float arrays of one shape, or the reference is all zero.
    """
    _check_pair("sqnr_db", reference, approximation)
    r, a = reference.astype(np.float64), approximation.astype(np.float64)
    signal, noise = _energy(r), _energy(r - a)
    if signal == 0.0:
        raise ValueError(complaint("sqnr_db", "reference", "all zero", "a signal"))
    return float("inf") if noise == 0.0 else 10.0 * (_log10(signal) - _log10(noise))


def energy_per_image(reference: Array, approximation: Array) -> tuple[Array, Array]:
    """Return ``sum |r|^2`` and ``sum |r - a|^2`` of every row, each float64 (n,).

    `sqnr_db` is ten times the decimal logarithm of the quotient of their sums over the rows.

    Raises
    ------
    TypeError, ValueError
        If they are not float arrays of one shape (n, classes).
    """
    _check_pair("energy_per_image", reference, approximation)
    check_array("energy_per_image", "reference", reference, 2)
    r, a = reference.astype(np.float64), approximation.astype(np.float64)
    return nx.sum(r * r, axis=1), nx.sum((r - a) * (r - a), axis=1)


def kl_divergence(reference: Array, approximation: Array) -> float:
    """Return the mean over rows of KL(softmax(reference) || softmax(approximation)), in nats.

    Both are logits of shape (n, classes). Zero where the rows differ by constants; computed in
    float64, so that rounding may give a value just below zero.

    Raises
    ------
    TypeError, ValueError
        If they are not float arrays of one shape (n, classes), or are empty.
    """
    return float(nx.mean(kl_per_image(reference, approximation, "kl_divergence")))


def kl_per_image(reference: Array, approximation: Array, function: str = "kl_per_image") -> Array:
    """Return the divergence of every row, float64 (n,); see `kl_divergence`.

    `function` is the name that an error message shall bear.
    """
    _check_pair(function, reference, approximation)
    check_array(function, "reference", reference, 2)
    if reference.size == 0:
        raise ValueError(complaint(function, "reference", "empty", "at least one row"))
    log_p, log_q = (
        nx.log_softmax(z.astype(np.float64), axis=1) for z in (reference, approximation)
    )
    return nx.sum(nx.exp(log_p) * (log_p - log_q), axis=1)


def _check_pair(function: str, reference: Array, approximation: Array) -> None:
    check_array(function, "reference", reference)
    check_array(function, "approximation", approximation)
    check_shape(function, "approximation", approximation, reference.shape)


def _energy(values: Array) -> float:
    flat = values.reshape(-1)
    return float(nx.sum(flat * flat))


def _log10(value: float) -> float:
    logs = nx.log(np.array([value, 10.0]))
    return float(logs[0] / logs[1])
