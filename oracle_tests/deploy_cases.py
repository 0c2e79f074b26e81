"""Small quantized networks for the tests of deployment: residual, depthwise, MLP, concat.

Weights are hand-made codes, steps are calibrated by the largest value seen, so nothing of the
calibration or of the methods is needed here.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from refquant.deploy import HardLayer
from refquant.layers.geometry import Geometry
from refquant.network import (
    Network,
    Node,
    insert_quantizers,
    linear_nodes,
    lower,
    quantized_edges,
)
from refquant.network.run import forward
from refquant.quantizers.fake_quant import fake_quant_forward, quantize
from refquant.quantizers.grid import Grid, QParams


@dataclass(frozen=True)
class Nearest:
    """The smallest activation component: nearest rounding at a given step."""

    grid: str = "affine"
    bits: int = 8

    def qparams(self, params):
        return QParams(params["s_x"], params["zero_point"], Grid(self.grid, self.bits))

    def forward(self, x, params):
        return fake_quant_forward(x, self.qparams(params))

    def codes(self, x, params):
        return quantize(x, self.qparams(params))

    def step(self, params):
        return params["s_x"]

    def zero_point(self, params):
        return params["zero_point"]


class Case(NamedTuple):
    """A network with quantize nodes, its hardened layers, and inputs."""

    network: Network
    layers: dict
    x: np.ndarray


def node(name, op, *inputs, **attrs):
    return Node(name, op, inputs, tuple(attrs.items()))


def conv(name, source, kernel=3, stride=1, groups=1, pad=None):
    pad = kernel // 2 if pad is None else pad
    padding = (pad,) * 4 if isinstance(pad, int) else pad
    geometry = Geometry((kernel, kernel), (stride, stride), (1, 1), padding, groups)
    return node(name, "conv2d", source, geometry=geometry)


def residual():
    """Stem, one block with a plain skip, one with a strided downsample, pool, classifier."""
    nodes = (
        conv("stem", "input"),
        node("stem.relu", "relu", "stem"),
        conv("a1", "stem.relu"),
        node("a1.relu", "relu", "a1"),
        conv("a2", "a1.relu"),
        node("a.add", "add", "a2", "stem.relu"),
        node("a.relu", "relu", "a.add"),
        conv("b1", "a.relu", stride=2),
        node("b1.relu", "relu", "b1"),
        conv("b2", "b1.relu"),
        conv("bd", "a.relu", kernel=1, stride=2),
        node("b.add", "add", "b2", "bd"),
        node("b.relu", "relu", "b.add"),
        node("pool", "global_average_pool", "b.relu"),
        node("flat", "flatten", "pool"),
        node("fc", "linear", "flat"),
    )
    shapes = {
        "stem": (4, 2, 3, 3),
        "a1": (4, 4, 3, 3),
        "a2": (4, 4, 3, 3),
        "b1": (6, 4, 3, 3),
        "b2": (6, 6, 3, 3),
        "bd": (6, 4, 1, 1),
        "fc": (5, 6),
    }
    return "residual", (2, 6, 6), nodes, shapes


def mobile():
    """Depthwise with ReLU6, a linear bottleneck with a skip, odd padding, two poolings."""
    nodes = (
        conv("stem", "input", pad=(0, 1, 2, 1)),
        node("stem.relu", "relu6", "stem"),
        node("max", "max_pool", "stem.relu", geometry=Geometry((2, 2), padding=(1, 0, 0, 1))),
        conv("dw", "max", groups=4),
        node("dw.relu", "relu6", "dw"),
        conv("pw", "dw.relu", kernel=1),
        conv("ex", "pw", kernel=1),
        node("ex.relu", "relu6", "ex"),
        conv("pr", "ex.relu", kernel=1, groups=2),
        node("add", "add", "pr", "pw"),
        node(
            "avg",
            "average_pool",
            "add",
            geometry=Geometry((3, 3), (2, 2), (1, 1), (1, 1, 0, 0)),
            count_include_pad=False,
        ),
        node("flat", "flatten", "avg"),
        node("fc", "linear", "flat"),
    )
    shapes = {
        "stem": (4, 3, 3, 3),
        "dw": (4, 1, 3, 3),
        "pw": (4, 4, 1, 1),
        "ex": (8, 4, 1, 1),
        "pr": (4, 4, 1, 1),
        "fc": (3, 4 * 6),
    }
    return "mobile", (3, 5, 6), nodes, shapes


def mlp():
    """Flatten and three layers; every edge between them is quantized."""
    nodes = (
        node("flat", "flatten", "input"),
        node("fc1", "linear", "flat"),
        node("fc1.relu", "relu", "fc1"),
        node("fc2", "linear", "fc1.relu"),
        node("fc2.relu", "relu", "fc2"),
        node("fc", "linear", "fc2.relu"),
    )
    return "mlp", (1, 4, 4), nodes, {"fc1": (12, 16), "fc2": (12, 12), "fc": (4, 12)}


def branches():
    """A concat of an accumulator and of codes, and operations that only exist in real numbers."""
    nodes = (
        conv("c1", "input"),
        node("c1.relu", "leaky_relu", "c1", slope=0.125),
        conv("c2", "c1.relu"),
        node("cat", "concat", "c2", "c1.relu"),
        conv("c3", "cat", kernel=1),
        node("act", "sigmoid", "c3"),
        node("flat", "flatten", "act"),
        node("fc", "linear", "flat"),
    )
    shapes = {"c1": (3, 2, 3, 3), "c2": (2, 3, 3, 3), "c3": (3, 5, 1, 1), "fc": (2, 48)}
    return "branches", (2, 4, 4), nodes, shapes


ARCHITECTURES = {"residual": residual, "mobile": mobile, "mlp": mlp, "branches": branches}
FIXED = ("residual", "mobile", "mlp")  # those with a fixed-point form


def case(architecture, seed, kind="real", placement="output", batch=3):
    """A quantized network with random codes.

    kind "real": real steps, biases, xi of both signs and eta. kind "dyadic": steps are powers of
    two, biases and eta multiples of the accumulator's unit, xi absent or a power of two.
    """
    rng = np.random.default_rng(seed)
    name, shape, nodes, shapes = ARCHITECTURES[architecture]()
    layers = {layer: _layer(rng, w_shape, kind) for layer, w_shape in shapes.items()}
    params = {}
    for layer, hard in layers.items():
        scale = hard.step if hard.xi is None else hard.step * hard.xi
        steps = scale.reshape(-1, *(1,) * (hard.codes.ndim - 1))
        params[(layer, "w")] = steps * hard.codes
        params[(layer, "bias")] = _values(rng, len(hard.codes), kind)
    x = _values(rng, (batch, *shape), kind)
    lowered = lower(Network(name, shape, nodes, params))
    values = forward(lowered, x).values
    components, steps = {}, {}
    for edge in quantized_edges(lowered, placement):
        components[edge], own = _calibrated(rng, values[edge], kind)
        steps |= {(f"{edge}.q", p): value for p, value in own.items()}
    network = insert_quantizers(lowered, components)
    both = {**network.params, **steps}
    network = Network(name, shape, network.nodes, both, network.blocks)
    assert set(linear_nodes(network)) == set(layers)
    return Case(network, layers, x)


def _values(rng, shape, kind):
    return rng.integers(-64, 65, shape) / 64 if kind == "dyadic" else rng.normal(size=shape) / 2


def _layer(rng, shape, kind):
    channels, fan_in = shape[0], int(np.prod(shape[1:]))
    codes = np.minimum(rng.integers(-8, 9, shape), 7)  # no bias downwards: ReLU kills less
    if kind == "dyadic":
        step = 2.0 ** rng.integers(-7, -3, channels)
        return HardLayer(codes, step, None, rng.integers(-8, 9, channels) / 64)
    step = rng.uniform(0.5, 1.5, channels) / (4 * np.sqrt(fan_in))
    xi = rng.uniform(0.75, 1.25, channels) * rng.choice([-1.0, 1.0], channels)
    return HardLayer(codes, step, xi, rng.normal(size=channels) / 8)


def _calibrated(rng, values, kind):
    """Component, step and zero point that cover most of the values: a few of them clip."""
    bits = int(rng.choice([4, 8]))
    low, high = 0.9 * min(values.min(), 0.0), 0.9 * max(values.max(), 2.0**-6)
    step = (high - low) / (2**bits - 1)
    if kind == "dyadic":
        step = 2.0 ** np.ceil(np.log2(step))
    zero_point = int(np.clip(np.rint(-low / step), 0, 2**bits - 1))
    return Nearest("affine", bits), {"s_x": np.array(step), "zero_point": np.array(zero_point)}


def chain(*nodes, shape=(4,), codes=(("fc", [[1, -1, 2, 0]]),), step=0.5, bits=8, **more):
    """A lowered network of quantize nodes (all with one step) and linear layers, deployed."""
    params, layers = {}, {}
    for name, rows in codes:
        w = np.array(rows)
        params[(f"{name}.product", "w")] = w.astype(np.float64)
        layers[name] = HardLayer(w, np.full(len(w), 0.25))
    for n in nodes:
        if n.op == "quantize":
            params[(n.name, "s_x")] = np.array(step)
            params[(n.name, "zero_point")] = np.array(2**bits // 2)
    params |= more.get("params", {})
    layers |= more.get("layers", {})
    return Network("chain", shape, tuple(nodes), params), layers


def linear(name, source):
    return (
        node(f"{name}.patches", "patches", source, geometry=None),
        node(f"{name}.product", "product", f"{name}.patches", groups=1),
        node(name, "output", f"{name}.product"),
    )


def coder(name, source, bits=8):
    return node(name, "quantize", source, component=Nearest("affine", bits))


def same(a, b):
    """The bits of codes, accumulators and output."""
    assert a.codes.keys() == b.codes.keys() and a.accumulators.keys() == b.accumulators.keys()
    for name in a.codes:
        np.testing.assert_array_equal(a.codes[name], b.codes[name], err_msg=name)
    for name in a.accumulators:
        np.testing.assert_array_equal(a.accumulators[name], b.accumulators[name], err_msg=name)
    assert a.output.tobytes() == b.output.tobytes()
