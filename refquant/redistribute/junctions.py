"""Find where a scale per channel can move from one layer into the layers that read it.

    writer -> (through ...) -> edge -> readers

    writer    conv2d, linear or batch_norm: multiplies and adds per channel last
    through   operations with f(sc x) = sc f(x) for sc > 0, channel by channel, each the only
              reader of the edge before it; there may be none
    edge      what the readers read
    readers   conv2d and linear, all readers of the edge, and the edge is not the network's output

Methods, section 16. Through ReLU, leaky ReLU, pooling, flattening and the identity a scale
passes; through ReLU6, a sigmoid, an addition or a concatenation it does not, and there is no
junction. A shift passes less: no ReLU, and nothing that pads with zeros, be it a reader.

Written for a folded network that is not lowered. A batch norm that stands between a layer and
its ReLU is itself the writer, so that folding first is not necessary, except for CLE, which
needs the weights of both layers.
"""

from typing import NamedTuple

from refquant._checks import complaint
from refquant.network import Network, Node, consumers
from refquant.network.fold import LINEAR_OPS

WRITERS = (*LINEAR_OPS, "batch_norm")
PASS_SHIFT = ("identity", "flatten", "global_average_pool", "max_pool")  # padding never wins a max
HOMOGENEOUS = (*PASS_SHIFT, "average_pool", "relu", "leaky_relu")
NO_PADDING = (0, 0, 0, 0)


class Junction(NamedTuple):
    """One place where a scale per channel may move; all fields are names of nodes.

    Attributes
    ----------
    writer : str
    through : tuple of str
        Nodes between the writer and the edge, the node that produces the edge included.
    edge : str
        The writer itself if nothing is between.
    readers : tuple of str
    shiftable : bool
        Whether a shift may move too.
    """

    writer: str
    through: tuple[str, ...]
    edge: str
    readers: tuple[str, ...]
    shiftable: bool

    def __str__(self) -> str:
        """The path, as ``conv1 -> relu1 -> conv2, conv3``."""
        return " -> ".join((self.writer, *self.through, ", ".join(self.readers)))


def last_layer(network: Network) -> str:
    """Return the name of the last layer with weights, which has bits of its own (D7)."""
    return next(node.name for node in reversed(network.nodes) if node.op in LINEAR_OPS)


def find_junctions(network: Network) -> tuple[Junction, ...]:
    """All junctions of a network, in the running order of their writers.

    Raises
    ------
    ValueError
        If the network is lowered: its layers are in pieces.
    """
    lowered = [node.name for node in network.nodes if node.op in ("product", "quantize")]
    if lowered:
        got, fix = f"with node {lowered[0]!r}", "Redistribute before lowering."
        expected = "a network that is not lowered"
        raise ValueError(complaint("find_junctions", "network", got, expected, fix))
    found = (_junction(network, node) for node in network.nodes if node.op in WRITERS)
    return tuple(junction for junction in found if junction is not None)


def find_pairs(network: Network) -> tuple[Junction, ...]:
    """The junctions of two layers with weights, one writing and one reading, as CLE needs them."""
    return tuple(
        junction
        for junction in find_junctions(network)
        if len(junction.readers) == 1 and network.node(junction.writer).op in LINEAR_OPS
    )


def _junction(network: Network, writer: Node) -> Junction | None:
    through: list[Node] = []
    readers = consumers(network, writer.name)
    while len(readers) == 1 and readers[0].op in HOMOGENEOUS:
        through.append(readers[0])
        readers = consumers(network, readers[0].name)
    if not readers or any(node.op not in LINEAR_OPS for node in readers):
        return None
    edge = through[-1].name if through else writer.name
    names = tuple(node.name for node in through)
    shiftable = all(map(_passes_shift, (*through, *readers)))
    return Junction(writer.name, names, edge, tuple(node.name for node in readers), shiftable)


def _passes_shift(node: Node) -> bool:
    """Return whether f(x - z) = f(x) - z, or W (x - z) + W z = W x for a reader, at the border."""
    if node.op == "conv2d":
        return bool(node.attr("geometry").padding == NO_PADDING)
    if node.op == "average_pool":
        return node.attr("geometry").padding == NO_PADDING or not node.attr("count_include_pad")
    return node.op in (*PASS_SHIFT, "linear")
