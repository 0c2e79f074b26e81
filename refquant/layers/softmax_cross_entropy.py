"""Cross entropy of the softmax of logits against integer labels, averaged over the batch.

    L = -(1/n) sum_i log softmax(logits_i)[label_i],   d_logits = d_loss * (softmax - onehot) / n

C. Bishop, "Pattern Recognition and Machine Learning", 2006, equations 4.104 and 4.108-4.109.

    here      shape     meaning
    logits    (n, c)    scores, natural units
    labels    (n,)      the true class of each sample, integers in 0..c-1
    loss      scalar    mean over the batch, in nats; d_loss is dL'/d loss of what follows, often 1

Edge cases: the largest logit is taken out first, so large logits do not overflow; the softmax
may underflow to 0, the loss is infinite only where a difference of logits is. NaN or +inf in a
sample gives NaN; -inf is a class that cannot occur (the loss is +inf if it is the label). An empty
batch has no mean and is an error. No kinks. Not modelled: class weights, label smoothing,
ignored labels.
"""

from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, complaint
from refquant._types import Array


class SoftmaxCrossEntropyCache(NamedTuple):
    """What the forward leaves for the backward: its arguments."""

    logits: Array
    labels: Array


def softmax_cross_entropy_forward(
    logits: Array, labels: Array
) -> tuple[Array, SoftmaxCrossEntropyCache]:
    """The mean negative log-likelihood of the labels.

    Parameters
    ----------
    logits : (n, c) array, float32 or float64, n and c at least 1
    labels : (n,) integer array, each in 0..c-1

    Returns
    -------
    loss : scalar (zero axes) of the dtype of logits
    cache : SoftmaxCrossEntropyCache

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not fit, the batch is empty, or a label is out of range.
    """
    _check(logits, labels)
    log_likelihood = nx.log_softmax(logits, axis=1)[np.arange(len(labels)), labels]
    return -nx.mean(log_likelihood), SoftmaxCrossEntropyCache(logits, labels)


def softmax_cross_entropy_backward(d_loss: float | Array, cache: SoftmaxCrossEntropyCache) -> Array:
    """d_logits = d_loss * (softmax(logits) - onehot(labels)) / n.

    Parameters
    ----------
    d_loss : float or scalar array
        Derivative of the final objective by this loss.
    cache : SoftmaxCrossEntropyCache

    Returns
    -------
    (n, c) array of the dtype of logits
    """
    logits, labels = cache
    if np.ndim(d_loss) != 0:
        got = f"of shape {np.shape(d_loss)}"
        message = complaint("softmax_cross_entropy_backward", "d_loss", got, "a single number")
        raise ValueError(message)
    n, c = logits.shape
    onehot = labels[:, None] == np.arange(c)
    d_logits: Array = logits.dtype.type(d_loss) * (nx.softmax(logits, axis=1) - onehot) / n
    return d_logits


def _check(logits: Array, labels: Array) -> None:
    """Refuse what is not one label per row of logits."""
    function = "softmax_cross_entropy_forward"
    n, c = check_array(function, "logits", logits, ndim=2).shape
    if n == 0 or c == 0:
        got = f"of shape {logits.shape}"
        raise ValueError(complaint(function, "logits", got, "at least one sample and one class"))
    if not isinstance(labels, np.ndarray) or not np.issubdtype(labels.dtype, np.integer):
        got = getattr(labels, "dtype", type(labels).__name__)
        fix = "Give class numbers, not one-hot rows."
        raise TypeError(complaint(function, "labels", got, "an integer array", fix))
    if labels.shape != (n,):
        raise ValueError(complaint(function, "labels", f"of shape {labels.shape}", f"({n},)"))
    if labels.min() < 0 or labels.max() >= c:
        got = f"in {labels.min()}..{labels.max()}"
        raise ValueError(complaint(function, "labels", got, f"in 0..{c - 1}, one of {c} classes"))
