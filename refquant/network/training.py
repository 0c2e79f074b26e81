"""Switch batch norm to the statistics of the batch, for training only.

Everything else of the library runs batch norm with its stored statistics (methods.md 4.2). A
trained network comes back by keeping the nodes of the original: take gamma, beta and the running
averages of ``trace.caches[name].mean`` and ``.var`` into ``replace_params(original, ...)``.
"""

from dataclasses import replace

from refquant.network.graph import Network


def training_mode(network: Network) -> Network:
    """Return `network` with every ``batch_norm`` as ``batch_norm_train``, parameters unchanged.

    The stored ``mean`` and ``var`` stay in the parameters, unread; they get no gradients.
    """
    nodes = tuple(
        replace(node, op="batch_norm_train") if node.op == "batch_norm" else node
        for node in network.nodes
    )
    return replace(network, nodes=nodes)
