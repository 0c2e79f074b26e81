"""Where a scale may move: patterns found, and patterns refused."""

import numpy as np
import pytest

from oracle_tests.network_samples import POINT, SAME, conv, everything, norm, plain
from refquant.layers.geometry import Geometry
from refquant.network import Network, Node, fold, lower
from refquant.redistribute.junctions import Junction, find_junctions, find_pairs
from refquant.zoo.mobilenet import digits_mobilenet
from refquant.zoo.regnet import digits_regnet

WINDOW = Geometry((2, 2), stride=(2, 2))
PADDED = Geometry((2, 2), padding=(1, 1, 1, 1))


def chain(*nodes):
    return Network("chain", (4, 8, 8), nodes, {})


def between(*nodes, reader=None):
    """Return first -> nodes -> second, and what is found there."""
    last = nodes[-1].name if nodes else "first"
    second = conv("second", last, POINT) if reader is None else reader(last)
    return find_junctions(chain(conv("first", "input"), *nodes, second))


def average(counted, geometry=PADDED):
    attrs = (("geometry", geometry), ("count_include_pad", counted))
    return Node("mid", "average_pool", ("first",), attrs)


def maximum(geometry=WINDOW):
    return Node("mid", "max_pool", ("first",), (("geometry", geometry),))


def leaky(source):
    return Node("leak", "leaky_relu", (source,), (("slope", 0.125),))


def test_two_layers_with_nothing_between():
    (found,) = between()
    assert found == Junction("first", (), "first", ("second",), True)
    assert str(found) == "first -> second"


@pytest.mark.parametrize(
    ("node", "shiftable"),
    [
        (plain("mid", "relu", "first"), False),
        (Node("mid", "leaky_relu", ("first",), (("slope", 0.1),)), False),
        (plain("mid", "identity", "first"), True),
        (plain("mid", "flatten", "first"), True),
        (plain("mid", "global_average_pool", "first"), True),
        (maximum(), True),
        (maximum(PADDED), True),
        (average(True, WINDOW), True),
        (average(True), False),
        (average(False), True),
    ],
    ids=lambda value: value.op if isinstance(value, Node) else "",
)
def test_what_a_scale_passes_and_what_a_shift_passes(node, shiftable):
    assert between(node) == (Junction("first", ("mid",), "mid", ("second",), shiftable),)


@pytest.mark.parametrize("op", ["relu6", "sigmoid", "concat"])
def test_what_a_scale_does_not_pass(op):
    """All readers of the writer are refused; later junctions are not affected."""
    assert between(plain("mid", op, "first")) == ()


def test_a_path_of_several_nodes():
    nodes = (leaky("first"), plain("flat", "flatten", "leak"))
    (found,) = between(*nodes, reader=lambda last: plain("second", "linear", last))
    assert found == Junction("first", ("leak", "flat"), "flat", ("second",), False)
    assert str(found) == "first -> leak -> flat -> second"


def test_a_reader_that_pads_takes_no_shift():
    (found,) = between(reader=lambda last: conv("second", last, SAME))
    assert not found.shiftable
    sides = Geometry((1, 1), padding=(0, 0, 0, 1))
    assert not between(reader=lambda last: conv("second", last, sides))[0].shiftable


def test_several_readers_share_the_scale_but_are_no_pair():
    network = chain(
        conv("first", "input"),
        conv("a", "first", POINT),
        conv("b", "first", SAME),
        plain("sum", "add", "a", "b"),
    )
    found = find_junctions(network)
    assert found == (Junction("first", (), "first", ("a", "b"), False),)
    assert str(found[0]) == "first -> a, b"
    assert find_pairs(network) == ()


@pytest.mark.parametrize("at", ["first", "relu"])
def test_nothing_else_may_read_the_edge(at):
    """A skip path from the writer or from the edge."""
    network = chain(
        conv("first", "input"),
        plain("relu", "relu", "first"),
        conv("second", "relu"),
        plain("sum", "add", "second", at),
    )
    assert find_junctions(network) == ()


def test_the_output_of_the_network_is_no_edge():
    assert find_junctions(chain(conv("first", "input"))) == ()
    assert find_junctions(chain(conv("first", "input"), plain("r", "relu", "first"))) == ()
    assert find_junctions(chain(plain("r", "relu", "input"), conv("first", "r"))) == ()


def test_a_batch_norm_writes_but_makes_no_pair():
    """Folded, the layer itself writes, and the pair is there."""
    rng = np.random.default_rng(0)
    nodes = (conv("c", "input", POINT), norm("n", "c"), plain("r", "relu", "n"))
    values = {key: rng.uniform(1, 2, 4) for key in ("gamma", "beta", "mean", "var")}
    params = {("c", "w"): rng.standard_normal((4, 4, 1, 1))}
    params |= {("n", key): value for key, value in values.items()}
    network = Network("norm", (4, 8, 8), (*nodes, conv("d", "r")), params)
    assert find_junctions(network) == (Junction("n", ("r",), "r", ("d",), False),)
    assert find_pairs(network) == ()
    expected = (Junction("c", ("r",), "r", ("d",), False),)
    assert find_junctions(fold(network)) == find_pairs(fold(network)) == expected


def test_on_a_network_with_nearly_every_operation():
    """c1's ReLU is also the skip path; n3 reads a concatenation; c3 ends in the classifier."""
    found = find_junctions(fold(everything()))
    assert [str(junction) for junction in found] == [
        "n3 -> leak -> c3",
        "c3 -> gap -> flat -> fc",
    ]
    assert [junction.shiftable for junction in found] == [False, True]
    assert [pair.writer for pair in find_pairs(fold(everything()))] == ["c3"]


def test_on_networks_of_the_zoo():
    """RegNet: conv1 -> grouped conv2 -> conv3 in each block, and no pair across an addition."""
    pairs = [str(pair) for pair in find_pairs(fold(digits_regnet()))]
    expected = []
    for block in ("block1", "block2", "block3"):
        expected.append(f"{block}.conv1 -> {block}.relu1 -> {block}.conv2")
        expected.append(f"{block}.conv2 -> {block}.relu2 -> {block}.conv3")
    assert pairs == expected
    stem = find_junctions(fold(digits_regnet()))[0]
    assert str(stem) == "stem -> stem.relu -> block1.conv1, block1.downsample"
    assert find_junctions(fold(digits_mobilenet())) == ()  # ReLU6, and skips over all the rest


def test_a_lowered_network_is_refused():
    with pytest.raises(ValueError, match=r"before lowering"):
        find_junctions(lower(fold(digits_regnet())))
