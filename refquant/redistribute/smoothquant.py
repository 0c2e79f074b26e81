"""SmoothQuant: divide every activation channel by a scale, and multiply the weights that read it.

References: Xiao et al., "SmoothQuant: Accurate and Efficient Post-Training Quantization for Large
Language Models", ICML 2023, arXiv:2211.10438, equation 4; methods, section 16 (P61), golden op 62.

    paper          here    shape   meaning
    max|X_j|       x_max   (c,)    largest magnitude of input channel j on calibration data
    max_i |W_ij|   w_max   (c,)    largest of its weights, over all layers that read the channel
    al             alpha   --      migration strength in [0, 1]: 0 leaves the activations' ranges to
                                   1 / w_max, 1 makes all their maxima 1
    sc_j           scale   (c,)    X_j / sc_j, W_:j * sc_j

    sc_j = max( x_max^al / max(w_max, 1e-5)^(1 - al), 1e-5 )

With al = 1/2 both maxima become sqrt(x_max w_max), unless a floor acts.

Edge cases: a channel that is always 0 gets the floor 1e-5 (for al > 0); 0^0 = 1. At al = 1/2, 0
and 1 only sqrt and / are used. AMCT's DMQ balancer is the same idea with its own name.
"""

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_finite, check_operand, complaint
from refquant._types import Array

FLOOR = 1e-5  # of w_max, and of the scale


def smoothquant_scale(x_max: Array, w_max: Array, alpha: float = 0.5) -> Array:
    """The scales sc_j of the module's formula, golden op 62.

    Parameters
    ----------
    x_max, w_max : (c,) arrays, float32 or float64, of one dtype
        Finite, at least 0.
    alpha : float
        In [0, 1].

    Returns
    -------
    (c,) array of the same dtype
        From 1e-5 to the larger of x_max and 1e5. Computed in float64 and rounded once.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not fit, a maximum is negative or not finite, or `alpha` is outside
        [0, 1].
    """
    check_array("smoothquant_scale", "x_max", x_max, ndim=1)
    check_operand("smoothquant_scale", "w_max", w_max, x_max.shape, x_max.dtype)
    check_maxima("smoothquant_scale", x_max=x_max, w_max=w_max)
    check_strength("smoothquant_scale", alpha)
    floored = np.maximum(w_max.astype(np.float64), FLOOR)
    ratio = _power(x_max.astype(np.float64), alpha) / _power(floored, 1.0 - alpha)
    return np.asarray(np.maximum(ratio, FLOOR).astype(x_max.dtype))


def check_strength(function: str, alpha: float) -> None:
    """ValueError unless alpha is a number in [0, 1]."""
    if not 0.0 <= alpha <= 1.0:
        raise ValueError(complaint(function, "alpha", alpha, "a number in [0, 1]"))


def check_maxima(function: str, **maxima: Array) -> None:
    """ValueError unless all magnitudes are finite and at least 0."""
    for name, value in maxima.items():
        check_finite(function, name, value)
        if value.size and value.min() < 0.0:
            got = f"{value.min()} at its smallest"
            fix = "Take the absolute value first."
            raise ValueError(complaint(function, name, got, "magnitudes of at least 0", fix))


def _power(x: Array, p: float) -> Array:
    """x^p, by correctly rounded operations where there are any."""
    if p == 0.5:
        return np.sqrt(x)
    if p in (0.0, 1.0):
        return x if p else np.ones_like(x)
    return nx.power(x, p)
