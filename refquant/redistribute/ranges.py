"""Ranges of every channel where a scale or a shift may move, over all calibration inputs.

Taken a few inputs at a time: no edge is held for all of them, and the least and the greatest value
of parts are those of the whole.
"""

from collections.abc import Sequence

import numpy as np

from refquant._types import Array
from refquant.network import Network, evaluate
from refquant.redistribute.channels import edge_range
from refquant.redistribute.junctions import Junction
from refquant.redistribute.rescale import channels_of

BATCH = 128


def edge_ranges(
    network: Network, x: Array, junctions: Sequence[Junction]
) -> dict[str, tuple[Array, Array]]:
    """Return {edge: (smallest, largest value of each channel)} of all `junctions`.

    Parameters
    ----------
    network : Network
    x : (n, \\*input_shape) array
        n >= 1.
    junctions : sequence of Junction
    """
    channels = {junction.edge: channels_of(network, junction) for junction in junctions}
    found = dict[str, tuple[Array, Array]]()
    for begin in range(0, len(x), BATCH):
        for edge, value in evaluate(network, x[begin : begin + BATCH], channels).items():
            low, high = edge_range(value, channels[edge])
            least, greatest = found.get(edge, (low, high))
            found[edge] = np.minimum(least, low), np.maximum(greatest, high)
    return found
