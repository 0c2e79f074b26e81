"""RepQ-ViT: one step and zero point for all channels, the codes unchanged (P62, P63)."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant import numerics as nx
from refquant.oracle.exact import redistribute as twin
from refquant.quantizers.fake_quant import quantize
from refquant.quantizers.grid import Grid, make_qparams
from refquant.redistribute.absorb import absorb_in_reader, absorb_in_writer
from refquant.redistribute.repq import repq_reparam

DTYPES = [np.float64, np.float32]
MODES = ["fast", "pinned"]
SEEDS = st.integers(0, 2**32 - 1)


def both(dtype, *values):
    return [np.array(v, dtype) for v in values]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
def test_repq_by_hand(mode, dtype):
    """Steps 1, 2, 3 and zero points 0, 1, 4: s~ = 2, z~ = rint(5/3) = 2."""
    with nx.arithmetic(mode):
        found = repq_reparam(np.array([1.0, 2.0, 3.0], dtype), np.array([0, 1, 4]))
    assert found.step == 2.0 and found.zero_point == 2
    assert found.ratio.tolist() == [0.5, 1.0, 1.5]
    assert found.offset.tolist() == [4.0, 2.0, -4.0]
    assert found.shift.tolist() == [2.0, 2.0, -6.0]
    assert found.step.dtype == found.ratio.dtype == found.offset.dtype == dtype
    assert found.zero_point.dtype == np.int64 and found.step.shape == ()


@pytest.mark.parametrize(("zeros", "mean"), [([0, 1], 0), ([1, 2], 2), ([4, 5], 4), ([7, 7], 7)])
def test_repq_rounds_the_mean_zero_point_half_to_even(zeros, mean):
    """D21."""
    assert repq_reparam(np.ones(2), np.array(zeros)).zero_point == mean


@given(steps=st.lists(st.integers(1, 64), min_size=1, max_size=6), data=st.data())
def test_repq_against_exact_rationals(steps, data):
    """The twin computes bb from the other formula, -z_c s_c / r + z~ s~."""
    zeros = [data.draw(st.integers(0, 255)) for _ in steps]
    found = repq_reparam(np.array(steps) / 16.0, np.array(zeros))
    exact = twin.repq_reparam([Fraction(s, 16) for s in steps], zeros)
    assert found.zero_point == exact[1]
    eps = np.finfo(np.float64).eps
    pairs = ((found.step, exact[0]), (found.ratio, exact[2]), (found.offset, exact[3]))
    for got, wanted in pairs:
        np.testing.assert_allclose(got, np.array(wanted, np.float64), rtol=2 * eps)


@given(data=st.data(), size=st.integers(1, 5), bits=st.integers(2, 8))
def test_repq_keeps_every_code_in_exact_arithmetic(data, size, bits):
    """P63: codes of x' under (s~, z~) are those of x under (s_c, z_c), away from ties."""
    top = 2**bits - 1
    ratios = st.fractions(Fraction(1, 50), 5, max_denominator=50)
    steps = [data.draw(ratios, label="step") for _ in range(size)]
    zeros = [data.draw(st.integers(0, top), label="zero") for _ in range(size)]
    x = [data.draw(st.fractions(-9, 9, max_denominator=70), label="x") for _ in range(size)]
    common, whole, ratio, offset = twin.repq_reparam(steps, zeros)
    for s, z, v, r, b in zip(steps, zeros, x, ratio, offset, strict=True):
        moved = (v / r - b) / common
        assert moved == v / s - (whole - z)
        if (v / s * 2).denominator != 1 or (v / s).denominator == 1:
            before = min(max(round(v / s) + z, 0), top)
            assert min(max(round(moved) + whole, 0), top) == before


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS, bits=st.sampled_from([4, 8]))
def test_repq_keeps_every_code_in_floats(dtype, seed, bits):
    """P62 and P63 through `absorb`: a writer's outputs, quantized per channel and in common."""
    rng = np.random.default_rng(seed)
    gamma, beta, normed = both(
        dtype, rng.uniform(0.1, 3.0, 5), rng.uniform(-2, 2, 5), rng.standard_normal((20, 5))
    )
    w = both(dtype, rng.standard_normal((3, 5)))[0]
    x = normed * gamma + beta
    low, high = np.minimum(x.min(axis=0), 0), np.maximum(x.max(axis=0), 0)
    grid = Grid("affine", bits)
    step = np.asarray((high - low) / grid.code_max, dtype)
    zero = -np.rint(low / step).astype(np.int64)
    found = repq_reparam(step, zero)
    new_gamma, new_beta = absorb_in_writer(gamma, beta, found.ratio, found.shift)
    moved = normed * new_gamma + new_beta
    u = x.astype(np.float64) / step
    clear = np.abs(np.abs(u - np.floor(u)) - 0.5) > 2**bits * 8 * np.finfo(dtype).eps
    per_channel = quantize(x, make_qparams(step[None], zero[None], grid))
    in_common = quantize(moved, make_qparams(found.step, found.zero_point, grid))
    np.testing.assert_array_equal(in_common[clear], per_channel[clear])
    assert clear.mean() > 0.9
    new_w, bias = absorb_in_reader(w, None, found.ratio, found.shift)
    size = np.abs(x) @ np.abs(w.T) + np.abs(found.shift) @ np.abs(w.T)
    error = np.abs((moved @ new_w.T + bias) - x @ w.T)
    assert np.all(error <= 30 * np.finfo(dtype).eps * (size + np.abs(beta) @ np.abs(w.T)))


def test_repq_differs_at_a_tie_where_the_zero_points_differ_by_an_odd_number():
    """u = 1/2 rounds to 0, and 1/2 - 1 to -0, which is one code above."""
    step, zero = np.ones(2), np.array([0, 2])  # z~ = 1
    found = repq_reparam(step, zero)
    x = np.array([0.5, 0.5])
    moved = x / found.ratio - found.offset
    grid = Grid("affine", 4)
    before = quantize(x[None], make_qparams(step[None], zero[None], grid))
    after = quantize(moved[None], make_qparams(found.step, found.zero_point, grid))
    assert before.tolist() == [[0, 2]] and after.tolist() == [[1, 3]]


def test_repq_refuses_bad_input():
    for bad in (np.array([1.0, 0.0]), np.array([1.0, np.nan]), np.ones(0)):
        with pytest.raises(ValueError, match="step"):
            repq_reparam(bad, np.zeros(len(bad), np.int64))
    with pytest.raises(TypeError, match="zero_point"):
        repq_reparam(np.ones(2), np.zeros(2))
    with pytest.raises(TypeError, match="zero_point"):
        repq_reparam(np.ones(2), [0, 0])
    with pytest.raises(ValueError, match="zero_point"):
        repq_reparam(np.ones(2), np.zeros(3, np.int64))
