"""Fit closed forms layer by layer, in running order: at the end, to start a unit, before all.

For each layer a step of `refquant.methods.finish` is shown the same edge of the float network and
of the quantized one, in which the layers before it are fitted already; what it returns goes into
the state, and the walk goes on with it in place. Codes stay frozen, nothing is drawn, so there is
nothing to record.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.components.seen import Seen
from refquant.losses.reconstruction import loss_by_rows
from refquant.network import bypass, cut, evaluate, linear_nodes
from refquant.network.graph import Key, Network
from refquant.network.normals import normal_behind
from refquant.network.run import group_by_node
from refquant.optimal.bias_correction import expected_input
from refquant.reconstruct.model import Model, State, hard_params, weight_of
from refquant.reconstruct.prefix import CHUNK, Prefix, advance, start, values_at
from refquant.reconstruct.task import UnitTask
from refquant.storage import MEMORY, Storage


@dataclass(frozen=True)
class Walk:
    """Where the layers to be fitted stand.

    Attributes
    ----------
    model : Model
    network : Network
        With the quantizers that are not in use bypassed.
    layers : tuple of str
        In running order.
    rounded : tuple of str
        Those of them whose weights count as rounded.
    quantized, real : Prefix
        Values in the quantized and in the float network from which the walk starts.
    """

    model: Model
    network: Network
    layers: tuple[str, ...]
    rounded: tuple[str, ...]
    quantized: Prefix
    real: Prefix

    def first(self, samples: int) -> "Walk":
        """Return the walk with the first `samples` of the values alone."""
        ends = [
            replace(prefix, values={edge: v[:samples] for edge, v in prefix.values.items()})
            for prefix in (self.quantized, self.real)
        ]
        return replace(self, quantized=ends[0], real=ends[1])


def finished(
    model: Model, x: Array, steps: Sequence[Any], state: State, storage: Storage = MEMORY
) -> dict[Key, Array]:
    """Return the hardened `state` after all `steps`, one after the other.

    Parameters
    ----------
    model : Model
    x : array
        Calibration inputs.
    steps : sequence of finishing steps
    state : mapping
        With codes for every layer whose weights are quantized.
    storage : Storage
        Where the values of all samples are kept.
    """
    layers, first = linear_nodes(model.network), start(x, storage)
    walk = Walk(model, model.network, layers, tuple(model.weights), first, first)
    return fitted(walk, steps, state)


def begun(task: UnitTask, own: State) -> dict[Key, Array]:
    """Return the unit's state after the steps that start it, its weights as they round now."""
    outside = {node.name for node in task.network.nodes} - {*task.unit.nodes}
    given = (task.inputs, task.float_inputs)
    ends = [Prefix(values, frozenset(outside), task.storage) for values in given]
    walk = Walk(task.model, task.network, task.unit.layers, task.quantized_layers, *ends)
    return fitted(walk, task.phase.begin, own)


def started(
    model: Model, x: Array, steps: Sequence[Any], storage: Storage = MEMORY
) -> dict[Key, Array]:
    """Return the state before the first phase: as calibrated, then `steps` one after the other.

    A step's `quantize` says what of the layers before is rounded, weights as they start.
    """
    current, first = dict(model.start), start(x, storage)
    for step in steps:
        hidden = frozenset[str]() if "activations" in step.quantize else model.quantizers
        layers = tuple(model.weights)
        rounded = layers if "weights" in step.quantize else ()
        walk = Walk(model, bypass(model.network, hidden), layers, rounded, first, first)
        current = fitted(walk, (step,), current)
    return current


def fitted(walk: Walk, steps: Sequence[Any], state: State) -> dict[Key, Array]:
    """Return `state` after all `steps`, one after the other."""
    current = dict(state)
    for step in steps:
        samples = getattr(step, "samples", None)
        current = _fitted(walk.first(samples) if samples else walk, step, current)
    return current


def _fitted(walk: Walk, step: Any, state: State) -> dict[Key, Array]:
    """Return `state` with what `step` fits to each layer behind those already fitted."""
    current, network = dict(state), walk.network
    weights = hard_params(walk.model, state, walk.rounded)
    for layer in walk.layers:
        node = f"{layer}.patches.q" if step.at == "patches" else layer
        if not _fits(step, network, node):
            continue
        params = {**current, **weights}
        walk, values = looked_at(walk, step, layer, params)
        if values is None:
            continue
        w, product = weight_of(network, layer), f"{layer}.product"
        seen = Seen(
            *values,
            own=group_by_node(network.params, current).get(node, {}),
            w=w,
            w_hat=weights.get((product, "w"), w),
            groups=network.node(product).attr("groups"),
            quantizer=network.node(node).attr("component") if node != layer else None,
            component=walk.model.weights.get(layer),
        )
        found = {(node, name): value for name, value in step.fit(seen).items()}
        if getattr(step, "keep", "always") == "better" and not falls(walk, layer, params, found):
            continue
        current |= found
        if step.at == "inputs":  # the weight itself has moved, or its range
            weights |= moved_weight(walk, current, layer)
    return current


def looked_at(
    walk: Walk, step: Any, layer: str, params: State
) -> tuple[Walk, tuple[Array, Array] | None]:
    """Return the walk moved on to where `step` looks, and what is wanted and given there.

    None for a layer at which there is nothing to be seen: its expected input is not known.
    """
    whole = walk.model.float_network
    if step.at == "expected":
        mean = mean_input(whole, layer)
        return walk, None if mean is None else (mean, mean)
    given, wanted = sites(step, layer, walk.network)
    quantized = advance(walk.quantized, walk.network, (given,), params)
    real = advance(walk.real, whole, (wanted,))
    values = real.values[wanted], quantized.values[given]
    return replace(walk, quantized=quantized, real=real), values


def mean_input(network: Network, layer: str) -> Array | None:
    """Return the mean of what a layer reads, (c_in,), as the batch norm before it says; or None."""
    normal = normal_behind(network, layer)
    if normal is None:
        return None
    product = network.node(f"{layer}.product")
    columns = weight_of(network, layer).shape[1] * product.attr("groups")
    mean = expected_input(normal.mean, normal.std, normal.kind)
    return np.repeat(mean, columns // len(mean))  # flattening repeats a channel


def _fits(step: Any, network: Network, node: str) -> bool:
    """Return whether a quantizer has what a step writes to it; layers may have anything."""
    op = network.node(node)
    return op.op != "quantize" or {*step.needs} <= {*op.attr("component").learnable}


def falls(walk: Walk, layer: str, before: State, found: State) -> bool:
    """Return whether the squared error of the layer's block is smaller with what was found."""
    (edge,) = (unit.output for unit in cut(walk.network, "block") if layer in unit.layers)
    real = walk.real
    target = values_at(walk.model.float_network, real.values, (edge,), storage=real.storage)[edge]

    def loss(params: State) -> float:
        """Return the loss at the end of the block."""

        def error(rows: slice) -> Array:
            """Return the error of some samples."""
            given = {name: value[rows] for name, value in walk.quantized.values.items()}
            return evaluate(walk.network, given, (edge,), params)[edge] - target[rows]

        return loss_by_rows(error, target, most=CHUNK)

    return loss({**before, **found}) < loss(before)


def moved_weight(walk: Walk, state: dict[Key, Array], layer: str) -> dict[Key, Array]:
    """Set the shares of `layer` anew in `state`, and return its weight as it rounds now."""
    if layer not in walk.rounded:
        return {}
    component, own = walk.model.weights[layer], group_by_node(state)[layer]
    if hasattr(component, "enter"):
        entered = component.enter(weight_of(walk.model.network, layer), own, component.learnable)
        state |= {(layer, name): value for name, value in entered.items()}
    return hard_params(walk.model, state, (layer,))


def sites(step: Any, layer: str, network: Network) -> tuple[str, str]:
    """Return the edges `step` looks at, in the quantized and in the float network."""
    if step.at == "patches":
        return (f"{layer}.patches",) * 2
    if step.at == "inputs":
        (edge,) = network.node(f"{layer}.product").inputs
        return edge, edge
    return f"{layer}.product", layer
