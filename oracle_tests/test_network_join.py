"""Patches and product in one node: the same function, names and gradients where it applies."""

from dataclasses import replace

import numpy as np

from oracle_tests.network_samples import Cube, conv, dyadic, plain, real, resnet_like
from refquant.components import BorderActivations
from refquant.layers.geometry import Geometry
from refquant.network import (
    Network,
    backward,
    bypass,
    forward,
    insert_quantizers,
    join,
    lower,
)
from refquant.network.join import brought, homes, returned

SAME = Geometry((3, 3), padding=(1, 1, 1, 1))
HALF = replace(SAME, stride=(2, 2))


def chain():
    """Two 3x3 convolutions that are joined; one of stride 2, one pointwise that are not."""
    rng = np.random.default_rng(1)
    nodes = (
        conv("a", "input"),
        plain("ra", "relu", "a"),
        conv("b", "ra", Geometry((3, 3), padding=(0, 2, 1, 0))),
        plain("rb", "relu", "b"),
        conv("c", "rb", HALF),
        conv("d", "c", Geometry((1, 1))),
    )
    shapes = {"a": (3, 2, 3, 3), "b": (4, 3, 3, 3), "c": (2, 4, 3, 3), "d": (3, 2, 1, 1)}
    params = {(name, "w"): dyadic(rng, *shape) for name, shape in shapes.items()}
    params[("a", "bias")] = dyadic(rng, 3)
    blocks = (("first", ("a", "ra", "b")), ("second", ("rb", "c", "d")))
    return Network("chain", (2, 6, 5), nodes, params, blocks)


def ops(network):
    return {node.name: node.op for node in network.nodes}


def test_the_function_and_its_gradients_stay():
    """Dyadic numbers, so that every sum is exact in either order."""
    network = lower(chain())
    joined = join(network)
    x = dyadic(np.random.default_rng(2), 3, 2, 6, 5)
    one, other = forward(network, x), forward(joined, x)
    shared = [name for name in one.values if not name.endswith(".patches")]
    assert all(np.array_equal(one.values[name], other.values[name]) for name in shared)
    d_y = {"d": dyadic(np.random.default_rng(3), *one.values["d"].shape)}
    want, found = backward(network, one, d_y), backward(joined, other, d_y)
    assert found.params.keys() == want.params.keys()
    for key, value in want.params.items():
        assert np.array_equal(found.params[key], value), key
    assert np.array_equal(found.values["input"], want.values["input"])


def test_what_is_joined():
    found = ops(join(lower(chain())))
    assert "a.patches" not in found and "b.patches" not in found
    assert found["a.product"] == found["b.product"] == "patches_product"
    assert found["c.patches"] == found["d.patches"] == "patches"
    assert found["c.product"] == found["d.product"] == "product"
    blocks = dict(join(lower(chain())).blocks)
    assert blocks["first"] == ("a.product", "a", "ra", "b.product", "b")


def test_a_quantizer_or_a_second_reader_of_the_patches_keeps_them():
    network = lower(resnet_like())
    quantized = join(insert_quantizers(network, {"a1.patches": Cube()}))
    assert ops(quantized)["a1.product"] == "product" and "a1.patches" in ops(quantized)
    assert ops(quantized)["a2.product"] == "patches_product"
    behind = insert_quantizers(network, {"ra": Cube()})
    assert join(behind).node("a2.product").inputs == ("ra.q",)
    twice = replace(network, nodes=(*network.nodes, plain("second", "relu", "stem.patches")))
    assert ops(join(twice))["stem.product"] == "product"


def test_gradients_that_nobody_wants_are_left_out():
    network = join(lower(chain()))
    trace = forward(network, dyadic(np.random.default_rng(2), 3, 2, 6, 5))
    d_y = {"d": np.ones_like(trace.values["d"])}
    found = backward(network, trace, d_y, owners=("b.product",)).params
    assert np.array_equal(
        found[("b.product", "w")], backward(network, trace, d_y).params[("b.product", "w")]
    )
    assert ("a.product", "w") not in found


def bordered():
    """The chain with a quantizer at the patches of every convolution; its parameters."""
    component, network = BorderActivations(bits=3), lower(chain())
    edges = [f"{name}.patches" for name in "abcd"]
    values = forward(network, dyadic(np.random.default_rng(2), 3, 2, 6, 5)).values
    taps = dict(zip(edges, (9, 9, 9, 1), strict=True))
    params = {
        (f"{edge}.q", name): value
        for edge in edges
        for name, value in component.start(values[edge], taps[edge]).items()
    }
    return insert_quantizers(network, dict.fromkeys(edges, component)), params


def test_a_quantizer_with_a_product_is_joined():
    """On every geometry; values and gradients are alike, by the names they had."""
    network, params = bordered()
    joined = join(network)
    assert homes(joined.nodes) == {f"{name}.patches.q": f"{name}.product" for name in "abcd"}
    assert {op for name, op in ops(joined).items() if "product" in name} == {"quantized_product"}
    assert dict(joined.blocks)["first"] == ("a.product", "a", "ra", "b.product", "b")
    x = real(np.random.default_rng(2), 3, 2, 6, 5)  # no fraction meets its border
    one = forward(network, x, params=params)
    other = forward(joined, x, params=brought(params, joined.nodes))
    assert np.allclose(one.values["d"], other.values["d"], rtol=1e-12, atol=1e-12)
    d_y = {"d": dyadic(np.random.default_rng(3), *one.values["d"].shape)}
    want, found = backward(network, one, d_y), backward(joined, other, d_y)
    grads = returned(found.params, joined.nodes)
    assert grads.keys() == want.params.keys()
    for key, value in want.params.items():
        assert np.allclose(grads[key], value, rtol=1e-10, atol=1e-10), key
    assert np.allclose(found.values["input"], want.values["input"], rtol=1e-10, atol=1e-10)


def test_only_the_filter_is_the_products_own():
    network, params = bordered()
    nodes = join(network).nodes
    moved = brought({**params, ("a.product", "w"): 1, ("a", "bias"): 2}, nodes)
    assert ("a.product", "b0") in moved and ("a.patches.q", "b0") not in moved
    assert returned(moved, nodes) == {**params, ("a.product", "w"): 1, ("a", "bias"): 2}


def test_which_quantizers_stay():
    """One without a product, one bypassed, one that others read; all, if so wished."""
    cubed = insert_quantizers(lower(chain()), {"a.patches": Cube()})
    assert "a.patches.q" in ops(join(cubed))
    network, _ = bordered()
    assert ops(join(network, quantized=False)) == ops(network)
    assert ops(join(bypass(network, ["a.patches.q"])))["a.product"] == "product"
    twice = replace(network, nodes=(*network.nodes, plain("second", "relu", "a.patches.q")))
    assert "a.patches.q" in ops(join(twice)) and "b.patches.q" not in ops(join(twice))
    twice = replace(network, nodes=(*network.nodes, plain("second", "relu", "a.patches")))
    assert "a.patches.q" in ops(join(twice))


def test_values_that_are_mixed_run_part_by_part():
    """A share of the real values is no kernel's; nor is what a quantizer leaves alone."""
    network, params = bordered()
    params |= {(f"{name}.patches.q", "share"): np.asarray(0.5) for name in "abcd"}
    joined = join(network)
    x = dyadic(np.random.default_rng(2), 3, 2, 6, 5)
    one = forward(network, x, params=params)
    other = forward(joined, x, params=brought(params, joined.nodes))
    assert np.array_equal(one.values["d"], other.values["d"])
    d_y = {"d": dyadic(np.random.default_rng(3), *one.values["d"].shape)}
    want, found = backward(network, one, d_y), backward(joined, other, d_y)
    grads = returned(found.params, joined.nodes)
    assert grads.keys() == want.params.keys()
    assert all(np.array_equal(grads[key], value) for key, value in want.params.items())
    assert np.array_equal(found.values["input"], want.values["input"])
