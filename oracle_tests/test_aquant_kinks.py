"""AQuant's gradients by value: hand-derived, on every kink, and for special values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.aquant_cases import (
    FUSES,
    real_case,
)
from refquant.quantizers.aquant import aquant_backward, aquant_forward
from refquant.quantizers.border import BorderParams
from refquant.quantizers.border_options import BorderOptions
from refquant.quantizers.fake_quant import fake_quant_backward, fake_quant_forward
from refquant.quantizers.grid import Grid, make_qparams

DTYPES = [np.float64, np.float32]
PLAIN = BorderOptions(fuse="none", bound="clip", degree=1)


def one_element(u, options=PLAIN, b0=0.0, b1=0.0, a=1.0, dtype=np.float64):
    """Gradients for one input at step 1/2 on the levels 0..3, dL/dx_hat = 1."""
    x = np.array([[u / 2]], dtype=dtype)
    params = BorderParams(np.full((1, 1), b0, dtype), np.full((1, 1), b1, dtype))
    qparams = make_qparams(dtype(0.5), 0, Grid("unsigned", 2))
    x_hat, cache = aquant_forward(x, qparams, params, options, a)
    return x_hat, aquant_backward(np.ones_like(x), cache)


@pytest.mark.parametrize("dtype", DTYPES)
def test_hand_derived_gradients(dtype):
    """u = 5/4 and B = 1/2 - 3/8 + 1/8 * 5/4 = 9/32: the fraction 8/32 goes down.

    Gv = s = 1/2, GB = GP = -1/2; d_b0 = -1/2, d_b1 = -5/8; Gu = 1/2 - 1/2 * 1/8 = 7/16,
    d_x = 7/8, d_s = t - Gu u / s = 1 - 7/16 * 5/4 * 2 = -3/32.
    """
    x_hat, grads = one_element(1.25, b0=-0.375, b1=0.125, dtype=dtype)
    assert x_hat.item() == 0.5
    assert (grads.border.b0.item(), grads.border.b1.item()) == (-0.5, -0.625)
    assert (grads.x.item(), grads.s.item()) == (0.875, -3 / 32)
    assert grads.x.dtype == grads.s.dtype == grads.border.b1.dtype == dtype
    # half a schedule: v = 5/4 - 1/8 = 9/8; GB = -1/4; Gu = 1/2 - 1/32; d_s = 9/8 - 15/32 * 5/2
    x_hat, grads = one_element(1.25, b0=-0.375, b1=0.125, a=0.5, dtype=dtype)
    assert (x_hat.item(), grads.border.b0.item()) == (9 / 16, -0.25)
    assert (grads.x.item(), grads.s.item()) == (15 / 16, 9 / 8 - 75 / 64)


GATES = [  # u on the levels 0..3, inside the clip mask, inside the support
    (-0.25, True, False),  # rounds to 0 at B = 1/2
    (-0.75, False, False),
    (0.0, True, False),
    (0.125, True, True),
    (2.875, True, True),
    (3.0, True, False),
    (3.25, True, False),
    (3.75, False, False),
]


@pytest.mark.parametrize(("u", "inside", "support"), GATES)
def test_gates_on_their_edges(u, inside, support):
    """D17: "literal" sends -s through the whole clip mask, "support" only strictly between."""
    _, literal = one_element(u)
    assert literal.border.b0.item() == (-0.5 if inside else 0.0)
    _, gated = one_element(u, BorderOptions(fuse="none", bound="clip", degree=1, gate="support"))
    assert gated.border.b0.item() == (-0.5 if inside and support else 0.0)
    assert gated.x.item() == literal.x.item() == float(inside)


@pytest.mark.parametrize(
    ("u", "rounded", "unrounded"), [(3.0, 1, 1), (3.25, 1, 0), (0.0, 1, 1), (-0.25, 1, 0)]
)
def test_clip_masks(u, rounded, unrounded):
    """D2: n <= v <= p or n <= u <= p, inclusive; the value is the same."""
    for mask, inside in (("rounded", rounded), ("unrounded", unrounded)):
        options = BorderOptions(fuse="none", bound="clip", degree=1, mask=mask)
        x_hat, grads = one_element(u, options)
        assert x_hat.item() == min(max(u, 0.0), 3.0) / 2
        assert grads.x.item() == inside, mask
        assert grads.border.b0.item() == -0.5 * inside, mask
        t = min(max(u, 0.0), 3.0)
        assert grads.s.item() == t - inside * u, mask


@pytest.mark.parametrize("mixed", [3.0, np.nextafter(3.0, 4.0)])
def test_the_mask_reads_the_mixed_value(mixed):
    """With a = 1/2, u = 2v - r: inside at v = p, outside one float above, both at t = p."""
    u = 2 * mixed - 3.0
    _, grads = one_element(u, a=0.5)
    assert grads.x.item() == float(mixed == 3.0)


@pytest.mark.parametrize(("b0", "live"), [(0.5, 1), (0.5 + 2**-52, 0), (-0.5, 1), (-0.75, 0)])
def test_border_masks_on_their_edges(b0, live):
    """P = +-1/2 still passes ("closed"); beyond it only "open" does, value unchanged."""
    x_hat, grads = one_element(1.25, b0=b0)
    assert grads.border.b0.item() == -0.5 * live
    opened = BorderOptions(fuse="none", bound="clip", degree=1, border_mask="open")
    same, kept = one_element(1.25, opened, b0=b0)
    assert kept.border.b0.item() == -0.5
    assert same.item() == x_hat.item() == (0.5 if b0 > 0 else 1.0)


@pytest.mark.parametrize(("weight", "live"), [(2.0, 1), (2.25, 0), (0.0, 1), (-0.25, 0)])
@pytest.mark.parametrize("border_mask", ["closed", "open"])
def test_masks_of_the_fused_mean_on_their_edges(weight, live, border_mask):
    """Two taps with E = 1/2 and equal weights: F = weight / 2 is on 1 and 0, and beyond them.

    Inside, d_fusion_j = sum_j GB * E_j / K = -1 * 1/2 * 1/2 and d_b0_j = -weight / 2.
    """
    options = BorderOptions(bound="clip", degree=1, border_mask=border_mask)
    zeros, weights = np.zeros((1, 2)), np.full((1, 2), weight)
    params = BorderParams(zeros, zeros, None, weights)
    qparams = make_qparams(0.5, 0, Grid("unsigned", 2))
    _, cache = aquant_forward(np.full((1, 2), 0.625), qparams, params, options)
    grads = aquant_backward(np.ones((1, 2)), cache).border
    alive = live or border_mask == "open"
    assert cache.border.item() == min(max(weight / 2, 0.0), 1.0)
    np.testing.assert_array_equal(grads.fusion, [[-0.25, -0.25]] if alive else [[0, 0]])
    np.testing.assert_array_equal(grads.b0, [[-weight / 2] * 2] if alive else [[0, 0]])


def test_detach_drops_the_border_s_dependence_on_its_input():
    """D39: detached, d_x and d_s are those of a border that stands still; d_b is the same."""
    detached = BorderOptions(fuse="none", bound="clip", degree=1, detach_border_input=True)
    _, kept = one_element(1.25, b0=-0.375, b1=0.125)
    _, dropped = one_element(1.25, detached, b0=-0.375, b1=0.125)
    assert dropped.border.b1.item() == kept.border.b1.item() == -0.625
    assert (dropped.x.item(), dropped.s.item()) == (1.0, 1 - 1.25)


@given(seed=st.integers(0, 2**32 - 1), mask=st.sampled_from(["rounded", "unrounded"]))
def test_the_neutral_border_is_nearest_rounding(seed, mask):
    """With b = 0, value and gradients are those of `fake_quant` with half_down, bit for bit."""
    rng, x, qparams, params = real_case(seed, BorderOptions())
    params = BorderParams(*(0.0 * b for b in params[:3]), np.ones_like(params.fusion))
    options, g = BorderOptions(mask=mask), rng.normal(size=x.shape)
    y, cache = fake_quant_forward(x, qparams, "half_down", mask, grad_scale=0.125)
    x_hat, border_cache = aquant_forward(x, qparams, params, options, grad_scale=0.125)
    plain, grads = fake_quant_backward(g, cache), aquant_backward(g, border_cache)
    np.testing.assert_array_equal(x_hat, y)
    np.testing.assert_array_equal(grads.x, plain.x)
    np.testing.assert_array_equal(grads.s, plain.s)


def test_grad_scale_multiplies_the_step_gradient_only():
    options = BorderOptions()
    rng, x, qparams, params = real_case(3, options)
    g = rng.normal(size=x.shape)
    plain = aquant_backward(g, aquant_forward(x, qparams, params, options)[1])
    scaled = aquant_backward(g, aquant_forward(x, qparams, params, options, 1.0, 0.25)[1])
    assert scaled.s == plain.s / 4
    np.testing.assert_array_equal(scaled.x, plain.x)
    for value, other in zip(scaled.border, plain.border, strict=True):
        np.testing.assert_array_equal(value, other)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fuse", FUSES)
def test_special_values_pass_no_gradient_to_x(fuse, dtype):
    """NaN: none to s either; the infinities: their end times g; nothing becomes NaN."""
    options = BorderOptions(fuse=fuse, bound="clip")
    x = np.array([[np.nan, 0.5], [np.inf, 0.5], [-np.inf, 0.5], [3e38, 0.5]], dtype=dtype)
    b = np.full((1, 2), 0.25, dtype=dtype)
    fusion = None if fuse == "none" else np.ones((1, 2), dtype)
    params = BorderParams(b, b, b, fusion)
    qparams = make_qparams(dtype(0.5), 1, Grid("affine", 2))
    for row, end in ((0, 0.0), (1, 2.0), (2, -1.0), (3, 2.0)):
        _, cache = aquant_forward(x[row : row + 1], qparams, params, options)
        grads = aquant_backward(np.array([[4.0, 0.0]], dtype=dtype), cache)
        assert grads.x.tolist() == [[0.0, 0.0]], row
        assert grads.s == 4.0 * end, row
        assert all(d is None or not d.any() for d in grads.border), row
        grads = aquant_backward(np.array([[0.0, 1.0]], dtype=dtype), cache)
        assert np.isfinite(grads.x[0, 1])
        assert row == 3 or grads.x[0, 0] == 0.0


def test_a_blocked_cotangent_does_not_leak():
    """An infinite d_x_hat at a clipped input leaves d_x and the border untouched."""
    qparams = make_qparams(1.0, 0, Grid("unsigned", 2))
    params = BorderParams(np.zeros((2, 1)), np.zeros((2, 1)))
    _, cache = aquant_forward(np.array([[9.0, 1.25]]), qparams, params, PLAIN)
    grads = aquant_backward(np.array([[np.inf, 1.0]]), cache)
    assert grads.x.tolist() == [[0.0, 1.0]]
    assert grads.border.b0.tolist() == [[0.0], [-1.0]]


def test_bad_cotangents_are_refused():
    options = BorderOptions()
    _, x, qparams, params = real_case(1, options)
    _, cache = aquant_forward(x, qparams, params, options)
    with pytest.raises(ValueError, match=r"aquant_backward\(\): d_x_hat is of shape"):
        aquant_backward(x[:, :, :3], cache)
    with pytest.raises(TypeError, match="float32"):
        aquant_backward(x.astype(np.float32), cache)
