"""The parts the zoo's architectures are made of: nodes together with the shapes of their weights.

A `Part` is a run of nodes that ends in one edge; `join` strings parts together, so that an
architecture is nothing but a tuple of parts (`refquant.zoo.assemble`).
"""

from typing import NamedTuple

from refquant.layers.geometry import Geometry
from refquant.network.graph import Key, Node

EPS = 1e-5  # added to the variance by every batch norm of the zoo
Shape = tuple[int, ...]


class Conv(NamedTuple):
    """Channels and geometry of a convolution with "same" padding for odd kernels."""

    c_in: int
    c_out: int
    kernel: int = 3
    stride: int = 1
    groups: int = 1

    @property
    def geometry(self) -> Geometry:
        """The same convolution as a `Geometry`; padding kernel // 2 on all four sides."""
        pad = self.kernel // 2
        return Geometry(
            kernel=(self.kernel, self.kernel),
            stride=(self.stride, self.stride),
            padding=(pad, pad, pad, pad),
            groups=self.groups,
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of its weights, (c_out, c_in / groups, k, k)."""
        return (self.c_out, self.c_in // self.groups, self.kernel, self.kernel)


class Part(NamedTuple):
    """Nodes in running order, and the shape of every parameter they read."""

    nodes: tuple[Node, ...]
    shapes: tuple[tuple[Key, Shape], ...] = ()

    @property
    def output(self) -> str:
        """Edge the part ends in."""
        return self.nodes[-1].name

    @property
    def members(self) -> tuple[str, ...]:
        """Names of its nodes."""
        return tuple(node.name for node in self.nodes)


def join(*parts: Part) -> Part:
    """Return the parts one after the other as one part."""
    nodes = tuple(node for part in parts for node in part.nodes)
    return Part(nodes, tuple(entry for part in parts for entry in part.shapes))


def plain(name: str, op: str, *inputs: str) -> Part:
    """Return a part of one node without parameters."""
    return Part((Node(name, op, inputs),))


def conv_norm(name: str, source: str, conv: Conv, norm: str) -> Part:
    """Return a convolution without bias called `name`, then a batch norm called `norm`."""
    nodes = (
        Node(name, "conv2d", (source,), (("geometry", conv.geometry),)),
        Node(norm, "batch_norm", (name,), (("eps", EPS),)),
    )
    statistics = tuple(((norm, p), (conv.c_out,)) for p in ("gamma", "beta", "mean", "var"))
    return Part(nodes, (((name, "w"), conv.shape), *statistics))


def linear(name: str, source: str, features: int, outputs: int) -> Part:
    """Return a fully connected layer with bias."""
    shapes = (((name, "w"), (outputs, features)), ((name, "bias"), (outputs,)))
    return Part((Node(name, "linear", (source,)),), shapes)


def classifier(source: str, channels: int, classes: int) -> Part:
    """Return global average pooling, flattening and the last linear layer ``fc``."""
    return join(
        plain("pool", "global_average_pool", source),
        plain("flat", "flatten", "pool"),
        linear("fc", "flat", channels, classes),
    )
