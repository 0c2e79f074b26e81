"""Take linear nodes apart and put quantizer nodes between the parts.

A convolution or fully connected layer ``conv`` becomes three nodes

    conv.patches -> conv.product -> conv          im2col | W @ patches | xi * y0 + bias + eta

so that a quantizer can sit on a feature map (*output* placement: BRECQ, QDrop) or on the patches
(*input* placement: AQuant); nothing else differs. The last part keeps the layer's name, so the
readers of its edge notice nothing (methods.md 13.1, D15).
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

from refquant._checks import check_in, complaint
from refquant._types import Array
from refquant.network.fold import LINEAR_OPS
from refquant.network.graph import INPUT, Block, Key, Network, Node, consumers
from refquant.network.op import Component

# Operations whose output is a selection of their input: codes pass through them unchanged.
TRANSPARENT = ("max_pool", "flatten", "identity")
# Operations that multiply or average, and therefore read codes.
READS_CODES = ("patches", "conv2d", "linear", "average_pool", "global_average_pool")
PLACEMENTS = ("output", "input")


def lower(network: Network) -> Network:
    """Return `network` with every conv2d and linear node as patches, product and output.

    The weight moves to ``(conv.product, "w")``; every other parameter keeps its key.
    """
    pieces = {node.name: _apart(node) for node in network.nodes}
    params: dict[Key, Array] = {}
    for (owner, name), value in network.params.items():
        moved = name == "w" and len(pieces[owner]) == 3
        params[(pieces[owner][1].name if moved else owner, name)] = value
    names = {name: tuple(piece.name for piece in parts) for name, parts in pieces.items()}
    return replace(
        network,
        nodes=tuple(piece for parts in pieces.values() for piece in parts),
        params=params,
        blocks=_expand(network.blocks, names),
    )


def linear_nodes(network: Network) -> tuple[str, ...]:
    """Return the names of the linear layers of a lowered network, in running order.

    Raises
    ------
    ValueError
        If some linear layer is still in one piece.
    """
    for node in network.nodes:
        if node.op in LINEAR_OPS:
            got, fix = f"with {node.op} node {node.name!r}", "Call lower(network) first."
            message = complaint("linear_nodes", "network", got, "a lowered network", fix)
            raise ValueError(message)
    return tuple(node.name for node in network.nodes if node.op == "output")


def norm_behind(network: Network, layer: str) -> Node | None:
    """Return the batch norm that alone reads a linear layer's output; None if there is none."""
    readers = consumers(network, layer)
    return readers[0] if len(readers) == 1 and readers[0].op == "batch_norm" else None


def quantized_edges(network: Network, placement: str = "output") -> tuple[str, ...]:
    """Return the edges of a lowered network that carry quantized activations, in running order.

    With ``"output"`` placement: every edge read by an operation that multiplies or averages,
    possibly through max pooling or flattening. A convolution that only feeds an addition has
    none; the sum that follows has one (BRECQ). With ``"input"`` placement: the patches of every
    linear layer; skip connections stay in real numbers.
    """
    check_in("quantized_edges", "placement", placement, PLACEMENTS)
    linear_nodes(network)  # refuses a network that is not lowered
    if placement == "input":
        return tuple(node.name for node in network.nodes if node.op == "patches")
    hidden = (*TRANSPARENT, "patches")
    edges = (INPUT, *(node.name for node in network.nodes if node.op not in hidden))
    return tuple(edge for edge in edges if _reads_codes(network, edge))


def insert_quantizers(network: Network, components: Mapping[str, Component]) -> Network:
    """Return `network` with a node ``edge.q`` behind each edge in `components`.

    Every reader of the edge, skip connections included, then reads the quantized value. The new
    node joins the block of the edge's producer; a quantizer of the input is in no block.
    """
    edges = (INPUT, *(node.name for node in network.nodes))
    for edge in components:
        check_in("insert_quantizers", "an edge of components", edge, edges)
    renamed = {edge: f"{edge}.q" for edge in components}
    new = {e: Node(f"{e}.q", "quantize", (e,), (("component", components[e]),)) for e in renamed}
    nodes = [new[INPUT]] if INPUT in new else []
    for node in network.nodes:
        nodes.append(replace(node, inputs=tuple(renamed.get(e, e) for e in node.inputs)))
        if node.name in new:
            nodes.append(new[node.name])
    names = {e: (e, renamed[e]) if e in renamed else (e,) for e in edges}
    return replace(network, nodes=tuple(nodes), blocks=_expand(network.blocks, names))


def bypass(network: Network, names: Collection[str]) -> Network:
    """Return `network` with the nodes in `names` replaced by the identity.

    Their parameters stay, unread. Only nodes of one input can be bypassed.
    """
    for name in names:
        if len(network.node(name).inputs) != 1:
            got = f"{name!r} with {len(network.node(name).inputs)} inputs"
            raise ValueError(complaint("bypass", "a name", got, "a node of one input"))
    nodes = (replace(n, op="identity", attrs=()) if n.name in names else n for n in network.nodes)
    return replace(network, nodes=tuple(nodes))


def _apart(node: Node) -> tuple[Node, ...]:
    """Return the three parts of a linear node; any other node as it is."""
    if node.op not in LINEAR_OPS:
        return (node,)
    geometry = node.attr("geometry") if node.op == "conv2d" else None
    groups = geometry.groups if geometry else 1
    patches, product = f"{node.name}.patches", f"{node.name}.product"
    return (
        Node(patches, "patches", node.inputs, (("geometry", geometry),)),
        Node(product, "product", (patches,), (("groups", groups),)),
        Node(node.name, "output", (product,)),
    )


def _expand(blocks: tuple[Block, ...], names: Mapping[str, tuple[str, ...]]) -> tuple[Block, ...]:
    """Return `blocks` with each member replaced by its `names`."""
    return tuple((b, tuple(n for m in members for n in names[m])) for b, members in blocks)


def _reads_codes(network: Network, edge: str) -> bool:
    return any(
        node.op in READS_CODES or (node.op in TRANSPARENT and _reads_codes(network, node.name))
        for node in consumers(network, edge)
    )
