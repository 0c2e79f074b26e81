"""The counter-based generator against its recipe in plain integers, and simple statistics."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant import numerics as nx
from refquant.numerics import counter

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(z: int) -> int:
    """The finaliser of SplitMix64, on unbounded integers."""
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
    return z ^ z >> 31


def word(part: int | str) -> int:
    """FNV-1a of a string; an integer is its own word."""
    if isinstance(part, int):
        return part
    h = 0xCBF29CE484222325
    for c in part:
        h = (h ^ ord(c)) * 0x100000001B3 & MASK
    return h


def stream(key: tuple[int | str, ...], n: int) -> list[int]:
    """The first n numbers of a key."""
    h = 0
    for part in key:
        h = mix((h ^ word(part)) + GOLDEN & MASK)
    return [mix(h + (i + 1) * GOLDEN & MASK) for i in range(n)]


part = st.one_of(st.integers(0, MASK), st.text(st.characters(max_codepoint=127), max_size=8))


@given(st.lists(part, max_size=6).map(tuple), st.integers(0, 40))
def test_bits_follow_the_recipe(key: tuple[int | str, ...], n: int) -> None:
    """Equal to the recipe for any key, and a longer draw starts with the shorter one."""
    got = counter.bits(key, n)
    assert got.dtype == np.uint64
    assert got.tolist() == stream(key, n)
    assert counter.bits(key, (2, n))[0].tolist() == got.tolist()


def test_long_draws_are_made_in_pieces_and_tell_nothing_of_it() -> None:
    """Number i is the recipe's wherever a piece begins or ends; so are decisions."""
    n, key = 2 * counter.BLOCK + 3, (4, "long")
    begin, drawn = counter.state(key), counter.bits(key, n)
    for i in (0, counter.BLOCK - 1, counter.BLOCK, 2 * counter.BLOCK - 1, 2 * counter.BLOCK, n - 1):
        assert drawn[i] == mix(begin + (i + 1) * GOLDEN & MASK)
    for keep in (0.0, 0.3, 0.5, 1.0):
        found = counter.bernoulli(key, keep, (1, n))
        assert found.shape == (1, n) and found.dtype == bool
        assert np.array_equal(found[0], counter.uniform(key, n) < keep)


def test_published_values() -> None:
    """SplitMix64 from state 0 and FNV-1a of "a" and "foobar" give their published values."""
    assert [counter._mix_int(i * GOLDEN & MASK) for i in (1, 2, 3)] == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
    ]
    assert counter._word("a") == 0xAF63DC4C8601EC8C
    assert counter._word("foobar") == 0x85944171F73967E8
    assert counter.bits((), 3).tolist() == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
    ]


def test_frozen_values() -> None:
    """Values of one key, for other languages to compare with."""
    key = (0, "conv1", 2)
    first = stream(key, 4)
    assert counter.bits(key, 4).tolist() == first
    assert counter.uniform(key, 4).tolist() == [(b >> 11) / 2**53 for b in first]
    assert counter.integers(key, 10, 4).tolist() == [(b >> 32) * 10 >> 32 for b in first]
    assert counter.bernoulli(key, 0.5, 4).tolist() == [b < 2**63 for b in first]
    order = sorted(range(50), key=lambda i: (stream(key, 50)[i], i))
    assert counter.permutation(key, 50).tolist() == order


@given(st.integers(0, MASK), st.integers(1, 2**32))
def test_integers_stay_below_high(seed: int, high: int) -> None:
    """Equal to multiply-and-shift on unbounded integers."""
    got = counter.integers((seed,), high, 20)
    assert got.dtype == np.int64
    assert got.tolist() == [(b >> 32) * high >> 32 for b in stream((seed,), 20)]


def test_statistics() -> None:
    """Means, variances and independence of neighbouring keys, at five standard errors."""
    n = 100_000
    for seed in range(3):
        u = counter.uniform((seed, 1), n)
        assert abs(u.mean() - 0.5) < 5 * (1 / 12 / n) ** 0.5
        assert 0.0 <= u.min() < u.max() < 1.0
        v = counter.uniform((seed, 2), n)
        assert abs(np.corrcoef(u, v)[0, 1]) < 5 / n**0.5
        assert abs(np.corrcoef(u[1:], u[:-1])[0, 1]) < 5 / n**0.5
        z = counter.normal((seed,), n)
        assert abs(z.mean()) < 5 / n**0.5
        assert abs(z.var() - 1.0) < 5 * (2 / n) ** 0.5
        counts = np.bincount(counter.integers((seed,), 10, n), minlength=10)
        assert np.sum((counts - n / 10) ** 2) / (n / 10) < 40.0
        assert abs(counter.bernoulli((seed,), 0.3, n).mean() - 0.3) < 5 * (0.21 / n) ** 0.5


def test_normal_is_box_and_muller_of_pairs() -> None:
    """sqrt(-2 log(1 - u)) cos(2 pi v), u and v neighbours, in the current arithmetic."""
    u, v = counter.uniform((4,), (6, 2)).T
    with nx.arithmetic("pinned"):
        got = counter.normal((4,), (2, 3))
        expected = np.sqrt(-2.0 * nx.log(1.0 - u)) * nx.cos(2.0 * np.pi * v)
    np.testing.assert_array_equal(got.ravel(), expected)
    np.testing.assert_allclose(counter.normal((4,), (2, 3)), got, rtol=1e-12)


def test_bernoulli_is_uniform_below_keep_to_the_last_bit() -> None:
    """Below 1/2 the floats are finer than the draws: a `keep` just above a draw still takes it."""
    key = (9, "edge")
    u = counter.uniform(key, 20)
    for i in np.flatnonzero((u > 0.0) & (u < 0.5)):
        assert counter.bernoulli(key, float(np.nextafter(u[i], 1.0)), 20)[i]
        assert not counter.bernoulli(key, float(u[i]), 20)[i]


@pytest.mark.parametrize("keep", [0.5, 0.25, 0.75, 2.0**-31, 1.0 - 2.0**-31, 2.0**-32, 0.3])
def test_bernoulli_needs_all_of_mix_only_below_the_upper_31_bits(keep: float) -> None:
    """Multiples of 2^-31 are decided by the bits that the last step of `mix` leaves alone."""
    key, n = (11, "coarse"), 40_000
    assert np.array_equal(counter.bernoulli(key, keep, n), counter.uniform(key, n) < keep)


def test_extremes() -> None:
    """Probabilities 0 and 1, empty shapes, one element, high = 1."""
    assert not counter.bernoulli((1,), 0.0, 1000).any()
    assert counter.bernoulli((1,), 1.0, 1000).all()
    assert counter.bits((1,), (0, 3)).shape == (0, 3)
    assert counter.bits((1,), ()).shape == ()
    assert counter.permutation((1,), 0).tolist() == []
    assert not counter.integers((1,), 1, 9).any()


def test_refusals() -> None:
    """Keys that are no tuple, negative or not ASCII; high and keep out of range."""
    with pytest.raises(TypeError, match="a tuple"):
        counter.bits(3, 4)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="key is -1"):
        counter.bits((-1,), 4)
    with pytest.raises(ValueError, match="ASCII"):
        counter.bits(("\u00e9",), 4)
    with pytest.raises(TypeError, match="an integer"):
        counter.bits((1.5,), 4)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="high"):
        counter.integers((1,), 2**32 + 1, 4)
    with pytest.raises(ValueError, match="probability"):
        counter.bernoulli((1,), 1.5, 4)
