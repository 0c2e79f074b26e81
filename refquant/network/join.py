"""Put patches and product together again where nothing stands between them.

    conv.patches -> conv.product        becomes        conv.product (patches_product)

`lower` takes a convolution apart so that a quantizer may sit on the patches. Where none does, and
`refquant.kernels.winograd` knows the geometry, one node computes both and the patches are never
made. Names and parameters stay, so that who asks for a gradient by its key notices nothing.
"""

from dataclasses import replace

from refquant.kernels.winograd import covers
from refquant.network.graph import Network, Node, consumers


def join(network: Network) -> Network:
    """Return a lowered network with a ``patches_product`` for every pair that a kernel covers."""
    patches = {node.name: node for node in network.nodes if _alone(network, node)}
    nodes = (_joined(node, patches) for node in network.nodes if node.name not in patches)
    blocks = ((name, tuple(m for m in part if m not in patches)) for name, part in network.blocks)
    return replace(network, nodes=tuple(nodes), blocks=tuple(blocks))


def _alone(network: Network, node: Node) -> bool:
    """Return whether a node makes patches for a product and for nobody else."""
    if node.op != "patches" or node.attr("geometry") is None:
        return False
    readers = consumers(network, node.name)
    return covers(node.attr("geometry")) and [n.op for n in readers] == ["product"]


def _joined(node: Node, patches: dict[str, Node]) -> Node:
    if node.inputs[0] not in patches:
        return node
    source = patches[node.inputs[0]]
    return Node(node.name, "patches_product", source.inputs, source.attrs)
