"""The noise of an input as a polynomial of the input: e ~ e0 + e1 u + e2 u^2 by least squares.

Reference: methods, section 13.2 and AQ Fig 2 (the mean noise of a quantized network's activations
bends with their magnitude). The result feeds `border_shared_closed`.

    symbol   here     shape           meaning
    u        u        (..., samples)  noised inputs x' / s
    e        e        (..., samples)  noise (x' - x) / s
    e_j      result   (...)           coefficients

Computed in the basis 1, t = u - mean(u), t^2 - (sum t^3 / sum t^2) t - mean(t^2), which is
orthogonal on the samples, so that each coefficient is one quotient.

Edge cases: a basis polynomial that vanishes on the samples up to rounding (fewer than three
different values of u: no parabola; one: no line) gets the coefficient 0.
"""

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_finite, check_in, check_operand, complaint
from refquant._types import Array
from refquant.quantizers.border_closed_form import ErrorPolynomial


def regress_error(u: Array, e: Array, degree: int = 2) -> ErrorPolynomial:
    """Least-squares fit of e on powers of u along the last axis, methods 13.2.

    Parameters
    ----------
    u : (..., samples) array, float32 or float64
        Finite.
    e : array like `u`
    degree : {1, 2}
        1 leaves e2 at 0.

    Returns
    -------
    ErrorPolynomial
        Each (...), in the dtype of `u`. For one polynomial per position pass u as
        (c_in, k, samples).

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not fit, there is no sample, or an entry is not finite.
    """
    _check(u, e, degree)
    middle = nx.mean(u, axis=-1, keepdims=True)
    t = u - middle
    width = nx.mean(t * t, axis=-1, keepdims=True)
    line = _quotient(nx.mean(e * t, axis=-1, keepdims=True), width, u * u)
    skew = _quotient(nx.mean(t * t * t, axis=-1, keepdims=True), width, u * u)
    bent = t * t - skew * t - width
    curve = np.zeros_like(line)
    if degree == 2:
        size = nx.mean(bent * bent, axis=-1, keepdims=True)
        scale = np.square(u * u)
        curve = _quotient(nx.mean(e * bent, axis=-1, keepdims=True), size, scale)
    e2 = curve
    e1 = line - curve * (skew + 2.0 * middle)
    level = nx.mean(e, axis=-1, keepdims=True)
    e0 = level - line * middle + curve * (middle * middle + skew * middle - width)
    return ErrorPolynomial(*(np.squeeze(part, axis=-1) for part in (e0, e1, e2)))


def _quotient(top: Array, norm: Array, scale: Array) -> Array:
    """top / norm, 0 where norm is nothing but rounding errors of terms as large as `scale`."""
    noise = 64.0 * np.finfo(norm.dtype).eps
    gone = norm <= noise * noise * np.max(scale, axis=-1, keepdims=True)
    return np.where(gone, np.zeros_like(top), top / np.where(gone, np.ones_like(norm), norm))


def _check(u: Array, e: Array, degree: int) -> None:
    """Refuse operands that do not fit together."""
    check_in("regress_error", "degree", degree, (1, 2))
    check_array("regress_error", "u", u)
    check_operand("regress_error", "e", e, u.shape, u.dtype)
    if u.ndim == 0 or u.shape[-1] == 0:
        got, expected = f"of shape {u.shape}", "at least one sample along the last axis"
        raise ValueError(complaint("regress_error", "u", got, expected))
    check_finite("regress_error", "u", u)
    check_finite("regress_error", "e", e)
