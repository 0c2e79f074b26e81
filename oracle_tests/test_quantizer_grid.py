"""Grids and quantisation parameters: the table of methods 1.2 and what is refused."""

import numpy as np
import pytest

from refquant.quantizers.grid import KINDS, Grid, make_qparams

# Written out from the table for 2, 4 and 8 bits.
TABLE = [
    ("unsigned", 2, 0, 3),
    ("unsigned", 4, 0, 15),
    ("unsigned", 8, 0, 255),
    ("signed", 2, -2, 1),
    ("signed", 4, -8, 7),
    ("signed", 8, -128, 127),
    ("narrow", 2, -1, 1),
    ("narrow", 4, -7, 7),
    ("narrow", 8, -127, 127),
    ("affine", 2, 0, 3),
    ("affine", 4, 0, 15),
    ("affine", 8, 0, 255),
]


@pytest.mark.parametrize(("kind", "bits", "low", "high"), TABLE)
def test_code_range(kind, bits, low, high):
    grid = Grid(kind, bits)
    assert (grid.code_min, grid.code_max) == (low, high)
    assert grid.limits() == (low, high)


@pytest.mark.parametrize("bits", range(2, 17))
@pytest.mark.parametrize("kind", KINDS)
def test_number_of_codes(kind, bits):
    """p - n = 2^b - 1, one less on the narrow grid."""
    grid = Grid(kind, bits)
    n, p = grid.limits(3)
    assert p - n == 2**bits - (2 if kind == "narrow" else 1)
    assert type(n) is type(p) is int


def test_limits_move_with_the_zero_point():
    n, p = Grid("affine", 4).limits(np.array([[0], [6], [15]]))
    np.testing.assert_array_equal(n, [[0], [-6], [-15]])
    np.testing.assert_array_equal(p, [[15], [9], [0]])


def test_qparams_keep_shape_dtype_and_share_nothing():
    step = np.array([[0.5], [0.25]], dtype=np.float32)
    qparams = make_qparams(step, 3, Grid("affine", 4))
    step[:] = 9.0
    assert qparams.step.dtype == np.float32
    np.testing.assert_array_equal(qparams.step, [[0.5], [0.25]])
    assert qparams.zero_point.dtype == np.int64
    np.testing.assert_array_equal(qparams.zero_point, [[3], [3]])


@pytest.mark.parametrize("step", [0.1, 1, np.float64(0.1), np.float32(0.1), np.array(0.1)])
def test_scalar_steps(step):
    qparams = make_qparams(step, np.int32(0), Grid("signed", 8))
    assert qparams.step.shape == qparams.zero_point.shape == ()
    expected = np.float32 if isinstance(step, np.float32) else np.float64
    assert qparams.step.dtype == expected
    assert qparams.step == step


@pytest.mark.parametrize("zero_point", [0, 15])
def test_the_ends_are_zero_points_of_the_affine_grid(zero_point):
    assert make_qparams(0.5, zero_point, Grid("affine", 4)).zero_point == zero_point


@pytest.mark.parametrize("kind", ["asymmetric", "Signed", None])
def test_unknown_kind_is_refused(kind):
    with pytest.raises(ValueError, match=r"Grid\(\): kind"):
        Grid(kind, 4)


@pytest.mark.parametrize(("bits", "error"), [(1, ValueError), (17, ValueError), (4.0, TypeError)])
def test_bad_bits_are_refused(bits, error):
    with pytest.raises(error, match="bits"):
        Grid("signed", bits)


BAD_STEPS = [0.0, -0.5, np.nan, np.inf, 5e-324, 2.2e-308, np.float32(1e-39), np.array([0.5, 0.0])]


@pytest.mark.parametrize("step", BAD_STEPS)
def test_bad_steps_are_refused(step):
    with pytest.raises(ValueError, match=r"step is .* expected positive normal numbers"):
        make_qparams(step, 0, Grid("signed", 4))


def test_smallest_normal_step_is_accepted():
    tiny = np.finfo(np.float32).tiny
    assert make_qparams(np.array(tiny), 0, Grid("signed", 4)).step == tiny


@pytest.mark.parametrize("step", [np.arange(1, 3), np.float16(0.5), True])
def test_step_of_another_dtype_is_refused(step):
    with pytest.raises(TypeError, match="step is"):
        make_qparams(step, 0, Grid("signed", 4))


@pytest.mark.parametrize("zero_point", [-1, 16, np.array([3, 16])])
def test_zero_point_outside_the_affine_range_is_refused(zero_point):
    with pytest.raises(ValueError, match=r"zero_point .* in 0\.\.15"):
        make_qparams(np.array([0.5, 0.5]), zero_point, Grid("affine", 4))


@pytest.mark.parametrize("kind", ["unsigned", "signed", "narrow"])
@pytest.mark.parametrize("zero_point", [-1, 1])
def test_zero_point_of_a_grid_without_one_is_refused(kind, zero_point):
    with pytest.raises(ValueError, match="Use kind='affine'"):
        make_qparams(0.5, zero_point, Grid(kind, 4))


@pytest.mark.parametrize("zero_point", [1.0, True, None, np.array([2.5])])
def test_zero_point_that_is_no_integer_is_refused(zero_point):
    with pytest.raises(TypeError, match="zero_point"):
        make_qparams(np.array([0.5]), zero_point, Grid("affine", 4))


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="broadcasts"):
        make_qparams(0.5, np.array([1, 2]), Grid("affine", 4))
    with pytest.raises(TypeError, match="a Grid"):
        make_qparams(0.5, 0, 4)
