"""Give each layer its width: measure what every width costs, solve the integer programme, rebuild.

Reference: Hubara et al., arXiv:2006.10518, section 3.3 (methods.md 8). What may be chosen is in
`refquant.methods.allocation`, the programme in `refquant.optimal.bit_allocation`.

One layer at a time is rounded at one width, as its component starts, in the network that has all
others at the base width; what lies before the layer is computed once. With bit-operations the
quantizer of the layer's own input has the same width, and is calibrated for it.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from refquant._checks import complaint
from refquant._types import Array
from refquant.losses.kl_logits import kl_logits_loss
from refquant.losses.reconstruction import reconstruction_loss
from refquant.methods.allocation import Allocated, BitAllocation, LayerBits
from refquant.methods.notes import note
from refquant.network import linear_nodes, shapes
from refquant.network.graph import Key
from refquant.optimal.bit_allocation import Problem, allocate_bits, calibtip_problem
from refquant.optimal.bit_allocation_milp import allocate_bits_milp
from refquant.reconstruct.model import Bits, Model, State, hard_params, taps_of, weight_of
from refquant.reconstruct.prefix import advance, start, values_at

SOLVERS = {"exact": allocate_bits, "milp": allocate_bits_milp}


@dataclass(frozen=True)
class Candidate:
    """One layer at one width: its components, and what they start with."""

    weights: Any
    activations: Any
    start: State


def allocated(model: Model, x: Array, how: BitAllocation, bits: Bits) -> Model:
    """Return `model` with the widths that `how` gives its layers, and the decision with it.

    Parameters
    ----------
    model : Model
        As it is built, with one width for all; nothing learnt.
    x : Array
        Calibration inputs.
    how : BitAllocation
    bits : Bits
        Of the run; those of the first and the last layer stay.

    Raises
    ------
    ValueError
        If the smallest widths need more than the budget.
    """
    _check_budget(how, bits)
    layers = linear_nodes(model.network)
    inner = layers if bits.first_last is None else layers[1:-1]
    if not inner:
        line = note(how, model.network, ())
        return replace(model, notes=(*model.notes, line))
    choices = candidates(model, x, how, inner)
    base = rebuilt(model, {layer: widths[0] for layer, widths in choices.items()})
    increase = increases(base, x[: how.samples], how, choices)
    problem = programme(model, how, bits, inner, increase)
    found = SOLVERS[how.solver](*problem)
    picks = dict(zip(inner, found.choice.tolist(), strict=True))
    chosen = rebuilt(model, {layer: choices[layer][c] for layer, c in picks.items()})
    rows = tuple(
        LayerBits(layer, how.bits[c], float(problem.size[i, c]), tuple(increase[i].tolist()))
        for i, (layer, c) in enumerate(picks.items())
    )
    decision = Allocated(how.bits, rows, problem.budget, found.size, found.loss)
    return replace(chosen, allocation=decision)


def candidates(
    model: Model, x: Array, how: BitAllocation, layers: Iterable[str]
) -> dict[str, tuple[Candidate, ...]]:
    """Return every layer at every width, inputs calibrated on the samples that are looked at."""
    quantizers = [n.attr("component") for n in model.network.nodes if n.op == "quantize"]
    reached = start(x[: max((one.samples for one in quantizers), default=0)])
    whole = model.float_network
    found: dict[str, tuple[Candidate, ...]] = {}
    for layer in layers:
        patches, edge = None, f"{layer}.patches"
        if how.both_operands:
            reached = advance(reached, whole, (edge,))
            patches = reached.values[edge]
        found[layer] = tuple(_candidate(model, layer, width, patches) for width in how.bits)
    return found


def _candidate(model: Model, layer: str, width: int, patches: Array | None) -> Candidate:
    weights, edge = replace(model.weights[layer], bits=width), f"{layer}.patches"
    own: dict[str, Array] = weights.start(weight_of(model.network, layer))
    begun: dict[Key, Array] = {(layer, name): value for name, value in own.items()}
    if patches is None:
        return Candidate(weights, None, begun)
    activations = replace(model.network.node(f"{edge}.q").attr("component"), bits=width)
    params = activations.start(patches, taps_of(model.network, edge))
    begun |= {(f"{edge}.q", name): value for name, value in params.items()}
    return Candidate(weights, activations, begun)


def rebuilt(model: Model, chosen: Mapping[str, Candidate]) -> Model:
    """Return `model` with some layers as they are chosen; biases are rounded with their widths."""
    weights = {layer: one.weights for layer, one in chosen.items()}
    acts = {f"{n}.patches.q": c.activations for n, c in chosen.items() if c.activations is not None}
    more = {layer: one.bits - model.weights[layer].bits for layer, one in weights.items()}
    for name, one in acts.items():
        layer = name.removesuffix(".patches.q")
        more[layer] += one.bits - model.network.node(name).attr("component").bits
    nodes = tuple(
        replace(node, attrs=(("component", acts[node.name]),)) if node.name in acts else node
        for node in model.network.nodes
    )
    begun = {key: value for one in chosen.values() for key, value in one.start.items()}
    return replace(
        model,
        network=replace(model.network, nodes=nodes) if acts else model.network,
        weights={**model.weights, **weights},
        start={**model.start, **begun},
        bias_bits={layer: n + more.get(layer, 0) for layer, n in model.bias_bits.items()},
    )


def increases(
    base: Model, x: Array, how: BitAllocation, choices: Mapping[str, tuple[Candidate, ...]]
) -> Array:
    """Return the measured losses above the base's, (layers, widths), 0 at the base width."""
    logits = base.network.output
    target = values_at(base.float_network, start(x).values, (logits,))[logits]
    params = {**base.start, **hard_params(base, base.start, tuple(base.weights))}
    reached, rows = start(x), []
    for layer, widths in choices.items():
        reached = advance(reached, base.network, (f"{layer}.patches",), params)
        row = []
        for one in widths:
            changed = rebuilt(base, {layer: one})
            own = {**params, **one.start, **hard_params(changed, changed.start, (layer,))}
            z = values_at(changed.network, reached.values, (logits,), own)[logits]
            row.append(measured(how, z, target))
        rows.append([loss - row[0] for loss in row])
    return np.array(rows, dtype=np.float64)


def measured(how: BitAllocation, z: Array, target: Array) -> float:
    """Return the loss of logits against those of the float network."""
    loss = kl_logits_loss if how.loss == "kl" else reconstruction_loss
    return float(loss(z, target)[0])


def programme(
    model: Model, how: BitAllocation, bits: Bits, layers: tuple[str, ...], increase: Array
) -> Problem:
    """Return CalibTIP's programme; its budget is what the run's bits need, unless D is given."""
    sizes = [weight_of(model.network, layer).size for layer in layers]
    if how.both_operands:  # every weight is multiplied at every position of the output
        maps = shapes(model.float_network)
        places = [math.prod(maps[f"{layer}.product"][1:]) for layer in layers]
        sizes = [size * n for size, n in zip(sizes, places, strict=True)]
    counts = np.array(sizes, dtype=np.int64)
    share = 1.0 if how.share is None else how.share
    problem = calibtip_problem(increase, counts, how.bits, share, how.power)
    if how.share is None:
        cost = how.cost_of(bits.weights, bits.activations)
        problem = problem._replace(budget=float(cost * sum(sizes)))
    return problem


def _check_budget(how: BitAllocation, bits: Bits) -> None:
    """Refuse bits of a run that are below all widths there are, before anything is measured."""
    smallest = how.bits[-1]
    cost, least = how.cost_of(bits.weights, bits.activations), how.cost_of(smallest, smallest)
    if how.share is None and cost < least:
        got = f"{cost} a weight, with BitAllocation(bits={how.bits})"
        fix = "Ask for more bits, or allow smaller widths."
        what = "weight_bits times act_bits" if how.both_operands else "weight_bits"
        raise ValueError(complaint("quantize", what, got, f"at least {least}", fix))
