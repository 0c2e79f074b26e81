"""Integer products, windows and their bounds: equal to loops and to each other, with ==."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant import numerics as nx
from refquant.deploy import overflow
from refquant.deploy.codes import narrow
from refquant.deploy.integer_conv import integer_conv_accumulate, product_float, product_int32
from refquant.deploy.integer_windows import (
    average_pool_sums,
    global_sums,
    integer_patches,
    max_pool_integers,
)
from refquant.layers.average_pool import average_pool_forward
from refquant.layers.geometry import Geometry
from refquant.layers.im2col import im2col
from refquant.layers.max_pool import max_pool_forward
from refquant.oracle.exact import integer_conv as exact


@st.composite
def geometries(draw, groups=1):
    """A geometry and a map (h, w) that at least one window fits."""
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)), label="kernel")
    stride = draw(st.tuples(st.integers(1, 2), st.integers(1, 3)), label="stride")
    dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)), label="dilation")
    padding = draw(st.tuples(*[st.integers(0, 2)] * 4), label="padding")
    geometry = Geometry(kernel, stride, dilation, padding, groups)
    h = max(1, geometry.span[0] - padding[0] - padding[2]) + draw(st.integers(0, 3), label="h")
    w = max(1, geometry.span[1] - padding[1] - padding[3]) + draw(st.integers(0, 3), label="w")
    return geometry, (h, w)


@given(data=st.data(), groups=st.sampled_from([1, 2, 4]), seed=st.integers(0, 2**32 - 1))
def test_four_convolutions_are_equal(data, groups, seed):
    """P58, methods 17.2, golden op 66: loops, code space, int32 and float64; any geometry."""
    geometry, size = data.draw(geometries(groups))
    per_group = data.draw(st.integers(1, 2), label="channels per group")
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 256, (2, 4, *size))
    w = rng.integers(-128, 128, (groups * per_group, 4 // groups, *geometry.kernel))
    z = int(rng.integers(0, 256))
    expected = exact.integer_conv(x.tolist(), w.tolist(), z, geometry)
    assert integer_conv_accumulate(x, w, z, geometry).tolist() == expected
    levels = integer_patches((x - z).astype(np.int32), geometry)
    assert product_int32(levels, w, groups).tolist() == expected
    assert product_int32(levels, w, groups).dtype == np.int32
    assert product_float(levels, w, groups).tolist() == expected


@given(seed=st.integers(0, 2**32 - 1))
def test_a_linear_layer_is_the_same_product(seed):
    rng = np.random.default_rng(seed)
    x, w, z = rng.integers(0, 16, (3, 7)), rng.integers(-8, 8, (5, 7)), int(rng.integers(0, 16))
    expected = exact.integer_linear(x.tolist(), w.tolist(), z)
    levels = (x - z).astype(np.int32)
    assert product_int32(levels, w).tolist() == expected
    assert product_float(levels, w).tolist() == expected


def test_weights_of_16_bits_with_a_zero_point():
    """On the affine grid of 16 bits a level reaches 65535, beyond int16."""
    levels, w = np.array([[-3, 2]], dtype=np.int32), np.array([[65535, -65535], [40000, 1]])
    assert product_int32(levels, w).tolist() == [[-5 * 65535, 2 - 120000]]
    assert product_float(levels, w).tolist() == [[-5 * 65535, 2 - 120000]]


@pytest.mark.parametrize("mode", ["fast", "pinned"])
def test_products_agree_up_to_the_last_accumulator_of_int32(mode):
    """P58 at full range: 15-bit levels and 2048 terms reach 2^31 - 2^16, exactly, in both."""
    levels = np.full((1, 2048), 2**15 - 1, dtype=np.int32)
    levels[0, ::3] *= -1
    w = np.where(np.arange(2048) % 3 == 0, -32, 32).reshape(1, -1)
    w = np.concatenate([w, -w, np.abs(w)])
    expected = exact.integer_linear(levels.tolist(), w.tolist(), 0)
    assert 2**31 - 2**17 < max(map(abs, expected[0])) < 2**31
    with nx.arithmetic(mode):
        assert product_float(levels, w).tolist() == expected
    assert product_int32(levels, w).tolist() == expected


def test_padding_is_the_zero_point():
    """methods 17.1: where all codes are z, padding included, nothing accumulates."""
    geometry = Geometry((3, 3), padding=(1, 2, 0, 1))
    x = np.full((1, 2, 4, 4), 9)
    w = np.random.default_rng(0).integers(-8, 8, (3, 2, 3, 3))
    assert not integer_conv_accumulate(x, w, 9, geometry).any()
    assert integer_conv_accumulate(x, w, 8, geometry).any()


@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_patches_are_those_of_the_float_layers(data, seed):
    geometry, size = data.draw(geometries())
    x = np.random.default_rng(seed).integers(-99, 99, (2, 3, *size)).astype(np.int32)
    patches = integer_patches(x, geometry)
    assert patches.shape[2:] == geometry.output_size(*size)
    flat = patches.reshape(*patches.shape[:2], -1)
    np.testing.assert_array_equal(flat, im2col(x.astype(np.float64), geometry))


@given(data=st.data(), seed=st.integers(0, 2**32 - 1), padded=st.booleans())
def test_pools_are_those_of_the_float_layers(data, seed, padded):
    """Maxima and sums of integers; the float layers refuse the same paddings."""
    geometry, size = data.draw(geometries())
    x = np.random.default_rng(seed).integers(-99, 0, (2, 3, *size)).astype(np.int32)
    try:
        biggest, _ = max_pool_forward(x.astype(np.float64), geometry)
    except ValueError:
        for refused in (max_pool_integers, lambda q, g: average_pool_sums(q, g, padded)):
            with pytest.raises(ValueError, match=r"geometry\.padding"):
                refused(x, geometry)
        return
    np.testing.assert_array_equal(max_pool_integers(x, geometry), biggest)
    total, count = average_pool_sums(x, geometry, padded)
    assert total.dtype == np.int32
    mean, _ = average_pool_forward(x.astype(np.float64), geometry, padded)
    np.testing.assert_array_equal(total / count, mean)


def test_global_sums():
    x = np.arange(-12, 12, dtype=np.int32).reshape(2, 2, 2, 3)
    total, count = global_sums(x)
    assert total.tolist() == [[[[-57]], [[-21]]], [[[15]], [[51]]]]
    assert count.tolist() == [[6]]


def test_sums_that_do_not_fit_are_refused():
    x = np.full((1, 1, 256, 256), 2**15, dtype=np.int32)
    with pytest.raises(ValueError, match="65536 levels up to 32768"):
        global_sums(x)
    with pytest.raises(ValueError, match="sum below 2"):
        average_pool_sums(x, Geometry((256, 256)), False)
    assert int(global_sums(x - 1)[0].max()) == 65536 * 32767


@given(seed=st.integers(0, 2**32 - 1), bits=st.integers(2, 8))
def test_bounds_hold_and_the_tight_one_is_reached(seed, bits):
    """methods 17.2: |acc| <= tight <= loose; the input of the worst signs reaches the tight one."""
    rng = np.random.default_rng(seed)
    w = rng.integers(-8, 8, (4, 3, 2, 2))
    largest = 2**bits - 1
    tight = overflow.tight_bound(w, largest)
    assert tight.tolist() == [exact.bound(filters.tolist(), largest) for filters in w]
    assert tight.max() <= overflow.loose_bound(w, largest) == 12 * np.abs(w).max() * largest
    worst = (np.sign(w) * largest).reshape(4, 12).astype(np.int32)
    assert np.diagonal(product_int32(worst, w.reshape(4, 12))).tolist() == tight.tolist()


def test_widths_of_bounds():
    assert [overflow.bits(b) for b in (0, 1, 127, 128, 2**31 - 1, 2**31)] == [1, 2, 8, 9, 32, 33]


def test_codes_are_stored_in_the_smallest_dtype():
    for values, dtype in (
        ([-128, 127], np.int8),
        ([-129], np.int16),
        ([128], np.int16),
        ([-(2**15), 2**15 - 1], np.int16),
        ([2**15], np.int32),
        ([], np.int8),
    ):
        kept = narrow(np.array(values, dtype=np.int64))
        assert kept.dtype == dtype and kept.tolist() == values
    with pytest.raises(ValueError, match="within int32"):
        narrow(np.array([2**31]))
