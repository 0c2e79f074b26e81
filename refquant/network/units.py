"""Cut a lowered network into the units that are reconstructed one after the other.

layer    patches, product and output of one linear node, with the activation function and the
         quantizer behind it where nothing else reads the edge in between.
block    the blocks the network declares; nodes in no block form layer units of their own.
network  everything at once.

Nodes without weights that stand between units (an addition of the skip path, a pooling) belong to
no unit; they run when a later unit needs their value.
"""

from dataclasses import dataclass

from refquant._checks import check_in
from refquant.network.graph import Network, Node, consumers

GRANULARITIES = ("layer", "block", "network")
FOLLOWERS = ("relu", "relu6", "leaky_relu", "sigmoid", "quantize", "identity")


@dataclass(frozen=True)
class Unit:
    """A part of a network that is reconstructed together.

    Attributes
    ----------
    name : str
        Of the layer, the block or the network.
    nodes : tuple of str
        Names of its nodes, in running order.
    inputs : tuple of str
        Edges that enter it.
    output : str
        The edge whose error is measured: its last node.
    layers : tuple of str
        The linear layers in it.
    """

    name: str
    nodes: tuple[str, ...]
    inputs: tuple[str, ...]
    output: str
    layers: tuple[str, ...]


def cut(network: Network, granularity: str) -> tuple[Unit, ...]:
    """Return the units of a lowered network in running order.

    Raises
    ------
    ValueError
        If the granularity is unknown, or ``"block"`` is asked of a network without blocks.
    """
    check_in("cut", "granularity", granularity, GRANULARITIES)
    if granularity == "network":
        return (_unit(network, network.name, tuple(node.name for node in network.nodes)),)
    in_blocks: dict[str, str] = {}
    if granularity == "block":
        in_blocks = {member: block for block, members in network.blocks for member in members}
    units: list[Unit] = []
    done: set[str] = set()
    for node in network.nodes:
        block = in_blocks.get(node.name)
        if block is not None and block not in done:
            done.add(block)
            units.append(_unit(network, block, dict(network.blocks)[block]))
        elif block is None and node.op == "output":
            units.append(_unit(network, node.name, _layer_nodes(network, node, in_blocks)))
    return tuple(unit for unit in units if unit.layers)


def _layer_nodes(network: Network, output: Node, taken: dict[str, str]) -> tuple[str, ...]:
    """Return the names of the nodes of the layer that ends in `output`, followers included."""
    names = [output.name]
    while len(names) < 4:  # from the output back to the patches, past an input quantizer
        before = network.node(network.node(names[0]).inputs[0])
        names.insert(0, before.name)
        if before.op == "patches":
            break
    while True:
        readers = consumers(network, names[-1])
        if len(readers) != 1 or readers[0].op not in FOLLOWERS or readers[0].name in taken:
            return tuple(names)
        names.append(readers[0].name)


def _unit(network: Network, name: str, members: tuple[str, ...]) -> Unit:
    nodes = tuple(node for node in network.nodes if node.name in members)
    inside = {node.name for node in nodes}
    edges = dict.fromkeys(e for node in nodes for e in node.inputs if e not in inside)
    layers = tuple(node.name for node in nodes if node.op == "output")
    return Unit(name, tuple(n.name for n in nodes), tuple(edges), nodes[-1].name, layers)
