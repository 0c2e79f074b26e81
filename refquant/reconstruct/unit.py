"""Learn the rounding of one unit: Adam on minibatches, the papers' literal loop.

    repeat:  draw a batch -> quantize softly -> run the unit -> loss and cotangents
             -> run backwards -> gradients of alpha, steps, ... -> Adam -> project

The file knows no method: what is learnt is a list of names in the phase, and the components say
how gradients of weights and activations become gradients of those parameters.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.methods.setting import Learn, Penalty
from refquant.network.graph import Key
from refquant.network.run import group_by_node
from refquant.optim.adam import adam_init, adam_step
from refquant.optim.schedules import Beta, beta_schedule, cosine_lr, step_lr
from refquant.quantizers.grid import Grid
from refquant.quantizers.lsq import lsq_grad_scale
from refquant.reconstruct.batches import batch_indices, mixed_inputs, share
from refquant.reconstruct.model import State, weight_of, weight_params
from refquant.reconstruct.portions import loss_and_gradients
from refquant.reconstruct.prefix import count
from refquant.reconstruct.task import UnitTask

Draw = tuple[int, ...]  # the head of a random key: seed, phase, unit, step


class Watch(Protocol):
    """Looks at steps while they are taken."""

    def due(self, step: int) -> bool:
        """Return whether this step will be looked at."""

    def __call__(self, step: int, found: "Step", state: State) -> None:
        """Look at what a step found, and at the state it found."""


class Step(NamedTuple):
    """What one step found before it moved anything.

    Attributes
    ----------
    loss, penalty : float
        Of the batch, with soft weights; the penalty with lambda.
    beta : float
        Exponent of the penalty; NaN without one.
    grads : dict
        d(loss + penalty)/dparameter of everything that is learnt; that of the loss times
        `Learn.grad_scale`.
    """

    loss: float
    penalty: float
    beta: float
    grads: dict[Key, Array]


def thaw(task: UnitTask, own: State) -> dict[Key, Array]:
    """Return the unit's state as the phase starts: soft again where it learns the weights.

    A phase that learns something else (a step of the activations, after alpha) leaves hardened
    layers as they are. A component may begin a phase anew, with `enter`.
    """
    weights, names = task.model.weights, {name for name, _ in task.phase.learn}
    again = {layer for layer in weights if {*weights[layer].learnable} & names}
    soft = {key: v for key, v in own.items() if key[1] != "codes" or key[0] not in again}
    params = group_by_node(own)
    for layer in again & {*task.unit.layers}:
        if hasattr(weights[layer], "enter"):
            w = weight_of(task.network, layer)
            entered = weights[layer].enter(w, params[layer], names)
            soft |= {(layer, name): value for name, value in entered.items()}
    return soft


def descend(
    task: UnitTask,
    own: State,
    tick: Callable[[], None],
    watch: Watch,
    find: Callable[[UnitTask, State, int], Step] | None = None,
) -> dict[Key, Array]:
    """Return the unit's state after all steps of the phase.

    Parameters
    ----------
    task : UnitTask
    own : mapping
        The unit's state at the start.
    tick : callable
        Called after every step, for progress bars.
    watch : Watch
    find : callable (task, state, step number) or None
        Loss and gradients of one step; None draws a batch (`gradients`).
    """
    current, learnt = dict(own), learnt_keys(task, own)
    find = find or gradients
    adam = adam_init({key: own[key] for key in learnt})
    for step in range(1, task.phase.steps + 1):
        current |= driven(task, own, step)
        found = find(task, current, step)
        watch(step, found, current)
        rates = {key: rate(task, learn, own[key], step) for key, learn in learnt.items()}
        moved, adam = adam_step({key: current[key] for key in learnt}, found.grads, adam, rates)
        current |= {key: project(value, learnt[key]) for key, value in moved.items()}
        tick()
    return current


def gradients(task: UnitTask, own: State, step: int) -> Step:
    """Return the loss and the gradient of every learnt parameter at one step, from 1.

    A parameter that the loss does not depend on, as a quantizer behind the last loss site, has
    the gradient zero.
    """
    phase, key = task.phase, (*task.key, step)
    indices = batch_indices(key, count(task.inputs), phase.batch, phase.sampling)
    progress = step / phase.steps
    values = mixed_inputs(key, task.inputs, task.float_inputs, indices, phase.mix, progress)
    values |= {edge: value[indices] for edge, value in task.beside.items()}
    weights, caches = weight_params(task.model, own, task.quantized_layers)
    drops = shares(key, task, values[task.unit.inputs[0]], progress)
    owners = {f"{layer}.product" for layer in caches} | {node for node, _ in learnt_keys(task, own)}
    params = {**own, **weights, **drops}
    loss, pulled = loss_and_gradients(task, values, indices, params, owners)
    through = {layer: pulled[(f"{layer}.product", "w")] for layer in caches}
    grads = scaled(task, own, pulled | weight_gradients(task, through, caches), len(indices))
    return regularised(task, own, step, loss, grads)


def regularised(
    task: UnitTask, own: State, step: int, loss: float, grads: Mapping[Key, Array]
) -> Step:
    """Return what a step found, from the loss and its gradients: the penalty and its own added."""
    soft = tuple(layer for layer in task.quantized_layers if (layer, "codes") not in own)
    penalty, beta, extra = penalties(task, own, soft, step)
    both = {**grads, **{k: grads[k] + v if k in grads else v for k, v in extra.items()}}
    learnt = {k: both.get(k, np.zeros_like(own[k])) for k in learnt_keys(task, own)}
    return Step(loss, penalty, beta, learnt)


def driven(task: UnitTask, own: State, step: int) -> dict[Key, Array]:
    """Return the parameters that follow a schedule, at `step`."""
    at = {name: schedule.at(step, task.phase.steps) for name, schedule in task.phase.drive}
    return {key: np.asarray(at[key[1]], v.dtype) for key, v in own.items() if key[1] in at}


def shares(key: Draw, task: UnitTask, batch: Array, progress: float) -> dict[Key, Array]:
    """Return the weight of the quantized value at every activation quantizer of the unit.

    Empty unless the phase mixes there: QDrop's element drop, NWQ's annealed mixture.
    """
    mixes = [mix for mix in task.phase.mix if mix.at == "quantizers"]
    if not mixes:
        return {}
    (mix,) = mixes
    found: dict[Key, Array] = {}
    for place, (node, shape) in enumerate(task.quantizer_shapes.items()):
        drawn = share((*key, "drop", place), mix, (len(batch), *shape), progress)
        found[(node, "share")] = drawn.astype(batch.dtype)
    return found


def weight_gradients(
    task: UnitTask, d_weights: Mapping[str, Array], caches: Mapping[str, Any]
) -> dict[Key, Array]:
    """Return the gradients of the weight components' parameters from those of the weights."""
    return {
        (layer, name): value
        for layer, cache in caches.items()
        for name, value in task.model.weights[layer].backward(d_weights[layer], cache).items()
    }


def scaled(task: UnitTask, own: State, grads: Mapping[Key, Array], batch: int) -> dict[Key, Array]:
    """Return the gradients of a batch, LSQ's factor on those that have one (methods.md 2.1)."""
    found, owners = dict(grads), components(task)
    for key, learn in learnt_keys(task, own).items():
        if learn.grad_scale != "none" and key in grads:
            grid = Grid(owners[key[0]].grid, owners[key[0]].bits)
            shape = rounded_shape(task, key[0], batch)
            scale = lsq_grad_scale(learn.grad_scale, shape, grid, own[key].size)
            found[key] = np.asarray(grads[key] * scale)
    return found


def rounded_shape(task: UnitTask, name: str, batch: int) -> tuple[int, ...]:
    """Return the shape of what a layer, or a quantizer node, rounds in a step."""
    if name in task.model.weights:
        return weight_of(task.network, name).shape
    return (batch, *task.quantizer_shapes[name])


def penalties(
    task: UnitTask, own: State, layers: tuple[str, ...], step: int
) -> tuple[float, float, dict[Key, Array]]:
    """Return penalty, beta and gradients of the rounding regulariser (methods.md 5.4, 5.5)."""
    if task.phase.penalty is None:
        return 0.0, np.nan, {}
    lam, (beta, on) = task.phase.penalty.lam, beta_at(task.phase.penalty, step, task.phase.steps)
    if not on:
        return 0.0, beta, {}
    total, grads, params = 0.0, dict[Key, Array](), group_by_node(own)
    for layer in layers:
        value, d_params = task.model.weights[layer].penalty(params[layer], beta)
        total += lam * value
        grads |= {(layer, name): lam * d_value for name, d_value in d_params.items()}
    return total, beta, grads


def beta_at(penalty: Penalty, step: int, steps: int) -> Beta:
    """Return exponent and switch of the regulariser at `step`, counted from 1 as in the loop."""
    return beta_schedule(step - 1 + penalty.beta.first_step, steps, penalty.beta)


def learnt_keys(task: UnitTask, own: State) -> dict[Key, Learn]:
    """Return what this phase moves in this unit: {(node, parameter): how}."""
    learn, owners = dict(task.phase.learn), components(task)
    keys = [key for key in own if key[1] in learn]
    return {key: _bounded(learn[key[1]], key[1], owners.get(key[0])) for key in keys}


def components(task: UnitTask) -> dict[str, Any]:
    """Return what rounds weights and activations: {layer or quantizer node: component}."""
    quantizers = {n.name: n.attr("component") for n in task.network.nodes if n.op == "quantize"}
    return {**task.model.weights, **quantizers}


def _bounded(learn: Learn, name: str, component: Any) -> Learn:
    """Return `learn` with the interval that its component keeps a parameter in, if any."""
    bounds = getattr(component, "bounds", {})
    return replace(learn, project=bounds[name]) if name in bounds else learn


def rate(task: UnitTask, learn: Learn, start: Array, step: int) -> float:
    """Return the learning rate at `step`, counted from 1 (methods.md 5.7)."""
    lr = learn.lr
    if learn.relative:
        lr *= float(nx.mean(np.abs(start)))
    if learn.schedule == "steps":
        return step_lr(step - 1, task.phase.steps, lr, learn.milestones, learn.factor)
    return cosine_lr(step - 1, task.phase.steps, lr) if learn.schedule == "cosine" else lr


def project(value: Array, learn: Learn) -> Array:
    """Return `value`, or its size, clipped to the interval its Learn gives, if any."""
    if learn.project is None:
        return value
    return np.asarray(np.clip(np.abs(value) if learn.reflect else value, *learn.project))
