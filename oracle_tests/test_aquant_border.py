"""AQuant's border: the fusion of its taps, and the whole from polynomial to border."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.aquant_cases import BOUNDS, FUSES, params_of
from oracle_tests.exact_lists import assert_rounded_once, dyadic, fractions_of
from oracle_tests.gradcheck import check_gradient
from refquant import numerics as nx
from refquant.oracle.exact import aquant as twin
from refquant.quantizers.border import BorderParams, border_backward, border_forward, init_border
from refquant.quantizers.border_bound import border_bound_backward, border_bound_forward
from refquant.quantizers.border_fuse import border_fuse_backward, border_fuse_forward
from refquant.quantizers.border_options import BorderOptions

DTYPES = [np.float64, np.float32]
SEEDS = st.integers(0, 2**32 - 1)


def quarters(rng, shape):
    return rng.integers(-4, 5, shape) / 4


@pytest.mark.parametrize("dtype", DTYPES)
def test_hand_derived_fusion(dtype):
    """Two taps, P = (-1/4, 1/2), weights (1/2, 2), bound "clip": E = (1/4, 1).

    bound_fuse: F = (1/8 + 2)/2 = 17/16 -> 1; fuse_bound: Q = (-1/8 + 1)/2 = 7/16 -> 15/16;
    centred: 1/2 + (-1/8 + 1)/2 = 15/16; without weights F = 5/8.
    """
    p = np.array([-0.25, 0.5], dtype).reshape(1, 1, 2, 1)
    weights = np.array([[0.5, 2.0]], dtype)
    expected = {"bound_fuse": 1.0, "fuse_bound": 15 / 16, "centred": 15 / 16}
    for fuse, border in expected.items():
        b, _ = border_fuse_forward(p, weights, BorderOptions(bound="clip", fuse=fuse))
        assert (b.shape, b.item(), b.dtype) == ((1, 1, 1, 1), border, dtype)
    unweighted, _ = border_fuse_forward(p, None, BorderOptions(bound="clip"))
    assert unweighted.item() == 5 / 8
    alone, _ = border_fuse_forward(p, None, BorderOptions(bound="clip", fuse="none"))
    assert alone.ravel().tolist() == [0.25, 1.0]


@given(seed=SEEDS, fuse=st.sampled_from(FUSES), bound=st.sampled_from(BOUNDS))
def test_one_tap_needs_no_fusion(seed, fuse, bound):
    """P67: with K = 1 every order is the bound itself, bit for bit, forward and backward."""
    rng = np.random.default_rng(seed)
    p, g = rng.normal(0, 1, (2, 3, 1, 4)), rng.normal(size=(2, 3, 1, 4))
    options = BorderOptions(fuse=fuse, bound=bound[0], scale=bound[1])
    e, bound_cache = border_bound_forward(p, options)
    border, cache = border_fuse_forward(p, None, options)
    np.testing.assert_array_equal(border, e)
    grads = border_fuse_backward(g, cache)
    np.testing.assert_array_equal(grads.p, border_bound_backward(g, bound_cache))
    assert grads.weights is None
    assert init_border(3, 1, options).fusion is None


@given(seed=SEEDS, bound=st.sampled_from(BOUNDS), dtype=st.sampled_from(DTYPES))
def test_unit_weights_keep_the_mean_in_range(seed, bound, dtype):
    """P67: with alpha = 1 the final clip of bound_fuse does nothing; None means alpha = 1."""
    rng = np.random.default_rng(seed)
    p = rng.normal(0, 3, (2, 2, 9, 3)).astype(dtype)
    options = BorderOptions(bound=bound[0], scale=bound[1])
    e, _ = border_bound_forward(p, options)
    ones = np.ones((2, 9), dtype)
    border, cache = border_fuse_forward(p, ones, options)
    np.testing.assert_array_equal(border, nx.sum(e, axis=2, keepdims=True) / 9)
    assert cache.live.all()
    np.testing.assert_array_equal(border_fuse_forward(p, None, options)[0], border)
    saturated, cache = border_fuse_forward(np.abs(p) + 9, ones, BorderOptions(bound="clip"))
    assert (saturated == 1.0).all()
    assert cache.live.all()


@given(seed=SEEDS, taps=st.sampled_from([2, 3, 8]), dtype=st.sampled_from(DTYPES))
def test_weights_can_be_absorbed_only_when_fused_before_the_bound(seed, taps, dtype):
    """P71: (alpha_j, b_j) -> (1, alpha_j b_j) leaves a fuse_bound border bit-identical here."""
    rng = np.random.default_rng(seed)
    options = BorderOptions(fuse="fuse_bound", bound="clip")
    u = dyadic(rng, (2, 2, taps, 3), dtype, denominator=4)
    params = params_of(rng, (2, taps), options, quarters, dtype)
    absorbed = BorderParams(*(params.fusion * b for b in params[:3]), np.ones_like(params.fusion))
    before, _ = border_forward(u, params, options)
    after, _ = border_forward(u, absorbed, options)
    np.testing.assert_array_equal(before, after)


def test_weights_cannot_be_absorbed_after_the_bound():
    """P71: at P = 0 and alpha = 2, F = 2 * 1/2 = 1; absorbed, 1/2: alpha scales the constant."""
    u, zeros, twos = np.zeros((1, 1, 2, 1)), np.zeros((1, 2)), np.full((1, 2), 2.0)
    options = BorderOptions(bound="clip", degree=1)
    assert border_forward(u, BorderParams(zeros, zeros, None, twos), options)[0].item() == 1.0
    absorbed = BorderParams(2 * zeros, 2 * zeros, None, twos / 2)
    assert border_forward(u, absorbed, options)[0].item() == 0.5
    centred = BorderOptions(bound="clip", degree=1, fuse="centred")  # D16: there it does not
    assert border_forward(u, BorderParams(zeros, zeros, None, twos), centred)[0].item() == 0.5


@given(seed=SEEDS, fuse=st.sampled_from(FUSES), taps=st.sampled_from([1, 2, 3, 9]))
def test_borders_equal_exact_rationals(seed, fuse, taps):
    """bound "clip" on dyadic inputs: the exact border rounded once, for K = 3 and 9 too."""
    rng = np.random.default_rng(seed)
    options = BorderOptions(fuse=fuse, bound="clip")
    u = dyadic(rng, (2, 2, taps, 2), denominator=4)
    params = params_of(rng, (2, taps), options, quarters)
    border, _ = border_forward(u, params, options)
    columns = [None if b is None else fractions_of(b) for b in params]
    chosen = twin.Options(bound="clip", fuse=fuse)
    shape = (*u.shape[:2], border.shape[2], u.shape[3])
    exact = np.zeros(shape, object)
    for n, c, w in itertools.product(range(2), range(2), range(2)):
        block = fractions_of(u[n, c, :, w])
        b = twin.Taps(*(None if column is None else column[c] for column in columns))
        exact[n, c, :, w] = twin.borders(block, b, chosen)[: shape[2]]
    if fuse == "centred" and taps in (3, 9):  # 1/2 + mean: rounded twice
        np.testing.assert_allclose(border, exact.astype(float), rtol=0, atol=2**-53)
    else:
        assert_rounded_once(border, exact.tolist(), np.float64)


@pytest.mark.parametrize("fuse", FUSES)
def test_border_backward_matches_central_differences(fuse):
    """The border alone, off its kinks: u of moderate size, |P| < 0.8, F in (0, 1)."""
    rng = np.random.default_rng(2)
    options = BorderOptions(fuse=fuse)
    u = rng.uniform(-1, 1, (2, 2, 3, 2))
    params = params_of(rng, (2, 3), options, lambda r, s: r.uniform(-0.2, 0.2, s))
    border, cache = border_forward(u, params, options)
    g = rng.normal(size=border.shape)
    grads = border_backward(g, cache)
    check_gradient(lambda v: (g * border_forward(v, params, options)[0]).sum(), u, grads.u)
    for name, value in params._asdict().items():
        if value is not None:
            check_gradient(
                lambda v, n=name: (
                    g * border_forward(u, params._replace(**{n: v}), options)[0]
                ).sum(),
                value,
                getattr(grads.params, name),
                name=name,
            )


def test_infinities_of_both_signs_do_not_meet():
    """fuse_bound with P = +inf and -inf: Q is finite, B is 1/2, and nothing is NaN."""
    u = np.array([1e200, 1e200]).reshape(1, 1, 2, 1)
    b2 = np.array([[1.0, -1.0]])
    zero = np.zeros((1, 2))
    options = BorderOptions(fuse="fuse_bound")
    border, cache = border_forward(u, BorderParams(zero, zero, b2), options)
    assert border.item() == 0.5
    assert not np.isnan(border_backward(np.ones_like(border), cache).u).any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fuse", FUSES)
@pytest.mark.parametrize("degree", [1, 2])
def test_initial_border_is_one_half(degree, fuse, dtype):
    """13.3: b = 0 and alpha = 1 give B = 1/2 for every bound; only what can be learned exists."""
    for bound, scale in BOUNDS:
        options = BorderOptions(degree=degree, fuse=fuse, bound=bound, scale=scale)
        params = init_border(2, 3, options, dtype)
        assert (params.b2 is None) == (degree == 1)
        assert (params.fusion is None) == (fuse == "none")
        u = np.linspace(-9, 9, 24).reshape(1, 2, 3, 4).astype(dtype)
        border, _ = border_forward(u, params, options)
        assert (border == 0.5).all()
        assert border.dtype == params.b0.dtype == dtype
    fixed = BorderOptions(fuse=fuse, fusion_weights="fixed")
    assert init_border(2, 3, fixed).fusion is None


def test_bad_input_is_refused():
    linear = BorderOptions(degree=1)
    u, b = np.zeros((1, 2, 3, 4)), np.zeros((2, 3))
    with pytest.raises(ValueError, match="b2 is given"):
        border_forward(u, BorderParams(b, b, b), linear)
    with pytest.raises(ValueError, match="b2 is None"):
        border_forward(u, BorderParams(b, b), BorderOptions())
    with pytest.raises(ValueError, match="b1 is of shape"):
        border_forward(u, BorderParams(b, b[:1]), linear)
    with pytest.raises(TypeError, match="float32"):
        border_forward(u, BorderParams(b, b.astype(np.float32)), linear)
    with pytest.raises(ValueError, match="b0 is nan"):
        border_forward(u, BorderParams(b + np.nan, b), linear)
    with pytest.raises(ValueError, match="fusion is of shape"):
        border_forward(u, BorderParams(b, b, None, b[:1]), linear)
    with pytest.raises(ValueError, match="nothing to fuse"):
        border_forward(u, BorderParams(b, b, None, b), BorderOptions(degree=1, fuse="none"))
    with pytest.raises(ValueError, match="nothing to fuse"):
        one = np.zeros((2, 1))
        border_forward(u[:, :, :1], BorderParams(one, one, None, one), linear)
    with pytest.raises(ValueError, match="channels"):
        init_border(0, 1, linear)
