"""Prediction difference: how far the class probabilities are from those of the float network.

References: Liu et al., "PD-Quant", CVPR 2023, arXiv:2212.07048 (temperature 4, term divided by
0.1); methods.md 5.3. BRECQ's Fisher weights start from the same loss at temperature 1.

    paper    here         shape    meaning
    q        z            (n, c)   logits of the quantized network
    f        t            (n, c)   logits of the float network, the target
    T        temperature  number   > 0; large values soften both sides
    P_f, P_q p_f, p_q     (n, c)   softmax(f / T), softmax(q / T)
    L        L            number   the loss
    Gq       d_z          (n, c)   (P_q - P_f) / (T n)

    L = mean over samples of sum over classes of P_f (log P_f - log P_q)

L >= 0 but for rounding, and 0 where the logits of a sample differ by a constant; the gradient of
a sample sums to 0 over the classes and is exactly 0 where z = t (P86). The loss is smooth.

Edge cases: a class with P_f = 0 adds nothing. Other NaN and infinities follow IEEE 754; empty
arrays are refused.
Differs from: distillation losses multiply by T^2 to keep the gradient's size; this one does not.
"""

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_operand, check_positive, complaint
from refquant._types import Array


def kl_logits_loss(z: Array, t: Array, temperature: float = 1.0) -> tuple[float, Array]:
    """Return the loss of methods.md 5.3 and its gradient in `z`, golden op 35.

    Parameters
    ----------
    z : (n, c) array, float32 or float64
        Logits of the quantized network; not empty.
    t : array
        Those of the float network, shape and dtype of `z`.
    temperature : float
        T, positive.

    Returns
    -------
    L : float
        The loss; its sum is rounded in the dtype of `z`, the division is in float64.
    d_z : array
        dL/dz, shape and dtype of `z`.

    Raises
    ------
    ValueError
        Unequal shapes, other than two axes, an empty array, a temperature that is not positive.
    TypeError
        Arrays that are not float32 or float64, or unequal dtypes.
    """
    check_array("kl_logits_loss", "z", z, ndim=2)
    check_operand("kl_logits_loss", "t", t, z.shape, z.dtype)
    if z.size == 0:
        got = f"of shape {z.shape}"
        raise ValueError(complaint("kl_logits_loss", "z", got, "at least one element"))
    cool = float(check_positive("kl_logits_loss", "temperature", float(temperature)))
    q, f = z / cool, t / cool
    p_q, p_f = nx.softmax(q, axis=1), nx.softmax(f, axis=1)
    log_q, log_f = nx.log_softmax(q, axis=1), nx.log_softmax(f, axis=1)
    present = p_f > 0.0
    gap = np.where(present, log_f, 0.0) - np.where(present, log_q, 0.0)
    value = float(nx.sum(p_f * gap)) / len(z)
    return value, (p_q - p_f) / (cool * len(z))
