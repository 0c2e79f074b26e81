"""SQuant: the flips of A-rounding on weights, stage by stage, on min-max steps."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.exact_lists import fractions_of
from refquant.calibrate.qparams import range_to_qparams
from refquant.oracle.exact import a_rounding as twin
from refquant.quantizers.fake_quant import quantize
from refquant.quantizers.grid import Grid, make_qparams
from refquant.quantizers.squant import filter_min_max, squant, squant_codes

DTYPES = [np.float64, np.float32]
STAGES = list(itertools.product([False, True], repeat=2))
SEEDS = st.integers(0, 2**32 - 1)


@given(seed=SEEDS, stages=st.sampled_from(STAGES), k=st.integers(1, 5), bits=st.integers(2, 4))
@pytest.mark.parametrize("dtype", DTYPES)
def test_squant_equals_the_twin(dtype, seed, stages, k, bits):
    """Golden op 52 on filters whose range is 2^b - 1 steps of 1/4, so that u is dyadic."""
    rng = np.random.default_rng(seed)
    top = 2**bits - 1
    zero = rng.integers(0, top + 1, 3)
    w = rng.integers(-4 * zero[:, None, None], 4 * (top - zero)[:, None, None] + 1, (3, 4, k)) / 16
    w.reshape(3, -1)[:, 0], w.reshape(3, -1)[:, 1] = -zero / 4, (top - zero) / 4
    codes, qparams = squant(w.astype(dtype), bits, *stages)
    assert qparams.step.ravel().tolist() == [0.25] * 3
    assert qparams.zero_point.ravel().tolist() == zero.tolist()
    assert qparams.step.dtype == dtype
    for i in range(3):
        z = int(zero[i])
        levels, _ = twin.squant_stages(fractions_of(4 * w[i]), -z, top - z, *stages)
        assert (codes[i] - z).tolist() == levels


def test_squant_by_hand():
    """Range 0..3 at 2 bits: s = 1, z = 0. Kernel 0 is 3, 0; kernel 1 has r = -3/8 twice."""
    w = np.array([[[3.0, 0.0], [0.375, 0.375], [1.375, 2.0], [1.375, 2.0]]])
    cases = {
        (False, False): [3, 0, 0, 0, 1, 2, 1, 2],
        (True, False): [3, 0, 1, 0, 1, 2, 1, 2],  # kernel 1 flips; the others stay at -3/8
        (False, True): [3, 0, 1, 1, 1, 2, 1, 2],  # S = -3/2: two flips, anywhere, by index
        (True, True): [3, 0, 1, 0, 1, 2, 1, 2],  # T = 1/4 - 3/4 = -1/2: no more flips
    }
    for stages, expected in cases.items():
        codes, qparams = squant(w, 2, *stages)
        assert (qparams.step.item(), qparams.zero_point.item()) == (1.0, 0)
        assert codes.ravel().tolist() == expected
    wider = np.concatenate([w, np.array([[[1.375, 2.0]]])], axis=1)  # T = -7/8: one more
    assert squant(wider, 2)[0].ravel().tolist() == [3, 0, 1, 0, 2, 2, 1, 2, 1, 2]


def test_without_stages_squant_is_nearest_on_min_max_steps():
    rng = np.random.default_rng(2)
    for shape in ((4, 3, 3, 3), (5, 7), (2, 1, 1, 4)):
        w = rng.normal(size=shape)
        axes = tuple(range(1, w.ndim))
        ends = w.min(axis=axes, keepdims=True), w.max(axis=axes, keepdims=True)
        expected = range_to_qparams(*ends, Grid("affine", 4))
        codes, qparams = squant(w, 4, kernel=False, channel=False)
        np.testing.assert_array_equal(qparams.step, expected.step)
        np.testing.assert_array_equal(qparams.zero_point, expected.zero_point)
        np.testing.assert_array_equal(codes, quantize(w, expected))
        assert codes.min() == 0
        assert codes.max() == 15


@given(seed=SEEDS)
def test_matrices_have_one_position(seed):
    """P77 for weights: with K = 1 the kernel stage changes nothing."""
    w = np.random.default_rng(seed).integers(-40, 41, (3, 6)) / 16
    one = make_qparams(0.5, 3, Grid("affine", 3))
    both, alone = squant_codes(w, one), squant_codes(w, one, kernel=False)
    np.testing.assert_array_equal(both, alone)


def test_a_filter_of_zeros_and_one_sided_filters():
    w = np.stack([np.zeros((2, 3)), np.full((2, 3), 1.5), np.full((2, 3), -1.5)])
    codes, qparams = squant(w, 4)
    assert qparams.step.ravel().tolist() == [1e-8, 0.1, 0.1]
    assert qparams.zero_point.ravel().tolist() == [0, 0, 15]
    assert codes[:, 0, 0].tolist() == [0, 15, 0]


def test_bad_weights_are_refused():
    w = np.ones((2, 2))
    with pytest.raises(ValueError, match="c_in/g"):
        squant(np.ones(3), 4)
    with pytest.raises(ValueError, match="finite"):
        squant(np.full((2, 2), np.inf), 4)
    with pytest.raises(ValueError, match=r"2\.\.16"):
        squant(w, 1)
    with pytest.raises(ValueError, match="kernel"):
        squant(w, 4, kernel="yes")
    with pytest.raises(ValueError, match="elements"):
        filter_min_max("squant", np.ones((2, 0)), Grid("affine", 4))
    with pytest.raises(ValueError, match="broadcast"):
        squant_codes(w, make_qparams(np.ones((3, 1)), 0, Grid("signed", 4)))
