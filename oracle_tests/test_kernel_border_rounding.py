"""The kernel rounds at a border by one ceiling: whole numbers, far numbers, long grids."""

import numpy as np
import pytest

from refquant.kernels.border import border_forward
from refquant.kernels.border_rule import BorderRule
from refquant.quantizers.border import init_border
from refquant.quantizers.border_options import BorderOptions

STEP, LOW, HIGH = 0.25, 0.0, 7.0
KINDS = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@KINDS
@pytest.mark.parametrize("high", [HIGH, 255.0])
def test_whole_numbers_stay_where_the_border_is_one(dtype, high):
    """D1: a fraction exceeds no border of 1, where ceil(u - 1) would move every level down."""
    levels = np.arange(LOW, high + 1).reshape(1, 1, -1)
    x = (STEP * levels).astype(dtype)
    b0 = np.full((1, 1), 3.0, dtype)  # beyond the saturation: B = 1
    params = init_border(1, 1, BorderOptions(), x.dtype)._replace(b0=b0)
    rule = BorderRule(STEP, LOW, high, 1.0, params, BorderOptions())
    found = border_forward(x, rule)
    assert found is not None and np.array_equal(found[0], x)
    near = np.nextafter(x, np.inf).astype(dtype)  # fractions below 1: down, to the same levels
    assert np.array_equal(border_forward(near, rule)[0], x)


@KINDS
def test_far_beyond_the_grid_everything_is_its_end(dtype):
    """Where numbers lie further apart than the border is from 1, or whole steps apart."""
    far = np.ldexp(1.0, np.arange(4, 60))
    u = np.concatenate([far, far + 1.0, np.nextafter(far, 0.0), [HIGH + 1.0, HIGH + 1.5]])
    x = (STEP * np.concatenate([u, -u])).astype(dtype).reshape(1, 1, -1)
    for b0 in (-3.0, 0.0, 3.0):  # B = 0, 1/2, 1
        params = init_border(1, 1, BorderOptions(), x.dtype)._replace(b0=np.full((1, 1), b0, dtype))
        for a in (0.3, 1.0):
            found = border_forward(x, BorderRule(STEP, LOW, HIGH, a, params, BorderOptions()))
            assert found is not None
            want = np.where(x > 0.0, STEP * HIGH, 0.0)
            assert np.array_equal(found[0], want)
            assert not found[1].inside.any()


@pytest.mark.parametrize(("bits", "held"), [(11, True), (12, False)])
def test_grids_so_long_that_the_resolution_shows_run_the_definition(bits, held):
    """Beside 2^11 float32 numbers are 2^-12 apart, beside 2^12 twice as far."""
    x, high = np.ones((1, 1, 2), np.float32), 2.0**bits - 1.0
    params = init_border(1, 1, BorderOptions(), x.dtype)
    rule = BorderRule(STEP, LOW, high, 1.0, params, BorderOptions())
    assert (border_forward(x, rule) is not None) == held


@KINDS
def test_every_number_of_the_grid_is_rounded_to_a_neighbour(dtype):
    """By any border: to the floor, or to one more."""
    rng = np.random.default_rng(3)
    whole = np.arange(-9.0, 8.0)
    u = np.concatenate([whole, np.nextafter(whole, 99.0), np.nextafter(whole, -99.0)]).astype(dtype)
    u = np.concatenate([u, rng.uniform(-9.0, 8.0, 400).astype(dtype)])
    for b0 in (-3.0, -0.8, 0.0, 0.8, 3.0):
        params = init_border(1, 1, BorderOptions(), u.dtype)._replace(b0=np.full((1, 1), b0, dtype))
        rule = BorderRule(1.0, -8.0, 7.0, 1.0, params, BorderOptions())
        found = border_forward(u.reshape(1, 1, -1), rule)
        assert found is not None
        up = found[0].ravel() - np.clip(np.floor(u), -8.0, 7.0)
        assert set(np.unique(up)) <= {0.0, 1.0}
