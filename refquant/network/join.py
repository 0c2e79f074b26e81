"""Put parts of a linear layer together again where one kernel computes them all.

    conv.patches -> conv.product                        becomes   conv.product (patches_product)
    conv.patches -> conv.patches.q -> conv.product      becomes   conv.product (quantized_product)

`lower` takes a convolution apart so that a quantizer may sit on the patches. Where none does, and
`refquant.kernels.winograd` knows the geometry, one node computes both and the patches are never
made. Where a quantizer does that has a `quantized_product`, one node computes all three and has the
parameters of two: `brought` takes them there, `returned` takes gradients back. Other names stay, so
that who asks for a gradient by its key notices nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from refquant._types import Array
from refquant.kernels.winograd import covers
from refquant.network.graph import Key, Network, Node, consumers


def join(network: Network, quantized: bool = True) -> Network:
    """Return a lowered network with the parts joined that a kernel computes at once.

    Parameters
    ----------
    network : Network
    quantized : bool
        Whether quantizers may be joined: worth it where the gradients of filters are wanted.
    """
    parts = {node.name: _parts(network, node, quantized) for node in network.nodes}
    gone = {part.name for found in parts.values() for part in found}
    nodes = tuple(_joined(n, parts[n.name]) for n in network.nodes if n.name not in gone)
    blocks = tuple((name, tuple(m for m in part if m not in gone)) for name, part in network.blocks)
    return replace(network, nodes=nodes, params=brought(network.params, nodes), blocks=blocks)


def homes(nodes: Sequence[Node]) -> dict[str, str]:
    """Return {quantizer: the node it was joined into}."""
    return {n.attr("quantizer"): n.name for n in nodes if n.op == "quantized_product"}


def brought(params: Mapping[Key, Array], nodes: Sequence[Node]) -> dict[Key, Array]:
    """Return parameters with those of quantizers at the nodes they were joined into."""
    home = homes(nodes)
    return {(home.get(owner, owner), name): value for (owner, name), value in params.items()}


def returned(grads: Mapping[Key, Array], nodes: Sequence[Node]) -> dict[Key, Array]:
    """Return gradients with those of quantizers where `brought` took their parameters from."""
    origin = {product: quantizer for quantizer, product in homes(nodes).items()}

    def key(owner: str, name: str) -> Key:
        """Return where a parameter came from: only the filter is the product's own."""
        return (owner if name == "w" else origin.get(owner, owner), name)

    return {key(*place): value for place, value in grads.items()}


def _parts(network: Network, node: Node, quantized: bool) -> tuple[Node, ...]:
    """Return the nodes before a product that one kernel computes with it, patches first."""
    if node.op != "product":
        return ()
    last = _only(network, node)
    if last is None or last.op != "quantize":
        return (last,) if last and last.op == "patches" and covers(last.attr("geometry")) else ()
    first = _only(network, last)
    able = quantized and hasattr(last.attr("component"), "quantized_product")
    return (first, last) if able and first and first.op == "patches" else ()


def _only(network: Network, node: Node) -> Node | None:
    """Return the node before this one, if nobody else reads it and it is not of a linear layer."""
    (edge,) = node.inputs
    before = [n for n in network.nodes if n.name == edge and len(consumers(network, edge)) == 1]
    flat = any(n.op == "patches" and n.attr("geometry") is None for n in before)
    return before[0] if before and not flat else None


def _joined(node: Node, parts: tuple[Node, ...]) -> Node:
    """Return the node that stands for itself and the parts before it."""
    if not parts:
        return node
    patches, *quantizer = parts
    if not quantizer:
        return Node(node.name, "patches_product", patches.inputs, patches.attrs)
    name = ("quantizer", quantizer[0].name)
    attrs = (*patches.attrs, *quantizer[0].attrs, name)
    return Node(node.name, "quantized_product", patches.inputs, attrs)
