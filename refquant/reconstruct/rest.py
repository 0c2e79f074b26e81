"""The way from a unit to the logits, left real: what a unit's error does to the prediction.

Two methods look past the unit. PD-Quant pushes its output through the remaining float network and
compares predictions (methods.md 9.1). BRECQ weights the error at its output by how much such a
comparison feels it, measured once (5.2):

    g = |dKL/dz| + offset     z the unit's output, everything up to and including it quantized

Decisions. The unit's weights are rounded as they stand when the phase starts; its inputs are those
the phase learns from, unmixed. The mean over samples in KL is taken over batches of the phase's
size, so g does not depend on how many calibration inputs there are. Edges that pass the unit by, as
the skip connection around a single layer, carry what the unit's inputs carry.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from refquant._types import Array
from refquant.losses.kl_logits import kl_logits_loss
from refquant.methods.setting import Term
from refquant.network.graph import Key, Network
from refquant.network.run import backward, forward
from refquant.network.units import Unit
from refquant.reconstruct.model import State, hard_params
from refquant.reconstruct.objective import FISHER
from refquant.reconstruct.prefix import count, slices
from refquant.reconstruct.task import UnitTask


def looks_past(terms: Sequence[Term]) -> bool:
    """Return whether some term needs the way to the logits."""
    return any(term.at == "logits" or term.kind in FISHER for term in terms)


def rest_of(network: Network, unit: Unit, done: Collection[str]) -> tuple[str, ...]:
    """Return the nodes that the logits need beside the unit and what has run, in running order."""
    wanted, found = {network.nodes[-1].name}, list[str]()
    for node in reversed(network.nodes):
        if node.name in wanted and node.name not in done:
            wanted.update(node.inputs)
            if node.name not in unit.nodes:
                found.append(node.name)
    return tuple(reversed(found))


def edges_beside(network: Network, unit: Unit, rest: Sequence[str]) -> tuple[str, ...]:
    """Return the edges the rest reads that neither it nor the unit makes, nor the unit reads."""
    known = {*rest, *unit.nodes, *unit.inputs}
    read = dict.fromkeys(edge for name in rest for edge in network.node(name).inputs)
    return tuple(edge for edge in read if edge not in known)


def weighed(task: UnitTask, own: State) -> UnitTask:
    """Return `task` with the gradient that Fisher terms are weighted by, at the unit's start.

    Parameters
    ----------
    task : UnitTask
    own : mapping
        The unit's state as the phase starts.
    """
    if not any(term.kind in FISHER for term in task.phase.terms):
        return task
    params = {**own, **hard_params(task.model, own, task.quantized_layers)}
    inputs, edge = {**task.inputs, **task.beside}, task.unit.output
    parts = ({edge: _felt(task, params, inputs, rows)} for rows in slices(inputs))
    return replace(task, felt=task.storage.keep(parts, count(inputs)))


def _felt(
    task: UnitTask, params: Mapping[Key, Array], inputs: Mapping[str, Array], rows: slice
) -> Array:
    """Return dL_KL/dz of some samples."""
    edge, values = task.unit.output, {name: value[rows] for name, value in inputs.items()}
    logits = task.targets[task.logits][rows]
    trace = forward(task.network, values, task.nodes, params)
    _, d_logits = kl_logits_loss(trace.values[task.logits], logits)
    d_logits = d_logits * (len(logits) / task.phase.batch)
    pulled = backward(task.network, trace, {task.logits: d_logits}, edges=(edge,), owners=())
    return pulled.values[edge]
