"""Units: the hand-derived parts of known graphs, their order, and what is no unit."""

from dataclasses import replace

import numpy as np
import pytest

from oracle_tests.network_samples import (
    Nearest,
    conv,
    dyadic,
    everything,
    images,
    mlp_like,
    mobilenet_like,
    norm,
    plain,
    resnet_like,
)
from refquant.network import (
    Network,
    Unit,
    cut,
    evaluate,
    fold,
    forward,
    insert_quantizers,
    lower,
    quantized_edges,
)


def parts(name, *followers):
    """Return the nodes of a layer: its three parts, then what follows."""
    return (f"{name}.patches", f"{name}.product", name, *followers)


def layer(name, source, *followers):
    """Return the unit of one layer that reads `source`."""
    nodes = parts(name, *followers)
    return Unit(name, nodes, (source,), nodes[-1], (name,))


MLP = (layer("fc1", "flat", "r1"), layer("fc2", "r1", "r2"), layer("fc3", "r2"))
STEM, FC = layer("stem", "input", "r0"), layer("fc", "flat")
RESNET_LAYERS = (
    STEM,
    layer("a1", "pool", "ra"),
    layer("a2", "ra"),
    layer("b1", "rsa", "rb"),
    layer("b2", "rb"),
    layer("down", "rsa"),
    FC,
)
RESNET_BLOCKS = (
    STEM,
    Unit("A", (*parts("a1", "ra"), *parts("a2", "suma", "rsa")), ("pool",), "rsa", ("a1", "a2")),
    Unit(
        "B",
        (*parts("b1", "rb"), *parts("b2"), *parts("down", "sumb", "rsb")),
        ("rsa",),
        "rsb",
        ("b1", "b2", "down"),
    ),
    FC,
)
LAYERS_OF_RESNET = ("stem", "a1", "a2", "b1", "b2", "down", "fc")
MOBILENET_LAYERS = (
    STEM,
    layer("dw1", "r0", "r1"),
    layer("project1", "r1"),
    layer("expand2", "project1", "r2"),
    layer("dw2", "r2", "r3"),
    layer("project2", "r3"),
    layer("last", "sum", "r4"),
    FC,
)
MOBILENET_BLOCKS = (
    STEM,
    Unit(
        "one", (*parts("dw1", "r1"), *parts("project1")), ("r0",), "project1", ("dw1", "project1")
    ),
    Unit(
        "two",
        (*parts("expand2", "r2"), *parts("dw2", "r3"), *parts("project2", "sum")),
        ("project1",),
        "sum",
        ("expand2", "dw2", "project2"),
    ),
    layer("last", "sum", "r4"),
    FC,
)


@pytest.mark.parametrize(
    ("make", "layers", "blocks"),
    [
        (mlp_like, MLP, MLP),
        (resnet_like, RESNET_LAYERS, RESNET_BLOCKS),
        (mobilenet_like, MOBILENET_LAYERS, MOBILENET_BLOCKS),
    ],
)
def test_units_of_known_graphs(make, layers, blocks):
    network = lower(make())
    assert cut(network, "layer") == layers
    assert cut(network, "block") == blocks
    (whole,) = cut(network, "network")
    names = tuple(node.name for node in network.nodes)
    linear = tuple(name for unit in layers for name in unit.layers)
    assert whole == Unit(network.name, names, ("input",), names[-1], linear)


def test_units_with_quantizers_on_feature_maps():
    """Each joins the unit of its producer; that of gap, which has no weights, joins none."""
    network = lower(resnet_like())
    network = insert_quantizers(network, dict.fromkeys(quantized_edges(network), Nearest(3)))
    units = {unit.name: unit for unit in cut(network, "layer")}
    assert units["stem"] == layer("stem", "input.q", "r0", "r0.q")
    assert units["a1"] == layer("a1", "pool", "ra", "ra.q")
    assert units["a2"] == layer("a2", "ra.q")
    assert units["down"] == layer("down", "rsa.q")
    blocks = {unit.name: unit for unit in cut(network, "block")}
    nodes = (*parts("a1", "ra", "ra.q"), *parts("a2", "suma", "rsa", "rsa.q"))
    assert blocks["A"] == Unit("A", nodes, ("pool",), "rsa.q", ("a1", "a2"))
    assert blocks["B"].inputs == ("rsa.q",) and blocks["B"].output == "rsb.q"


def test_units_with_quantizers_on_patches():
    """A quantizer on the patches is inside its own layer, and the output is in real numbers."""
    network = lower(resnet_like())
    edges = quantized_edges(network, "input")
    network = insert_quantizers(network, dict.fromkeys(edges, Nearest(3)))
    units = {unit.name: unit for unit in cut(network, "layer")}
    nodes = ("a2.patches", "a2.patches.q", "a2.product", "a2")
    assert units["a2"] == Unit("a2", nodes, ("ra",), "a2", ("a2",))
    assert {unit.name: unit for unit in cut(network, "block")}["A"].output == "rsa"


def test_an_unfolded_batch_norm_belongs_to_its_layer():
    nodes = (conv("c", "input"), norm("n", "c"), plain("r", "relu", "n"), conv("d", "r"))
    network = lower(Network("n", (3, 4, 4), nodes, {}))
    first = replace(layer("c", "input", "n", "r"), ends=("n",))
    assert cut(network, "layer") == (first, layer("d", "r"))
    (whole,) = cut(network, "network")  # the error of c is measured behind its norm
    assert whole.layers == ("c", "d") and whole.measured == whole.ends == ("n", "d")
    assert layer("d", "r").measured == ("d",)


def test_a_follower_that_another_block_owns_is_not_taken():
    network = replace(mobilenet_like(), blocks=(("late", ("r0", "dw1")),))
    units = cut(lower(network), "block")
    assert units[0] == layer("stem", "input")
    assert units[1] == Unit("late", ("r0", *parts("dw1")), ("stem",), "dw1", ("dw1",))


def test_a_block_without_linear_layers_is_no_unit():
    network = replace(resnet_like(), blocks=(("head", ("gap", "flat")),))
    assert [unit.name for unit in cut(lower(network), "block")] == list(LAYERS_OF_RESNET)


def test_an_activation_is_left_out_if_something_else_reads_before_it():
    nodes = (conv("c", "input"), plain("r", "relu", "c"), plain("s", "add", "r", "c"))
    network = lower(Network("n", (3, 4, 4), nodes, {}))
    assert cut(network, "layer") == (layer("c", "input"),)


def test_units_follow_those_they_need_however_the_nodes_interleave():
    """a starts before b but ends after it, and reads it: b has to come first."""
    nodes = (conv("a1", "input"), conv("b", "input"), plain("s", "add", "a1", "b"), conv("a2", "s"))
    blocks = (("a", ("a1", "s", "a2")), ("b", ("b",)))
    network = lower(Network("woven", (3, 4, 4), nodes, {}, blocks))
    first, second = cut(network, "block")
    assert (first.name, second.name) == ("b", "a")
    assert second.inputs == ("input", "b") and first.inputs == ("input",)


def test_units_in_turn_make_the_whole_network():
    """Each unit runs from the values of its inputs, the nodes between by `evaluate`."""
    network = lower(fold(everything(dyadic)))
    x = images(dyadic)
    whole = forward(network, x)
    for granularity in ("layer", "block", "network"):
        known = {"input": x}
        for unit in cut(network, granularity):
            inputs = evaluate(network, known, unit.inputs)
            run = forward(network, inputs, unit.nodes)
            np.testing.assert_array_equal(run.values[unit.output], whole.values[unit.output])
            known |= inputs | {unit.output: run.values[unit.output]}
        assert unit.output == "fc"


def test_blocks_that_are_no_units_are_refused():
    two_ends = replace(resnet_like(), blocks=(("bad", ("b2", "down")),))
    with pytest.raises(ValueError, match=r"block 'bad' is read from outside at \['b2', 'down'\]"):
        cut(lower(two_ends), "block")
    around = replace(resnet_like(), blocks=(("bad", ("a1", "a2")),))
    with pytest.raises(ValueError, match="block 'bad' is read from outside at"):
        cut(lower(around), "block")
    back_in = replace(resnet_like(), blocks=(("bad", ("suma", "b1", "down", "sumb")),))
    with pytest.raises(ValueError, match=r"read from outside at \['b1', 'suma', 'sumb'\]"):
        cut(lower(back_in), "block")
    nodes = (conv("a", "input"), plain("r", "relu", "a"), conv("b", "r"))
    back = Network("back", (3, 4, 4), nodes, {}, (("bad", ("a", "b")),))
    with pytest.raises(ValueError, match="block 'bad' is"):
        cut(lower(back), "block")


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="Did you mean 'layer'"):
        cut(lower(mlp_like()), "layers")
    with pytest.raises(ValueError, match="lower"):
        cut(mlp_like(), "layer")
