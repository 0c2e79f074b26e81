"""AQuant's quantizer inside a convolution: the three definitions, one after the other."""

import numpy as np
import pytest

from oracle_tests.aquant_cases import params_of
from refquant.components import BorderActivations
from refquant.kernels.border_product import convolve, pull
from refquant.kernels.border_rule import BorderRule
from refquant.layers.geometry import Geometry
from refquant.layers.im2col import col2im, im2col
from refquant.layers.product import product_backward, product_forward
from refquant.quantizers.aquant import AQuantCache, aquant_backward, aquant_forward
from refquant.quantizers.border import init_border
from refquant.quantizers.border_options import BorderOptions
from refquant.quantizers.grid import Grid, make_qparams

GRID, LOW, HIGH = Grid("affine", 3), 0.0, 7.0
CHANNELS, OUT, IMAGES = 4, 8, 3
ODD = {
    "same": Geometry((3, 3), padding=(1, 1, 1, 1)),
    "groups": Geometry((3, 3), padding=(1, 1, 1, 1), groups=2),
    "depthwise, dilated": Geometry((3, 2), dilation=(1, 2), padding=(1, 2, 1, 0), groups=4),
    "stride, asymmetric": Geometry((3, 3), stride=(2, 1), padding=(1, 0, 2, 1)),
    "5x5": Geometry((5, 5), stride=(1, 2), padding=(2, 2, 2, 2)),
    "pointwise": Geometry((1, 1)),
}
GEOMETRIES = pytest.mark.parametrize("geometry", ODD.values(), ids=ODD)
# Summands of a gradient: at most 3 images, 49 windows and 100 rows, some 30 roundings each.
ROUNDINGS = 2**14


def case(geometry, dtype, step=0.21, spread=0.3, options=None):
    """A map around a grid, zeros among it; filters, cotangent, rule and step of a quantizer."""
    rng, options = np.random.default_rng(5), options or BorderOptions()
    x = np.round(rng.normal(0.5, 0.8, (IMAGES, CHANNELS, 7, 6)) * 64) / 64
    x[:, ::2, ::3] = 0.0
    w = rng.integers(-9, 10, (OUT, CHANNELS // geometry.groups, *geometry.kernel)) / 8
    d_y = rng.integers(-9, 10, (IMAGES, OUT, *geometry.output_size(7, 6))) / 8
    shape = (CHANNELS, geometry.taps)
    border = init_border(*shape, options, np.dtype(dtype))
    if spread:
        border = params_of(rng, shape, options, lambda r, s: r.normal(0, spread, s), dtype)
    qparams = make_qparams(np.asarray(step, dtype), 0, GRID)
    rule = BorderRule(float(qparams.step), LOW, HIGH, 0.5, border, options)
    return x.astype(dtype), w.astype(dtype), d_y.astype(dtype), rule, qparams


def definition(x, w, geometry, rule, qparams, d_y):
    """Return y and the gradients of x, w, step and border."""
    cols = im2col(x, geometry)
    x_hat, known = aquant_forward(cols, qparams, rule.params, rule.options, rule.a)
    y, product = product_forward(x_hat, w, geometry.groups)
    by_product = product_backward(d_y.reshape(y.shape), product)
    found = aquant_backward(by_product.cols, known)
    d_x = col2im(found.x, x.shape, geometry)
    return y.reshape(d_y.shape), d_x, by_product.w, found.s, found.border


def kernel(x, w, geometry, rule, d_y, wanted=True):
    """Return the same from the kernel."""
    y, cache = convolve(x, w, geometry, rule)
    found, d_w = pull(d_y, cache, wanted)
    return y, found.x, d_w, found.s, found.params


@GEOMETRIES
def test_without_rounding_errors_it_is_the_definition(geometry):
    """Dyadic numbers, a step of 1/4 and a border of 1/2: every sum is exact in any order."""
    unfused = BorderOptions(fuse="none")
    x, w, d_y, rule, qparams = case(geometry, np.float64, 0.25, 0.0, unfused)
    want = definition(x, w, geometry, rule, qparams, d_y)
    found = kernel(x, w, geometry, rule, d_y)
    for mine, theirs in zip(found[:4], want[:4], strict=True):
        assert np.array_equal(mine, theirs)


@GEOMETRIES
@pytest.mark.parametrize("fuse", ["none", "bound_fuse"])
def test_with_a_border_it_is_the_definition_up_to_rounding(geometry, fuse):
    """In float64 no fraction comes as close to its border as rounding could move it."""
    options = BorderOptions(fuse=fuse, fusion_weights="learned")
    x, w, d_y, rule, qparams = case(geometry, np.float64, options=options)
    want = definition(x, w, geometry, rule, qparams, d_y)
    found = kernel(x, w, geometry, rule, d_y)
    for mine, theirs in zip((*found[:4], *found[4]), (*want[:4], *want[4]), strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            bound = ROUNDINGS * np.finfo(float).eps * np.abs(theirs).max()
            assert np.all(np.abs(mine - theirs) <= bound)


@GEOMETRIES
def test_without_the_gradient_of_x_the_others_are_the_same(geometry):
    x, w, d_y, rule, _ = case(geometry, np.float32)
    full, short = (kernel(x, w, geometry, rule, d_y, wanted) for wanted in (True, False))
    assert short[1] is None
    assert full[0].dtype == full[1].dtype == full[2].dtype == np.float32
    assert np.array_equal(short[2], full[2]) and short[3] == full[3]
    for mine, theirs in zip(short[4], full[4], strict=True):
        assert mine is theirs is None or np.array_equal(mine, theirs)


@pytest.mark.parametrize("a", [0.0, 1.0])
def test_values_are_those_of_the_quantizer_alone(a):
    """The levels that a step learns on are those that are deployed, bit for bit."""
    geometry = Geometry((3, 3), padding=(1, 1, 1, 1), groups=CHANNELS)
    component, x = BorderActivations(bits=3), case(geometry, np.float32)[0]
    cols = im2col(x, geometry)
    params = {**component.start(cols, 9), "a": np.asarray(a, np.float32)}
    params |= case(geometry, np.float32)[3].params._asdict()
    for tap in range(9):  # a filter that picks one row of every channel's patches
        w = np.zeros((CHANNELS, 1, 3, 3), np.float32)
        w.reshape(CHANNELS, 9)[:, tap] = 1.0
        y, _ = component.quantized_product(x, w, geometry, params)
        x_hat, _ = component.forward(cols, params)
        assert np.array_equal(y.reshape(IMAGES, CHANNELS, -1), x_hat[:, tap::9])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_left_to_the_definition(bad):
    x, w, _, rule, _ = case(ODD["same"], np.float32)
    x[1, 2, 3, 4] = bad
    assert convolve(x, w, ODD["same"], rule) is None


def test_what_no_kernel_models_is_left_to_the_definition():
    x, w, *_ = case(ODD["same"], np.float32)
    component = BorderActivations(bits=3, options=BorderOptions(bound="clip"))
    cols = im2col(x, ODD["same"])
    params = component.start(cols, 9)
    assert component.quantized_product(x, w, ODD["same"], params) is None
    assert isinstance(component.forward(cols, params)[1], AQuantCache)
