"""Scales of cross-layer equalization and what they do to two layers (P65)."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.exact_lists import assert_rounded_once, dyadic, fractions_of
from refquant.oracle.exact import redistribute as twin
from refquant.redistribute.cle import PPQ_CLIP, cle_apply, cle_scale

DTYPES = [np.float64, np.float32]
MAXIMA = st.floats(0.0, 1e6, width=32).map(lambda v: 0.0 if v < 1e-30 else v)
SEEDS = st.integers(0, 2**32 - 1)


def both(dtype, *values):
    return [np.array(v, dtype) for v in values]


@pytest.mark.parametrize("dtype", DTYPES)
def test_cle_by_hand(dtype):
    """sqrt(16/4) = 2, sqrt(2/18) = 1/3; convention 10: a zero range keeps 1."""
    r1, r2 = both(dtype, [4.0, 18.0, 0.0, 2.0, 0.0], [16.0, 2.0, 3.0, 0.0, 0.0])
    scale = cle_scale(r1, r2)
    assert scale.tolist() == [2.0, float(dtype(1.0) / dtype(3.0)), 1.0, 1.0, 1.0]
    assert scale.dtype == dtype
    clipped = cle_scale(*both(dtype, [1.0, 900.0, 0.0], [900.0, 1.0, 1.0]), PPQ_CLIP)
    assert clipped.tolist() == [10.0, float(dtype(0.1)), 1.0]
    assert cle_scale(*both(dtype, [0.0], [1.0]), (2.0, 3.0)).tolist() == [2.0]
    assert cle_scale(np.zeros(0, dtype), np.zeros(0, dtype)).shape == (0,)


@given(r1=MAXIMA, r2=MAXIMA, clip=st.sampled_from([None, (0.125, 8.0), (1.0, 1.0)]))
def test_cle_against_exact_rationals(r1, r2, clip):
    scale = cle_scale(np.array([r1]), np.array([r2]), clip)
    bounds = None if clip is None else (Fraction(clip[0]), Fraction(clip[1]))
    exact = twin.cle_square(Fraction(r1), Fraction(r2), bounds)
    assert abs(Fraction(float(scale[0])) ** 2 / exact - 1) <= 4 * Fraction(2) ** -52


@pytest.mark.parametrize(
    ("dtype", "small", "large"), [(np.float64, 1e-250, 1e250), (np.float32, 1e-30, 1e30)]
)
def test_cle_with_a_ratio_beyond_the_dtype(dtype, small, large):
    """The ratio overflows or is subnormal, its root is neither."""
    r1, r2 = both(dtype, [small, large], [large, small])
    ratio = math.sqrt(float(r1[1])) / math.sqrt(float(r1[0]))
    expected = np.array([ratio, 1.0 / ratio])
    np.testing.assert_allclose(cle_scale(r1, r2), expected, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS, data=st.data())
def test_cle_equalizes_ranges(dtype, seed, data):
    """P65: rows of the first and columns of the second layer both reach sqrt(r1 r2)."""
    rng = np.random.default_rng(seed)
    w1, w2 = both(dtype, rng.standard_normal((4, 3)), rng.standard_normal((5, 4)))
    dead = data.draw(st.integers(0, 4), label="dead channel")
    w1[dead : dead + 1] = 0.0  # 4: none
    bias = both(dtype, rng.standard_normal(4))[0]
    r1, r2 = np.abs(w1).max(axis=1), np.abs(w2).max(axis=0)
    after1, bias1, after2 = cle_apply(w1, bias, w2, cle_scale(r1, r2))
    live = r1 > 0
    wanted = np.sqrt(r1.astype(np.float64) * r2)[live]
    tolerance = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(np.abs(after1).max(axis=1)[live], wanted, rtol=tolerance)
    np.testing.assert_allclose(np.abs(after2).max(axis=0)[live], wanted, rtol=tolerance)
    np.testing.assert_array_equal(after2[:, ~live], w2[:, ~live])
    np.testing.assert_array_equal(bias1[~live], bias[~live])
    assert after1.dtype == after2.dtype == bias1.dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS)
def test_cle_apply_is_that_of_exact_rationals(dtype, seed):
    """P65: every entry rounded once; exactly the same function with ReLU between in rationals."""
    rng = np.random.default_rng(seed)
    w1, w2 = dyadic(rng, (3, 2), dtype), dyadic(rng, (2, 3), dtype)
    bias, x = dyadic(rng, (3,), dtype), dyadic(rng, (4, 2))
    scale = np.array(rng.integers(1, 9, 3) / 4.0, dtype)
    lists = [fractions_of(v) for v in (w1, bias, w2, scale)]
    exact = twin.cle_apply(*lists)
    for got, wanted in zip(cle_apply(w1, bias, w2, scale), exact, strict=True):
        assert_rounded_once(got, wanted, dtype)
    zero = [Fraction(0)] * 2
    outputs = []
    for first, b, second in (lists[:3], exact):
        hidden = twin.linear(fractions_of(x), first, b)
        outputs.append(twin.linear([[max(v, 0) for v in row] for row in hidden], second, zero))
    assert outputs[0] == outputs[1]


def test_cle_apply_in_groups():
    """Two groups, the second layer reads channels (0, 1) by two rows and (2, 3) by two others."""
    w2 = np.arange(1.0, 9.0).reshape(4, 2)
    scale = np.array([1.0, 2.0, 4.0, 8.0])
    w1, bias, after = cle_apply(np.ones((4, 1)), None, w2, scale, groups=2)
    assert after.tolist() == [[1.0, 1.0], [3.0, 2.0], [1.25, 0.75], [1.75, 1.0]]
    assert bias is None
    assert w1.tolist() == [[1.0], [2.0], [4.0], [8.0]]
    depthwise = cle_apply(np.ones((4, 1)), None, np.ones((4, 1, 1, 1)), scale, groups=4)[2]
    assert depthwise.ravel().tolist() == [1.0, 0.5, 0.25, 0.125]


def test_cle_refuses_bad_input():
    one = np.ones(2)
    with pytest.raises(ValueError, match="r1"):
        cle_scale(np.array([1.0, -1.0]), one)
    with pytest.raises(ValueError, match="r2"):
        cle_scale(one, np.array([1.0, np.nan]))
    with pytest.raises(TypeError, match="r2"):
        cle_scale(one, np.ones(2, np.float32))
    for clip in ((0.0, 1.0), (2.0, 1.0), (1.0, math.inf), (1.0,), (math.nan, 1.0)):
        with pytest.raises(ValueError, match="clip"):
            cle_scale(one, one, clip)
    with pytest.raises(ValueError, match="the scale"):
        cle_scale(np.array([5e-324]), np.array([1.7e308]))
    with pytest.raises(ValueError, match="the scale"):
        cle_scale(np.array([1.7e308]), np.array([5e-324]))
    with pytest.raises(ValueError, match="scale"):
        cle_apply(np.ones((2, 2)), None, np.ones((2, 2)), np.ones(3))
    with pytest.raises(ValueError, match="scale"):
        cle_apply(np.ones((2, 2)), None, np.ones((2, 2)), np.array([1.0, 0.0]))
    with pytest.raises(ValueError, match="2 channels"):
        cle_apply(np.ones((2, 2)), None, np.ones((2, 3)), one)
    with pytest.raises(ValueError, match="bias1"):
        cle_apply(np.ones((2, 2)), np.ones(3), np.ones((2, 2)), one)
    with pytest.raises(TypeError, match="w2"):
        cle_apply(np.ones((2, 2)), None, np.ones((2, 2), np.float32), one)
    with pytest.raises(TypeError, match="w2"):
        cle_apply(np.ones((2, 2)), None, [[1.0, 1.0]], one)
