"""Products that keep or share their slices have the bits of `matmul`, on every kind of operand."""

import numpy as np
import pytest

from refquant import numerics as nx

SHAPES = [(3, 5), (2, 4, 1500), (1, 7, 1024), (2, 1, 3, 2100), (0, 3), (3, 0), (1, 1)]
SLICES = pytest.mark.parametrize("slices", [1, 2, 3])


def operands(shape):
    """Real numbers; coarse ones; rows far apart; zeros; what is not finite or not moderate."""
    rng = np.random.default_rng(9)
    real = rng.normal(size=shape)
    spoilt = real.copy()
    spoilt.reshape(-1)[::7] = np.inf
    yield real
    yield np.rint(4.0 * real)
    yield real * 2.0 ** rng.integers(-60, 60, shape)
    yield np.maximum(real, 0.0).astype(np.float32)
    yield np.zeros(shape)
    yield spoilt
    yield real * 1e200
    yield np.asfortranarray(real)


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@SLICES
@pytest.mark.parametrize("shape", SHAPES, ids=repr)
def test_a_product_with_its_own_transpose(shape, slices):
    with nx.arithmetic("pinned", slices):
        for x in operands(shape):
            assert same(nx.self_product(x), nx.matmul(x, x.mT))


@SLICES
@pytest.mark.parametrize("shape", SHAPES, ids=repr)
def test_a_matrix_that_multiplies_many(shape, slices):
    *batch, m, k = shape
    with nx.arithmetic("pinned", slices):
        for b in operands((*batch, k, 6)):
            times = nx.multiplier(b)
            for a in operands((*batch, m, k)):
                assert same(times(a), nx.matmul(a, b))


def test_operands_broadcast_as_they_do_in_matmul():
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(5, 1, 3, 4)), rng.normal(size=(2, 4, 6))
    with nx.arithmetic("pinned"):
        assert same(nx.multiplier(b)(a), nx.matmul(a, b))
        assert same(nx.multiplier(b[0])(a), nx.matmul(a, b[0]))


def test_fast_arithmetic_has_its_own_product():
    x = np.random.default_rng(2).normal(size=(6, 7))
    assert np.allclose(nx.self_product(x), x @ x.T, rtol=1e-13)
    assert same(nx.multiplier(x.T)(x), nx.matmul(x, x.T))


def test_operands_are_checked():
    with nx.arithmetic("pinned"):
        times = nx.multiplier(np.ones((3, 2)))
        with pytest.raises(ValueError, match="4 rows"):
            times(np.ones((2, 4)))
        with pytest.raises(TypeError, match="float32 or float64"):
            nx.self_product(np.ones((2, 2), dtype=np.int64))
