"""Fold batch norm into the layer before it, and take it out again.

    y = gamma * (conv(x) - mean) / sd + beta = conv_folded(x),   sd = sqrt(var + eps)

methods.md 4.2; the converse map is what an un-folded run (AdaQTransform eq. 10) needs to be
compared with a folded one (15.3). A batch norm is foldable where its input is a convolution or a
fully connected layer that nothing else reads.

Edge cases: a batch norm after anything else stays, one behind another batch norm included. Where
gamma is zero the folded weights are zero, and `unfold` refuses.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from refquant._checks import complaint
from refquant._types import Array
from refquant.layers.batch_norm import fold_batch_norm
from refquant.network.graph import INPUT, Key, Network, Node, consumers

LINEAR_OPS = ("conv2d", "linear")


def fold(network: Network) -> Network:
    """Return `network` with every foldable batch norm absorbed by the layer before it.

    The layer keeps its name and takes over the batch norm's consumers; a bias appears where
    there was none. Batch norms that follow anything else stay.
    """
    pairs = foldable(network)
    if not pairs:
        return network
    params = {key: value for key, value in network.params.items() if key[0] not in pairs}
    for norm, linear in pairs.items():
        params |= _folded_params(network, network.node(norm), linear)
    return rewire(network, pairs, params)


def unfold(folded: Network, original: Network) -> Network:
    """Return `original`'s nodes with the weights of `folded` mapped back through batch norm.

    The inverse of `fold`: ``w = w_folded * sd / gamma`` and
    ``bias = mean + (bias_folded - beta) * sd / gamma``; a layer that had no bias gets one only
    if the folded bias is not the one `fold` gave it. Layers that were not folded keep what
    `folded` holds; the batch norms keep what `original` holds.

    Raises
    ------
    ValueError
        If some gamma is zero: folding then lost the weights of that channel.
    """
    pairs = foldable(original)
    kept = {key: value for key, value in folded.params.items() if key[0] not in pairs.values()}
    params = {**original.params, **kept}
    for norm, linear in pairs.items():
        params |= _unfolded_params(folded, original, original.node(norm), linear)
    return replace(original, params=params)


def rewire(network: Network, merged: Mapping[str, str], params: Mapping[Key, Array]) -> Network:
    """Return `network` without the nodes in `merged`, whose readers now read ``merged[name]``.

    A block that loses all its nodes goes with them.
    """
    nodes = tuple(
        replace(node, inputs=tuple(merged.get(edge, edge) for edge in node.inputs))
        for node in network.nodes
        if node.name not in merged
    )
    left = ((b, tuple(m for m in members if m not in merged)) for b, members in network.blocks)
    blocks = tuple((block, members) for block, members in left if members)
    return replace(network, nodes=nodes, params=params, blocks=blocks)


def foldable(network: Network) -> dict[str, str]:
    """Return {batch norm: the linear layer that absorbs it}, for every batch norm that folds."""
    pairs = {}
    for norm in network.nodes:
        if norm.op == "batch_norm" and norm.inputs[0] != INPUT:
            source = network.node(norm.inputs[0])
            if source.op in LINEAR_OPS and consumers(network, source.name) == (norm,):
                pairs[norm.name] = source.name
    return pairs


def _folded_params(network: Network, norm: Node, linear: str) -> dict[Key, Array]:
    own, p = network.params_of(linear), network.params_of(norm.name)
    w, bias = fold_batch_norm(
        own["w"], own.get("bias"), p["gamma"], p["beta"], p["mean"], p["var"], norm.attr("eps")
    )
    return {(linear, "w"): w, (linear, "bias"): bias}


def _unfolded_params(
    folded: Network, original: Network, norm: Node, linear: str
) -> dict[Key, Array]:
    p = original.params_of(norm.name)
    if np.any(p["gamma"] == 0.0):
        got = f"gamma of {norm.name!r} with a zero"
        fix = "Drop the dead channel before folding."
        raise ValueError(complaint("unfold", "original", got, "gamma != 0 everywhere", fix))
    own, before = folded.params_of(linear), original.params_of(linear)
    ratio = np.sqrt(p["var"] + norm.attr("eps")) / p["gamma"]
    params: dict[Key, Array] = {
        (linear, "w"): own["w"] * ratio.reshape(-1, *[1] * (own["w"].ndim - 1))
    }
    given = _folded_params(original, norm, linear)[(linear, "bias")]
    if "bias" in before or not np.array_equal(own["bias"], given):
        params[(linear, "bias")] = p["mean"] + (own["bias"] - p["beta"]) * ratio
    return params
