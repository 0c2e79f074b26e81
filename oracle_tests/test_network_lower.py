"""Lowering, placements and quantizer nodes: the same function, and the right edges (D15, P89)."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.network_samples import (
    POINT,
    SAME,
    Cube,
    Nearest,
    conv,
    dyadic,
    everything,
    images,
    mlp_like,
    mobilenet_like,
    plain,
    real,
    resnet_like,
)
from refquant.layers.geometry import Geometry
from refquant.network import (
    Network,
    backward,
    bypass,
    forward,
    insert_quantizers,
    linear_nodes,
    lower,
    quantized_edges,
    replace_params,
)

# Worked out on paper from the graphs in network_samples.
OUTPUT_EDGES = {
    mlp_like: ("input", "r1", "r2"),
    # pool passes the codes of r0; a2, b2 and down only feed sums; fc reads gap through flat.
    resnet_like: ("input", "r0", "ra", "rsa", "rb", "rsb", "gap"),
    # project1 has no activation and feeds expand2 and the sum; project2 feeds the sum alone.
    mobilenet_like: ("input", "r0", "r1", "project1", "r2", "r3", "sum", "r4", "gap"),
}
LAYERS = {
    mlp_like: ("fc1", "fc2", "fc3"),
    resnet_like: ("stem", "a1", "a2", "b1", "b2", "down", "fc"),
    mobilenet_like: (
        "stem", "dw1", "project1", "expand2", "dw2", "project2", "last", "fc",
    ),
}  # fmt: skip


@pytest.mark.parametrize("make", LAYERS)
def test_quantized_edges_of_known_graphs(make):
    network = lower(make())
    assert linear_nodes(network) == LAYERS[make]
    assert quantized_edges(network, "output") == OUTPUT_EDGES[make]
    assert quantized_edges(network, "input") == tuple(f"{name}.patches" for name in LAYERS[make])
    assert quantized_edges(network) == quantized_edges(network, "output")


def test_quantized_edges_around_a_concatenation():
    """The joined edge is read by a conv, ra by conv b as well; rb only feeds the join."""
    nodes = (
        conv("a", "input"),
        plain("ra", "relu", "a"),
        conv("b", "ra"),
        plain("rb", "relu", "b"),
        plain("cat", "concat", "ra", "rb"),
        conv("c", "cat"),
    )
    network = lower(Network("cat", (3, 4, 4), nodes, {}))
    assert quantized_edges(network) == ("input", "ra", "cat")


@pytest.mark.parametrize("draw", [dyadic, real])
def test_a_lowered_network_is_the_same_function(draw):
    """The three parts do what the layer does in the same order: the same bits, always."""
    network, x = everything(draw), images(draw)
    lowered = lower(network)
    whole, parts = forward(network, x), forward(lowered, x)
    for edge, value in whole.values.items():
        np.testing.assert_array_equal(parts.values[edge], value, err_msg=edge)
    d_y = draw(np.random.default_rng(1), 2, 3)
    one, other = backward(network, whole, {"fc": d_y}), backward(lowered, parts, {"fc": d_y})
    np.testing.assert_array_equal(other.values["input"], one.values["input"])
    assert len(other.params) == len(one.params)
    for (owner, name), value in one.params.items():
        moved = owner in ("c1", "c2", "c3", "fc") and name == "w"
        key = (f"{owner}.product" if moved else owner, name)
        np.testing.assert_array_equal(other.params[key], value, err_msg=str(key))


@given(
    seed=st.integers(0, 2**20),
    kernel=st.sampled_from([(1, 1), (3, 3), (1, 4)]),
    stride=st.tuples(st.integers(1, 2), st.integers(1, 3)),
    dilation=st.tuples(st.integers(1, 2), st.just(1)),
    groups=st.sampled_from([1, 2, 4]),
)
def test_lowering_any_convolution(seed, kernel, stride, dilation, groups):
    rng = np.random.default_rng(seed)
    geometry = Geometry(kernel, stride, dilation, (0, 2, 1, 1), groups)
    params = {("c", "w"): real(rng, 8, 4 // groups, *kernel), ("c", "bias"): real(rng, 8)}
    network = Network("c", (4, 6, 5), (conv("c", "input", geometry),), params)
    x = real(rng, 2, 4, 6, 5)
    np.testing.assert_array_equal(lower(network)(x), network(x))


def test_the_parts_of_a_layer():
    """Patches hold every input pixel a kernel covers; product has no bias; the name stays."""
    network = everything(dyadic)
    lowered = lower(network)
    names = [node.name for node in lowered.nodes]
    at = names.index("c2.patches")
    assert names[at : at + 4] == ["c2.patches", "c2.product", "c2", "n2"]
    assert lowered.node("c2.product").attr("groups") == 6
    members = ("c2.patches", "c2.product", "c2", "n2", "sum", "act")
    assert lowered.blocks == (("body", members),)
    assert ("c2.product", "w") in lowered.params and ("c2", "bias") in lowered.params
    trace = forward(lowered, images(dyadic))
    assert trace.values["c3.patches"].shape == (2, 12 * 4, 2, 2)
    corner = trace.values["leak"][:, :, 1:3, 0:2].reshape(2, 48)
    np.testing.assert_array_equal(trace.values["c3.patches"][:, :, 1, 0], corner)
    bias = network.params[("c3", "bias")]
    product = trace.values["c3"] - bias[:, None, None]
    np.testing.assert_array_equal(trace.values["c3.product"], product)


def test_the_transform_of_the_output():
    """xi y0 + bias + eta, each neutral where it is absent; methods.md 15.1."""
    nodes = (plain("f", "linear", "input"),)
    network = lower(Network("f", (2,), nodes, {("f", "w"): np.array([[1.0, 2.0], [3.0, 4.0]])}))
    x = np.array([[1.0, 1.0]])  # y0 = (3, 7)
    own = {
        "bias": np.array([10.0, 20.0]),
        "xi": np.array([2.0, 3.0]),
        "eta": np.array([0.5, 0.25]),
    }
    cases = {
        (): (3.0, 7.0),
        ("bias",): (13.0, 27.0),
        ("xi",): (6.0, 21.0),
        ("eta",): (3.5, 7.25),
        ("bias", "xi", "eta"): (16.5, 41.25),
    }
    for present, expected in cases.items():
        trace = forward(network, x, params={("f", name): own[name] for name in present})
        assert tuple(trace.values["f"][0]) == expected
        grads = backward(network, trace, {"f": np.array([[1.0, -1.0]])}).params
        assert set(grads) == {("f.product", "w"), *(("f", name) for name in present)}
        slopes = {"bias": [1.0, -1.0], "xi": [3.0, -7.0], "eta": [1.0, -1.0]}
        for name in present:
            assert grads[("f", name)].tolist() == slopes[name]
    with pytest.raises(ValueError, match=r"bias is of shape \(1,\)"):
        forward(network, x, params={("f", "bias"): np.ones(1)})


@pytest.mark.parametrize("placement", ["output", "input"])
@pytest.mark.parametrize("draw", [dyadic, real])
def test_p89_bypassed_quantizers_leave_the_function_alone(placement, draw):
    """P89, first half: where the quantizers will sit does not change the float network."""
    network, x = lower(everything(draw)), images(draw)
    components = dict.fromkeys(quantized_edges(network, placement), Nearest(15))
    quantized = insert_quantizers(network, components)
    nodes = {f"{edge}.q" for edge in components}
    float_network = bypass(quantized, nodes)
    assert {n.name for n in quantized.nodes} - {n.name for n in network.nodes} == nodes
    np.testing.assert_array_equal(float_network(x), network(x))
    assert {float_network.node(name).op for name in nodes} == {"identity"}


def chain():
    """Return conv -> relu -> conv, lowered, with dyadic weights."""
    rng = np.random.default_rng(7)
    nodes = (conv("a", "input"), plain("r", "relu", "a"), conv("b", "r", SAME))
    params = {("a", "w"): dyadic(rng, 5, 3, 3, 3), ("b", "w"): dyadic(rng, 2, 5, 3, 3)}
    return lower(Network("chain", (3, 5, 5), nodes, params))


def test_p89_both_placements_round_a_chain_to_the_same_values():
    """P89, second half: im2col copies, and padding is a level; one step per tensor."""
    network, x = chain(), dyadic(np.random.default_rng(9), 2, 3, 5, 5) + 1.0
    results = []
    for edges in (("input", "r"), ("a.patches", "b.patches")):
        quantized = insert_quantizers(network, dict.fromkeys(edges, Nearest(15)))
        steps = {
            (f"{edge}.q", "step"): np.array(s) for edge, s in zip(edges, (0.25, 0.5), strict=True)
        }
        results.append(replace_params(quantized, steps)(x))
    np.testing.assert_array_equal(results[0], results[1])
    assert np.any(results[0] != network(x))


def test_every_reader_of_an_edge_reads_its_quantizer():
    """The skip path as well (output placement); the value itself stays on the edge."""
    network = lower(resnet_like())
    quantized = insert_quantizers(network, {"rsa": Nearest(3), "input": Nearest(3), "fc": Cube()})
    assert quantized.nodes[0].name == "input.q" and quantized.nodes[0].inputs == ("input",)
    assert quantized.node("stem.patches").inputs == ("input.q",)
    assert quantized.node("b1.patches").inputs == quantized.node("down.patches").inputs
    assert quantized.node("b1.patches").inputs == ("rsa.q",)
    assert quantized.output == "fc.q" and quantized.node("rsa.q").inputs == ("rsa",)
    skip = insert_quantizers(network, {"r0": Nearest(3)})
    assert skip.node("pool").inputs == ("r0.q",) and skip.node("suma").inputs == ("a2", "pool")
    blocks = dict(quantized.blocks)
    assert blocks["A"] == dict(network.blocks)["A"] + ("rsa.q",)
    assert blocks["B"] == dict(network.blocks)["B"]


def test_a_component_is_handed_values_and_its_parameters():
    """Nearest of step 1/2 by hand: 0.3 -> 0.5, -1 -> 0 and no slope, 9 -> 3 * 0.5 and none."""
    network = insert_quantizers(mlp_like(), {"input": Nearest(3)})
    network = replace_params(network, {("input.q", "step"): np.array(0.5)})
    x = np.array([0.3, -1.0, 9.0, 1.0]).reshape(1, 1, 2, 2)
    trace = forward(network, {"input": x}, ("input.q",))
    assert trace.values["input.q"].reshape(-1).tolist() == [0.5, 0.0, 1.5, 1.0]
    grads = backward(network, trace, {"input.q": np.full(x.shape, 2.0)})
    assert grads.values["input"].reshape(-1).tolist() == [2.0, 0.0, 0.0, 2.0]


def test_mistakes_are_named():
    network = lower(resnet_like())
    with pytest.raises(ValueError, match="Did you mean 'output'"):
        quantized_edges(network, "outputs")
    with pytest.raises(ValueError, match=r"conv2d node 'stem'.*lower\(network\) first"):
        quantized_edges(resnet_like())
    with pytest.raises(ValueError, match="linear node 'fc1'"):
        linear_nodes(mlp_like())
    with pytest.raises(ValueError, match="edge of components is 'rsaa'"):
        insert_quantizers(network, {"rsaa": Nearest(3)})
    with pytest.raises(ValueError, match="'suma' with 2 inputs"):
        bypass(network, {"suma"})
    with pytest.raises(ValueError, match="Did you mean"):
        bypass(network, {"rsb.q"})
    taken = replace(resnet_like(), nodes=(*resnet_like().nodes, conv("fc.patches", "r0", POINT)))
    with pytest.raises(ValueError, match=r"'fc.patches', used twice"):
        lower(taken)
