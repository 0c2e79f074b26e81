"""AdaQTransform: the laws between its cases, its scale and its learners."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.adaqtransform_cases import random_weights, weight_cases
from oracle_tests.exact_lists import dyadic
from refquant.numerics import arithmetic
from refquant.optim.adam import AdamHyper, adam_init, adam_step
from refquant.optimal.least_squares import fit_transform
from refquant.quantizers.adaround import adaround_codes, adaround_forward, init_alpha
from refquant.quantizers.decoupled import decoupled_backward, decoupled_forward
from refquant.quantizers.grid import make_qparams
from refquant.quantizers.transform import output_transform_backward, output_transform_forward

SEEDS = st.integers(0, 2**32 - 1)


@given(case=weight_cases(), seed=SEEDS)
def test_learned_step_is_learned_scale(case, seed):
    """P40, exact: case 2.2 with bias b' equals eq. 8 with xi = s'_w/s_w and eta = b' - b."""
    grid, zeros, s_w, s_d, w, alpha, _ = case
    rng = np.random.default_rng(seed)
    column = [np.array(v)[:, None] for v in (s_w, zeros, s_d)]
    qparams = make_qparams(column[0], column[1], grid)
    x = dyadic(rng, (len(w[0]), 5))
    bias, learned_bias = (dyadic(rng, len(w)) for _ in range(2))
    apart, _ = decoupled_forward(np.array(w), np.array(alpha), qparams, column[2], "2.2")
    plain, _ = adaround_forward(np.array(w), np.array(alpha), qparams)
    left = (apart @ x).T + learned_bias
    xi, eta = (column[2] / column[0])[:, 0], learned_bias - bias
    right, _ = output_transform_forward((plain @ x).T, bias, xi, eta)
    np.testing.assert_array_equal(left, right)


def layer(seed):
    """A small layer with hard levels, its input, and what it should give; s_w not dyadic."""
    rng, w, _, qparams, _ = random_weights(seed)
    alpha = np.where(init_alpha(w, qparams) >= 0.0, 50.0, -50.0)
    x = np.abs(rng.normal(size=(8, 30)))
    return w, alpha, qparams, x, (w @ x).T


def d_xi_of(product, target, xi):
    """Gradient of xi under half the summed squared error, eta = 0."""
    y, cache = output_transform_forward(product, None, xi, np.zeros(len(xi)))
    return output_transform_backward(y - target, cache).xi


def trajectories(seed, rate_of, steps=40):
    """Adam (eps = 0) on xi, and on s'_w with its own rate per channel: xi s_w and s'_w."""
    w, alpha, qparams, x, target = layer(seed)
    steps_w = qparams.step[:, 0]
    product = (adaround_forward(w, alpha, qparams)[0] @ x).T
    xi, s_d = ({c: np.ones(1) * v for c, v in enumerate(s)} for s in (np.ones(3), steps_w))
    xi_state, s_state, hyper = adam_init(xi), adam_init(s_d), AdamHyper(eps=0.0)
    path = []
    for _ in range(steps):
        d_xi = d_xi_of(product, target, np.concatenate(list(xi.values())))
        grads = {c: d_xi[c : c + 1] for c in xi}
        xi, xi_state = adam_step(xi, grads, xi_state, 1e-2, hyper)
        column = np.concatenate(list(s_d.values()))[:, None]
        w_hat, cache = decoupled_forward(w, alpha, qparams, column, "2.2")
        d_w_hat = ((w_hat @ x).T - target).T @ x.T
        d_s = decoupled_backward(d_w_hat, cache).s_d
        grads = {c: d_s[c] for c in s_d}
        rates = {c: 1e-2 * rate_of(float(steps_w[c])) for c in s_d}
        s_d, s_state = adam_step(s_d, grads, s_state, rates, hyper)
        path.append(
            (np.concatenate(list(xi.values())) * steps_w, np.concatenate(list(s_d.values())))
        )
    return np.array(path)


def test_adam_paths_agree_with_scaled_rates():
    """P41: with lr_s' = s_w lr_xi per channel and eps = 0, s'_w = s_w xi at every step."""
    path = trajectories(5, rate_of=lambda s: s)
    np.testing.assert_allclose(path[:, 0], path[:, 1], rtol=1e-9)
    assert np.abs(path[-1, 0] / path[0, 0] - 1.0).max() > 1e-3  # it moved


def test_adam_paths_differ_with_equal_rates():
    """P41, the other half: with one rate for both, s'_w runs 1/s_w times as fast."""
    path = trajectories(5, rate_of=lambda s: 1.0, steps=2)
    assert np.abs(path[0, 0] / path[0, 1] - 1.0).min() > 1e-2


def test_step_gradient_is_scale_gradient_over_the_step():
    """15.2: G s'_w = G xi / s_w at xi = 1."""
    w, alpha, qparams, x, target = layer(6)
    w_hat, cache = decoupled_forward(w, alpha, qparams, qparams.step.copy(), "2.2")
    product = (w_hat @ x).T
    d_s = decoupled_backward((product - target).T @ x.T, cache).s_d
    expected = d_xi_of(product, target, np.ones(3)) / qparams.step[:, 0]
    np.testing.assert_allclose(d_s[:, 0], expected, rtol=1e-10)


def test_gradient_descent_on_the_scale_reaches_least_squares():
    """P54: codes frozen, plain gradient descent on xi and eta ends at the closed form."""
    w, alpha, qparams, x, target = layer(7)
    product = (adaround_forward(w, alpha, qparams)[0] @ x).T
    bias = np.array([0.5, -1.0, 0.0])
    fit = fit_transform(target, product, bias)
    xi, eta = np.ones(3), np.zeros(3)
    rows = np.stack([product, np.ones_like(product)])
    curvature = [np.linalg.eigvalsh(rows[:, :, c] @ rows[:, :, c].T)[-1] for c in range(3)]
    for _ in range(4000):
        y, cache = output_transform_forward(product, bias, xi, eta)
        grads = output_transform_backward(y - target, cache)
        xi, eta = xi - grads.xi / curvature, eta - grads.eta / curvature
    np.testing.assert_allclose(xi, fit.xi, rtol=1e-9)
    np.testing.assert_allclose(eta, fit.eta, rtol=1e-8)


@given(seed=SEEDS, exponents=st.lists(st.integers(-3, 3), min_size=3, max_size=3))
def test_channels_may_be_permuted_and_scaled(seed, exponents):
    """P49: order of the channels; W, b, s_w, y of a channel times c > 0 (a power of two)."""
    rng, w, alpha, qparams, _ = random_weights(seed)
    scale = np.array([2.0**e for e in exponents])
    x, bias = dyadic(rng, (8, 4)), dyadic(rng, 3)
    target = (w @ x).T + bias
    grown = make_qparams(qparams.step * scale[:, None], 0, qparams.grid)
    bigger = w * scale[:, None]
    np.testing.assert_array_equal(
        adaround_codes(bigger, alpha, grown), adaround_codes(w, alpha, qparams)
    )
    np.testing.assert_array_equal(init_alpha(bigger, grown), init_alpha(w, qparams))
    plain = (adaround_forward(w, alpha, qparams)[0] @ x).T
    large = (adaround_forward(bigger, alpha, grown)[0] @ x).T
    np.testing.assert_array_equal(large, plain * scale)
    with arithmetic("pinned"):
        fit = fit_transform(target, plain, bias)
        other = fit_transform(target * scale, large, bias * scale)
        order = [2, 0, 1]
        moved = fit_transform(target[:, order], plain[:, order], bias[order])
    np.testing.assert_array_equal(other.xi, fit.xi)
    np.testing.assert_array_equal(other.eta, fit.eta * scale)
    np.testing.assert_array_equal(moved.xi, fit.xi[order])
    np.testing.assert_array_equal(moved.eta, fit.eta[order])
