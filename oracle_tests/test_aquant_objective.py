"""What a border minimises: AQ eq.1 to 5 and eq.10, as identities on exact numbers."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.aquant_cases import dyadic_case
from oracle_tests.exact_lists import assert_rounded_once, dyadic, fractions_of
from oracle_tests.gradcheck import check_gradient
from refquant.quantizers.aquant import aquant_forward
from refquant.quantizers.border_objective import (
    border_objective,
    input_hessian,
    output_error,
    row_errors,
    second_order_change,
)
from refquant.quantizers.border_options import BorderOptions

SEEDS = st.integers(0, 2**32 - 1)


@given(seed=SEEDS)
def test_second_order_change_of_a_quadratic_loss(seed):
    """AQ eq.1: L = ||W x - t||^2 / 2 at its minimum t = W x: E[L(x + dx)] is 1/2 E[dx^T H dx]."""
    rng = np.random.default_rng(seed)
    w, d_x = dyadic(rng, (3, 4), denominator=4), dyadic(rng, (8, 4), denominator=4)
    hessian = input_hessian(w, np.eye(3))
    exact = [
        sum(sum(a * b for a, b in zip(row, dx, strict=True)) ** 2 for row in fractions_of(w)) / 2
        for dx in fractions_of(d_x)
    ]
    assert second_order_change(d_x, hessian) == float(sum(exact) / 8)


@given(seed=SEEDS)
def test_input_hessian_entry_by_entry(seed):
    """AQ eq.2 and 3: H_ab = W[:, a]^T (d2L/dz2) W[:, b], which is W^T D W."""
    rng = np.random.default_rng(seed)
    w, d2_z = dyadic(rng, (3, 4), denominator=4), dyadic(rng, (3, 3), denominator=4)
    d2_z = d2_z + d2_z.T
    wf, df = fractions_of(w), fractions_of(d2_z)
    exact = [
        [
            sum(wf[i][a] * df[i][j] * wf[j][b] for i, j in itertools.product(range(3), repeat=2))
            for b in range(4)
        ]
        for a in range(4)
    ]
    assert_rounded_once(input_hessian(w, d2_z), exact, np.float64)


def test_input_hessian_matches_central_differences():
    """AQ eq.2 and 3 by finite differences of the gradient W^T (W x - t), with H = W^T W."""
    rng = np.random.default_rng(0)
    w, x, t = rng.normal(size=(3, 4)), rng.normal(size=4), rng.normal(size=3)
    hessian = input_hessian(w, np.eye(3))
    check_gradient(lambda v: 0.5 * ((w @ v - t) ** 2).sum(), x, w.T @ (w @ x - t), name="L")
    for a in range(4):
        check_gradient(lambda v, a=a: (w.T @ (w @ v - t))[a], x, hessian[a], name=f"H[{a}]")


@given(seed=SEEDS)
def test_constant_diagonal_splits_into_rows(seed):
    """AQ eq.4 (D22): with d2L/dz2 = I, 1/2 E[dx^T H dx] is half the sum of E[(W_i dx)^2]."""
    rng = np.random.default_rng(seed)
    w, d_x = dyadic(rng, (3, 4), denominator=4), dyadic(rng, (8, 4), denominator=4)
    rows = row_errors(w, d_x)
    exact = [
        sum(sum(a * b for a, b in zip(row, dx, strict=True)) ** 2 for dx in fractions_of(d_x)) / 8
        for row in fractions_of(w)
    ]
    assert_rounded_once(rows, exact, np.float64)
    assert second_order_change(d_x, input_hessian(w, np.eye(3))) == rows.sum() / 2


@given(seed=SEEDS)
def test_output_error_with_both_factors_quantized(seed):
    """AQ eq.5: (W+dW)(x'+dx') - W x == (W+dW) dx' + dW x' + W e, with x' = x + e, exactly."""
    rng = np.random.default_rng(seed)
    w, d_w = dyadic(rng, (3, 4)), dyadic(rng, (3, 4), denominator=16)
    x, e, d_x = (dyadic(rng, (5, 4), denominator=16) for _ in range(3))
    left = [
        [
            sum((a + da) * (v + ev + dv) - a * v for a, da, v, ev, dv in zip(*rows, strict=True))
            for rows in (
                (wr, dwr, xr, er, dxr)
                for wr, dwr in zip(fractions_of(w), fractions_of(d_w), strict=True)
            )
        ]
        for xr, er, dxr in zip(fractions_of(x), fractions_of(e), fractions_of(d_x), strict=True)
    ]
    error = output_error(w, d_w, x + e, d_x, e)
    assert_rounded_once(error, left, np.float64)
    objective = border_objective(w + d_w, x + e + d_x, w, x)
    squares = [sum(row[i] ** 2 for row in left) / 5 for i in range(3)]
    assert_rounded_once(objective, squares, np.float64)


@given(seed=SEEDS)
def test_objective_of_border_rounded_activations(seed):
    """AQ eq.10 (D22): eq.5 with x' + dx' the activation rounded at its border."""
    rng = np.random.default_rng(seed)
    options = BorderOptions(bound="clip")
    x, qparams, params, _ = dyadic_case(rng, options, 2, np.float64)
    columns = x.transpose(0, 2, 1).reshape(-1, 4)  # one row per image and window
    x_hat, _ = aquant_forward(columns, qparams, params, options)
    w, d_w = dyadic(rng, (3, 4)), dyadic(rng, (3, 4), denominator=16)
    e = dyadic(rng, columns.shape, denominator=16)
    error = output_error(w, d_w, columns, x_hat - columns, e)
    exact = [sum(v * v for v in column) / 6 for column in zip(*fractions_of(error), strict=True)]
    objective = border_objective(w + d_w, x_hat, w, columns - e)
    np.testing.assert_allclose(objective, [float(v) for v in exact], rtol=1e-15)
