"""The quadratic of a layer against sums over its columns, and its closed forms against others'."""

import numpy as np
import pytest

from refquant.kernels.gram_sums import add_columns, no_sums
from refquant.optimal.layer_quadratic import (
    best_transform,
    centred,
    column_moments,
    from_sums,
    merged,
    quadratic_losses,
    ridged,
)
from refquant.optimal.least_squares import fit_transform
from refquant.optimal.moments import gram_loss, input_moments

SHAPE = (2, 3, 5, 40)  # groups, outputs, inputs, columns


def problem(seed=0, shift=0.7, shape=SHAPE):
    """Columns with a mean, targets that are nearly their product, weights."""
    g, o, d, m = shape
    rng = np.random.default_rng(seed)
    cols = rng.normal(size=(g, d, m)) + shift
    w = rng.normal(size=(g, o, d))
    y = w @ cols + 0.3 * rng.normal(size=(g, o, m)) + 0.4
    return cols, y, w + 0.2 * rng.normal(size=w.shape)


def errors(cols, y, w, xi=1.0, eta=0.0):
    """Mean squared error of each row, from the columns."""
    xi, eta = np.asarray(xi)[..., None], np.asarray(eta)[..., None]
    return ((xi * (w @ cols) + eta - y) ** 2).mean(axis=2)


def test_losses_are_those_of_the_columns():
    """Every row of every group; symmetric: those of golden op 42."""
    cols, y, w = problem()
    np.testing.assert_allclose(quadratic_losses(column_moments(cols, y), w), errors(cols, y, w))
    target = w + 0.1
    found = quadratic_losses(column_moments(cols, target @ cols), w)
    for g in range(2):
        wanted = gram_loss(target[g], w[g], input_moments(cols[g]).gram)
        np.testing.assert_allclose(found[g].sum(), wanted)


@pytest.mark.parametrize("cuts", [(40,), (1, 40), (13, 14, 40)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("spread", [False, True])
def test_chunks_add_up(cuts, dtype, spread):
    """By weighted means and by the kernel's running sums, whatever the cut."""
    cols, y, _ = (v.astype(dtype) for v in problem())
    wide = (cols * cols) * cols.dtype.type(0.1) if spread else None
    whole = column_moments(*(None if v is None else v.astype(float) for v in (cols, y, wide)))
    sums, mean, begin = no_sums(2, 5, 3), None, 0
    for end in cuts:
        part = [None if v is None else v[:, :, begin:end] for v in (cols, y, wide)]
        add_columns(sums, *part)
        moments = column_moments(*part)
        mean, begin = moments if mean is None else merged(mean, moments), end
    tolerance = 1e-13 if dtype == "float64" else 2e-6
    for found, atol in ((mean, 1e-13), (from_sums(sums), tolerance)):
        assert found.columns == 40
        for a, b in zip(found[:5], whole[:5], strict=True):
            assert a.dtype == np.float64
            np.testing.assert_allclose(a, b, atol=atol * 10.0)


def test_variances_go_onto_the_diagonal():
    """Two values for each entry, chosen independently: the mean over all choices, enumerated."""
    rng = np.random.default_rng(2)
    low, high = rng.normal(size=(1, 3, 2)), rng.normal(size=(1, 3, 2))
    y, w, keep = rng.normal(size=(1, 1, 2)), rng.normal(size=(1, 1, 3)), 0.3
    total = 0.0
    for column in range(2):
        for choice in np.ndindex(2, 2, 2):
            x = np.where(choice, high[0, :, column], low[0, :, column])
            chance = np.prod(np.where(choice, keep, 1.0 - keep))
            total += chance * (w[0, 0] @ x - y[0, 0, column]) ** 2 / 2
    mean = keep * high + (1.0 - keep) * low
    spread = keep * (1.0 - keep) * (high - low) ** 2
    found = quadratic_losses(column_moments(mean, y, spread), w)
    np.testing.assert_allclose(found, [[total]], rtol=1e-12)


def test_the_centred_form_is_the_error_after_the_best_shift():
    """And best_transform finds that shift."""
    cols, y, w = problem()
    q = column_moments(cols, y)
    rest = (w @ cols - y) - (w @ cols - y).mean(axis=2, keepdims=True)
    np.testing.assert_allclose(quadratic_losses(centred(q), w), (rest**2).mean(axis=2))
    xi, eta = best_transform(q, w, scale=False)
    np.testing.assert_array_equal(xi, 1.0)
    np.testing.assert_allclose(errors(cols, y, w, eta=eta), quadratic_losses(centred(q), w))


def test_xi_and_eta_are_those_of_least_squares():
    """P44 by `fit_transform` on the columns themselves; without a shift by its normal equation."""
    cols, y, w = problem()
    q = column_moments(cols, y)
    xi, eta = best_transform(q, w)
    for g in range(2):
        fit = fit_transform(y[g].T, (w[g] @ cols[g]).T)
        np.testing.assert_allclose(xi[g], fit.xi, rtol=1e-10)
        np.testing.assert_allclose(eta[g], fit.eta, rtol=1e-9)
        np.testing.assert_allclose(errors(cols, y, w, xi, eta)[g], fit.mse, rtol=1e-9)
    alone, zero = best_transform(q, w, shift=False)
    y0 = w @ cols
    np.testing.assert_allclose(alone, (y0 * y).sum(axis=2) / (y0 * y0).sum(axis=2))
    assert not zero.any()


def test_a_product_that_does_not_vary_has_the_neutral_scale():
    """Convention 20: xi = 1, and the shift takes the mean."""
    cols, y, w = problem()
    flat = column_moments(np.ones_like(cols), y)
    xi, eta = best_transform(flat, w)
    np.testing.assert_array_equal(xi, 1.0)
    np.testing.assert_allclose(eta, y.mean(axis=2) - w.sum(axis=2))
    np.testing.assert_array_equal(best_transform(flat, w * 0.0, shift=False)[0], 1.0)


def test_a_ridge_adds_the_distance_from_the_float_weights():
    """lam |w_hat - w|^2 with lam a share of the mean second moment; 0 is the form itself."""
    cols, y, w = problem()
    q, real = column_moments(cols, y), w + 0.3
    assert ridged(q, real, 0.0) is q
    lam = 0.25 * (cols**2).mean(axis=(1, 2))
    wanted = quadratic_losses(q, w) + lam[:, None] * ((w - real) ** 2).sum(axis=2)
    np.testing.assert_allclose(quadratic_losses(ridged(q, real, 0.25), w), wanted)
