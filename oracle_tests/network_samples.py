"""Small networks that several tests share, and quantizer components simple enough to trust.

The dyadic networks hold multiples of 1/8 and batch norms whose deviation is exactly 1 or 2, so
every sum and product is exact and two ways to compute the same thing must agree bit for bit.
"""

from dataclasses import dataclass, replace

import numpy as np

from refquant.layers.geometry import Geometry
from refquant.network import Network, Node

EPS = 0.25
POINT = Geometry((1, 1))
SAME = Geometry((3, 3), padding=(1, 1, 1, 1))


@dataclass(frozen=True)
class Nearest:
    """Unsigned nearest rounding with a straight-through gradient; the step is a parameter."""

    levels: int

    def forward(self, x, params):
        u = x / params["step"]
        return params["step"] * np.clip(np.rint(u), 0, self.levels), (u >= 0) & (u <= self.levels)

    def backward(self, d_y, cache):
        return d_y * cache, {}


@dataclass(frozen=True)
class Cube:
    """A smooth stand-in for a quantizer, y = s * x^3, whose gradients can be checked."""

    def forward(self, x, params):
        return params["s"] * x * x * x, (x, params["s"])

    def backward(self, d_y, cache):
        x, s = cache
        return d_y * 3.0 * s * x * x, {"s": np.sum(d_y * x * x * x)}


def dyadic(rng, *shape):
    """Return multiples of 1/8 between -1 and 1."""
    return rng.integers(-8, 9, shape) / 8.0


def real(rng, *shape):
    """Return numbers that no sum of them is exact with."""
    return rng.standard_normal(shape)


def conv(name, source, geometry=SAME):
    return Node(name, "conv2d", (source,), (("geometry", geometry),))


def norm(name, source):
    return Node(name, "batch_norm", (source,), (("eps", EPS),))


def plain(name, op, *sources):
    return Node(name, op, sources)


def norm_params(rng, channels, draw):
    """Return gamma, beta, mean, var: var + 1/4 is 1 or 4 where the draw is dyadic."""
    spread = rng.integers(0, 2, channels) * 3.0 + 0.75
    if draw is real:
        spread = rng.uniform(0.5, 2.0, channels)
    gamma = np.where(draw(rng, channels) < 0, -1.5, 1.25)
    return {"gamma": gamma, "beta": draw(rng, channels), "mean": draw(rng, channels), "var": spread}


def everything(draw=real, seed=3):
    """Return a residual network with a node of nearly every operation, for inputs (4, 6, 6).

    head: grouped conv, batch norm, relu; block: depthwise conv, batch norm, add of the skip path,
    sigmoid or relu6; tail: both poolings, concat, conv without norm, norm without conv, linear.
    """
    rng = np.random.default_rng(seed)
    grouped = Geometry((3, 3), padding=(1, 1, 1, 1), groups=2)
    depthwise = Geometry((3, 2), dilation=(1, 2), padding=(1, 2, 1, 0), groups=6)
    window = Geometry((2, 2), stride=(2, 2))
    average = Node(
        "avg", "average_pool", ("act",), (("geometry", window), ("count_include_pad", True))
    )
    nodes = (
        conv("c1", "input", grouped),
        norm("n1", "c1"),
        plain("r1", "relu", "n1"),
        conv("c2", "r1", depthwise),
        norm("n2", "c2"),
        plain("sum", "add", "n2", "r1"),
        plain("act", "relu6" if draw is dyadic else "sigmoid", "sum"),
        Node("max", "max_pool", ("act",), (("geometry", window),)),
        average,
        plain("cat", "concat", "max", "avg"),
        norm("n3", "cat"),
        Node("leak", "leaky_relu", ("n3",), (("slope", 0.125),)),
        conv("c3", "leak", Geometry((2, 2), stride=(1, 1))),
        plain("gap", "global_average_pool", "c3"),
        plain("flat", "flatten", "gap"),
        plain("fc", "linear", "flat"),
    )
    weights = {
        ("c1", "w"): draw(rng, 6, 2, 3, 3),
        ("c2", "w"): draw(rng, 6, 1, 3, 2),
        ("c2", "bias"): draw(rng, 6),
        ("c3", "w"): draw(rng, 4, 12, 2, 2),
        ("c3", "bias"): draw(rng, 4),
        ("fc", "w"): draw(rng, 3, 4),
        ("fc", "bias"): draw(rng, 3),
    }
    for name, channels in (("n1", 6), ("n2", 6), ("n3", 12)):
        found = norm_params(rng, channels, draw)
        weights |= {(name, key): value for key, value in found.items()}
    return Network("everything", (4, 6, 6), nodes, weights, (("body", ("c2", "n2", "sum", "act")),))


def images(draw=real, n=2, seed=5):
    """Return a batch for `everything`."""
    return draw(np.random.default_rng(seed), n, 4, 6, 6)


def mlp_like():
    """Return the graph of a perceptron: flatten, three linear layers, no blocks."""
    nodes = (
        plain("flat", "flatten", "input"),
        plain("fc1", "linear", "flat"),
        plain("r1", "relu", "fc1"),
        plain("fc2", "linear", "r1"),
        plain("r2", "sigmoid", "fc2"),
        plain("fc3", "linear", "r2"),
    )
    return Network("mlp", (2, 2, 2), nodes, {})


def resnet_like():
    """Return the graph of a folded residual network: an identity and a convolved skip path."""
    nodes = (
        conv("stem", "input"),
        plain("r0", "relu", "stem"),
        Node("pool", "max_pool", ("r0",), (("geometry", POINT),)),
        conv("a1", "pool"),
        plain("ra", "relu", "a1"),
        conv("a2", "ra"),
        plain("suma", "add", "a2", "pool"),
        plain("rsa", "relu", "suma"),
        conv("b1", "rsa"),
        plain("rb", "relu", "b1"),
        conv("b2", "rb"),
        conv("down", "rsa", POINT),
        plain("sumb", "add", "b2", "down"),
        plain("rsb", "relu", "sumb"),
        plain("gap", "global_average_pool", "rsb"),
        plain("flat", "flatten", "gap"),
        plain("fc", "linear", "flat"),
    )
    a = ("A", ("a1", "ra", "a2", "suma", "rsa"))
    b = ("B", ("b1", "rb", "b2", "down", "sumb", "rsb"))
    return Network("resnet", (3, 8, 8), nodes, {}, (a, b))


def mobilenet_like():
    """Return the graph of folded inverted residuals: linear bottlenecks, one with a skip path."""
    depthwise = replace(SAME, groups=4)
    nodes = (
        conv("stem", "input"),
        plain("r0", "relu6", "stem"),
        conv("dw1", "r0", depthwise),
        plain("r1", "relu6", "dw1"),
        conv("project1", "r1", POINT),
        conv("expand2", "project1", POINT),
        plain("r2", "relu6", "expand2"),
        conv("dw2", "r2", depthwise),
        plain("r3", "relu6", "dw2"),
        conv("project2", "r3", POINT),
        plain("sum", "add", "project2", "project1"),
        conv("last", "sum", POINT),
        plain("r4", "relu6", "last"),
        plain("gap", "global_average_pool", "r4"),
        plain("flat", "flatten", "gap"),
        plain("fc", "linear", "flat"),
    )
    one = ("one", ("dw1", "r1", "project1"))
    two = ("two", ("expand2", "r2", "dw2", "r3", "project2", "sum"))
    return Network("mobilenet", (3, 8, 8), nodes, {}, (one, two))


def writable_parameters(network):
    """Return the parameters of `network` that could be written to; for a spawned worker."""
    return [key for key, value in network.params.items() if value.flags.writeable]
