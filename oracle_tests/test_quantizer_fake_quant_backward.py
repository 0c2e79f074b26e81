"""Gradients of uniform quantisation: both clip masks on their edges, and central differences."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.gradcheck import check_gradient
from refquant.quantizers.fake_quant import fake_quant_backward, fake_quant_forward
from refquant.quantizers.grid import Grid, make_qparams
from refquant.quantizers.rounding import round_to

DTYPES = [np.float64, np.float32]
MASKS = ["rounded", "unrounded"]


EDGES = [  # (u, then towards), inside under "rounded", under "unrounded"; n = -4, p = 3, rint
    ((-4.0, None), True, True),
    ((-4.0, -5.0), True, False),
    ((-4.5, None), True, False),  # the tie goes to -4, which is even
    ((-4.5, -5.0), False, False),
    ((3.0, None), True, True),
    ((3.0, 4.0), True, False),
    ((3.25, None), True, False),
    ((3.5, 3.0), True, False),
    ((3.5, None), False, False),  # the tie goes to 4
    ((4.0, None), False, False),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("point", "rounded", "unrounded"), EDGES)
def test_masks_on_their_edges(point, rounded, unrounded, dtype):
    """D2, at each kink and at the float next to it."""
    value, towards = point
    u = dtype(value) if towards is None else np.nextafter(dtype(value), dtype(towards))
    qparams = make_qparams(0.25, 0, Grid("signed", 3))
    x = np.array([u]) * dtype(0.25)
    for mask, inside in [("rounded", rounded), ("unrounded", unrounded)]:
        _, cache = fake_quant_forward(x, qparams, mask=mask)
        grads = fake_quant_backward(np.ones_like(x), cache)
        assert grads.x[0] == float(inside), mask
        q = -4 if u < 0 else 3
        assert grads.s == (dtype(q) - u if inside else q), mask


def test_mask_follows_the_rounding_mode():
    """With half_down the tie p + 1/2 goes down and is inside; with even p also under rint."""
    signed = make_qparams(1.0, 0, Grid("signed", 3))
    _, cache = fake_quant_forward(np.array([3.5]), signed, rounding="half_down")
    assert cache.inside[0]
    affine = make_qparams(1.0, 1, Grid("affine", 3))  # p = 6
    assert fake_quant_forward(np.array([6.5]), affine)[1].inside[0]
    assert not fake_quant_forward(np.array([6.5]), affine, rounding="half_up")[1].inside[0]


def frozen_surrogate(x, step, cache):
    """s clip(x/s + residual) with residual and mask frozen at the cache: smooth in x and s."""
    residual = round_to(cache.u, "rint") - cache.u
    return step * np.where(cache.inside, x / step + residual, cache.q)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("shape", [(), (3, 1, 1), (1, 2, 1)])
def test_gradients_match_central_differences(shape, mask):
    """P55: methods 23, residual and mask frozen."""
    rng = np.random.default_rng(7)
    x, step = rng.normal(0, 2, (3, 2, 5)), rng.uniform(0.2, 0.6, shape)
    d_y = rng.normal(size=x.shape)
    y, cache = fake_quant_forward(x, make_qparams(step, 3, Grid("affine", 3)), mask=mask)
    if mask == "rounded":
        np.testing.assert_allclose(frozen_surrogate(x, step, cache), y, rtol=1e-14, atol=1e-14)
    assert 0 < cache.inside.sum() < x.size
    grads = fake_quant_backward(d_y, cache)
    assert grads.s.shape == shape
    check_gradient(lambda v: (d_y * frozen_surrogate(v, step, cache)).sum(), x, grads.x, name="x")
    check_gradient(
        lambda v: (d_y * frozen_surrogate(x, v, cache)).sum(), np.asarray(step), grads.s, name="s"
    )


@given(seed=st.integers(0, 2**32 - 1))
def test_sum_rule_of_the_step(seed):
    """P56: with every element inside, d_s = sum d_y (Q(x) - x) / s (30 terms, a few ulp each)."""
    rng = np.random.default_rng(seed)
    x, d_y = rng.uniform(-3.0, 3.0, (5, 6)), rng.normal(size=(5, 6))
    y, cache = fake_quant_forward(x, make_qparams(0.3, 0, Grid("signed", 8)))
    assert cache.inside.all()
    expected = sum(
        Fraction(g) * (Fraction(b) - Fraction(a))
        for g, a, b in zip(
            d_y.ravel().tolist(), x.ravel().tolist(), y.ravel().tolist(), strict=True
        )
    )
    bound = 40 * 2.0**-52 * np.abs(d_y).max() * 30 * 11
    assert abs(fake_quant_backward(d_y, cache).s - float(expected / Fraction(0.3))) <= bound


def test_grad_scale_multiplies_the_step_gradient_only():
    x, d_y = np.array([0.4, 1.3, 9.0], dtype=np.float32), np.ones(3, dtype=np.float32)
    qparams = make_qparams(0.5, 0, Grid("signed", 3))
    plain = fake_quant_backward(d_y, fake_quant_forward(x, qparams)[1])
    scale = np.float64(0.25)
    scaled = fake_quant_backward(d_y, fake_quant_forward(x, qparams, grad_scale=scale)[1])
    np.testing.assert_array_equal(scaled.x, plain.x)
    assert scaled.s == plain.s / 4
    assert scaled.s.dtype == np.float32


def test_a_blocked_cotangent_does_not_leak():
    """An infinite d_y at a clipped element leaves d_x zero there (0 * inf would be NaN)."""
    _, cache = fake_quant_forward(np.array([9.0, 0.1]), make_qparams(1.0, 0, Grid("signed", 2)))
    np.testing.assert_array_equal(fake_quant_backward(np.array([np.inf, 1.0]), cache).x, [0, 1])
