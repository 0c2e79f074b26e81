"""Run the finishing steps of a setting: a closed form per layer, in running order, codes frozen.

For each layer: y, its output in the float network; y0, the product of its codes with the input
that the finished part of the quantized network gives it; both on the whole calibration set. The
step turns them into parameters of the layer (`refquant.methods.finish`), and the walk goes on with
these in place. Nothing is drawn, so there is nothing to record.
"""

from collections.abc import Sequence
from typing import Any

from refquant._types import Array
from refquant.network import linear_nodes
from refquant.network.graph import Key
from refquant.network.run import group_by_node
from refquant.reconstruct.model import Model, State, hard_params
from refquant.reconstruct.prefix import advance, start


def finished(model: Model, x: Array, steps: Sequence[Any], state: State) -> dict[Key, Array]:
    """Return the hardened `state` after all `steps`, one after the other.

    Parameters
    ----------
    model : Model
    x : array
        Calibration inputs.
    steps : sequence of finishing steps
    state : mapping
        With codes for every layer whose weights are quantized.
    """
    current = dict(state)
    for step in steps:
        current = _walk(model, x, step, current)
    return current


def _walk(model: Model, x: Array, step: Any, state: State) -> dict[Key, Array]:
    """Return `state` with what `step` fits to each layer behind those already fitted."""
    fitted, quantized, real = dict(state), start(x), start(x)
    weights = hard_params(model, state, tuple(model.weights))
    for layer in linear_nodes(model.network):
        product = f"{layer}.product"
        quantized = advance(quantized, model.network, (product,), {**fitted, **weights})
        real = advance(real, model.float_network, (layer,))
        own = group_by_node(model.network.params, fitted).get(layer, {})
        found = step.fit(real.values[layer], quantized.values[product], own)
        fitted |= {(layer, name): value for name, value in found.items()}
    return fitted
