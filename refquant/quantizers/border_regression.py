"""The noise of an input as a polynomial of the input: e ~ e0 + e1 u + e2 u^2 by least squares.

Reference: methods, section 13.2 and AQ Fig 2 (the mean noise of a quantized network's activations
bends with their magnitude). The result feeds `border_shared_closed`.

    symbol   here     shape           meaning
    u        u        (..., samples)  noised inputs x' / s
    e        e        (..., samples)  noise (x' - x) / s
    m        weights  (..., samples)  how much a sample counts; all alike by default
    e_j      result   (...)           coefficients

Computed in the basis 1, t = u - mean(u), t^2 - (sum t^3 / sum t^2) t - mean(t^2), which is
orthogonal on the samples, so that each coefficient is one quotient. Means and sums are weighted.

Edge cases: a basis polynomial that vanishes on the samples up to rounding (fewer than three
different values of u: no parabola; one: no line) gets the coefficient 0. Where no sample counts all
coefficients are 0.
"""

from collections.abc import Callable

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_finite, check_in, check_operand, complaint
from refquant._types import Array
from refquant.quantizers.border_closed_form import ErrorPolynomial


def regress_error(
    u: Array, e: Array, degree: int = 2, weights: Array | None = None
) -> ErrorPolynomial:
    """Least-squares fit of e on powers of u along the last axis, methods 13.2.

    Parameters
    ----------
    u : (..., samples) array, float32 or float64
        Finite.
    e : array like `u`
    degree : {1, 2}
        1 leaves e2 at 0.
    weights : array like `u` or None
        At least 0; a sample of weight 0 is left out. None counts all alike.

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
    mean = _weighted_mean(u, weights)
    middle = mean(u)
    t = u - middle
    width, size_of_u = mean(t * t), _counted(u * u, weights)
    line = _quotient(mean(e * t), width, size_of_u)
    skew = _quotient(mean(t * t * t), width, size_of_u)
    bent = t * t - skew * t - width
    curve = np.zeros_like(line)
    if degree == 2:
        curve = _quotient(mean(e * bent), mean(bent * bent), np.square(size_of_u))
    e2 = curve
    e1 = line - curve * (skew + 2.0 * middle)
    e0 = mean(e) - line * middle + curve * (middle * middle + skew * middle - width)
    return ErrorPolynomial(*(np.squeeze(part, axis=-1) for part in (e0, e1, e2)))


def _weighted_mean(u: Array, weights: Array | None) -> Callable[[Array], Array]:
    """The mean along the last axis, kept; weighted where weights are given."""
    if weights is None:
        return lambda v: np.asarray(nx.mean(v, axis=-1, keepdims=True))
    check_operand("regress_error", "weights", weights, u.shape, u.dtype)
    check_finite("regress_error", "weights", weights)
    if (weights < 0.0).any():
        got, expected = weights.min(), "numbers of at least 0"
        raise ValueError(complaint("regress_error", "weights", got, expected))
    whole = np.asarray(nx.sum(weights, axis=-1, keepdims=True))
    share = weights / np.where(whole == 0.0, np.ones_like(whole), whole)
    return lambda v: np.asarray(nx.sum(share * v, axis=-1, keepdims=True))


def _counted(v: Array, weights: Array | None) -> Array:
    """`v`, 0 where a sample does not count."""
    return v if weights is None else np.where(weights > 0.0, v, np.zeros_like(v))


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
