"""A network prepared for reconstruction: quantizer nodes in place, components bound, ranges found.

The state is one flat mapping {(node, parameter): array}; every function here returns a new one.

    (layer, "s_w"), (layer, "zero_point"), (layer, "alpha")   of the weight component
    (layer, "codes")                                          int64 levels, once hardened
    (layer, "xi"), (layer, "eta"), (layer, "bias")            of the output component, if any
    (norm, "gamma"), (norm, "beta")                           of a batch norm that is learnt
    (edge.q, "s_x"), (edge.q, "zero_point")                   of an activation quantizer

A layer that has codes is hardened: whatever runs it multiplies by them. One without is *soft*
while its unit is learnt, and rounded as its parameters stand everywhere else.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from refquant._checks import complaint
from refquant._types import Array
from refquant.components.output_transform import Place, rounded_bias
from refquant.components.weights import dequantized
from refquant.methods.allocation import Allocated
from refquant.methods.notes import note, report
from refquant.methods.setting import Setting
from refquant.network import bypass, insert_quantizers, linear_nodes, lower, quantized_edges
from refquant.network.graph import INPUT, Key, Network
from refquant.network.lower import TRANSPARENT, norm_behind
from refquant.network.normals import with_normals
from refquant.network.run import group_by_node
from refquant.network.units import Unit
from refquant.reconstruct.bits import Bits as Bits
from refquant.reconstruct.bits import in_a_run
from refquant.reconstruct.prefix import advance, values_at
from refquant.reconstruct.prefix import start as begin

State = Mapping[Key, Array]


@dataclass(frozen=True)
class Model:
    """What the loop works on.

    Attributes
    ----------
    network : Network
        Lowered, with a quantize node behind every quantized edge.
    weights : mapping of layer name to weight component, its bits set
    start : state before any learning
    bias_bits : mapping of layer name to int
        With how many bits networks add the bias, where an output component rounds it.
    notes : tuple of str
        Where steps and components with a pattern act, or that they do not.
    allocation : Allocated or None
        How widths were shared out between the layers, if they were.
    """

    network: Network
    weights: Mapping[str, Any]
    start: State
    bias_bits: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    allocation: Allocated | None = None

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

    Raises
    ------
    ValueError
        If the network has no linear layer.
    """
    prepared, notes = _prepared(network, x, setting, bits)
    lowered = lower(prepared)
    layers = linear_nodes(lowered)
    if not layers:
        got = f"{network.name!r} without a convolution or fully connected layer"
        raise ValueError(complaint("quantize", "network", got, "something to quantize"))
    weights, activations = _weights(layers, setting, bits), _activations(lowered, setting, bits)
    start: dict[Key, Array] = {}
    for layer, component in weights.items():
        start |= _keyed(layer, component.start(weight_of(lowered, layer)))
    if setting.output is not None:
        start |= _outputs(lowered, x, layers, setting.output)
    start |= _calibrated(lowered, x, activations)
    widths = _bias_bits(lowered, setting, weights, activations)
    notes += tuple(note(s, network, s.explain(lowered)) for s in setting.finish if _explains(s))
    if setting.probabilities is not None:
        notes += (note(setting.probabilities, network, probability_edges(lowered, setting)),)
    if getattr(setting.output, "at", "output") == "batch_norm":
        norms = (norm_behind(lowered, layer) for layer in layers)
        notes += (note(setting.output, network, [norm.name for norm in norms if norm]),)
    return Model(insert_quantizers(lowered, activations), weights, start, widths, notes)


def _prepared(
    network: Network, x: Array, setting: Setting, bits: Bits
) -> tuple[Network, tuple[str, ...]]:
    """Return the network after the setting's preparing steps, and what they say they found."""
    notes = []
    if any(step.at == "expected" for step in setting.finish):
        network = with_normals(network)
    for step in setting.prepare:
        if _explains(step):
            notes.append(report(step, network))
        network = in_a_run(step, setting, bits).apply(network, x)
    return network, tuple(notes)


def _explains(step: Any) -> bool:
    """Return whether a step looks for a pattern."""
    return hasattr(step, "explain")


def _outputs(network: Network, x: Array, layers: tuple[str, ...], component: Any) -> State:
    """Return what an output component starts at each layer, or at the batch norm behind it."""
    values, start = values_at(network, {INPUT: x[:1]}, layers), dict[Key, Array]()
    for layer in layers:
        norm = norm_behind(network, layer)
        own = network.params_of(norm.name) if norm else {}
        bias = network.params.get((layer, "bias"))
        place = Place(values[layer], bias, layer == layers[-1], own)
        node = norm.name if norm and component.at == "batch_norm" else layer
        start |= _keyed(node, component.start(place))
    return start


def weight_of(network: Network, layer: str) -> Array:
    """Return the float weight of a linear layer in a lowered network."""
    return network.params[(f"{layer}.product", "w")]


def weight_params(
    model: Model, state: State, layers: Collection[str]
) -> tuple[dict[Key, Array], dict[str, Any]]:
    """Return the weights the products of `layers` shall use, and the caches of the soft ones.

    Hardened layers use their codes, the others their component as it is being learnt. A bias that
    is rounded goes with the weights of its layer.
    """
    params = rounded_biases(model, state, layers)
    caches: dict[str, Any] = {}
    own = group_by_node(state)
    for layer in layers:
        if layer not in model.weights:
            continue
        component, mine, key = model.weights[layer], own[layer], (f"{layer}.product", "w")
        if "codes" in mine:
            params[key] = dequantized(mine["codes"], component.step(mine))
        else:
            params[key], caches[layer] = component.forward(weight_of(model.network, layer), mine)
    return params, caches


def rounded_biases(model: Model, state: State, layers: Collection[str]) -> dict[Key, Array]:
    """Return the biases of `layers` as networks add them, where they are rounded."""
    keys = {layer: (layer, "bias") for layer in layers if layer in model.bias_bits}
    return {key: rounded_bias(state[key], model.bias_bits[layer]) for layer, key in keys.items()}


def hard_params(model: Model, state: State, layers: Collection[str]) -> dict[Key, Array]:
    """Return the weights of `layers` rounded for good: by their codes, or as they would be now."""
    return weight_params(model, harden(model, state, layers), layers)[0]


def harden(model: Model, state: State, layers: Collection[str]) -> dict[Key, Array]:
    """Return `state` with integer codes fixed for those of `layers` that have none."""
    hardened, own = dict(state), group_by_node(state)
    for layer in layers:
        if layer in model.weights and (layer, "codes") not in state:
            w = weight_of(model.network, layer)
            hardened[(layer, "codes")] = model.weights[layer].codes(w, own[layer])
    return hardened


def part_of(state: State, unit: Unit) -> dict[Key, Array]:
    """Return the part of the state that belongs to the unit's nodes."""
    inside = {*unit.nodes, *unit.layers}
    return {key: value for key, value in state.items() if key[0] in inside}


def with_part(state: State, unit: Unit, part: State) -> dict[Key, Array]:
    """Return the state with the unit's part replaced."""
    gone = part_of(state, unit)
    return {key: value for key, value in state.items() if key not in gone} | dict(part)


def _calibrated(network: Network, x: Array, activations: Mapping[str, Any]) -> dict[Key, Array]:
    """Return the first parameters of every activation quantizer.

    Edge by edge in running order, so that not all of them are held at once, and on no more samples
    than a component looks at.
    """
    found: dict[Key, Array] = {}
    reached = begin(x[: max((one.samples for one in activations.values()), default=0)])
    for edge, component in activations.items():
        reached = advance(reached, network, (edge,))
        taps = taps_of(network, edge)
        found |= _keyed(f"{edge}.q", component.start(reached.values[edge], taps))
    return found


def _weights(layers: tuple[str, ...], setting: Setting, bits: Bits) -> dict[str, Any]:
    """Return the weight component of every layer, with its bits."""
    if setting.weights is None:
        return {}
    ends = {layers[0], layers[-1]}
    widths = {layer: _bits_of(layer in ends, bits.weights, bits) for layer in layers}
    return {layer: replace(setting.weights, bits=width) for layer, width in widths.items()}


def _activations(network: Network, setting: Setting, bits: Bits) -> dict[str, Any]:
    """Return the activation component of every quantized edge, with its bits."""
    if setting.activations is None:
        return {}
    edges, ends = quantized_edges(network, setting.placement), _end_edges(network, setting)
    widths = {edge: _bits_of(edge in ends, bits.activations, bits) for edge in edges}
    kinds = dict.fromkeys(edges, setting.activations)
    kinds |= dict.fromkeys(probability_edges(network, setting), setting.probabilities)
    return {edge: replace(kinds[edge], bits=width) for edge, width in widths.items()}


def probability_edges(network: Network, setting: Setting) -> tuple[str, ...]:
    """Return the quantized edges of a lowered network that carry probabilities, if it matters."""
    if setting.probabilities is None:
        return ()
    writers = {edge: _source(network, edge) for edge in quantized_edges(network, setting.placement)}
    behind = setting.probabilities.behind
    return tuple(e for e, w in writers.items() if w != INPUT and network.node(w).op in behind)


def _bias_bits(
    network: Network, setting: Setting, weights: Mapping[str, Any], activations: Mapping[str, Any]
) -> dict[str, int]:
    """Return the bits of every bias that is rounded: those of its weight and input together."""
    if not getattr(setting.output, "fake_quant", False):
        return {}
    inputs = {layer: activations[_input_edge(network, setting, layer)].bits for layer in weights}
    return {layer: component.bits + inputs[layer] for layer, component in weights.items()}


def taps_of(network: Network, edge: str) -> int:
    """Return how many rows of `edge` belong to one channel: kernel positions on patches, or 1."""
    node = None if edge == INPUT else network.node(edge)
    if node is None or node.op != "patches" or node.attr("geometry") is None:
        return 1
    taps: int = node.attr("geometry").taps
    return taps


def _bits_of(at_an_end: bool, inner: int, bits: Bits) -> int:
    return bits.first_last if at_an_end and bits.first_last is not None else inner


def _end_edges(network: Network, setting: Setting) -> set[str]:
    """Return the quantized edges that feed the first and the last linear layer."""
    layers = linear_nodes(network)
    return {_input_edge(network, setting, layer) for layer in (layers[0], layers[-1])}


def _input_edge(network: Network, setting: Setting, layer: str) -> str:
    """Return the quantized edge that feeds a linear layer."""
    patches = f"{layer}.patches"
    if setting.placement == "input":
        return patches
    return _source(network, network.node(patches).inputs[0])


def _source(network: Network, edge: str) -> str:
    """Return the edge whose values `edge` carries through pooling, patches and reshaping."""
    while edge != INPUT and network.node(edge).op in (*TRANSPARENT, "patches"):
        edge = network.node(edge).inputs[0]
    return edge


def _keyed(node: str, params: Mapping[str, Array]) -> dict[Key, Array]:
    return {(node, name): value for name, value in params.items()}
