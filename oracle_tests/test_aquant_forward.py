"""AQuant's quantizer, methods 13.3: codes, values, the schedule, and where the border matters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.aquant_cases import FUSES, dyadic_case, nested, real_case, twin_arguments
from refquant.oracle.exact import aquant as twin
from refquant.quantizers.aquant import aquant_codes, aquant_forward
from refquant.quantizers.border import BorderParams, init_border
from refquant.quantizers.border_options import BorderOptions
from refquant.quantizers.fake_quant import dequantize, quantize
from refquant.quantizers.grid import Grid, make_qparams
from refquant.quantizers.rounding import border_round

DTYPES = [np.float64, np.float32]
SEEDS = st.integers(0, 2**32 - 1)
PLAIN = BorderOptions(fuse="none", bound="clip", degree=1)


def constant(border, features, dtype=np.float64):
    """Parameters whose border is this number at every input (bound "clip", linear)."""
    b0 = np.full((features, 1), border - 0.5, dtype)
    return BorderParams(b0, np.zeros_like(b0))


@pytest.mark.parametrize("dtype", DTYPES)
def test_hand_derived_values(dtype):
    """s = 1/2, levels 0..3, B = 1/2 - 1/4 u, u = (1/4, 3/4, 5/4, 7/4, 15/4, -1/4):

    B = (7/16, 5/16, 3/16, 1/16, 0 (clipped), 9/16), f = (1/4, 3/4, 1/4, 3/4, 3/4, 3/4),
    r = (0, 1, 2, 2, 4, 0).
    """
    u = [0.25, 0.75, 1.25, 1.75, 3.75, -0.25]
    x = np.array([[v / 2] for v in u], dtype)
    params = BorderParams(np.zeros((1, 1), dtype), np.full((1, 1), -0.25, dtype))
    qparams = make_qparams(dtype(0.5), 0, Grid("unsigned", 2))
    x_hat, cache = aquant_forward(x, qparams, params, PLAIN)
    assert cache.border.ravel().tolist() == [7 / 16, 5 / 16, 3 / 16, 1 / 16, 0, 9 / 16]
    assert x_hat.ravel().tolist() == [0, 0.5, 1, 1, 1.5, 0]
    assert aquant_codes(x, qparams, params, PLAIN).ravel().tolist() == [0, 1, 2, 2, 3, 0]
    half, _ = aquant_forward(x, qparams, params, PLAIN, a=0.5)
    assert half.ravel().tolist() == [1 / 16, 7 / 16, 13 / 16, 15 / 16, 1.5, 0]
    assert x_hat.dtype == half.dtype == dtype


@given(
    seed=SEEDS,
    fuse=st.sampled_from(FUSES),
    taps=st.sampled_from([1, 2, 4]),
    dtype=st.sampled_from(DTYPES),
)
def test_codes_equal_exact_rationals(seed, fuse, taps, dtype):
    """AQ eq.8 to 10: codes at a = 1 are exact integers, and the values s (code - z)."""
    options = BorderOptions(fuse=fuse, bound="clip")
    x, qparams, params, _ = dyadic_case(np.random.default_rng(seed), options, taps, dtype)
    channels, r, chosen = twin_arguments(qparams, params, options)
    codes = aquant_codes(x, qparams, params, options)
    levels = twin.forward(nested(x, taps), channels, r, chosen)[1]
    zero = int(qparams.zero_point)
    expected = np.array(levels, object).reshape(x.shape) + zero
    assert codes.dtype == np.int64
    assert codes.tolist() == expected.tolist()
    assert codes.min() >= 0
    assert codes.max() <= 3
    x_hat, _ = aquant_forward(x, qparams, params, options)
    np.testing.assert_array_equal(x_hat, dequantize(codes, qparams))


@pytest.mark.parametrize("a", [0.25, 1.0])
@pytest.mark.parametrize("grid", [Grid("unsigned", 2), Grid("signed", 3), Grid("affine", 3)])
def test_border_is_irrelevant_from_the_ends_on(grid, a):
    """P08: for u <= n or u >= p every border gives the same; strictly between, some do not."""
    zero = 5 if grid.kind == "affine" else 0
    n, p = grid.limits(zero)
    u = np.arange(8 * (n - 2), 8 * (p + 2) + 1) / 8.0
    qparams = make_qparams(0.25, zero, grid)
    x = (0.25 * u)[None]
    values = [
        aquant_forward(x, qparams, constant(border / 8, u.size), PLAIN, a)[0][0]
        for border in range(9)
    ]
    moved = np.any([v != values[0] for v in values], axis=0)
    assert not moved[(u <= n) | (u >= p)].any()
    inner = (u > n) & (u < p) & (u != np.floor(u))
    np.testing.assert_array_equal(moved, inner)


@given(u=st.floats(-1e3, 1e3), low=st.integers(0, 64), rise=st.integers(0, 64))
def test_rounding_falls_with_the_border(u, low, rise):
    """P66: B1 <= B2 => border(u, B1) - border(u, B2) is 0 or 1; also 13.7 through the quantizer."""
    first, second = low / 64, min(low + rise, 64) / 64
    r1, r2 = (border_round(np.array([u]), b).item() for b in (first, second))
    assert r1 - r2 in (0.0, 1.0)
    qparams = make_qparams(1.0, 0, Grid("signed", 8))
    c1, c2 = (
        aquant_codes(np.array([[u]]), qparams, constant(b, 1), PLAIN) for b in (first, second)
    )
    assert c1 - c2 in (0, 1)


@given(seed=SEEDS, fuse=st.sampled_from(FUSES), dtype=st.sampled_from(DTYPES))
def test_neutral_border_is_nearest_with_ties_down(seed, fuse, dtype):
    """P09: B = 1/2 equals rint except at f = 1/2, where it is floor (ties drawn often)."""
    rng = np.random.default_rng(seed)
    u = np.where(
        rng.random((4, 6)) < 0.5, rng.integers(-9, 10, (4, 6)) / 2, rng.normal(0, 3, (4, 6))
    )
    x = (0.25 * u).astype(dtype)
    options = BorderOptions(fuse=fuse)
    qparams = make_qparams(dtype(0.25), 3, Grid("affine", 3))
    codes = aquant_codes(x, qparams, init_border(3, 2, options, dtype), options)
    v = x / dtype(0.25)
    ties = v - np.floor(v) == 0.5
    np.testing.assert_array_equal(codes[~ties], quantize(x, qparams, "rint")[~ties])
    floored = np.clip(np.floor(v), -3, 4).astype(int) + 3
    np.testing.assert_array_equal(codes[ties], floored[ties])


@given(seed=SEEDS, fuse=st.sampled_from(FUSES), a=st.sampled_from([0.25, 0.5, 0.75]))
def test_rounding_schedule(seed, fuse, a):
    """P69, AQ app. eq.2: a = 0 only clips, a = 1 rounds, between them affine where not clipped."""
    options = BorderOptions(fuse=fuse)
    _, x, qparams, params = real_case(seed, options)
    runs = {w: aquant_forward(x, qparams, params, options, w) for w in (0.0, a, 1.0)}
    u = x / qparams.step
    np.testing.assert_array_equal(runs[0.0][0], qparams.step * np.clip(u, -1, 2))
    border = np.broadcast_to(runs[1.0][1].border, runs[1.0][1].u.shape).reshape(x.shape)
    rounded = border_round(u, border)
    np.testing.assert_array_equal(runs[1.0][0], qparams.step * np.clip(rounded, -1, 2))
    free = (u >= -1) & (u <= 2) & (rounded >= -1) & (rounded <= 2)
    mixed = ((1 - a) * runs[0.0][0] + a * runs[1.0][0])[free]
    np.testing.assert_allclose(runs[a][0][free], mixed, rtol=1e-14, atol=1e-15)
    v = np.clip(u + a * (rounded - u), -1, 2)
    np.testing.assert_array_equal(runs[a][0], qparams.step * v)


@given(
    seed=SEEDS,
    fuse=st.sampled_from(FUSES),
    a=st.sampled_from([0.0, 0.5, 1.0]),
    kind=st.sampled_from(["unsigned", "signed", "narrow", "affine"]),
    dtype=st.sampled_from(DTYPES),
)
def test_padding_stays_zero(seed, fuse, a, kind, dtype):
    """P70: zeros among other inputs stay +0.0 for every border, B = 0 and B = 1 included."""
    rng = np.random.default_rng(seed)
    options = BorderOptions(fuse=fuse)
    _, x, _, params = real_case(seed, options)
    params = BorderParams(*(None if b is None else (4 * b).astype(dtype) for b in params))
    blank = rng.random(x.shape) < 0.4
    x = np.where(blank, np.where(rng.random(x.shape) < 0.5, 0.0, -0.0), x).astype(dtype)
    qparams = make_qparams(dtype(0.3), 2 if kind == "affine" else 0, Grid(kind, 2))
    x_hat, cache = aquant_forward(x, qparams, params, options, a)
    assert not x_hat[blank].any()
    assert not np.signbit(x_hat[blank]).any()
    assert cache.border.min() >= 0
    assert cache.border.max() <= 1


@pytest.mark.parametrize(("border", "up"), [(0.0, 1), (1.0, 0)])
def test_the_two_extreme_borders(border, up):
    """D1: B = 0 is ceil, B = 1 is floor, and neither moves an integer (ceil(u - 1) would)."""
    u = np.array([[-2.0, -1.75, -0.25, 0.0, 0.25, 1.0, 1.5, 3.0]])
    qparams = make_qparams(1.0, 0, Grid("signed", 4))
    codes = aquant_codes(u, qparams, constant(border, 8), PLAIN)
    assert codes.tolist() == [(np.floor(u) + up * (u != np.floor(u)))[0].astype(int).tolist()]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_fraction_on_its_border_goes_down(dtype):
    """D1: f = B down, the next float up; also on -1/2 < u < 0, where u - floor(u) is inexact."""
    for u in (dtype(0.25), dtype(-0.25)):
        border = float(u - np.floor(u))
        x = np.array([[u, np.nextafter(u, dtype(9))]])
        qparams = make_qparams(dtype(1.0), 0, Grid("signed", 3))
        codes = aquant_codes(x, qparams, constant(border, 2, dtype), PLAIN)
        assert codes.tolist() == [[np.floor(u), np.floor(u) + 1]]


def test_bad_input_is_refused():
    options = BorderOptions(degree=1)
    params = init_border(2, 3, options)
    qparams = make_qparams(0.5, 0, Grid("unsigned", 2))
    x = np.zeros((1, 6, 4))
    for a in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match=r"aquant_forward\(\): a is"):
            aquant_forward(x, qparams, params, options, a)
    with pytest.raises(ValueError, match="5 rows"):
        aquant_forward(x[:, :5], qparams, params, options)
    with pytest.raises(ValueError, match="x is of shape"):
        aquant_forward(np.zeros(6), qparams, params, options)
    with pytest.raises(TypeError, match="x is int64"):
        aquant_forward(np.zeros((1, 6, 4), np.int64), qparams, params, options)
    with pytest.raises(TypeError, match="b0 is float64"):
        aquant_forward(x.astype(np.float32), qparams, params, options)
    many = make_qparams(np.full((6, 1), 0.5), 0, Grid("unsigned", 2))
    with pytest.raises(ValueError, match="per tensor"):
        aquant_forward(x, many, params, options)
    with pytest.raises(ValueError, match="grad_scale"):
        aquant_forward(x, qparams, params, options, 1.0, np.inf)
    tiny = make_qparams(1e-300, 0, Grid("unsigned", 2))
    with pytest.raises(ValueError, match="step"):
        single = init_border(2, 3, options, np.float32)
        aquant_forward(x.astype(np.float32), tiny, single, options)
