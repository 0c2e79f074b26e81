"""What AQuant's quantizer does not depend on: scale, order, layout, precision; special values."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.aquant_cases import FUSES, dyadic_case, nested, real_case, twin_arguments
from oracle_tests.exact_lists import assert_rounded_once
from refquant import numerics as nx
from refquant.layers.geometry import Geometry
from refquant.layers.im2col import im2col
from refquant.layers.product import product_forward
from refquant.oracle.exact import aquant as twin
from refquant.quantizers.aquant import aquant_codes, aquant_forward
from refquant.quantizers.border import BorderParams, init_border
from refquant.quantizers.border_options import BorderOptions
from refquant.quantizers.grid import Grid, make_qparams

DTYPES = [np.float64, np.float32]
SEEDS = st.integers(0, 2**32 - 1)
PLAIN = BorderOptions(fuse="none", bound="clip", degree=1)


def constant(border, features, dtype=np.float64):
    """Parameters whose border is this number at every input (bound "clip", linear)."""
    b0 = np.full((features, 1), border - 0.5, dtype)
    return BorderParams(b0, np.zeros_like(b0))


@given(seed=SEEDS, fuse=st.sampled_from(FUSES), exponent=st.integers(-20, 20))
def test_scaling_input_and_step_together(seed, fuse, exponent):
    """P17: (x, s) -> (c x, c s), c a power of two: same borders and levels, output times c."""
    options = BorderOptions(fuse=fuse)
    _, x, qparams, params = real_case(seed, options)
    c = 2.0**exponent
    scaled = make_qparams(qparams.step * c, 1, qparams.grid)
    x_hat, cache = aquant_forward(x, qparams, params, options, 0.5)
    other, same = aquant_forward(c * x, scaled, params, options, 0.5)
    np.testing.assert_array_equal(same.border, cache.border)
    np.testing.assert_array_equal(same.levels, cache.levels)
    np.testing.assert_array_equal(other, c * x_hat)


@given(seed=SEEDS, fuse=st.sampled_from(FUSES))
def test_channel_permutation_leaves_the_layer_unchanged(seed, fuse):
    """P17: channels of x, of the parameters and of the weight permuted together."""
    options = BorderOptions(fuse=fuse, bound="clip")
    rng = np.random.default_rng(seed)
    x, qparams, params, _ = dyadic_case(rng, options, 2, np.float64)
    w = rng.integers(-4, 5, (3, 4)) / 4
    swap = np.array([1, 0])
    rows = np.array([2, 3, 0, 1])
    there = BorderParams(*(None if b is None else b[swap] for b in params))
    y, _ = product_forward(aquant_forward(x, qparams, params, options)[0], w)
    moved, _ = aquant_forward(x[:, rows], qparams, there, options)
    np.testing.assert_array_equal(product_forward(moved, w[:, rows])[0], y)


def test_one_pixel_can_get_different_codes():
    """P72: a 1x3 map under a 1x2 kernel; tap 0 has border 1, tap 1 border 0, the pixel is 1/2."""
    x = np.array([0.5, 0.5, 0.5]).reshape(1, 1, 1, 3)
    cols = im2col(x, Geometry(kernel=(1, 2)))
    params = BorderParams(np.array([[0.5, -0.5]]), np.zeros((1, 2)))
    codes = aquant_codes(cols, make_qparams(1.0, 0, Grid("unsigned", 2)), params, PLAIN)
    assert codes.tolist() == [[[0, 0], [1, 1]]]


@given(seed=SEEDS, bound=st.sampled_from(["sigmoid", "clip"]), a=st.sampled_from([0.5, 1.0]))
def test_uniform_borders_commute_with_im2col(seed, bound, a):
    """P72: position-independent parameters, no fusion: the order does not matter."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0.5, 1.0, (2, 3, 5, 4))
    geometry = Geometry(kernel=(3, 2), stride=(2, 1), padding=(1, 0, 1, 2))
    options = BorderOptions(fuse="none", bound=bound)
    b = rng.normal(0, 0.5, (3, 3, 1))
    qparams = make_qparams(0.3, 1, Grid("affine", 3))
    on_map = aquant_forward(x, qparams, BorderParams(*b), options, a)[0]
    wide = BorderParams(*np.repeat(b, 6, axis=2))
    on_patches = aquant_forward(im2col(x, geometry), qparams, wide, options, a)[0]
    np.testing.assert_array_equal(im2col(on_map, geometry), on_patches)


@given(seed=SEEDS, fuse=st.sampled_from(FUSES))
def test_layouts_agree(seed, fuse):
    """(n, c k, l), (n, c k, h_o, w_o) and, window by window, (n, c k) are one thing."""
    options = BorderOptions(fuse=fuse)
    _, x, qparams, params = real_case(seed, options)
    x_hat, _ = aquant_forward(x, qparams, params, options)
    square, _ = aquant_forward(x.reshape(3, 6, 2, 2), qparams, params, options)
    np.testing.assert_array_equal(square.reshape(x.shape), x_hat)
    for window in range(4):
        alone, _ = aquant_forward(x[:, :, window], qparams, params, options)
        np.testing.assert_array_equal(alone, x_hat[:, :, window])
    empty, _ = aquant_forward(x[:0], qparams, params, options)
    assert empty.shape == (0, 6, 4)
    shaped = make_qparams(qparams.step.reshape(1, 1, 1), 1, qparams.grid)
    np.testing.assert_array_equal(aquant_forward(x, shaped, params, options)[0], x_hat)


def test_the_border_is_shared_within_a_channel_only():
    """Fusion couples the taps of one channel under one window and nothing else."""
    options = BorderOptions(bound="clip", degree=1)
    _, x, qparams, params = real_case(0, options)
    params = BorderParams(params.b0 / 8, params.b1 / 8)  # unsaturated
    _, cache = aquant_forward(x, qparams, params, options)
    changed = x.copy()
    changed[1, 4, 2] += 0.05  # image 1, channel 1 (rows 3..5), window 2
    _, other = aquant_forward(changed, qparams, params, options)
    moved = np.argwhere(cache.border != other.border)
    assert moved.tolist() == [[1, 1, 0, 2]]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("a", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("fuse", FUSES)
def test_special_values(fuse, a, dtype):
    """NaN -> zero point, infinities and an overflowing x / s -> ends; neighbours stay finite."""
    options = BorderOptions(fuse=fuse)
    params = init_border(1, 2, options, dtype)
    params = params._replace(b1=params.b1 + dtype(0.5), b2=params.b2 - dtype(0.25))
    qparams = make_qparams(dtype(2.0**-100), 1, Grid("affine", 2))
    x = np.array([[v, 2.0**-100] for v in (np.nan, np.inf, -np.inf, 3e38, -3e38)], dtype)
    x_hat, cache = aquant_forward(x, qparams, params, options, a)
    assert cache.levels[:, 0, 0, 0].tolist() == [0, 2, -1, 2, -1]
    assert (cache.levels[:, 0, 1, 0] == 1).all()  # u = 1 is an integer
    assert np.isfinite(x_hat).all()
    assert not np.signbit(x_hat[0, 0])
    codes = aquant_codes(x, qparams, params, options)
    assert codes[:, 0].tolist() == [1, 3, 0, 3, 0]


def test_non_finite_inputs_enter_a_shared_border_as_their_levels():
    """One tap NaN, inf or -inf, the other 5/4, P = u / 4 fused before the clip, levels -1..2:

    Q = (0 + 5/16)/2 and (1/2 + 5/16)/2 and (-1/4 + 5/16)/2.
    """
    options = BorderOptions(fuse="fuse_bound", bound="clip", degree=1)
    params = BorderParams(np.zeros((1, 2)), np.full((1, 2), 0.25))
    x = np.array([[np.nan, 1.25], [np.inf, 1.25], [-np.inf, 1.25]])
    _, cache = aquant_forward(x, make_qparams(1.0, 1, Grid("affine", 2)), params, options)
    assert cache.border.ravel().tolist() == [0.5 + 5 / 32, 0.5 + 13 / 32, 0.5 + 1 / 32]


@given(seed=SEEDS, fuse=st.sampled_from(FUSES))
def test_float32_rounds_the_float64_border(seed, fuse):
    """Same options, float32: borders within 2^-20; codes equal away from the border."""
    options = BorderOptions(fuse=fuse)
    _, x, qparams, params = real_case(seed, options)
    x = np.asarray(x, np.float32)
    single = BorderParams(*(None if b is None else b.astype(np.float32) for b in params))
    double = BorderParams(*(None if b is None else b.astype(np.float64) for b in single))
    step = make_qparams(np.float32(0.55), 1, qparams.grid)
    wide = make_qparams(float(np.float32(0.55)), 1, qparams.grid)
    x_hat, cache = aquant_forward(x, step, single, options)
    _, exact = aquant_forward(x.astype(np.float64), wide, double, options)
    assert x_hat.dtype == cache.border.dtype == np.float32
    size = 1 + np.abs(exact.u).max() ** 2  # P is a sum of terms up to that size
    np.testing.assert_allclose(cache.border, exact.border, rtol=0, atol=size * 2.0**-20)
    clear = np.abs(exact.u - np.floor(exact.u) - exact.border) > size * 2.0**-19
    np.testing.assert_array_equal(cache.levels[clear], exact.levels[clear])


def test_values_in_pinned_arithmetic_equal_exact_rationals():
    """The dyadic tier has one right answer in either arithmetic."""
    options = BorderOptions(bound="clip")
    for seed in range(5):
        x, qparams, params, _ = dyadic_case(np.random.default_rng(seed), options, 4, np.float64)
        channels, r, chosen = twin_arguments(qparams, params, options, Fraction(1, 2))
        with nx.arithmetic("pinned"):
            x_hat, cache = aquant_forward(x, qparams, params, options, 0.5)
        exact, _ = twin.forward(nested(x, 4), channels, r, chosen)
        assert_rounded_once(x_hat.reshape(cache.u.shape), exact, np.float64)


def test_arguments_are_not_changed():
    options = BorderOptions()
    _, x, qparams, params = real_case(0, options)
    held = [x.copy(), *(b.copy() for b in params)]
    aquant_forward(x, qparams, params, options, 0.5)
    for array, copy in zip([x, *params], held, strict=True):
        np.testing.assert_array_equal(array, copy)
