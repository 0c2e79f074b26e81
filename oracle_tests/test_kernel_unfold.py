"""Patches in long copies: the bits of `im2col`, wherever the kernel applies."""

from itertools import product

import numpy as np
import pytest

from refquant.kernels.unfold import covers, unfold
from refquant.layers.geometry import Geometry
from refquant.layers.im2col import im2col

GEOMETRIES = [
    Geometry(kernel, dilation=dilation, padding=padding)
    for kernel, dilation, padding in product(
        [(1, 1), (3, 3), (5, 5), (2, 4), (1, 3)],
        [(1, 1), (1, 2), (2, 1)],
        [(0, 0, 0, 0), (1, 1, 1, 1), (2, 2, 2, 2), (0, 1, 3, 2), (1, 0, 0, 3), (2, 9, 0, 7)],
    )
]
COVERED = [geometry for geometry in GEOMETRIES if covers(geometry)]


def fits(geometry, size):
    return all(np.greater_equal(geometry.padded_size(*size), geometry.span))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(2, 3, 5, 6), (1, 1, 4, 4), (3, 2, 1, 1), (0, 2, 5, 3)])
def test_it_is_im2col(shape, dtype):
    """Bit for bit: NaN, infinities and -0.0 are copied too, and the map is left alone."""
    x = np.random.default_rng(1).normal(size=shape).astype(dtype)
    x.reshape(-1)[::7] = np.resize([np.nan, np.inf, -0.0], len(x.reshape(-1)[::7]))
    before = x.copy()
    for geometry in filter(lambda geometry: fits(geometry, shape[2:]), COVERED):
        want, found = im2col(x, geometry), unfold(x, geometry)
        assert found.dtype == dtype and found.shape == want.shape
        assert found.tobytes() == want.tobytes(), geometry
        assert found.swapaxes(0, 1).flags.c_contiguous
    assert x.tobytes() == before.tobytes()


def test_maps_in_any_order_of_memory():
    x = np.random.default_rng(2).normal(size=(4, 5, 3, 6)).transpose(2, 3, 0, 1)
    geometry = Geometry((3, 3), padding=(1, 1, 1, 1))
    assert np.array_equal(unfold(x, geometry), im2col(x, geometry))


def test_what_is_covered():
    """Strides, and windows fewer than columns, are not."""
    assert len(COVERED) > 40
    assert covers(Geometry((3, 3), padding=(0, 1, 0, 1)))
    assert covers(Geometry((3, 1), dilation=(2, 1), groups=3))
    assert not covers(Geometry((3, 3), padding=(1, 1, 1, 0)))
    assert not covers(Geometry((3, 3), dilation=(1, 2), padding=(1, 1, 1, 1)))
    assert not covers(Geometry((3, 3), stride=(2, 1), padding=(1, 1, 1, 1)))
    assert not covers(Geometry((3, 3), stride=(1, 2), padding=(1, 1, 1, 1)))
