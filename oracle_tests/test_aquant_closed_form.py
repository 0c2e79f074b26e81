"""The border without learning: closed form, its starting point, and the regression it reads."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.aquant_cases import BOUNDS
from oracle_tests.exact_lists import assert_rounded_once, dyadic, fractions_of
from refquant.oracle.exact import border_theory as twin
from refquant.quantizers.aquant import aquant_forward
from refquant.quantizers.border import border_forward
from refquant.quantizers.border_closed_form import (
    ClosedForm,
    ErrorPolynomial,
    border_shared_closed,
    border_start,
)
from refquant.quantizers.border_objective import border_objective
from refquant.quantizers.border_options import BorderOptions
from refquant.quantizers.border_regression import regress_error
from refquant.quantizers.fake_quant import fake_quant_forward
from refquant.quantizers.grid import Grid, make_qparams

DTYPES = [np.float64, np.float32]
SEEDS = st.integers(0, 2**32 - 1)
SHAPES = [(4, 2, 1), (2, 3, 2), (6, 1, 3), (3, 4, 3)]  # c_in, taps, groups


@given(seed=SEEDS, shape=st.sampled_from(SHAPES), dtype=st.sampled_from(DTYPES))
def test_linear_closed_form_is_the_exact_one_rounded_once(seed, shape, dtype):
    """P15 at every position, e = 0: b1* = sum A dw / sum A^2, against interpolated borders."""
    rng = np.random.default_rng(seed)
    c_in, taps, groups = shape
    rows = (3 * groups, c_in // groups * taps)
    w, w_hat = dyadic(rng, rows, dtype), dyadic(rng, rows, dtype, reach=4, denominator=2)
    closed = border_shared_closed(w, w_hat, taps, groups)
    exact = np.array(twin.closed_form(fractions_of(w), fractions_of(w_hat), shape, (0, 0, 0)))
    for j, value in enumerate(closed):
        assert_rounded_once(value, exact[:, :, j].tolist(), dtype)
    assert not closed.b0.any()
    assert not closed.b2.any()


@given(seed=SEEDS, shape=st.sampled_from(SHAPES))
def test_quadratic_closed_form(seed, shape):
    """13.2 with e = e2 u^2 + e1 u + e0: three roundings at most per coefficient."""
    rng = np.random.default_rng(seed)
    c_in, taps, groups = shape
    rows = (2 * groups, c_in // groups * taps)
    w, w_hat = dyadic(rng, rows), dyadic(rng, rows, reach=4, denominator=2)
    e = rng.integers(-4, 5, 3) / 8
    closed = border_shared_closed(w, w_hat, taps, groups, ErrorPolynomial(*e))
    noise = tuple(Fraction(v) for v in e.tolist())
    exact = np.array(twin.closed_form(fractions_of(w), fractions_of(w_hat), shape, noise))
    for j, value in enumerate(closed):
        expected = exact[:, :, j].astype(float)
        np.testing.assert_allclose(value, expected, rtol=1e-15, atol=1e-14)
    four = w.reshape(rows[0], -1, 1, taps), w_hat.reshape(rows[0], -1, 1, taps)
    for value, same in zip(
        border_shared_closed(*four, groups=groups, error=ErrorPolynomial(*e)), closed, strict=True
    ):
        np.testing.assert_array_equal(value, same)


def test_noise_may_differ_by_position():
    """R = sum A w / sum A^2 = (2 * 3) / 4 and (-1 * 1) / 1; e0 = (1, 2), e1 = 1/2, no e2."""
    w, w_hat = np.array([[3.0, 1.0]]), np.array([[2.0, -1.0]])
    e0 = np.array([[1.0], [2.0]])
    closed = border_shared_closed(w, w_hat, 1, 1, ErrorPolynomial(e0, 0.5))
    assert closed.b0.tolist() == [[1.5], [-2.0]]
    assert closed.b1.tolist() == [[2 * -1 / 4 + 0.75], [-1 * -2 / 1 - 0.5]]
    assert closed.b2.tolist() == [[0.0], [0.0]]


def test_dead_positions_and_exact_weights_are_nearest():
    """sum A^2 = 0 gives zeros even with noise; What = W and e = 0 give zeros."""
    w = np.array([[0.25, 1.0], [-0.25, 3.0]])
    w_hat = np.array([[0.0, 1.0], [0.0, 2.0]])
    closed = border_shared_closed(w, w_hat, 1, 1, ErrorPolynomial(1.0, 1.0, 1.0))
    assert [b[0].item() for b in closed] == [0.0, 0.0, 0.0]
    assert all(b[1].item() != 0.0 for b in closed)
    assert not any(b.any() for b in border_shared_closed(w, w))


def layer(seed, grid):
    """One input position, five outputs with errors as large as the weights, 200 noised inputs."""
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(5, 1))
    w_hat = w + rng.normal(0, 0.4, (5, 1))
    x_prime = rng.uniform(-2.0, 6.0, (200, 1))
    return w, w_hat, x_prime, make_qparams(0.5, 3, grid)


@given(seed=SEEDS, degree=st.sampled_from([1, 2]))
def test_closed_form_is_the_best_rounding_of_one_position(seed, degree):
    """P15, 13.8: with bound "clip" no choice of up or down beats it, nearest included."""
    w, w_hat, x_prime, qparams = layer(seed, Grid("affine", 4))
    u = x_prime / 0.5
    noise = (0.05 + 0.1 * u + (0.02 * u * u if degree == 2 else 0)) * 0.5
    options = BorderOptions(bound="clip", degree=degree, fuse="none")
    e = ErrorPolynomial(0.05, 0.1, 0.02 if degree == 2 else 0.0)
    params = border_start(border_shared_closed(w, w_hat, error=e), options)
    x = x_prime - noise
    x_hat, _ = aquant_forward(x_prime, qparams, params, options)
    nearest, _ = fake_quant_forward(x_prime, qparams)
    ends = [0.5 * np.clip(f(u), -3, 12) for f in (np.floor, np.ceil)]
    each = [border_objective(w_hat, v, w, x).sum() for v in (x_hat, nearest)]
    per_sample = [((v @ w_hat.T - x @ w.T) ** 2).sum(1) for v in ends]
    best = np.minimum(*per_sample).mean()
    assert each[0] <= each[1] * (1 + 1e-12)
    np.testing.assert_allclose(each[0], best, rtol=1e-12)


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("kappa", [1.5, 2.5])
def test_start_matches_value_and_slope_at_zero(bound, kappa):
    """13.2: a sigmoid starts from (4/kappa) b*, so that B = 1/2 and dB/du = b1* at u = 0."""
    options = BorderOptions(bound=bound[0], scale=bound[1], kappa=kappa, fuse="none")
    closed = ClosedForm(np.zeros((1, 1)), np.full((1, 1), 0.25), np.full((1, 1), 0.5))
    params = border_start(closed, options)
    factor = 1.0 if bound[0] == "clip" else 4 / kappa
    np.testing.assert_allclose([b.item() for b in params[:3]], [0, factor / 4, factor / 2])
    h = 1e-5
    u = np.array([-h, 0.0, h]).reshape(1, 1, 1, 3)
    border = border_forward(u, params, options)[0].ravel()
    assert border[1] == 0.5
    np.testing.assert_allclose((border[2] - border[0]) / (2 * h), 0.25, rtol=1e-8)


def test_start_has_the_parameters_of_its_options():
    closed = border_shared_closed(np.ones((2, 6)), np.full((2, 6), 2.0), taps=3)
    params = border_start(closed, BorderOptions())
    assert params.fusion.tolist() == [[1.0] * 3] * 2
    assert params.b1.tolist() == [[0.8] * 3] * 2  # 4/2.5 * 2 * 1 / 4
    linear = border_start(closed, BorderOptions(degree=1, fuse="none"))
    assert linear.b2 is None
    assert linear.fusion is None
    with pytest.raises(ValueError, match="degree=1"):
        border_start(closed._replace(b2=closed.b1), BorderOptions(degree=1))


@given(seed=SEEDS, degree=st.sampled_from([1, 2]))
def test_regression_equals_least_squares(seed, degree):
    """Against NumPy's QR-based polyfit, position by position."""
    rng = np.random.default_rng(seed)
    u = rng.normal(1.0, 2.0, (2, 3, 40))
    e = 0.3 - 0.2 * u + 0.1 * u**2 + rng.normal(0, 0.5, u.shape)
    found = regress_error(u, e, degree)
    for c in range(2):
        for k in range(3):
            expected = np.polyfit(u[c, k], e[c, k], degree)[::-1]
            actual = [part[c, k] for part in found][: degree + 1]
            np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9)
    assert degree == 2 or not found.e2.any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_regression_of_polynomials_and_of_degenerate_samples(dtype):
    """e = 1 - u/2 + u^2/4 is found; two values of u carry a line, one a constant."""
    u = np.array([0.0, 1.0, 2.0, 4.0], dtype)
    found = regress_error(u, 1 - u / 2 + u * u / 4)
    np.testing.assert_allclose(found, [1.0, -0.5, 0.25], rtol=32 * np.finfo(dtype).eps)
    assert all(part.dtype == dtype for part in found)
    for start in (0.0, 1000.1):
        two = np.array([start, start + 1, start, start + 1], dtype)
        e0, e1, e2 = regress_error(two, two)
        assert e2 == 0.0
        np.testing.assert_allclose(e0 + e1 * two, two, rtol=1e3 * np.finfo(dtype).eps)
        one = np.full(7, start, dtype)
        assert regress_error(one, np.arange(7, dtype=dtype)) == (3.0, 0.0, 0.0)


@pytest.mark.parametrize("degree", [1, 2])
def test_weights_of_the_regression_count_samples(degree):
    """A weight of 2 is a sample twice, one of 0 a sample left out; with none all is 0."""
    rng = np.random.default_rng(5)
    u, e = rng.normal(1, 1, (3, 50)), rng.normal(0, 1, (3, 50))
    weights = rng.integers(0, 3, 50).astype(float)
    found = regress_error(u, e, degree, np.broadcast_to(weights, u.shape))
    repeated = [np.repeat(v, weights.astype(int), axis=-1) for v in (u, e)]
    np.testing.assert_allclose(found, regress_error(*repeated, degree), rtol=1e-9, atol=1e-12)
    assert not np.any(regress_error(u, e, degree, np.zeros_like(u)))


def test_figure_2_profile():
    """AQ Fig 2: noise that drifts and then falls is fitted better by a parabola than a line."""
    rng = np.random.default_rng(0)
    u = rng.uniform(0, 4, 500)
    e = np.where(u > 3, 0.2 - 0.8 * (u - 3), 0.05 * u) + rng.normal(0, 0.05, 500)
    line, curve = regress_error(u, e, 1), regress_error(u, e, 2)
    residual = [((e - f.e0 - f.e1 * u - f.e2 * u * u) ** 2).sum() for f in (line, curve)]
    assert residual[1] < 0.9 * residual[0]
    assert curve.e2 < 0


def test_bad_input_is_refused():
    w = np.ones((4, 6))
    for taps, groups in ((4, 1), (3, 3)):
        with pytest.raises(ValueError, match="divisible"):
            border_shared_closed(w, w, taps, groups)
    with pytest.raises(ValueError, match="w_hat is of shape"):
        border_shared_closed(w, w[:, :3])
    with pytest.raises(TypeError, match="w_hat is float32"):
        border_shared_closed(w, w.astype(np.float32))
    with pytest.raises(ValueError, match="w_hat is nan"):
        border_shared_closed(w, w * np.nan)
    with pytest.raises(ValueError, match="2 axes"):
        border_shared_closed(np.ones((2, 3, 4)), np.ones((2, 3, 4)))
    with pytest.raises(ValueError, match=r"\(0, 4\); expected .* with elements"):
        border_shared_closed(np.ones((0, 4)), np.ones((0, 4)))
    with pytest.raises(ValueError, match="e1 is of shape"):
        border_shared_closed(w, w, error=ErrorPolynomial(0.0, np.ones(5)))
    with pytest.raises(ValueError, match="e0 is inf"):
        border_shared_closed(w, w, error=ErrorPolynomial(np.inf))
    with pytest.raises(ValueError, match="degree"):
        regress_error(w, w, 3)
    with pytest.raises(ValueError, match="at least one sample"):
        regress_error(np.ones((2, 0)), np.ones((2, 0)))
    with pytest.raises(ValueError, match="e is of shape"):
        regress_error(w, w[0])
    with pytest.raises(ValueError, match="u is nan"):
        regress_error(w * np.nan, w)
    with pytest.raises(ValueError, match="weights is of shape"):
        regress_error(w, w, 2, w[0])
    with pytest.raises(ValueError, match="weights is -1"):
        regress_error(w, w, 2, -w)
