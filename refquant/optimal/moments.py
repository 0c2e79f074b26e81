"""Second moments of a layer's input: all that its squared output error needs of the data.

Reference: methods, section 7 (P25, golden op 42).

    paper   here    shape    meaning
    X       x       (d, m)   input: m columns, one per sample and position
    Xh      x_hat   (d, m)   quantised input the layer really gets (asymmetric), or none
    Gh      gram    (d, d)   Xh Xh^T / m, or X X^T / m where there is no Xh
    Cx      cross   (d, d)   Xh X^T / m, or None
    G       plain   (d, d)   X X^T / m, or None: the same as gram

    mean over columns of ((W - What) x)^2, summed over rows = tr((W - What) G (W - What)^T)

Computed in float64 whatever the dtype. The two Gram matrices are made exactly symmetric.

Edge cases: m = 0 is refused. The moments of several batches are their mean weighted by m.
"""

from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_finite, check_operand, complaint
from refquant._types import Array


class InputMoments(NamedTuple):
    """Gram matrices of a layer's input, float64; cross and plain are None if symmetric."""

    gram: Array
    cross: Array | None = None
    plain: Array | None = None


class Target(NamedTuple):
    """What one row's product shall be, where it is not w^T x: t, a number a column.

    Attributes
    ----------
    cross : (d,) float64 array
        Mean of xh t, xh the input the row really gets.
    power : float
        Mean of t^2.
    """

    cross: Array
    power: float


def input_moments(x: Array, x_hat: Array | None = None) -> InputMoments:
    """Second moments of an input, of a quantised one against it where given, section 7.

    Parameters
    ----------
    x : (d, m) array, float32 or float64
        Float input, finite; for a convolution the columns of im2col of one group.
    x_hat : (d, m) array or None
        Quantised input; None asks for the symmetric problem, where both are x.

    Returns
    -------
    InputMoments

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not fit, an entry is not finite, or there is no column.
    """
    check_array("input_moments", "x", x, ndim=2)
    if x.size == 0:
        got = f"of shape {x.shape}"
        raise ValueError(complaint("input_moments", "x", got, "at least one row and column"))
    check_finite("input_moments", "x", x)
    plain = _product(x, x)
    if x_hat is None:
        return InputMoments(_symmetric(plain))
    check_operand("input_moments", "x_hat", x_hat, x.shape, x.dtype)
    check_finite("input_moments", "x_hat", x_hat)
    return InputMoments(_symmetric(_product(x_hat, x_hat)), _product(x_hat, x), _symmetric(plain))


def gram_loss(w: Array, w_hat: Array, gram: Array) -> float:
    """Mean squared output error tr((W - What) G (W - What)^T), golden op 42 (P25).

    Parameters
    ----------
    w, w_hat : (rows, d) arrays, float32 or float64
    gram : (d, d) float64 array
        X X^T / m.

    Returns
    -------
    float
        Summed over rows, computed in float64.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not fit.
    """
    check_array("gram_loss", "w", w, ndim=2)
    check_operand("gram_loss", "w_hat", w_hat, w.shape, w.dtype)
    check_operand("gram_loss", "gram", gram, (w.shape[1],) * 2, np.dtype(np.float64))
    error = w.astype(np.float64) - w_hat.astype(np.float64)
    return float(nx.sum(nx.matmul(error, gram) * error))


def _product(a: Array, b: Array) -> Array:
    """a b^T / m in float64."""
    wide = (v.astype(np.float64) for v in (a, b.T))
    return np.asarray(nx.matmul(*wide) / a.shape[1])


def _symmetric(g: Array) -> Array:
    """(G + G^T) / 2, which changes no bit of a symmetric matrix."""
    return (g + g.T) * 0.5
