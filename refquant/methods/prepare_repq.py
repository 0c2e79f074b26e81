"""RepQ-ViT's scale reparameterization as a step of a setting's `prepare`: network -> network.

Reference: Li et al., "RepQ-ViT", arXiv:2212.08254, section 3.3 (methods, section 16, P62). The
arithmetic is in `refquant.redistribute.repq`, the other steps in `prepare_redistribution`.

Every channel of an edge gets a step and a zero point of its own, from its least and its greatest
value and 0; then the edge is scaled and shifted so that one step and one zero point give the same
codes. Where a reader pads with zeros a shift is not legal: such an edge is scaled alone, which is
all there is to do where zero points are equal, as behind a ReLU.

Edge cases: a channel that is always 0 has no step and is given the mean of the others.

Differs from: the paper, which does so behind layer norms, with percentile ranges; here it is done
at every junction, with minima and maxima.
"""

from dataclasses import dataclass, replace

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_bits
from refquant._types import Array
from refquant.calibrate.qparams import range_to_qparams
from refquant.network import Network
from refquant.quantizers.grid import Grid
from refquant.redistribute.junctions import Junction, find_junctions, last_layer
from refquant.redistribute.ranges import edge_ranges
from refquant.redistribute.repq import repq_reparam
from refquant.redistribute.rescale import rescale


@dataclass(frozen=True)
class ScaleReparameterization:
    """Turn a step and a zero point for each channel of an edge into one for all (P62).

    Attributes
    ----------
    act_bits : int
        Of the activations, affine; they decide the zero points. A run replaces them with its own,
        and those below.
    last_bits : int or None
        Of what the last layer reads; None: as elsewhere.
    """

    act_bits: int = 8
    last_bits: int | None = None

    def __post_init__(self) -> None:
        check_bits("ScaleReparameterization", "act_bits", self.act_bits)
        if self.last_bits is not None:
            check_bits("ScaleReparameterization", "last_bits", self.last_bits)

    def explain(self, network: Network) -> tuple[Junction, ...]:
        """Return the junctions the step acts on, which say whether a shift is legal there."""
        return find_junctions(network)

    def apply(self, network: Network, x: Array) -> Network:
        """Return the network with every junction reparameterized; x are calibration inputs."""
        found = self.explain(network)
        ranges = edge_ranges(network, x, found)
        for junction in found:
            low, high = ranges[junction.edge]
            bits = self.last_bits if last_layer(network) in junction.readers else None
            step = self if bits is None else replace(self, act_bits=bits)
            scale, shift = step.choose(low, high)
            shift = shift if junction.shiftable else np.zeros_like(shift)
            network = rescale(network, junction, scale, shift)
        return network

    def choose(self, low: Array, high: Array) -> tuple[Array, Array]:
        """Return scale and shift, (c,) each, from the least and the greatest value of channels."""
        found = range_to_qparams(low, high, Grid("affine", self.act_bits))
        live = (low != 0.0) | (high != 0.0)
        mean = nx.mean(found.step[live]) if live.any() else found.step[0]
        common = repq_reparam(np.where(live, found.step, mean), found.zero_point)
        return common.ratio, common.shift
