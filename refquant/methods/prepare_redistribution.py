"""Redistribution as steps of a setting's `prepare`: frozen dataclasses, network -> network.

References: methods, section 16, and the modules of `refquant.redistribute`.

    step                          scale of an edge                   acts on
    SmoothQuant                   x_max^al / w_max^(1 - al)          every junction
    OutlierSuppressionPlus        shift, and the best threshold      every junction; shift if legal
    CrossLayerEqualization        sqrt(r2 / r1)                      pairs of layers with weights

RepQ-ViT's step is in `prepare_repq`.

`apply` leaves the float function unchanged up to rounding, and bit for bit with
`power_of_two=True` where nothing is shifted. `explain` lists the places it acts on; a network
without any is returned as it is, and the notes of the result say so (`refquant.methods.notes`).
Put them behind FoldBatchNorm.

Ranges of activations are taken from all of x, on the network as it is given: moving one scale
does not change the values at the other junctions. Ranges of weights are taken as they stand when
the junction's turn comes. A layer between two junctions has its rows scaled by one and its columns
by the other, and column ranges change with the rows:

    SmoothQuant              last junction first: all maxima are balanced in the end (P61)
    OutlierSuppressionPlus   first junction first: errors are those of outputs not yet scaled
    CrossLayerEqualization   first pair first, as often as asked for: only the last is equal (P65)
"""

from dataclasses import dataclass, replace

import numpy as np

from refquant._checks import check_bits, check_int, check_positive
from refquant._fields import published
from refquant._types import Array
from refquant.calibrate.qparams import range_to_qparams
from refquant.network import Network, Node, evaluate
from refquant.network.ops import OPS
from refquant.quantizers.fake_quant import fake_quant_forward
from refquant.quantizers.grid import Grid
from refquant.redistribute.absorb import absorb_in_reader
from refquant.redistribute.channels import row_max
from refquant.redistribute.cle import check_clip, cle_scale
from refquant.redistribute.junctions import Junction, find_junctions, find_pairs, last_layer
from refquant.redistribute.os_plus import osplus_search, osplus_shift, output_error
from refquant.redistribute.power_of_two import nearest_power_of_two
from refquant.redistribute.ranges import edge_ranges
from refquant.redistribute.rescale import (
    equalize,
    groups_of,
    readers_max,
    rescale,
)
from refquant.redistribute.smoothquant import check_strength, smoothquant_scale


@dataclass(frozen=True)
class SmoothQuant:
    """Divide activations by x_max^alpha / w_max^(1 - alpha) per channel (P61).

    Attributes
    ----------
    alpha : float
        Migration strength in [0, 1].
    power_of_two : bool
        Round the scales to powers of two.
    """

    alpha: float = 0.5
    power_of_two: bool = False

    def __post_init__(self) -> None:
        check_strength("SmoothQuant", self.alpha)

    def explain(self, network: Network) -> tuple[Junction, ...]:
        """Return the junctions the step acts on; none means that it changes nothing."""
        return find_junctions(network)

    def apply(self, network: Network, x: Array) -> Network:
        """Return the network with every junction's scale moved; x are calibration inputs."""
        found = self.explain(network)
        ranges = edge_ranges(network, x, found)
        for junction in reversed(found):  # rows before columns, see above
            low, high = ranges[junction.edge]
            x_max = np.maximum(-low, high)
            scale = smoothquant_scale(x_max, readers_max(network, junction), self.alpha)
            scale = nearest_power_of_two(scale) if self.power_of_two else scale
            network = rescale(network, junction, scale, np.zeros_like(scale))
        return network


@dataclass(frozen=True)
class CrossLayerEqualization:
    """Give the rows of one layer and the columns of the next the same range (P65).

    Attributes
    ----------
    clip : (low, high) or None
        Bounds of the scales; PPQ takes (0.1, 10).
    passes : int
        How often all pairs are equalized in turn; a later pair changes the rows of a layer whose
        columns an earlier pair has equalized.
    power_of_two : bool
        Round the scales, after the clip, to powers of two.
    """

    clip: tuple[float, float] | None = published(None, "PPQ: (0.1, 10); AIMET: none")
    passes: int = 1
    power_of_two: bool = False

    def __post_init__(self) -> None:
        check_int("CrossLayerEqualization", "passes", self.passes, 1)
        if self.clip is not None:
            check_clip("CrossLayerEqualization", self.clip)

    def explain(self, network: Network) -> tuple[Junction, ...]:
        """Return the pairs the step acts on; none means that it changes nothing."""
        return find_pairs(network)

    def apply(self, network: Network, x: Array) -> Network:
        """Return the network with all pairs equalized; x is not looked at."""
        for pair in self.explain(network) * self.passes:
            r1 = row_max(network.params[(pair.writer, "w")])
            scale = cle_scale(r1, readers_max(network, pair), self.clip)
            scale = nearest_power_of_two(scale) if self.power_of_two else scale
            network = equalize(network, pair, scale)
        return network


@dataclass(frozen=True)
class OutlierSuppressionPlus:
    """Shift channels to their middle where legal, and scale down those beyond a threshold (P60).

    Attributes
    ----------
    weight_bits, act_bits : int
        Of the search: weights signed per output channel (absolute maximum / p), activations affine
        for the whole edge (minimum and maximum). A run replaces them with its own, and those below.
    last_bits : int or None
        Of the last layer's weights and of what it reads; None: as elsewhere.
    smallest : float
        Last threshold tried.
    samples : int
        How many of the inputs the search runs on, from the first; ranges are taken from all.
    power_of_two : bool
        Round the winning scales to powers of two. A shift still changes last bits.
    """

    weight_bits: int = 8
    act_bits: int = 8
    last_bits: int | None = None
    smallest: float = published(1.0, "OS+: 1; for LLaMA: 0.1")
    samples: int = 32
    power_of_two: bool = False

    def __post_init__(self) -> None:
        check_bits("OutlierSuppressionPlus", "weight_bits", self.weight_bits)
        check_bits("OutlierSuppressionPlus", "act_bits", self.act_bits)
        if self.last_bits is not None:
            check_bits("OutlierSuppressionPlus", "last_bits", self.last_bits)
        check_positive("OutlierSuppressionPlus", "smallest", self.smallest)
        check_int("OutlierSuppressionPlus", "samples", self.samples, 1)

    def explain(self, network: Network) -> tuple[Junction, ...]:
        """Return the junctions the step acts on, which say whether a shift is legal there."""
        return find_junctions(network)

    def apply(self, network: Network, x: Array) -> Network:
        """Return the network with every junction shifted and scaled; x are calibration inputs."""
        found = self.explain(network)
        ranges = edge_ranges(network, x, found)
        values = evaluate(network, x[: self.samples], ranges)
        for junction in found:
            edge = junction.edge
            bits = self.last_bits if last_layer(network) in junction.readers else None
            step = self if bits is None else replace(self, weight_bits=bits, act_bits=bits)
            scale, shift = step.choose(network, junction, ranges[edge], values[edge])
            network = rescale(network, junction, scale, shift)
        return network

    def choose(
        self, network: Network, junction: Junction, ends: tuple[Array, Array], x: Array
    ) -> tuple[Array, Array]:
        """Return scale and shift of one junction from its range, and values x to search on."""
        low, high = ends
        shift = osplus_shift(low, high) if junction.shiftable else np.zeros_like(low)
        centred = _centred(x, shift)
        layers = [(network.node(name), network.params[(name, "w")]) for name in junction.readers]
        wanted = [_product(node, centred, w) for node, w in layers]

        def loss(scale: Array) -> float:
            """Return the output error of all readers under this scale."""
            x_q = self._on_act_grid(_per_channel(centred, scale))
            total = 0.0
            for (node, w), out in zip(layers, wanted, strict=True):
                zero = np.zeros_like(scale)
                (scaled,) = absorb_in_reader(w, None, scale, zero, groups_of(node))
                total += output_error(_product(node, x_q, self._on_weight_grid(scaled)), out)
            return total

        scale = osplus_search(low - shift, high - shift, loss, self.smallest).scale
        return (nearest_power_of_two(scale) if self.power_of_two else scale), shift

    def _on_act_grid(self, x: Array) -> Array:
        low, high = np.asarray(x.min()), np.asarray(x.max())
        grid = Grid("affine", self.act_bits)
        return fake_quant_forward(x, range_to_qparams(low, high, grid))[0]

    def _on_weight_grid(self, w: Array) -> Array:
        top = row_max(w).reshape(-1, *[1] * (w.ndim - 1))
        grid = Grid("signed", self.weight_bits)
        return fake_quant_forward(w, range_to_qparams(-top, top, grid, "p"))[0]


def _product(node: Node, x: Array, w: Array) -> Array:
    """The layer's output without its bias."""
    return OPS[node.op].forward(node, (x,), {"w": w})[0]


def _centred(x: Array, shift: Array) -> Array:
    rows = x.reshape(len(x), shift.size, -1) - shift.reshape(1, -1, 1)
    return np.asarray(rows.reshape(x.shape))


def _per_channel(x: Array, scale: Array) -> Array:
    rows = x.reshape(len(x), scale.size, -1) / scale.reshape(1, -1, 1)
    return np.asarray(rows.reshape(x.shape))
