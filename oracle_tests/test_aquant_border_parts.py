"""The parts of AQuant's border before fusion: options, polynomial, bound."""

import itertools
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.aquant_cases import BOUNDS
from oracle_tests.exact_lists import assert_rounded_once, dyadic
from oracle_tests.gradcheck import check_gradient
from refquant.oracle.exact import aquant as twin
from refquant.quantizers.border_bound import border_bound_backward, border_bound_forward
from refquant.quantizers.border_options import BorderOptions
from refquant.quantizers.border_poly import border_poly_backward, border_poly_forward

DTYPES = [np.float64, np.float32]
LN_7_3 = 0.8472978603872036  # ln(7/3) = 0.84729786038720361371..., a little above this float
SEEDS = st.integers(0, 2**32 - 1)


def quarters(rng, shape):
    return rng.integers(-4, 5, shape) / 4


# options


def test_defaults_are_the_paper_s():
    """The table of 13.3 and D16, D17, D23, each value once."""
    o = BorderOptions()
    assert (o.degree, o.bound, o.scale, o.kappa) == (2, "sigmoid", "outer", 2.5)
    assert (o.fuse, o.fusion_weights) == ("bound_fuse", "learned")
    assert (o.border_mask, o.gate, o.mask) == ("closed", "literal", "rounded")
    assert o.detach_border_input is False
    assert hash(o) == hash(BorderOptions())


@pytest.mark.parametrize("kappa", [1.0 + 2**-40, 1.5, 2.0, 2.5, 4.0, 1e3, 1e12])
def test_saturation_is_the_last_float_inside(kappa):
    """The largest double P with 1/2 + kappa (sigma(P) - 1/2) <= 1, against 60 digits."""
    edge = BorderOptions(kappa=kappa).saturation
    with mpmath.workdps(60):
        exact = mpmath.log((mpmath.mpf(kappa) + 1) / (mpmath.mpf(kappa) - 1))
        assert mpmath.mpf(edge) <= exact < mpmath.mpf(math.nextafter(edge, math.inf))


@pytest.mark.parametrize("kappa", [1.5, 2.0, 3.0, 5.0, 7.0, 9.0])
def test_saturation_is_exact_in_float32_too(kappa):
    """The last float32 inside passes, the next does not, whichever way the edge would round."""
    options = BorderOptions(kappa=kappa)
    near = np.float32(options.saturation)
    last = near if float(near) <= options.saturation else np.nextafter(near, np.float32(0))
    p = np.array([last, np.nextafter(last, np.float32(9))])
    assert (border_bound_forward(p, options)[1].slope != 0).tolist() == [True, False]


def test_saturation_of_the_other_bounds():
    assert BorderOptions().saturation == LN_7_3
    assert BorderOptions(bound="clip").saturation == 0.5
    assert BorderOptions(scale="inner").saturation == math.inf
    assert BorderOptions(kappa=1.0).saturation == math.inf


# polynomial


@given(seed=SEEDS, degree=st.sampled_from([1, 2]), dtype=st.sampled_from(DTYPES))
def test_polynomial_equals_exact_rationals(seed, degree, dtype):
    """AQ eq.8 at every element, and sums over images and windows in the gradients."""
    rng = np.random.default_rng(seed)
    u = dyadic(rng, (2, 2, 3, 2), dtype, denominator=4)
    b0, b1, b2 = (quarters(rng, (2, 3)).astype(dtype) for _ in range(3))
    b2 = b2 if degree == 2 else None
    d_p = dyadic(rng, u.shape, dtype, reach=4, denominator=2)
    p, cache = border_poly_forward(u, b0, b1, b2)
    grads = border_poly_backward(d_p, cache)
    exact = np.zeros(u.shape, object)
    d_b = np.zeros((3, 2, 3), object)
    d_u = np.zeros(u.shape, object)
    for n, c, k, w in itertools.product(*(range(size) for size in u.shape)):
        v, d = Fraction(float(u[n, c, k, w])), Fraction(float(d_p[n, c, k, w]))
        bs = [Fraction(float(b[c, k])) for b in (b0, b1)]
        bs.append(Fraction(0) if b2 is None else Fraction(float(b2[c, k])))
        exact[n, c, k, w] = sum(b * v**j for j, b in enumerate(bs))
        d_u[n, c, k, w] = d * (bs[1] + 2 * bs[2] * v)
        d_b[:, c, k] += [d, d * v, d * v * v]
    for actual, expected in [(p, exact), (grads.u, d_u), (grads.b0, d_b[0]), (grads.b1, d_b[1])]:
        assert_rounded_once(actual, expected.tolist(), dtype)
    if degree == 2:
        assert_rounded_once(grads.b2, d_b[2].tolist(), dtype)
    else:
        assert grads.b2 is None


def test_polynomial_at_huge_inputs_is_infinite_and_blocked_elements_stay_zero():
    """u^2 overflows: P takes the sign of b2; a zero d_p gives zero gradients, not 0 * inf."""
    u = np.full((1, 1, 1, 1), -1e200)
    up, down, b1 = np.ones((1, 1)), -np.ones((1, 1)), np.full((1, 1), 1e10)
    p, cache = border_poly_forward(u, up, b1, up)
    assert p.item() == np.inf
    assert border_poly_forward(u, up, b1, down)[0].item() == -np.inf
    assert not any(d.any() for d in border_poly_backward(np.zeros_like(u), cache))


# bound


@pytest.mark.parametrize("dtype", DTYPES)
def test_outer_and_inner_scale_agree_at_zero_and_saturate_differently(dtype):
    """P68: value 1/2 and slope 5/8 at 0 for both; outer hits 0, 1 at ln(7/3), inner does not."""
    outer, inner = BorderOptions(), BorderOptions(scale="inner")
    zero = np.zeros(1, dtype)
    for options in (outer, inner):
        e, cache = border_bound_forward(zero, options)
        assert (e.item(), cache.slope.item(), options.slope_at_zero) == (0.5, 0.625, 0.625)
        assert e.dtype == cache.slope.dtype == dtype
    edge = np.array([-np.inf, -LN_7_3, LN_7_3, 1.0, np.inf], dtype)
    assert border_bound_forward(edge, outer)[0].tolist() == [0, 0, 1, 1, 1]
    before = np.array([-0.847, 0.847], dtype)
    e = border_bound_forward(before, outer)[0]
    assert 0 < e[0] < 1e-3
    assert 1 - 1e-3 < e[1] < 1
    e = border_bound_forward(np.array([-6.0, -LN_7_3, LN_7_3, 6.0], dtype), inner)[0]
    assert e[0] > 0
    assert e[3] < 1
    expected = 1 / (1 + (3 / 7) ** 2.5)  # sigma(2.5 ln(7/3))
    np.testing.assert_allclose(e[2], expected, rtol=8 * np.finfo(dtype).eps)
    assert e[2] < 0.9


def test_inner_scale_rounds_to_one_only_far_out():
    """P68, last clause: in float64 from P of about 15."""
    e = border_bound_forward(np.array([14.0, 15.0]), BorderOptions(scale="inner"))[0]
    assert e[0] < 1.0 == e[1]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["sigmoid", "clip"])
def test_bound_masks_on_their_edges(kind, dtype):
    """Closed: the edge passes and the next float does not; open: both pass. E stays 0 or 1."""
    edge = dtype(LN_7_3 if kind == "sigmoid" else 0.5)
    beyond = np.nextafter(edge, dtype(2))
    p = np.array([-beyond, -edge, edge, beyond], dtype)
    slope = 2.5 * 0.7 * 0.3 if kind == "sigmoid" else 1.0
    e, cache = border_bound_forward(p, BorderOptions(bound=kind))
    assert e.tolist() == [0, 0, 1, 1]
    d_p = border_bound_backward(np.full_like(p, 2.0), cache)
    np.testing.assert_allclose(d_p, [0, 2 * slope, 2 * slope, 0], rtol=8 * np.finfo(dtype).eps)
    same, cache = border_bound_forward(p, BorderOptions(bound=kind, border_mask="open"))
    np.testing.assert_array_equal(same, e)
    np.testing.assert_allclose(cache.slope, slope, rtol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("kappa", [0.75, 2.5])
def test_bound_equals_the_twin_and_its_slope_the_differences(bound, kappa):
    options = BorderOptions(bound=bound[0], scale=bound[1], kappa=kappa)
    p = np.linspace(-3.0, 3.0, 51) + 1e-3  # off the kinks
    e, cache = border_bound_forward(p, options)
    chosen = twin.Options(bound=bound[0], scale=bound[1], kappa=kappa)
    np.testing.assert_allclose(e, [twin.bound(t, chosen) for t in p.tolist()], atol=1e-15)
    slopes = [twin.bound_slope(t, chosen) for t in p.tolist()]
    np.testing.assert_allclose(cache.slope, slopes, atol=1e-15)
    g = np.linspace(-1.0, 2.0, 51)
    d_p = border_bound_backward(g, cache)
    check_gradient(lambda t: (g * border_bound_forward(t, options)[0]).sum(), p, d_p)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="kappa"):
        BorderOptions(kappa=0.0)
    with pytest.raises(ValueError, match="kappa"):
        BorderOptions(kappa=math.nan)
    bad = {"degree": 3, "bound": "tanh", "scale": "both", "fuse": "fuse", "gate": "open"}
    bad |= {"border_mask": "strict", "mask": "none", "fusion_weights": "free"}
    for field, value in (bad | {"detach_border_input": 2}).items():
        with pytest.raises(ValueError, match=field):
            BorderOptions(**{field: value})
    with pytest.raises(ValueError, match="NaN"):
        border_bound_forward(np.array([np.nan]), BorderOptions())
    with pytest.raises(ValueError, match="axes"):
        border_poly_forward(np.zeros((2, 3, 4)), np.zeros((2, 3)), np.zeros((2, 3)))
