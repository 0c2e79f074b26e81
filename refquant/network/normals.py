"""The normal distribution a batch norm says its output has, kept when the batch norm is folded.

Behind a batch norm, channel c is taken to be N(beta_c, gamma_c^2) (methods.md 8). Folding loses
both numbers, so whoever needs them calls `with_normals` before it: the layer then carries them,
and redistributions, which scale and shift its output, carry them along (`moved`).

    parameter       shape     meaning
    normal_mean     (c_out,)  beta of the batch norm right behind the layer
    normal_std      (c_out,)  |gamma|

`normal_behind` walks from a layer's input back to such a distribution:

    layer <- (average pool, flatten, identity, quantizer) <- (ReLU or ReLU6) <- batch norm or layer

Averages have the mean of what they average. A ReLU is passed once and right behind the batch norm:
nothing else is normal any more. Where anything else stands in between (a sum, a maximum, padding
that is averaged), nothing is known.
"""

from typing import NamedTuple

import numpy as np

from refquant._types import Array
from refquant.network.fold import foldable
from refquant.network.graph import INPUT, Key, Network, Node, replace_params

MEAN, STD = "normal_mean", "normal_std"
NO_PADDING = (0, 0, 0, 0)
SAME_VALUES = ("identity", "flatten", "quantize")


class Normal(NamedTuple):
    """Channels N(mean, std^2), and what a layer reads of them.

    Attributes
    ----------
    mean, std : (c,) arrays
    kind : {"relu", "relu6", "linear"}
        What stands between.
    """

    mean: Array
    std: Array
    kind: str


def with_normals(network: Network) -> Network:
    """Return `network` with each foldable batch norm's distribution at the layer before it."""
    found: dict[Key, Array] = {}
    for norm, layer in foldable(network).items():
        own = network.params_of(norm)
        found |= {(layer, MEAN): own["beta"], (layer, STD): np.abs(own["gamma"])}
    return replace_params(network, found)


def moved(network: Network, layer: str, scale: Array, shift: Array) -> dict[Key, Array]:
    """Return the parameters of a layer's distribution for (x - shift) / scale; none if it has none.

    Parameters
    ----------
    network : Network
    layer : str
    scale, shift : (c_out,) arrays
    """
    if (layer, MEAN) not in network.params:
        return {}
    mean, std = network.params[(layer, MEAN)], network.params[(layer, STD)]
    return {(layer, MEAN): (mean - shift) / scale, (layer, STD): std / scale}


def normal_behind(network: Network, layer: str) -> Normal | None:
    """Return the distribution that the input of a layer comes from; None if it is not known.

    Parameters
    ----------
    network : Network
        Lowered, with what `with_normals` gave it before it was folded.
    layer : str
        A linear layer.
    """
    edge, kind = network.node(f"{layer}.patches").inputs[0], "linear"
    while edge != INPUT:
        node = network.node(edge)
        own = network.params_of(edge)
        if node.op == "batch_norm":
            return Normal(own["beta"], np.abs(own["gamma"]), kind)
        if MEAN in own:
            return Normal(own[MEAN], own[STD], kind)
        if node.op in ("relu", "relu6") and kind == "linear":
            kind = node.op
        elif not (node.op in SAME_VALUES or (kind == "linear" and _averages(node))):
            return None
        edge = node.inputs[0]
    return None


def _averages(node: Node) -> bool:
    """Return whether the node's output has the mean of its input, channel by channel."""
    if node.op == "average_pool":
        unpadded = node.attr("geometry").padding == NO_PADDING
        return unpadded or not node.attr("count_include_pad")
    return node.op == "global_average_pool"
