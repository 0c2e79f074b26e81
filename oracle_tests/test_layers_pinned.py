"""The linear layers and norms in pinned arithmetic: same values on dyadic data, same laws."""

import numpy as np
import pytest

from refquant import numerics as nx
from refquant.layers.batch_norm import batch_norm_train_backward, batch_norm_train_forward
from refquant.layers.conv2d import conv2d_backward, conv2d_forward
from refquant.layers.geometry import Geometry
from refquant.layers.linear import linear_backward, linear_forward
from refquant.layers.softmax_cross_entropy import (
    softmax_cross_entropy_backward,
    softmax_cross_entropy_forward,
)
from refquant.oracle.exact import conv2d as exact_conv2d
from refquant.oracle.exact import linear as exact_linear
from refquant.oracle.exact import softmax_cross_entropy as exact_loss

SLICES = [1, 2, 3]


def dyadic(seed, shape, dtype=np.float64):
    return (np.random.default_rng(seed).integers(-16, 17, shape) / 8).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("slices", SLICES)
def test_conv2d_equals_the_twin_exactly(slices, groups, dtype):
    """P01; every operand fits one slice, so even one slice loses nothing."""
    geometry = Geometry((2, 3), (2, 1), (1, 2), (1, 0, 0, 3), groups)
    x, w = dyadic(1, (3, 4, 5, 6), dtype), dyadic(2, (8, 4 // groups, 2, 3), dtype)
    bias, d_y = dyadic(3, 8, dtype), dyadic(4, (3, 8, *geometry.output_size(5, 6)), dtype)
    with nx.arithmetic("pinned", slices=slices):
        y, cache = conv2d_forward(x, w, bias, geometry)
        grads = conv2d_backward(d_y, cache)
    lists = [a.tolist() for a in (x, w, bias, d_y)]
    np.testing.assert_array_equal(y, exact_conv2d.conv2d(*lists[:3], geometry))
    expected = exact_conv2d.conv2d_backward(lists[3], lists[0], lists[1], geometry)
    for got, want in zip(grads, expected, strict=True):
        np.testing.assert_array_equal(got, want)
    assert {a.dtype for a in (y, *grads)} == {np.dtype(dtype)}


@pytest.mark.parametrize("slices", SLICES)
def test_linear_equals_the_twin_exactly(slices):
    x, w, bias, d_y = dyadic(1, (5, 7)), dyadic(2, (3, 7)), dyadic(3, 3), dyadic(4, (5, 3))
    with nx.arithmetic("pinned", slices=slices):
        y, cache = linear_forward(x, w, bias)
        grads = linear_backward(d_y, cache)
    np.testing.assert_array_equal(y, exact_linear.linear(x.tolist(), w.tolist(), bias.tolist()))
    expected = exact_linear.linear_backward(d_y.tolist(), x.tolist(), w.tolist())
    for got, want in zip(grads, expected, strict=True):
        np.testing.assert_array_equal(got, want)


def test_memory_layout_does_not_change_the_bits():
    """Real numbers, where the order of a plain sum would show."""
    rng = np.random.default_rng(5)
    geometry = Geometry((3, 3), padding=(1, 1, 1, 1))
    x, w, d_y = (rng.normal(size=s) for s in ((2, 3, 6, 6), (5, 3, 3, 3), (2, 5, 6, 6)))
    with nx.arithmetic("pinned"):
        y, cache = conv2d_forward(x, w, None, geometry)
        turned, turned_cache = conv2d_forward(
            np.asfortranarray(x), np.asfortranarray(w), None, geometry
        )
        np.testing.assert_array_equal(turned, y)
        pairs = zip(
            conv2d_backward(d_y, cache)[:2],
            conv2d_backward(np.asfortranarray(d_y), turned_cache)[:2],
            strict=True,
        )
        for one, other in pairs:
            np.testing.assert_array_equal(one, other)


def test_every_product_follows_the_arithmetic():
    """One slice keeps about 22 bits of real numbers: a product that ignored it would not show."""
    rng = np.random.default_rng(7)
    x, w, d_y = (rng.normal(size=s) for s in ((2, 3, 6, 6), (5, 3, 3, 3), (2, 5, 4, 4)))

    def run():
        y, cache = conv2d_forward(x, w, None, Geometry((3, 3)))
        z, flat_cache = linear_forward(x[0, 0], w[:, 0].reshape(5, 9)[:, :6], None)
        d_z = d_y[0].reshape(5, 16)[:, :6].T
        return y, *conv2d_backward(d_y, cache)[:2], z, *linear_backward(d_z, flat_cache)[:2]

    fast = run()
    with nx.arithmetic("pinned", slices=1):
        coarse = run()
    with nx.arithmetic("pinned", slices=3):
        fine = run()
    for number, (one, rough, good) in enumerate(zip(fast, coarse, fine, strict=True)):
        assert 1e-10 < np.abs(one - rough).max() < 1e-4, f"result {number}"
        np.testing.assert_allclose(good, one, rtol=1e-13, atol=1e-13)


def test_batch_norm_and_cross_entropy_stay_near_the_fast_values():
    rng = np.random.default_rng(6)
    x, d_y, gamma = rng.normal(size=(4, 3, 5, 5)), rng.normal(size=(4, 3, 5, 5)), rng.normal(size=3)
    logits, labels = rng.normal(size=(6, 5)), rng.integers(0, 5, 6)

    def run():
        y, cache = batch_norm_train_forward(x, gamma, gamma, 1e-5)
        return [y, *batch_norm_train_backward(d_y, cache)]

    plain = run()
    with nx.arithmetic("pinned"):
        pinned = run()
        loss, cache = softmax_cross_entropy_forward(logits, labels)
        d_logits = softmax_cross_entropy_backward(0.75, cache)
    for one, other in zip(pinned, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
    listed = logits.tolist(), labels.tolist()
    assert abs(loss - exact_loss.softmax_cross_entropy(*listed)) <= 1e-14
    want = exact_loss.softmax_cross_entropy_backward(0.75, *listed)
    np.testing.assert_allclose(d_logits, want, rtol=1e-13, atol=1e-15)
