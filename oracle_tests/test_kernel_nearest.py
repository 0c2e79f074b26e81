"""The kernel of nearest rounding against its definition: equal values, sums within n roundings."""

import numpy as np
import pytest

from refquant import numerics as nx
from refquant.components import NearestActivations
from refquant.kernels.nearest import NearestCache, Rule, mix_forward, nearest_backward
from refquant.kernels.nearest import nearest_forward as forward
from refquant.kernels.sums import inner
from refquant.network import Node
from refquant.network.linear_parts import PARTS
from refquant.network.op import Wanted
from refquant.quantizers.fake_quant import FakeQuantCache, fake_quant_backward, fake_quant_forward
from refquant.quantizers.grid import Grid, make_qparams
from refquant.quantizers.mixing import mix_backward, qdrop_mix_forward

KINDS = pytest.mark.parametrize("dtype", [np.float32, np.float64])
LAYOUTS = pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 0, 1, 2), (1, 0, 2, 3)])
SHAPE = (5, 3, 4, 7)


def case(dtype, order=(0, 1, 2, 3), seed=0):
    """Values around a grid, ties and ends among them, in an order of axes; and a cotangent."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0.6, 1.2, [SHAPE[axis] for axis in order]).astype(dtype)
    x.ravel()[:17] = np.arange(17) * 0.125 - 0.75  # u from -3 to 5 in halves
    return x.transpose(np.argsort(order)), rng.normal(size=SHAPE).astype(dtype)


@KINDS
@LAYOUTS
@pytest.mark.parametrize("mask", ["rounded", "unrounded"])
@pytest.mark.parametrize("grid", [Grid("affine", 3), Grid("signed", 2)])
def test_values_and_masks_are_the_definitions(grid, mask, order, dtype):
    """The same operations on every element; d_s is a sum of n terms, n roundings on either side."""
    x, g = case(dtype, order)
    qparams = make_qparams(np.asarray(0.25, dtype), 3 if grid.kind == "affine" else 0, grid)
    low, high = (float(end) for end in grid.limits(qparams.zero_point))
    x_hat, cache = forward(x, Rule(0.25, low, high, mask))
    want, known = fake_quant_forward(x, qparams, mask=mask)
    d_x, d_s = nearest_backward(g, cache)
    grads = fake_quant_backward(g, known)
    assert x_hat.dtype == d_x.dtype == dtype
    assert np.array_equal(x_hat, want)
    assert np.array_equal(d_x, grads.x)
    terms = np.abs(g).astype(np.float64) * np.abs(cache.slope)
    assert abs(d_s - grads.s) <= g.size * np.finfo(dtype).eps * terms.sum()
    assert 0 < np.count_nonzero(cache.inside) < g.size


@KINDS
@pytest.mark.parametrize("share", ["scalar", "drawn", "real"])
def test_mixtures_are_the_definitions(share, dtype):
    x, g = case(dtype)
    x_hat, rng = np.rint(x), np.random.default_rng(1)
    drawn = {
        "scalar": np.float64(0.3),
        "drawn": rng.integers(0, 2, SHAPE),
        "real": rng.random(SHAPE),
    }
    m = np.asarray(drawn[share]).astype(dtype)
    y, cache = mix_forward(x, x_hat, m)
    want, known = qdrop_mix_forward(x, x_hat, np.broadcast_to(m, SHAPE))
    assert y.dtype == dtype
    assert np.array_equal(y, want)
    for mine, theirs in zip(mix_backward(g, cache), mix_backward(g, known), strict=True):
        assert np.array_equal(mine, theirs)


def test_pinned_arithmetic_runs_the_definition_and_fast_the_kernel():
    component, (x, g) = NearestActivations(bits=3), case(np.float64)
    params = component.start(x)
    with nx.arithmetic("pinned"):
        want, known = component.forward(x, params)
        grads = component.backward(g, known)
    found, cache = component.forward(x, params)
    assert isinstance(known, FakeQuantCache) and isinstance(cache, NearestCache)
    assert np.array_equal(found, want)
    d_x, d_params = component.backward(g, cache)
    assert np.array_equal(d_x, grads[0])
    assert (
        d_params["s_x"].shape == ()
        and d_params["s_x"] == component.parameter_gradients(g, cache)["s_x"]
    )
    assert (
        NearestActivations(bits=3, rounding="half_up").forward(x, params)[1]._fields
        == known._fields
    )


@pytest.mark.parametrize(("bad", "kind"), [(np.nan, FakeQuantCache), (np.inf, NearestCache)])
def test_what_is_not_finite_ends_as_the_definition_says(bad, kind):
    """NaN takes the zero point, for which the definition runs; the infinities take the ends."""
    component, (x, g) = NearestActivations(bits=3), case(np.float64)
    params = component.start(x)
    x[0, 0, 0, :2] = bad, -bad
    x_hat, cache = component.forward(x, params)
    want, known = fake_quant_forward(x, component.qparams(params))
    assert isinstance(cache, kind)
    assert np.array_equal(x_hat, want)
    d_x, d_params = component.backward(g, cache)
    grads = fake_quant_backward(g, known)
    assert np.array_equal(d_x, grads.x)
    assert np.isclose(d_params["s_x"], grads.s, rtol=1e-12)


@pytest.mark.parametrize("share", [0.0, 1.0, 0.5])
def test_a_quantize_node_mixes_alike_in_both_arithmetics(share):
    """Also where an infinite value has the share 0; parameters alone are those with d_x."""
    node = Node("q", "quantize", ("x",), (("component", NearestActivations(bits=3)),))
    x, g = case(np.float64)
    params = {**NearestActivations(bits=3).start(x), "share": np.asarray(share)}
    x[1, 1, 1, 1] = np.inf if share == 1.0 else x[1, 1, 1, 1]
    found = {}
    for mode in ("pinned", "fast"):
        with nx.arithmetic(mode):
            y, cache = PARTS["quantize"].forward(node, (x,), params)
            (d_x,), grads = PARTS["quantize"].backward(node, g, cache)
            _, alone = PARTS["quantize"].pull(node, g, cache, Wanted(inputs=False, params=True))
        assert alone["s_x"] == grads["s_x"]
        found[mode] = y, d_x, grads["s_x"]
    assert np.array_equal(found["fast"][0], found["pinned"][0])
    assert np.array_equal(found["fast"][1], found["pinned"][1])
    assert np.isclose(found["fast"][2], found["pinned"][2], rtol=1e-12)


@LAYOUTS
def test_an_inner_product_meets_equal_places(order):
    """Whole numbers: the sum is exact, whatever the layouts."""
    rng = np.random.default_rng(3)
    a = rng.integers(-9, 10, [SHAPE[axis] for axis in order]).astype(float)
    a, b = a.transpose(np.argsort(order)), rng.integers(-9, 10, SHAPE).astype(float)
    assert inner(a, b) == inner(b, a) == float(np.einsum("ncij,ncij", a, b))
