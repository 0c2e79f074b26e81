"""Nodes hand their attributes on, and each operation's name means what it says: by hand."""

import gc
import weakref
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

from oracle_tests.network_samples import everything, images
from refquant import numerics as nx
from refquant.layers.geometry import Geometry
from refquant.network import Network, Node, backward, evaluate, forward, lower, predict
from refquant.network.op import Wanted
from refquant.network.ops import OPS

WINDOW = Geometry((1, 2), padding=(0, 1, 0, 0))  # of (a, b): (padding, a) and (a, b)
X = (-1.0, 0.5, 7.0, 0.0)
CASES = {
    "relu": ("relu", (), X, (0.0, 0.5, 7.0, 0.0), (0, 1, 1, 0)),
    "relu6": ("relu6", (), X, (0.0, 0.5, 6.0, 0.0), (0, 1, 0, 0)),
    "leaky_relu": (
        "leaky_relu", (("slope", 0.25),), X, (-0.25, 0.5, 7.0, 0.0), (0.25, 1, 1, 0.25),
    ),
    "sigmoid": ("sigmoid", (), (0.0, 0.0), (0.5, 0.5), (0.25, 0.25)),
    "identity": ("identity", (), X, X, (1, 1, 1, 1)),
    "max_pool": ("max_pool", (("geometry", WINDOW),), (4.0, 8.0), (4.0, 8.0), (1, 1)),
    "average_pool": (
        "average_pool", (("geometry", WINDOW), ("count_include_pad", True)),
        (4.0, 8.0), (2.0, 6.0), (1.0, 0.5),
    ),
    "average_pool, padding not counted": (
        "average_pool", (("geometry", WINDOW), ("count_include_pad", False)),
        (4.0, 8.0), (4.0, 6.0), (1.5, 0.5),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_an_operation_and_its_slopes(name):
    """Slopes are the gradient of the sum of the outputs; at 0 every ReLU has the lower one."""
    op, attrs, x, y, slopes = CASES[name]
    network = Network(name, (1, 1, len(x)), (Node("y", op, ("input",), attrs),), {})
    trace = forward(network, np.array(x).reshape(1, 1, 1, -1))
    assert trace.values["y"].reshape(-1).tolist() == list(y)
    d_x = backward(network, trace, {"y": np.ones_like(trace.values["y"])}).values["input"]
    assert d_x.reshape(-1).tolist() == list(slopes)


def test_pooling_over_the_whole_map_and_flattening():
    nodes = (Node("gap", "global_average_pool", ("input",)), Node("flat", "flatten", ("input",)))
    network = Network("n", (2, 1, 2), nodes, {})
    trace = forward(network, np.array([1.0, 3.0, -2.0, 6.0]).reshape(1, 2, 1, 2))
    assert trace.values["gap"].tolist() == [[[[2.0]], [[2.0]]]]
    assert trace.values["flat"].tolist() == [[1.0, 3.0, -2.0, 6.0]]
    cotangents = {"gap": np.array([[[[4.0]], [[8.0]]]]), "flat": np.ones((1, 4))}
    d_x = backward(network, trace, cotangents).values["input"]
    assert d_x.reshape(-1).tolist() == [3.0, 3.0, 5.0, 5.0]


def test_joins_keep_the_order_of_their_inputs():
    nodes = (
        Node("six", "relu6", ("input",)),
        Node("cat", "concat", ("six", "input", "six")),
        Node("sum", "add", ("six", "input", "input")),
    )
    network = Network("n", (1, 2), nodes, {})
    trace = forward(network, np.array([[[7.0, 1.0]]]))
    assert trace.values["cat"].tolist() == [[[6.0, 1.0], [7.0, 1.0], [6.0, 1.0]]]
    assert trace.values["sum"].tolist() == [[[20.0, 3.0]]]
    d_cat = np.array([[[1.0, 1.0], [2.0, 2.0], [4.0, 4.0]]])
    d_x = backward(network, trace, {"cat": d_cat}).values["input"]
    assert d_x.tolist() == [[[2.0, 7.0]]]


@dataclass(frozen=True, eq=False)
class Watch:
    """Adds 1, and notes which of the arrays it has made are still alive."""

    made: list
    alive: list

    def forward(self, x, params):
        gc.collect()
        self.alive.append([ref() is not None for ref in self.made])
        y = x + 1.0
        self.made.append(weakref.ref(y))
        return y, None

    def backward(self, d_y, cache):
        raise NotImplementedError


@pytest.mark.parametrize("run", [forward, evaluate])
def test_evaluate_forgets_a_value_after_its_last_reader_and_forward_keeps_all(run):
    """In a chain of four, when the last runs, it is the value it reads that is needed."""
    watch = Watch([], [])
    nodes = tuple(
        Node(name, "quantize", (source,), (("component", watch),))
        for source, name in pairwise(("input", "a", "b", "c", "d"))
    )
    network = Network("n", (2,), nodes, {})
    if run is forward:
        assert forward(network, np.zeros((1, 2))).values["d"].tolist() == [[4.0, 4.0]]
    else:
        assert evaluate(network, np.zeros((1, 2)), ("d",))["d"].tolist() == [[4.0, 4.0]]
    kept = run is forward
    assert watch.alive == [[], [True], [kept, True], [kept, kept, True]]


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_batches_change_no_bit_in_pinned_arithmetic(batch):
    """Real numbers, where fast arithmetic differs in the last bits."""
    network, x = everything(), images(n=7)
    with nx.arithmetic("pinned"):
        at_once = network(x)
        np.testing.assert_array_equal(predict(network, x, batch), at_once)
        np.testing.assert_array_equal(predict(lower(network), x, batch), at_once)


@dataclass(frozen=True)
class Double:
    """A quantizer with a shorter way to its parameter's gradient, which is not the long one's."""

    def forward(self, x, params):
        return 2.0 * x, None

    def backward(self, d_y, cache):
        return 2.0 * d_y, {"s": np.array(1.0)}

    def parameter_gradients(self, d_y, cache):
        return {"s": np.array(2.0)}


@pytest.mark.parametrize("inputs", [False, True])
@pytest.mark.parametrize("params", [False, True])
def test_an_operation_leaves_out_what_nobody_wants(inputs, params):
    """A product has two matrix products on the way back; a quantizer may have a shorter way."""
    wanted = Wanted(inputs, params)
    rng = np.random.default_rng(0)
    x, w, d_y = rng.normal(size=(2, 6, 3)), rng.normal(size=(4, 3)), rng.normal(size=(2, 4, 3))
    node = Node("p", "product", ("x",), (("groups", 2),))
    _, cache = OPS["product"].forward(node, (x,), {"w": w})
    d_inputs, d_params = OPS["product"].pull(node, d_y, cache, wanted)
    assert (len(d_inputs), set(d_params)) == (int(inputs), {"w"} if params else set())
    node = Node("q", "quantize", ("x",), (("component", Double()),))
    d_inputs, d_params = OPS["quantize"].pull(node, d_y, None, wanted)
    assert d_params["s"] == (1.0 if inputs else 2.0)
    assert len(d_inputs) == int(inputs)


@pytest.mark.parametrize("share", [[1.0, 0.0, 0.5], [0.5]])
def test_mixed_values_have_both_paths_in_their_gradient(share):
    """y = m 2x + (1 - m) x, so dy/dx = 1 + m: the direct path and the quantizer's own."""
    node = Node("q", "quantize", ("input",), (("component", Double()),))
    network = Network("n", (3,), (node,), {})
    x, d_y, m = np.array([[3.0, -1.0, 4.0]]), np.array([[1.0, 2.0, -8.0]]), np.array([share])
    trace = forward(network, x, params={("q", "share"): m})
    np.testing.assert_array_equal(trace.values["q"], x * (1.0 + m))
    d_x = backward(network, trace, {"q": d_y}).values["input"]
    np.testing.assert_array_equal(d_x, d_y * (1.0 + m))
