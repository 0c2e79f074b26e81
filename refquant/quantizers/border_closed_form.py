"""The border without learning: the coefficients that weights and their errors dictate.

Reference: methods, section 13.2, golden op 44. The shared border B* of `border_theory`, with
the offset c_i = dw_i u + w_i e written as a polynomial in u, is linear or quadratic in u. This is
not in the paper: there the border is learnt, here it is computed, one layer at a time.

    symbol   here       shape               meaning
    w_i      w          (c_out, c_in/g k)   weight of output i at this position; or 4 axes
    What     w_hat      like w              quantized weight
    dw_i     --         like w              What - W
    A_i      --         like w              What
    e        error      e0 + e1 u + e2 u^2  noise of the input, in units of the step
    R        --         (c_in, k)           sum A w / sum A^2

    b2* = e2 R        b1* = sum A dw / sum A^2 + e1 R        b0* = e0 R

Sums run over the outputs of the group that reads channel c. The constant 1/2 is not part of
b0*, as nowhere in `border_poly`.

Exact for bound="clip" without fusion. A sigmoid has slope kappa / 4 at P = 0, so
`border_start` begins at (4 / kappa) b*, equal in value and slope there.

Edge cases: where every quantized weight is 0 the coefficients are 0. With What = W and no
noise they are all 0: nearest.
"""

from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_finite, check_int, check_operand, complaint
from refquant._types import Array
from refquant.quantizers.border import BorderParams, init_border
from refquant.quantizers.border_options import BorderOptions


class ErrorPolynomial(NamedTuple):
    """The noise e as e0 + e1 u + e2 u^2; numbers, or arrays (c_in, k)."""

    e0: Array | float = 0.0
    e1: Array | float = 0.0
    e2: Array | float = 0.0


class ClosedForm(NamedTuple):
    """The coefficients b*, each (c_in, k)."""

    b0: Array
    b1: Array
    b2: Array


NO_ERROR = ErrorPolynomial()


def border_shared_closed(
    w: Array,
    w_hat: Array,
    taps: int = 1,
    groups: int = 1,
    error: ErrorPolynomial = NO_ERROR,
) -> ClosedForm:
    """The coefficients of the best shared border, methods 13.2.

    Parameters
    ----------
    w, w_hat : (c_out, c_in/g k) or (c_out, c_in/g, k_h, k_w) array, float32 or float64
        Finite, of one dtype.
    taps : int
        k = k_h k_w; ignored when `w` has four axes.
    groups : int
        g.
    error : ErrorPolynomial
        Noise of the input, in units of the step.

    Returns
    -------
    ClosedForm
        Each (c_in, k), in the dtype of `w`.

    Raises
    ------
    TypeError, ValueError
        If shapes, dtypes, taps or groups do not fit, or an entry is not finite.
    """
    real, hat = (_by_position(name, a, w, taps, groups) for name, a in (("w", w), ("w_hat", w_hat)))
    squares = _over_outputs(hat * hat)
    gain = _quotient(_over_outputs(hat * real), squares)
    tilt = _quotient(_over_outputs(hat * (hat - real)), squares)
    e0, e1, e2 = (_like(name, value, gain) for name, value in error._asdict().items())
    return ClosedForm(e0 * gain, tilt + e1 * gain, e2 * gain)


def border_start(closed: ClosedForm, options: BorderOptions) -> BorderParams:
    """Parameters whose border has the value and slope of the closed form at P = 0.

    Parameters
    ----------
    closed : ClosedForm
    options : BorderOptions
        The bound says by how much to scale; fusion weights start at 1.

    Returns
    -------
    BorderParams

    Raises
    ------
    ValueError
        If `options.degree` is 1 and some b2 is not 0.
    """
    if options.degree == 1 and np.any(closed.b2 != 0.0):
        fix = "Regress the noise with degree 1."
        raise ValueError(complaint("border_start", "b2", "not zero", "0 with degree=1", fix))
    scale = 1.0 / options.slope_at_zero
    channels, taps = closed.b0.shape
    neutral = init_border(channels, taps, options, closed.b0.dtype)
    b0, b1, b2 = (scale * b for b in closed)
    return neutral._replace(b0=b0, b1=b1, b2=b2 if options.degree == 2 else None)


def _by_position(name: str, a: Array, w: Array, taps: int, groups: int) -> Array:
    """`a`, the filter w or its quantized form, as (g, c_out/g, c_in/g, k)."""
    check_array("border_shared_closed", "w", w)
    check_operand("border_shared_closed", name, a, w.shape, w.dtype)
    check_finite("border_shared_closed", name, a)
    check_int("border_shared_closed", "groups", groups, 1)
    check_int("border_shared_closed", "taps", taps, 1)
    if a.ndim not in (2, 4) or a.size == 0:
        got, expected = f"of shape {a.shape}", "2 axes (c_out, features) or 4, with elements"
        raise ValueError(complaint("border_shared_closed", name, got, expected))
    k = taps if a.ndim == 2 else a.shape[2] * a.shape[3]
    features = a.size // a.shape[0]
    if a.shape[0] % groups or features % k:
        got = f"of shape {a.shape}"
        expected = f"c_out divisible by {groups} groups and features by {k} taps"
        raise ValueError(complaint("border_shared_closed", name, got, expected))
    return a.reshape(groups, a.shape[0] // groups, features // k, k)


def _over_outputs(a: Array) -> Array:
    """Sum over the outputs of each group: (g, c_out/g, c_in/g, k) to (c_in, k)."""
    return np.asarray(nx.sum(a, axis=1)).reshape(a.shape[0] * a.shape[2], a.shape[3])


def _quotient(top: Array, squares: Array) -> Array:
    """top / squares, 0 where squares is."""
    dead = squares == 0.0
    safe = np.where(dead, np.ones_like(squares), squares)
    return np.where(dead, np.zeros_like(top), top / safe)


def _like(name: str, value: Array | float, like: Array) -> Array:
    """A coefficient of the noise in the dtype of the weights, broadcasting to (c_in, k)."""
    array = np.asarray(value, dtype=like.dtype)
    check_finite("border_shared_closed", name, array)
    try:
        return np.broadcast_to(array, like.shape)
    except ValueError as error:
        got, expected = f"of shape {array.shape}", f"a shape that broadcasts to {like.shape}"
        raise ValueError(complaint("border_shared_closed", name, got, expected)) from error
