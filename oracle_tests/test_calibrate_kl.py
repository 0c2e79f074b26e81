"""The two calibrators by KL divergence (methods 3.3, D5; P81)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle_tests.exact_lists import dyadic, fractions_of
from refquant.calibrate import kl_amct as amct
from refquant.calibrate import kl_trt as trt
from refquant.calibrate.kl_amct import KlAmct, kl_amct
from refquant.calibrate.kl_trt import KlTrt, kl_trt
from refquant.numerics import counter
from refquant.oracle.exact import kl as twin
from refquant.quantizers.grid import Grid

SEEDS = st.integers(0, 2**32 - 1)
SIGNED8 = Grid("signed", 8)


def heavy(seed, n=400):
    """Dyadic values whose density falls off from 0, with the largest magnitude 1."""
    codes = counter.integers((seed, 0), 1025, (n,)) - 512
    halvings = counter.integers((seed, 1), 3, (n,))
    x = np.ldexp(codes / 512, -halvings)
    x[0] = 1.0
    return x


def assert_chosen(step, scores, steps):
    """The step must be that of a score within rounding of the least, the first if it is clear."""
    matches = [i for i, exact in enumerate(steps) if float(exact) == step]
    assert matches, f"{step!r} is the step of no candidate"
    least = min(scores)
    clear = sum(score <= least + 1e-12 for score in scores) == 1
    assert scores[matches[0]] <= least + 1e-12
    assert not clear or matches[0] == scores.index(least)


def test_amct_pieces_by_hand():
    """Saturation, three groups over eight bins (edges 0, 3, 6, 8), the smoothing quirk."""
    counts = np.array([[1, 2, 3, 4, 5, 6, 7, 8]])
    assert amct.saturate(counts, 2).tolist() == [[6, 4, 5, 21]]
    assert amct.saturate(counts, 0).tolist() == counts.tolist()
    p = np.array([[3, 0, 1, 0, 0, 0, 2, 5]])
    assert amct.spread(p, 3).tolist() == [[2.0, 0.0, 2.0, 0.0, 0.0, 0.0, 3.5, 3.5]]
    assert amct.smooth(np.array([[0, 4, 0, 1]])).tolist() == [[1e-4, 4.0001, 1e-4, 1.0001]]
    assert amct.smooth(np.array([[0, 9, 0, 0]]))[0, 1] == 9.0 + 1e-4 * 3  # zeros / non-zeros = 3
    many = np.zeros((1, 10001))
    many[0, 0] = 5.0
    np.testing.assert_array_equal(amct.smooth(many), many)  # the increment would be 1


@given(SEEDS, st.integers(2, 8), st.sampled_from([(64, 8), (50, 5), (9, 5)]))
def test_amct_pieces_equal_the_twin(seed, bits, sizes):
    """P and Q of every window are exact; more groups than bins leave Q = P."""
    bins, searches = sizes
    x = dyadic(np.random.default_rng(seed), (40,), reach=40)
    x[0] = 40.0
    counts = twin.histogram(fractions_of(x), bins, True)
    for i in range(searches):
        p = amct.saturate(np.array([counts]), i)
        assert p[0].tolist() == twin.window(counts, i)
        exact = twin.merged(twin.window(counts, i), 2**bits - 1)
        assert amct.spread(p, 2**bits - 1)[0].tolist() == [float(v) for v in exact]
        if 2**bits - 1 >= bins:
            np.testing.assert_array_equal(amct.spread(p, 2**bits - 1), p)


@settings(max_examples=25)
@given(SEEDS, st.integers(2, 8), st.sampled_from([np.float32, np.float64]))
def test_amct_equals_the_twin(seed, bits, dtype):
    """Steps are exact, the divergence within 1e-12; small histograms keep the twin quick."""
    x = dyadic(np.random.default_rng(seed), (60,), dtype, reach=64)
    rule = KlAmct(bins=64, searches=10)
    nested = fractions_of(x)
    found, divergence = kl_amct(x, Grid("signed", bits), rule)
    scores = twin.amct_divergences(nested, bits, rule.bins, rule.searches)
    steps = [twin.amct_step(nested, bits, rule.bins, i) for i in range(rule.searches)]
    assert_chosen(float(found.step), scores, steps)
    assert abs(float(divergence) - min(scores)) <= 4 * np.finfo(dtype).eps * (1 + min(scores))
    assert found.step.dtype == divergence.dtype == dtype and found.zero_point == 0


@pytest.mark.parametrize("seed", [0, 1])
def test_amct_equals_the_twin_at_full_size(seed):
    """8 bits, 512 bins, 20 windows: the vendor's numbers."""
    x = heavy(seed)
    scores = twin.amct_divergences(fractions_of(x), 8, 512, 20)
    found, _ = kl_amct(x, SIGNED8)
    assert found.step == float(twin.kl_amct(fractions_of(x), 8))
    assert_chosen(
        float(found.step), scores, [twin.amct_step(fractions_of(x), 8, 512, i) for i in range(20)]
    )


@given(SEEDS, st.integers(-8, 8))
def test_amct_searches_the_top_of_the_range_only(seed, exponent):
    """P81: the step is T (1 - i / 256) / 128, i = 0..19, and scales with the data."""
    x = np.ldexp(np.random.default_rng(seed).normal(size=(3, 30)), exponent)
    found, _ = kl_amct(x, SIGNED8, axis=0)
    top = np.abs(x).max(axis=1, keepdims=True)
    allowed = top * (1.0 - np.arange(20) / 256) / 128
    assert np.all((found.step == allowed).any(axis=1))
    np.testing.assert_array_equal(kl_amct(2.0 * x, SIGNED8, axis=0)[0].step, 2.0 * found.step)
    for row in range(3):  # per channel is per tensor, row by row
        assert kl_amct(x[row], SIGNED8)[0].step == found.step[row, 0]


def test_amct_zero_tiny_and_mirrored_data():
    """P81: zeros give 1; so does a step below 2^-23; the sign of the data matters."""
    found, divergence = kl_amct(np.zeros((2, 3)), SIGNED8, axis=0)
    np.testing.assert_array_equal(found.step, [[1.0], [1.0]])
    np.testing.assert_array_equal(divergence, [[0.0], [0.0]])
    single = np.array([2.0**-16])  # one bin: every window has divergence 0, the first wins
    assert kl_amct(single, SIGNED8)[0].step == 2.0**-23
    assert kl_amct(np.nextafter(single, 0.0), SIGNED8)[0].step == 1.0
    assert kl_amct(np.array([5e-324]), SIGNED8)[0].step == 1.0
    steps = [
        (kl_amct(x, SIGNED8)[0].step, kl_amct(-x, SIGNED8)[0].step) for x in map(heavy, range(4))
    ]
    assert any(plus != minus for plus, minus in steps)


def test_trt_pieces_by_hand():
    """512 bins: k0 = 1. Two groups of R = 4: P keeps the tail, Q does not; Q empty is infinite."""
    assert trt.trim(np.arange(512)[np.newaxis])[0, :4].tolist() == [0, 1, 2, 3]
    assert trt.trim(np.full((1, 4096), 9))[0, 6:11].tolist() == [0, 0, 1, 9, 9]
    h = np.array([[1, 0, 2, 2, 3, 0, 0, 0]])
    # P = (1, 0, 2, 5) / 8, Q = (1, 0, 2, 2) / 5: sum P (log10 P - log10 Q)
    share = np.log10(np.array([1 / 8, 2 / 8, 5 / 8]) / np.array([1 / 5, 2 / 5, 2 / 5]))
    expected = share @ np.array([1 / 8, 2 / 8, 5 / 8])
    np.testing.assert_allclose(trt.divergence_at(h, 4, 2), [expected], rtol=1e-12)
    # R = 8 in groups of four bins: 5 over three filled bins, 3 over one
    ratio = np.log10(np.array([1, 2, 2, 3]) / np.array([5 / 3, 5 / 3, 5 / 3, 3]))
    expected = ratio @ (np.array([1, 2, 2, 3]) / 8)
    np.testing.assert_allclose(trt.divergence_at(h, 8, 2), [expected], rtol=1e-12)
    assert trt.divergence_at(np.array([[0, 0, 3, 1]]), 2, 2) == np.inf


@settings(max_examples=15)
@given(SEEDS, st.integers(2, 8), st.sampled_from([128, 512, 1000]), st.booleans())
def test_trt_equals_the_twin(seed, bits, bins, single):
    """Steps are exact for 128 and 512 bins, else within a rounding; the divergence within 1e-12."""
    dtype = np.float32 if single else np.float64
    x = dyadic(np.random.default_rng(seed), (60,), dtype, reach=200, denominator=64)
    nested = fractions_of(x)
    found, divergence = kl_trt(x, Grid("signed", bits), KlTrt(bins))
    scores = twin.trt_divergences(nested, bits, bins)
    exact = [twin.trt_step(nested, bits, bins, k + 1) for k in range(len(scores))]
    steps = [float(s) for s in exact]
    nearest = int(np.argmin(np.abs(np.array(steps) - float(found.step))))
    slack = np.finfo(dtype).eps * steps[nearest] if bins == 1000 else 0.0
    assert abs(steps[nearest] - float(found.step)) <= slack
    assert_chosen(steps[nearest], scores, exact)
    assert abs(float(divergence) - min(scores)) <= 4 * np.finfo(dtype).eps * (1 + abs(min(scores)))
    assert found.step.dtype == dtype and found.zero_point == 0


@pytest.mark.parametrize("bits", [4, 8])
def test_trt_equals_the_twin_at_full_size(bits):
    """4096 bins, at the two widths of the golden vectors."""
    x = heavy(5)
    found, _ = kl_trt(x, Grid("signed", bits))
    assert found.step == float(twin.kl_trt(fractions_of(x), bits))


@pytest.mark.parametrize("bits", range(2, 9))
def test_trt_skips_empty_candidates(bits):
    """D5: one magnitude only. R = 4096 keeps it, so its divergence is 0 and s = T / 2^(b-1).

    At b <= 4 the first R holds no count at all; PPQ would return T / 4096.
    """
    x = np.array([3.0, -3.0, 3.0])
    found, divergence = kl_trt(x, Grid("signed", bits))
    assert (found.step, divergence) == (3.0 / 2 ** (bits - 1), 0.0)


def test_trt_zero_rows_and_signs():
    """Convention 4: T = 0 gives 1; only magnitudes matter; rows are independent."""
    x = np.stack([heavy(7), np.zeros(400), -0.125 * heavy(8)])
    found, divergence = kl_trt(x, SIGNED8, axis=0)
    assert found.step[1, 0] == 1.0 and divergence[1, 0] == 0.0
    mirrored, _ = kl_trt(-x, SIGNED8, axis=0)
    np.testing.assert_array_equal(mirrored.step, found.step)
    assert found.step[0, 0] == kl_trt(heavy(7), SIGNED8)[0].step
    assert found.step[2, 0] == 0.125 * kl_trt(heavy(8), SIGNED8)[0].step


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: kl_amct(np.ones(2), Grid("affine", 8)), ValueError, "signed"),
        (lambda: kl_trt(np.ones(2), Grid("unsigned", 8)), ValueError, "signed"),
        (lambda: kl_trt(np.ones(2), Grid("signed", 14)), ValueError, "8192"),
        (lambda: kl_amct(np.ones(2), SIGNED8, KlTrt()), TypeError, "KlAmct"),
        (lambda: kl_trt(np.ones(2), SIGNED8, KlAmct()), TypeError, "KlTrt"),
        (lambda: kl_amct(np.array([np.nan]), SIGNED8), ValueError, "finite"),
        (lambda: kl_trt(np.ones(0), SIGNED8), ValueError, "one element"),
        (lambda: kl_amct(np.ones(2), 8), TypeError, "Grid"),
        (lambda: KlAmct(bins=8, searches=5), ValueError, "searches"),
        (lambda: KlAmct(bins=0), ValueError, "bins"),
        (lambda: KlTrt(bins=2.5), TypeError, "integer"),
    ],
)
def test_bad_input_is_refused(call, error, words):
    """One voice: function, argument, got, expected."""
    with pytest.raises(error, match=words):
        call()
