"""Weights that absorb the quantization error of their input, in closed form.

Reference: AE-QDrop's idea, methods.md 10.4; as a linear least-squares problem it is ours.

    paper   here     shape           meaning
    W       w        (c_out, d)      float weight of one group
    X, Xh   moments  (d, d) each     second moments of the float and the quantized input
    D       shift    (c_out, d)      what is added to the weight
    --      ridge    number          share of the mean of diag(G) that holds D back

    minimise  mean |(W + D) xh - W x|^2 + ridge tr(G) / d |D|^2
    solution  D (G + ridge tr(G) / d I) = W (C^T - G),   G = Xh Xh^T / m,  C = Xh X^T / m

Edge cases: D = 0 exactly where the input is not quantized. A singular G has a solution as long as
the ridge is positive; an input of zeros alone gives D = 0.
"""

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_shape, complaint
from refquant._types import Array
from refquant.optimal.factor import forward_substitution, ldl
from refquant.optimal.moments import InputMoments

TINY = float(np.finfo(np.float64).tiny)


def absorb_error(w: Array, moments: InputMoments, ridge: float = 1e-3) -> Array:
    """Return the shift D of the weight, in the dtype of `w`.

    Parameters
    ----------
    w : (c_out, d) array, float32 or float64
    moments : InputMoments
        Of the float and the quantized input; symmetric ones give zeros.
    ridge : float
        At least 0.

    Raises
    ------
    TypeError, ValueError
        If a shape or dtype does not fit, or the ridge is negative.
    """
    check_array("absorb_error", "w", w, ndim=2)
    gram = moments.gram
    check_shape("absorb_error", "moments.gram", gram, (w.shape[1], w.shape[1]))
    if not 0.0 <= ridge < np.inf:
        raise ValueError(complaint("absorb_error", "ridge", ridge, "a share of at least 0"))
    if moments.cross is None:
        return np.zeros_like(w)
    size = float(nx.mean(np.diagonal(gram).copy()))
    lower, pivots = ldl(gram + ridge * size * np.eye(len(gram)), max(TINY, 1e-14 * size))
    right = nx.matmul(moments.cross - gram, w.T.astype(np.float64))
    half = forward_substitution(lower, right) / pivots[:, None]
    # L^T z = half is a forward substitution in reversed order.
    shift = forward_substitution(lower.T[::-1, ::-1].copy(), half[::-1].copy())[::-1]
    return shift.T.astype(w.dtype)
