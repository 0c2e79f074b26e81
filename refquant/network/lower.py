"""Take linear nodes apart and put quantizer nodes between the parts.

A convolution or fully connected layer ``conv`` becomes three nodes

    conv.patches -> conv.product -> conv          im2col | W @ patches | xi * y0 + bias + eta

so that a quantizer can sit on a feature map (*output* placement: BRECQ, QDrop) or on the patches
(*input* placement: AQuant); nothing else differs. The last part keeps the layer's name, so the
readers of its edge notice nothing (methods.md 13.1, D15).
"""

from dataclasses import replace

from refquant._checks import check_in
from refquant.network.fold import LINEAR_OPS
from refquant.network.graph import INPUT, Network, Node, consumers

# Operations whose output is a selection of their input: codes pass through them unchanged.
TRANSPARENT = ("max_pool", "flatten", "identity")
# Operations that multiply or average, and therefore read codes.
READS_CODES = ("patches", "conv2d", "linear", "average_pool", "global_average_pool")
PLACEMENTS = ("output", "input")


def lower(network: Network) -> Network:
    """Return `network` with every conv2d and linear node as patches, product and output."""
    nodes: list[Node] = []
    params = {}
    parts: dict[str, tuple[str, ...]] = {}
    for node in network.nodes:
        pieces = _apart(node) if node.op in LINEAR_OPS else (node,)
        nodes.extend(pieces)
        parts[node.name] = tuple(piece.name for piece in pieces)
    for (owner, name), value in network.params.items():
        split = len(parts[owner]) == 3 and name == "w"
        params[(parts[owner][1] if split else owner, name)] = value
    blocks = tuple(
        (block, tuple(piece for member in members for piece in parts[member]))
        for block, members in network.blocks
    )
    return replace(network, nodes=tuple(nodes), params=params, blocks=blocks)


def linear_nodes(network: Network) -> tuple[str, ...]:
    """Return the names of the linear layers of a lowered network, in running order."""
    return tuple(node.name for node in network.nodes if node.op == "output")


def quantized_edges(network: Network, placement: str = "output") -> tuple[str, ...]:
    """Return the edges of a lowered network that carry quantized activations.

    With ``"output"`` placement: every edge read by an operation that multiplies or averages,
    possibly through max pooling or flattening. A convolution that only feeds an addition has
    none; the sum that follows has one (BRECQ). With ``"input"`` placement: the patches of every
    linear layer; skip connections stay in real numbers.
    """
    check_in("quantized_edges", "placement", placement, PLACEMENTS)
    if placement == "input":
        return tuple(node.name for node in network.nodes if node.op == "patches")
    edges = (INPUT, *(n.name for n in network.nodes if n.op not in (*TRANSPARENT, "patches")))
    return tuple(edge for edge in edges if _reads_codes(network, edge))


def insert_quantizers(network: Network, components: dict[str, object]) -> Network:
    """Return `network` with a node ``edge.q`` behind each edge in `components`.

    Every reader of the edge, skip connections included, then reads the quantized value.
    """
    renamed = {edge: f"{edge}.q" for edge in components}
    nodes: list[Node] = []
    owners: dict[str, str] = {}

    def add_quantizer(edge: str) -> None:
        attrs = (("component", components[edge]),)
        nodes.append(Node(renamed[edge], "quantize", (edge,), attrs))

    if INPUT in components:
        add_quantizer(INPUT)
    for node in network.nodes:
        nodes.append(replace(node, inputs=tuple(renamed.get(e, e) for e in node.inputs)))
        if node.name in components:
            add_quantizer(node.name)
            owners[node.name] = renamed[node.name]
    blocks = tuple(
        (block, tuple(n for m in members for n in (m, *((owners[m],) if m in owners else ()))))
        for block, members in network.blocks
    )
    return replace(network, nodes=tuple(nodes), blocks=blocks)


def bypass(network: Network, names: frozenset[str] | set[str]) -> Network:
    """Return `network` with the nodes in `names` replaced by the identity."""
    nodes = tuple(replace(n, op="identity", attrs=()) if n.name in names else n for n in network.nodes)
    return replace(network, nodes=nodes)


def _apart(node: Node) -> tuple[Node, Node, Node]:
    geometry = node.attr("geometry") if node.op == "conv2d" else None
    groups = geometry.groups if geometry else 1
    patches, product = f"{node.name}.patches", f"{node.name}.product"
    return (
        Node(patches, "patches", node.inputs, (("geometry", geometry),)),
        Node(product, "product", (patches,), (("groups", groups),)),
        Node(node.name, "output", (product,)),
    )


def _reads_codes(network: Network, edge: str) -> bool:
    for node in consumers(network, edge):
        if node.op in READS_CODES:
            return True
        if node.op in TRANSPARENT and _reads_codes(network, node.name):
            return True
    return False


__all__ = [
    "PLACEMENTS",
    "READS_CODES",
    "TRANSPARENT",
    "bypass",
    "insert_quantizers",
    "linear_nodes",
    "lower",
    "quantized_edges",
]
