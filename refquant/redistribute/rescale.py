"""Apply a scale and a shift to a junction of a network: new parameters, the same function.

    writer    weights or gamma divided by sc, bias or beta moved by -z and divided
    readers   columns multiplied by sc, bias moved by W z

and, where a step asked for it, the normal distribution that the writer's batch norm had.

The arithmetic stands in `absorb` and, for CLE's reversed convention, in `cle`.
"""

import numpy as np

from refquant._types import Array
from refquant.network import Network, Node, replace_params
from refquant.network.normals import moved
from refquant.redistribute.absorb import absorb_in_reader, absorb_in_writer
from refquant.redistribute.channels import column_max
from refquant.redistribute.cle import cle_apply
from refquant.redistribute.junctions import Junction


def channels_of(network: Network, junction: Junction) -> int:
    """Number of channels the writer writes."""
    return len(network.params[_first(network, junction.writer)])


def groups_of(node: Node) -> int:
    """Groups of a convolution; 1 for a fully connected layer."""
    return int(node.attr("geometry").groups) if node.op == "conv2d" else 1


def readers_max(network: Network, junction: Junction) -> Array:
    """Largest weight on each channel over all readers, (channels,)."""
    channels = channels_of(network, junction)
    columns = [
        column_max(network.params[(name, "w")], channels, groups_of(network.node(name)))
        for name in junction.readers
    ]
    return np.asarray(np.max(columns, axis=0))


def rescale(network: Network, junction: Junction, scale: Array, shift: Array) -> Network:
    """Return `network` in which the junction's edge carries (x - shift) / scale.

    Parameters
    ----------
    network : Network
    junction : Junction
        Of `find_junctions`; `shift` must be 0 where it is not shiftable.
    scale, shift : (channels,) arrays in the dtype of the weights
    """
    first, second = _first(network, junction.writer), _second(network, junction.writer)
    written = absorb_in_writer(network.params[first], network.params.get(second), scale, shift)
    params = dict(zip((first, second), written, strict=False))
    for name in junction.readers:
        keys = ((name, "w"), (name, "bias"))
        groups = groups_of(network.node(name))
        own = (network.params[keys[0]], network.params.get(keys[1]))
        params |= zip(keys, absorb_in_reader(*own, scale, shift, groups), strict=False)
    return replace_params(network, params | moved(network, junction.writer, scale, shift))


def equalize(network: Network, pair: Junction, scale: Array) -> Network:
    """Return `network` with the rows of the writer times `scale`, the reader's columns divided."""
    bias_key = (pair.writer, "bias")
    reader = network.node(pair.readers[0])
    w1, bias1, w2 = cle_apply(
        network.params[(pair.writer, "w")],
        network.params.get(bias_key),
        network.params[(reader.name, "w")],
        scale,
        groups_of(reader),
    )
    params = {(pair.writer, "w"): w1, (reader.name, "w"): w2}
    params |= moved(network, pair.writer, 1.0 / scale, np.zeros_like(scale))
    return replace_params(network, params if bias1 is None else params | {bias_key: bias1})


def _first(network: Network, writer: str) -> tuple[str, str]:
    return writer, "gamma" if network.node(writer).op == "batch_norm" else "w"


def _second(network: Network, writer: str) -> tuple[str, str]:
    return writer, "beta" if network.node(writer).op == "batch_norm" else "bias"
