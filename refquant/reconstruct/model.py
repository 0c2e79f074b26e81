"""A network prepared for reconstruction: quantizer nodes in place, components bound, ranges found.

The state is one flat mapping {(node, parameter): array}; every function here returns a new one.

    (layer, "s_w"), (layer, "zero_point"), (layer, "alpha")   of the weight component
    (layer, "codes")                                          int64 levels, once hardened
    (edge.q, "s_x"), (edge.q, "zero_point")                   of an activation quantizer
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from refquant._types import Array
from refquant.components.weights import dequantized
from refquant.methods.setting import Setting
from refquant.network import bypass, insert_quantizers, linear_nodes, lower, quantized_edges
from refquant.network.graph import INPUT, Key, Network
from refquant.network.lower import TRANSPARENT
from refquant.network.run import forward, group_by_node

State = Mapping[Key, Array]


@dataclass(frozen=True)
class Bits:
    """Bit widths of a run; `first_last` covers weights and own input of both layers (D7)."""

    weights: int
    activations: int
    first_last: int | None = 8


@dataclass(frozen=True)
class Model:
    """What the loop works on.

    Attributes
    ----------
    network : Network
        Lowered, with a quantize node behind every quantized edge.
    weights : mapping of layer name to weight component, its bits set
    start : state before any learning
    """

    network: Network
    weights: Mapping[str, Any]
    start: State

    @property
    def quantizers(self) -> frozenset[str]:
        """Names of the activation quantizer nodes."""
        return frozenset(node.name for node in self.network.nodes if node.op == "quantize")

    @property
    def float_network(self) -> Network:
        """The same graph with every quantizer bypassed: same edge names, real values."""
        return bypass(self.network, self.quantizers)


def build_model(network: Network, x: Array, setting: Setting, bits: Bits) -> Model:
    """Prepare `network` as `setting` says and calibrate every quantizer on `x`.

    Weights are calibrated on themselves, activations on the float network's values.
    """
    for step in setting.prepare:
        network = step.apply(network, x)
    lowered = lower(network)
    layers = linear_nodes(lowered)
    weights: dict[str, Any] = {}
    if setting.weights is not None:
        ends = (layers[0], layers[-1])
        for layer in layers:
            width = _bits_of(layer in ends, bits.weights, bits)
            weights[layer] = replace(setting.weights, bits=width)
    start: dict[Key, Array] = {}
    for layer, component in weights.items():
        start |= _keyed(layer, component.start(weight_of(lowered, layer)))
    components: dict[str, Any] = {}
    if setting.activations is not None:
        values = forward(lowered, x).values
        ends_edges = _end_edges(lowered, setting.placement)
        for edge in quantized_edges(lowered, setting.placement):
            width = _bits_of(edge in ends_edges, bits.activations, bits)
            components[edge] = replace(setting.activations, bits=width)
            start |= _keyed(f"{edge}.q", components[edge].start(values[edge]))
    return Model(insert_quantizers(lowered, components), weights, start)


def weight_of(network: Network, layer: str) -> Array:
    """Return the float weight of a linear layer in a lowered network."""
    return network.params[(f"{layer}.product", "w")]


def weight_params(
    model: Model, state: State, soft: Collection[str] = (), layers: Collection[str] | None = None
) -> tuple[dict[Key, Array], dict[str, Any]]:
    """Return the weights the products shall use, and the caches of the soft ones.

    Layers in `soft` are quantized by their component as it is being learnt, hardened layers by
    their codes; the others keep their float weight. `layers` limits the work to some of them.
    """
    params: dict[Key, Array] = {}
    caches: dict[str, Any] = {}
    own = group_by_node(state)
    for layer, component in model.weights.items():
        if layers is not None and layer not in layers:
            continue
        mine, key = own[layer], (f"{layer}.product", "w")
        if layer in soft:
            params[key], caches[layer] = component.forward(weight_of(model.network, layer), mine)
        elif "codes" in mine:
            params[key] = dequantized(mine["codes"], component.step(mine))
    return params, caches


def harden(model: Model, state: State, layers: Collection[str]) -> dict[Key, Array]:
    """Return `state` with the integer codes of `layers` fixed."""
    hardened, own = dict(state), group_by_node(state)
    for layer in layers:
        if layer in model.weights:
            w = weight_of(model.network, layer)
            hardened[(layer, "codes")] = model.weights[layer].codes(w, own[layer])
    return hardened


def _bits_of(at_an_end: bool, inner: int, bits: Bits) -> int:
    return bits.first_last if at_an_end and bits.first_last is not None else inner


def _end_edges(network: Network, placement: str) -> set[str]:
    """Return the quantized edges that feed the first and the last linear layer."""
    layers = linear_nodes(network)
    patches = [f"{layer}.patches" for layer in (layers[0], layers[-1])]
    if placement == "input":
        return set(patches)
    edges = set()
    for name in patches:
        edge = network.node(name).inputs[0]
        while edge != INPUT and network.node(edge).op in TRANSPARENT:
            edge = network.node(edge).inputs[0]
        edges.add(edge)
    return edges


def _keyed(node: str, params: Mapping[str, Array]) -> dict[Key, Array]:
    return {(node, name): value for name, value in params.items()}
