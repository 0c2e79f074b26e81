"""The squared output error of a layer as a quadratic form in its weights, all groups at once.

References: methods.md 7 (P25, P33), 15.3 (P44) and 10; `moments` has the matrices of one group.

    paper   here          shape       meaning
    Xh      cols          (g, d, m)   columns that the quantized layer gets, group by group
    Y       y             (g, o, m)   wanted products: W X of the float layer, without the bias
    V       spread        (g, d, m)   variance of each entry of Xh where it is drawn at random
    G       gram          (g, d, d)   mean of Xh Xh^T, plus diag(mean of V)
    B       cross         (g, o, d)   mean of Y Xh^T
    mu      mean          (g, d)      mean of Xh
    --      target_mean   (g, o)      mean of Y
    --      power         (g, o)      mean of Y^2

    mean of (w Xh - y)^2 = w G w^T - 2 w B^T + power              of each row w
    expected over independent entries: the same with V (E[x x^T] = E[x] E[x]^T + diag(var x))
    after the best eta: the same with covariances in place of second moments   `centred`
    ridge: + lam |w_hat - w|^2, that is G + lam I, B + lam w, power + lam |w|^2  `ridged`

Only the d x d matrix has more entries than weights, and no entry of it grows with m. The symmetric
problem is that of Xh = X. float64 throughout.
"""

from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.kernels.gram_sums import Sums

FLAT = 1e-12  # share of its size below which a variance is rounding error


class Quadratic(NamedTuple):
    """Moments of a layer's columns and targets; see the module's table."""

    gram: Array
    cross: Array
    mean: Array
    target_mean: Array
    power: Array
    columns: int


def by_group(values: Array, groups: int) -> Array:
    """Return (n, c, ...) as columns (groups, c / groups, n * ...), contiguous."""
    n, c = values.shape[:2]
    columns = values.reshape(n, c, -1).swapaxes(0, 1).reshape(groups, c // groups, -1)
    return np.ascontiguousarray(columns)


def column_moments(cols: Array, y: Array, spread: Array | None = None) -> Quadratic:
    """Return the moments of some columns.

    Parameters
    ----------
    cols : (g, d, m) array, float32 or float64, m >= 1
    y : (g, o, m) array
    spread : (g, d, m) array or None
        Variance of each entry; None where nothing is random.
    """
    x, t = (v.astype(np.float64, copy=False) for v in (cols, y))
    m = cols.shape[2]
    gram = nx.self_product(x) / m
    if spread is not None:
        diagonal = nx.mean(spread.astype(np.float64), axis=2)
        gram = gram + diagonal[:, :, None] * np.eye(x.shape[1])
    return Quadratic(
        gram,
        nx.matmul(t, x.swapaxes(1, 2)) / m,
        nx.mean(x, axis=2),
        nx.mean(t, axis=2),
        nx.mean(t * t, axis=2),
        m,
    )


def merged(a: Quadratic, b: Quadratic) -> Quadratic:
    """Return the moments of both sets of columns: the mean weighted by their numbers."""
    m = a.columns + b.columns
    u, v = a.columns / m, b.columns / m
    gram, cross, mean, target_mean, power = (
        u * x + v * y for x, y in zip(a[:5], b[:5], strict=True)
    )
    return Quadratic(gram, cross, mean, target_mean, power, m)


def from_sums(sums: Sums) -> Quadratic:
    """Return the moments whose sums a kernel has run up."""
    m = int(sums.columns[0])
    gram, cross, mean, target_mean, power = (part / m for part in sums[:5])
    return Quadratic((gram + gram.swapaxes(1, 2)) * 0.5, cross, mean, target_mean, power, m)


def quadratic_losses(q: Quadratic, w_hat: Array) -> Array:
    """Return the mean squared error of every row, (g, o), for weights (g, o, d)."""
    w = w_hat.astype(np.float64)
    return np.asarray(nx.sum((nx.matmul(w, q.gram) - 2.0 * q.cross) * w, axis=2) + q.power)


def centred(q: Quadratic) -> Quadratic:
    """Return the form that is left once every row has its best shift eta (P44)."""
    mean, target = q.mean[:, :, None], q.target_mean[:, :, None]
    return Quadratic(
        q.gram - mean * q.mean[:, None, :],
        q.cross - target * q.mean[:, None, :],
        np.zeros_like(q.mean),
        np.zeros_like(q.target_mean),
        q.power - q.target_mean**2,
        q.columns,
    )


def ridged(q: Quadratic, w: Array, share: float) -> Quadratic:
    """Return the form with ``lam |w_hat - w|^2`` added, lam = share * mean of G's diagonal.

    Parameters
    ----------
    q : Quadratic
    w : (g, o, d) array
        Float weights.
    share : float
        0 returns `q`.
    """
    if share == 0.0:
        return q
    w, d = w.astype(np.float64), q.gram.shape[1]
    diagonal = q.gram.reshape(len(q.gram), d * d)[:, :: d + 1]
    lam = share * nx.mean(diagonal, axis=1)[:, None, None]
    return q._replace(
        gram=q.gram + lam * np.eye(d),
        cross=q.cross + lam * w,
        power=q.power + lam[:, :, 0] * nx.sum(w * w, axis=2),
    )


def best_transform(
    q: Quadratic, w_hat: Array, scale: bool = True, shift: bool = True
) -> tuple[Array, Array]:
    """Return the xi and eta, (g, o) each, that bring ``xi w_hat Xh + eta`` closest to Y (P44).

    Parameters
    ----------
    q : Quadratic
    w_hat : (g, o, d) array
    scale, shift : bool
        Which of them there is; the other stays neutral, xi = 1 or eta = 0.

    Notes
    -----
    A row whose product does not vary (or is 0, without a shift) has xi = 1, convention 20.
    """
    w = w_hat.astype(np.float64)
    form = centred(q) if shift else q
    xi = np.ones(w.shape[:2])
    if scale:
        along = nx.matmul(w, form.gram)
        power = nx.sum(along * w, axis=2)
        size = nx.sum(nx.matmul(np.abs(w), np.abs(q.gram)) * np.abs(w), axis=2)
        flat = power <= FLAT * size
        xi = nx.sum(form.cross * w, axis=2) / np.where(flat, 1.0, power)
        xi = np.where(flat, 1.0, xi)
    product_mean = nx.matmul(w, q.mean[:, :, None])[:, :, 0]
    eta = q.target_mean - xi * product_mean if shift else np.zeros(w.shape[:2])
    return xi, np.asarray(eta)
