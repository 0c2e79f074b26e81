"""Cut a lowered network into the units that are reconstructed one after the other.

layer    patches, product and output of one linear node, with the batch norm, the activation
         function and the quantizer behind it where nothing else reads the edge in between.
block    the blocks the network declares; linear nodes in no block are layer units of their own.
         A scheme of sizes merges neighbours (MRECG, methods.md 9.1).
network  everything at once.

Nodes without weights that stand between units (an addition of the skip path, a pooling) belong to
no unit; they run when a later unit needs their value. Units come in an order in which every unit
follows those whose values it needs. methods.md section 9.
"""

from dataclasses import dataclass
from itertools import islice

from refquant._checks import check_in, complaint
from refquant.network.graph import Network, consumers
from refquant.network.lower import linear_nodes, norm_behind

GRANULARITIES = ("layer", "block", "network")
FOLLOWERS = (
    *("batch_norm", "relu", "relu6", "leaky_relu", "sigmoid", "softmax"),
    *("quantize", "identity"),
)


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
        The edge whose error is measured: its last node, the only one read from outside.
    layers : tuple of str
        The linear layers in it.
    ends : tuple of str
        Where the error of each layer is measured, behind its batch norm where it has one; empty
        where no layer has: then at the layers.
    """

    name: str
    nodes: tuple[str, ...]
    inputs: tuple[str, ...]
    output: str
    layers: tuple[str, ...]
    ends: tuple[str, ...] = ()

    @property
    def measured(self) -> tuple[str, ...]:
        """The edges that carry the layers' outputs, batch norm included."""
        return self.ends or self.layers


def cut(network: Network, granularity: str, merge: tuple[int, ...] = ()) -> tuple[Unit, ...]:
    """Return the units of a lowered network in running order.

    Parts without a linear layer are left out; without any declared block, ``"block"`` gives the
    layer units.

    Parameters
    ----------
    network : Network
    granularity : {"layer", "block", "network"}
    merge : tuple of int
        Sizes of the first groups of neighbours to make one unit of; the rest stays as it is.

    Raises
    ------
    ValueError
        If the granularity is unknown, the network is not lowered, a unit is read from outside
        elsewhere than at its last node, or `merge` has more units than there are.
    """
    check_in("cut", "granularity", granularity, GRANULARITIES)
    layers = linear_nodes(network)
    if granularity == "network":
        return (_unit(network, network.name, {node.name for node in network.nodes}),)
    blocks = network.blocks if granularity == "block" else ()
    taken = {member for _, members in blocks for member in members}
    units = [_unit(network, block, set(members)) for block, members in blocks]
    for layer in layers:
        if layer not in taken:
            units.append(_unit(network, layer, _layer_nodes(network, layer, taken)))
    place = {node.name: index for index, node in enumerate(network.nodes)}
    # A unit needs others through their outputs alone, so the order of the outputs will do.
    found = sorted((u for u in units if u.layers), key=lambda unit: place[unit.output])
    return _merged(network, tuple(found), merge)


def _merged(network: Network, units: tuple[Unit, ...], sizes: tuple[int, ...]) -> tuple[Unit, ...]:
    """Return `units` with neighbours joined in groups of the given sizes."""
    left = len(units) - sum(sizes)
    if left < 0:
        got, fix = f"{sizes}, {sum(sizes)} units", "Give a scheme of this network's units."
        expected = f"at most the {len(units)} of {[unit.name for unit in units]}"
        raise ValueError(complaint("cut", "merge", got, expected, fix))
    rest = iter(units)
    groups = [tuple(islice(rest, size)) for size in (*sizes, *[1] * left)]
    return tuple(g[0] if len(g) == 1 else _joined(network, g) for g in groups)


def _joined(network: Network, group: tuple[Unit, ...]) -> Unit:
    """Return one unit of several: their nodes, and those that stand between them."""
    own = {name for unit in group for name in unit.nodes}
    behind, before = set(own), set(own)
    for node in network.nodes:
        if behind & set(node.inputs):
            behind.add(node.name)
    for node in reversed(network.nodes):
        if node.name in before:
            before.update(node.inputs)
    return _unit(network, "+".join(unit.name for unit in group), behind & before)


def _layer_nodes(network: Network, layer: str, taken: set[str]) -> set[str]:
    """Return the names of the nodes of the layer that ends in `layer`, followers included."""
    names, node = {layer}, network.node(layer)
    while node.op != "patches":  # from the output back, past an input quantizer
        node = network.node(node.inputs[0])
        names.add(node.name)
    readers = consumers(network, layer)
    while len(readers) == 1 and readers[0].op in FOLLOWERS and readers[0].name not in taken:
        names.add(readers[0].name)
        readers = consumers(network, readers[0].name)
    return names


def _unit(network: Network, name: str, members: set[str]) -> Unit:
    nodes = tuple(node for node in network.nodes if node.name in members)
    inputs = dict.fromkeys(e for node in nodes for e in node.inputs if e not in members)
    layers = tuple(node.name for node in nodes if node.op == "output")
    norms = [norm_behind(network, layer) for layer in layers]
    ends = [n.name if n else layer for n, layer in zip(norms, layers, strict=True)]
    behind = tuple(ends) if any(norms) else ()
    names = tuple(node.name for node in nodes)
    unit = Unit(name, names, tuple(inputs), nodes[-1].name, layers, behind)
    _check_closed(network, unit, members)
    return unit


def _check_closed(network: Network, unit: Unit, members: set[str]) -> None:
    """Refuse a unit that is read from outside elsewhere than at its end.

    A path that leaves a unit and comes back is refused by this too: it cannot leave at the end.
    """
    outside = [node for node in network.nodes if node.name not in members]
    leaving = {edge for node in outside for edge in node.inputs if edge in members}
    if leaving - {unit.output}:
        got = f"read from outside at {sorted(leaving)}"
        fix = "Declare blocks that end where their paths join."
        message = complaint("cut", f"block {unit.name!r}", got, f"only {unit.output!r}", fix)
        raise ValueError(message)
