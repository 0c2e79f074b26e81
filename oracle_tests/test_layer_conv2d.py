"""Convolution: equal to the direct sum, P01, and its gradients."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.gradcheck import check_gradient
from refquant.layers.conv2d import conv2d_backward, conv2d_forward
from refquant.layers.geometry import Geometry
from refquant.layers.im2col import im2col
from refquant.oracle.exact import conv2d as exact

X_SHAPE, C_OUT = (2, 4, 5, 4), 4
STRIDES = [(1, 1), (2, 1), (1, 3), (2, 2)]
DILATIONS = [(1, 1), (2, 1), (1, 2)]
PADDINGS = [(0, 0, 0, 0), (1, 1, 1, 1), (0, 2, 1, 0)]


def dyadic(seed, shape, dtype=np.float64):
    """Multiples of 1/8 up to 2: every product and sum below is exact, in float32 already."""
    return (np.random.default_rng(seed).integers(-16, 17, shape) / 8).astype(dtype)


def operands(seed, geometry, make=dyadic, x_shape=X_SHAPE, c_out=C_OUT):
    w_shape = (c_out, x_shape[1] // geometry.groups, *geometry.kernel)
    y_shape = (x_shape[0], c_out, *geometry.output_size(*x_shape[2:]))
    return [make(seed + i, s) for i, s in enumerate((x_shape, w_shape, (c_out,), y_shape))]


def normal(seed, shape):
    return np.random.default_rng(seed).normal(size=shape)


def assert_equal_to_the_twin(x, w, bias, d_y, geometry):
    """Forward and all gradients, with ==."""
    y, cache = conv2d_forward(x, w, bias, geometry)
    listed = [a.tolist() for a in (x, w, bias, d_y)]
    np.testing.assert_array_equal(y, exact.conv2d(*listed[:3], geometry), str(geometry))
    grads = conv2d_backward(d_y, cache)
    expected = exact.conv2d_backward(listed[3], listed[0], listed[1], geometry)
    for name, got, want in zip(grads._fields, grads, expected, strict=True):
        np.testing.assert_array_equal(got, want, f"{name} {geometry}")


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("kernel", [(1, 1), (2, 3), (3, 1)])
def test_equals_direct_summation_for_every_stride_dilation_and_padding(kernel, groups):
    """P01, exact on dyadic data, and its three gradients."""
    for t, d, padding in product(STRIDES, DILATIONS, PADDINGS):
        geometry = Geometry(kernel, t, d, padding, groups)
        if geometry.padded_size(*X_SHAPE[2:])[1] >= geometry.span[1]:
            assert_equal_to_the_twin(*operands(hash(geometry) % 1000, geometry), geometry)


@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_equals_direct_summation_for_any_geometry(data, seed):
    """P01."""
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    geometry = Geometry(
        data.draw(pair, label="kernel"),
        data.draw(pair, label="stride"),
        data.draw(pair, label="dilation"),
        data.draw(st.tuples(*[st.integers(0, 3)] * 4), label="padding"),
        data.draw(st.integers(1, 3), label="groups"),
    )
    c_in = geometry.groups * data.draw(st.integers(1, 2), label="c_in / groups")
    c_out = geometry.groups * data.draw(st.integers(1, 3), label="c_out / groups")
    h, w = (
        max(1, geometry.span[i] - geometry.padding[i] - geometry.padding[i + 2])
        + data.draw(st.integers(0, 2), label="hw"[i])
        for i in (0, 1)
    )
    x_shape = (data.draw(st.integers(1, 3), label="n"), c_in, h, w)
    assert_equal_to_the_twin(*operands(seed, geometry, dyadic, x_shape, c_out), geometry)


@pytest.mark.parametrize("groups", [1, 2])
def test_real_numbers_stay_within_the_bound_of_a_dot_product(groups):
    """Both sides sum K products and a bias: each is within (K + 1) u sum |w x| of the truth."""
    geometry = Geometry((3, 3), (1, 2), (2, 1), (1, 0, 2, 1), groups)
    x, w, bias, _ = operands(11, geometry, normal)
    expected = np.array(exact.conv2d(x.tolist(), w.tolist(), bias.tolist(), geometry))
    size = np.array(exact.conv2d(*(abs(a).tolist() for a in (x, w, bias)), geometry))
    steps = 9 * X_SHAPE[1] // groups + 1
    y, _ = conv2d_forward(x, w, bias, geometry)
    assert np.all(np.abs(y - expected) <= 2 * steps * 2.0**-53 * size)
    single = [a.astype(np.float32) for a in (x, w, bias)]
    expected = np.array(exact.conv2d(*(a.astype(float).tolist() for a in single), geometry))
    y, _ = conv2d_forward(*single, geometry)
    assert y.dtype == np.float32
    assert np.all(np.abs(y - expected) <= 1.01 * steps * 2.0**-24 * size)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_gradients_match_central_differences(groups):
    geometry = Geometry((2, 3), (2, 1), (1, 2), (1, 0, 0, 3), groups)
    x, w, bias, d_y = operands(21, geometry, normal)
    grads = conv2d_backward(d_y, conv2d_forward(x, w, bias, geometry)[1])

    def loss(x, w, bias):
        return float((d_y * conv2d_forward(x, w, bias, geometry)[0]).sum())

    check_gradient(lambda t: loss(t, w, bias), x, grads.x, name="conv2d x")
    check_gradient(lambda t: loss(x, t, bias), w, grads.w, name="conv2d w")
    check_gradient(lambda t: loss(x, w, t), bias, grads.bias, name="conv2d bias")


def test_by_hand():
    """x = [1 2 3], w = [10 1] (not flipped), bias 0.5, one column of padding on the right."""
    x = np.array([[[[1.0, 2.0, 3.0]]]])
    w = np.array([[[[10.0, 1.0]]]])
    geometry = Geometry((1, 2), padding=(0, 0, 0, 1))
    y, cache = conv2d_forward(x, w, np.array([0.5]), geometry)
    np.testing.assert_array_equal(y, [[[[12.5, 23.5, 30.5]]]])  # 10+2, 20+3, 30+0, plus 0.5
    grads = conv2d_backward(np.array([[[[1.0, 0.0, 100.0]]]]), cache)
    np.testing.assert_array_equal(grads.w, [[[[301.0, 2.0]]]])  # 1*1 + 100*3, 1*2 + 100*0
    np.testing.assert_array_equal(grads.x, [[[[10.0, 1.0, 1000.0]]]])
    np.testing.assert_array_equal(grads.bias, [101.0])


def test_groups_do_not_mix_by_hand():
    """Two groups of one channel and two outputs each: outputs 0, 1 see channel 0 only."""
    x = np.array([1.0, 100.0]).reshape(1, 2, 1, 1)
    w = np.array([1.0, 2.0, 3.0, 4.0]).reshape(4, 1, 1, 1)
    y, _ = conv2d_forward(x, w, None, Geometry((1, 1), groups=2))
    np.testing.assert_array_equal(y.ravel(), [1.0, 2.0, 300.0, 400.0])


def test_groups_equal_separate_convolutions():
    """P03: a grouped convolution is one plain convolution per group, side by side."""
    x, w, bias, _ = operands(31, Geometry((3, 2), groups=2))
    y, _ = conv2d_forward(x, w, bias, Geometry((3, 2), groups=2))
    halves = [
        conv2d_forward(
            x[:, 2 * g : 2 * g + 2], w[2 * g : 2 * g + 2], bias[2 * g : 2 * g + 2], plain
        )[0]
        for g, plain in enumerate([Geometry((3, 2))] * 2)
    ]
    np.testing.assert_array_equal(y, np.concatenate(halves, axis=1))


def test_one_group_equals_plain():
    """P03: g = 1 is the default, and equals w @ im2col(x)."""
    x, w, _, _ = operands(41, Geometry((2, 2)))
    y, _ = conv2d_forward(x, w, None, Geometry((2, 2), groups=1))
    plain, _ = conv2d_forward(x, w, None, Geometry((2, 2)))
    product = np.matmul(w.reshape(C_OUT, -1), im2col(x, Geometry((2, 2))))
    np.testing.assert_array_equal(y, plain)
    np.testing.assert_array_equal(y, product.reshape(y.shape))


def test_depthwise_equals_one_convolution_per_channel():
    """P03, with a channel multiplier of 2."""
    geometry = Geometry((3, 3), padding=(1, 1, 1, 1), groups=4)
    x, w, bias, _ = operands(51, geometry, c_out=8)
    y, _ = conv2d_forward(x, w, bias, geometry)
    alone = Geometry((3, 3), padding=(1, 1, 1, 1))
    for o in range(8):
        one, _ = conv2d_forward(x[:, [o // 2]], w[[o]], bias[[o]], alone)
        np.testing.assert_array_equal(y[:, [o]], one)


def test_the_twin_is_exact_on_fractions():
    third, half = Fraction(1, 3), Fraction(1, 2)
    x, w = [[[[third, half]]]], [[[[half, third]]]]
    assert exact.conv2d(x, w, [third], Geometry((1, 2))) == [[[[Fraction(2, 3)]]]]
    d_x, d_w, d_bias = exact.conv2d_backward([[[[third]]]], x, w, Geometry((1, 2)))
    assert d_x == [[[[Fraction(1, 6), Fraction(1, 9)]]]]
    assert d_w == [[[[Fraction(1, 9), Fraction(1, 6)]]]]
    assert d_bias == [third]


def test_without_bias():
    geometry = Geometry((2, 2))
    x, w, bias, d_y = operands(61, geometry)
    y, cache = conv2d_forward(x, w, None, geometry)
    grads = conv2d_backward(d_y, cache)
    assert grads.bias is None
    with_bias, other = conv2d_forward(x, w, bias, geometry)
    np.testing.assert_array_equal(y + bias[:, None, None], with_bias)
    np.testing.assert_array_equal(grads.x, conv2d_backward(d_y, other).x)
    np.testing.assert_array_equal(grads.w, conv2d_backward(d_y, other).w)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_kept_and_arguments_unchanged(dtype):
    geometry = Geometry((2, 2), padding=(1, 1, 0, 0), groups=2)
    arrays = operands(71, geometry, lambda seed, shape: dyadic(seed, shape, dtype))
    kept = [a.copy() for a in arrays]
    x, w, bias, d_y = arrays
    y, cache = conv2d_forward(x, w, bias, geometry)
    grads = conv2d_backward(d_y, cache)
    assert [a.dtype for a in (y, *grads)] == [dtype] * 4
    assert [g.shape for g in grads] == [x.shape, w.shape, bias.shape]
    for before, after in zip(kept, arrays, strict=True):
        np.testing.assert_array_equal(after, before)


def test_non_contiguous_arguments_give_the_same():
    geometry = Geometry((2, 3), groups=2)
    x, w, bias, d_y = operands(81, geometry)
    y, cache = conv2d_forward(x, w, bias, geometry)
    turned = [np.asfortranarray(a) for a in (x, w, d_y)]
    y_turned, cache_turned = conv2d_forward(turned[0], turned[1], bias, geometry)
    np.testing.assert_array_equal(y_turned, y)
    pairs = zip(conv2d_backward(d_y, cache), conv2d_backward(turned[2], cache_turned), strict=True)
    for one, other in pairs:
        np.testing.assert_array_equal(one, other)


def test_an_empty_batch():
    geometry = Geometry((2, 2))
    x, w, bias, d_y = operands(91, geometry, x_shape=(0, 4, 5, 4))
    y, cache = conv2d_forward(x, w, bias, geometry)
    grads = conv2d_backward(d_y, cache)
    assert y.shape == d_y.shape and grads.x.shape == x.shape
    np.testing.assert_array_equal(grads.w, np.zeros(w.shape))


@pytest.mark.parametrize(
    "change, error, words",
    [
        ({"x": np.zeros((4, 5, 4))}, ValueError, "x is .*4 axes"),
        ({"x": np.zeros((2, 6, 5, 4))}, ValueError, r"w is of shape.*\(c_out, 3, 3, 3\)"),
        ({"x": np.zeros((2, 5, 5, 4))}, ValueError, "x is of 5 channels.*groups = 2"),
        ({"w": np.zeros((3, 2, 3, 3))}, ValueError, "w is of 3 channels.*groups = 2"),
        ({"w": np.zeros((4, 2, 3, 2))}, ValueError, r"\(c_out, 2, 3, 3\)"),
        ({"w": np.zeros((4, 2, 3, 3), np.float32)}, TypeError, "w is float32.*float64"),
        ({"w": np.zeros((4, 2, 3, 3), np.int64)}, TypeError, "w is int64"),
        ({"bias": np.zeros(3)}, ValueError, r"bias is of shape \(3,\).*\(4,\)"),
        ({"bias": np.zeros((4, 1))}, ValueError, "bias is .*1 axes"),
        ({"bias": np.zeros(4, np.float32)}, TypeError, "bias is float32"),
        ({"x": np.zeros((2, 4, 2, 4))}, ValueError, "empty"),
    ],
)
def test_forward_refuses(change, error, words):
    good = {"x": np.zeros(X_SHAPE), "w": np.zeros((4, 2, 3, 3)), "bias": np.zeros(4)}
    with pytest.raises(error, match=words):
        conv2d_forward(**{**good, **change}, geometry=Geometry((3, 3), groups=2))


def test_backward_refuses():
    x, w, bias, d_y = operands(1, Geometry((2, 2)))
    _, cache = conv2d_forward(x, w, bias, Geometry((2, 2)))
    with pytest.raises(ValueError, match="d_y"):
        conv2d_backward(d_y[:, :, :-1], cache)
    with pytest.raises(ValueError, match="d_y"):
        conv2d_backward(d_y.reshape(2, 4, -1), cache)
    with pytest.raises(TypeError, match="d_y is float32"):
        conv2d_backward(d_y.astype(np.float32), cache)
