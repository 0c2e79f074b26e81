"""Learn the rounding of one unit: Adam on minibatches, the papers' literal loop.

    repeat:  draw a batch -> quantize softly -> run the unit -> loss and cotangents
             -> run backwards -> gradients of alpha, steps, ... -> Adam -> project

The file knows no method: what is learnt is a list of names in the phase, and the components say
how gradients of weights and activations become gradients of those parameters.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.methods.setting import Learn, Phase
from refquant.network.graph import Key, Network
from refquant.network.run import backward, forward, group_by_node
from refquant.network.units import Unit
from refquant.optim.adam import adam_init, adam_step
from refquant.optim.schedules import beta_schedule, cosine_lr
from refquant.reconstruct.batches import batch_indices, mixed_inputs
from refquant.reconstruct.history import Record
from refquant.reconstruct.model import Model, State, harden, weight_of, weight_params
from refquant.reconstruct.objective import loss_and_cotangents
from refquant.reconstruct.prefix import CHUNK

RECORDS = 50  # entries of a history: enough for a curve, little to store


@dataclass(frozen=True)
class UnitTask:
    """One unit in one phase, with everything that stays fixed while it is learnt.

    Attributes
    ----------
    model : Model
    phase : Phase
        With the number of steps of this run.
    published_steps : int
        The phase's own number, to which learning rates refer.
    network : Network
        With the quantizers this phase leaves out bypassed.
    unit : Unit
    inputs, float_inputs : mapping of edge name to array
        The unit's inputs for all samples, quantized prefix (or float, as the phase says) and
        float.
    targets : mapping of edge name to array
        Float values at the loss sites.
    key : tuple
        (seed, phase number, unit number), the head of every random key.
    """

    model: Model
    phase: Phase
    published_steps: int
    network: Network
    unit: Unit
    inputs: Mapping[str, Array]
    float_inputs: Mapping[str, Array]
    targets: Mapping[str, Array]
    key: tuple[int, ...]


def learn_unit(
    task: UnitTask, state: State, tick: Callable[[], None]
) -> tuple[dict[Key, Array], Record]:
    """Return the state after the phase's steps on this unit, and the record of them.

    `tick` is called once a step, for progress bars.
    """
    first = dict(state)
    current = dict(state)
    learnt = learnt_keys(task, state)
    adam = adam_init({key: current[key] for key in learnt})
    every = max(1, task.phase.steps // RECORDS)
    rows: list[tuple[int, float, float, float, float]] = []
    for step in range(1, task.phase.steps + 1):
        loss, penalty, beta, grads = gradients(task, current, learnt, step)
        if step == 1 or step % every == 0 or step == task.phase.steps:
            rows.append((step, loss, penalty, beta, share_binary(task, current)))
        rates = {key: rate(task, learn, first[key], step) for key, learn in learnt.items()}
        moved, adam = adam_step({key: current[key] for key in learnt}, grads, adam, rates)
        current |= {key: project(value, learnt[key]) for key, value in moved.items()}
        tick()
    return finish(task, first, current, rows)


def gradients(
    task: UnitTask, state: State, learnt: Mapping[Key, Learn], step: int
) -> tuple[float, float, float, dict[Key, Array]]:
    """Return loss, penalty, beta and the gradient of every learnt parameter at one step."""
    phase, key = task.phase, (*task.key, step)
    count = len(next(iter(task.inputs.values())))
    indices = batch_indices(key, count, phase.batch, phase.sampling)
    values = mixed_inputs(key, task.inputs, task.float_inputs, indices, phase.mix)
    params, caches = soft_params(task, state)
    trace = forward(task.network, values, task.unit.nodes, params)
    targets = {edge: value[indices] for edge, value in task.targets.items()}
    loss, cotangents = loss_and_cotangents(trace.values, targets, task.unit, phase.terms)
    pulled = backward(task.network, trace, cotangents).params
    grads = dict(pulled)
    for layer, cache in caches.items():
        own = task.model.weights[layer].backward(pulled[(f"{layer}.product", "w")], cache)
        grads |= {(layer, name): value for name, value in own.items()}
    penalty, beta, grads = add_penalty(task, state, grads, step)
    return loss, penalty, beta, {k: grads.get(k, np.zeros_like(state[k])) for k in learnt}


def add_penalty(
    task: UnitTask, state: State, grads: dict[Key, Array], step: int
) -> tuple[float, float, dict[Key, Array]]:
    """Return the penalty, its beta and the gradients with it added (methods.md 5.4, 5.5)."""
    if task.phase.penalty is None:
        return 0.0, np.nan, grads
    lam = task.phase.penalty.lam
    schedule = task.phase.penalty.beta
    beta, on = beta_schedule(step - 1 + schedule.first_step, task.phase.steps, schedule)
    if not on:
        return 0.0, beta, grads
    own, total, grads = group_by_node(state), 0.0, dict(grads)
    for layer in task.unit.layers:
        value, extra = task.model.weights[layer].penalty(own[layer], beta)
        total += lam * value
        for name, d_value in extra.items():
            grads[(layer, name)] = grads[(layer, name)] + lam * d_value
    return total, beta, grads


def learnt_keys(task: UnitTask, state: State) -> dict[Key, Learn]:
    """Return what this phase moves in this unit: {(node, parameter): how}."""
    learn = dict(task.phase.learn)
    return {key: learn[key[1]] for key in unit_state(task, state) if key[1] in learn}


def soft_params(task: UnitTask, state: State) -> tuple[dict[Key, Array], dict[str, Any]]:
    """Return the parameters of a forward run, this unit's weights quantized softly."""
    layers = task.unit.layers
    soft = layers if "weights" in task.phase.quantize else ()
    own = unit_state(task, state)
    params, caches = weight_params(task.model, own, soft, layers)
    return {**own, **params}, caches


def unit_state(task: UnitTask, state: State) -> dict[Key, Array]:
    """Return the part of the state that belongs to this unit's nodes."""
    inside = {*task.unit.nodes, *task.unit.layers}
    return {key: value for key, value in state.items() if key[0] in inside}


def rate(task: UnitTask, learn: Learn, start: Array, step: int) -> float:
    """Return the learning rate at `step`, counted from 1 (methods.md 5.7)."""
    lr = learn.lr
    if learn.keep_travel:
        lr *= task.published_steps / task.phase.steps
    if learn.relative:
        lr *= float(nx.mean(np.abs(start)))
    return cosine_lr(step - 1, task.phase.steps, lr) if learn.schedule == "cosine" else lr


def project(value: Array, learn: Learn) -> Array:
    """Return `value` clipped to the interval its Learn gives, if any."""
    return value if learn.project is None else np.clip(value, *learn.project)


def share_binary(task: UnitTask, state: State) -> float:
    """Return the share of decided rounding variables, weighted by their number."""
    own, weights = group_by_node(state), task.model.weights
    sizes = {n: weight_of(task.network, n).size for n in task.unit.layers if n in weights}
    decided = sum(weights[n].share_binary(own[n]) * size for n, size in sizes.items())
    return decided / sum(sizes.values()) if sizes else 1.0


def hard_loss(task: UnitTask, state: State) -> float:
    """Return the loss on the whole calibration set with this unit's weights rounded for good."""
    layers = task.unit.layers if "weights" in task.phase.quantize else ()
    hardened = harden(task.model, unit_state(task, state), layers)
    params = {**hardened, **weight_params(task.model, hardened, (), task.unit.layers)[0]}
    count, total = len(next(iter(task.inputs.values()))), 0.0
    for begin in range(0, count, CHUNK):
        part = slice(begin, begin + CHUNK)
        inputs = {edge: value[part] for edge, value in task.inputs.items()}
        values = forward(task.network, inputs, task.unit.nodes, params).values
        targets = {edge: value[part] for edge, value in task.targets.items()}
        loss, _ = loss_and_cotangents(values, targets, task.unit, task.phase.terms)
        total += loss * (min(begin + CHUNK, count) - begin)
    return total / count


def finish(
    task: UnitTask, first: State, last: State, rows: list[tuple[int, float, float, float, float]]
) -> tuple[dict[Key, Array], Record]:
    """Compare start and end once rounded for good, harden what the phase says, and record."""
    before, after = hard_loss(task, first), hard_loss(task, last)
    back = task.phase.keep_best and before < after
    chosen = dict(first if back else last)
    if "weights" in task.phase.harden:
        chosen = harden(task.model, chosen, task.unit.layers)
    steps, loss, penalty, beta, binary = (tuple(column) for column in zip(*rows, strict=True))
    betas = () if task.phase.penalty is None else beta
    number = task.key[1]
    record = Record(
        number, task.unit.name, steps, loss, penalty, betas, binary, before, after, back
    )
    return chosen, record
