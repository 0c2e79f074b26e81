"""Full-batch Adam on a layer's quadratic: the loop of `unit` with the exact gradient.

    L      = weight * sum_rows ( xi^2 w_hat G w_hat^T - 2 xi w_hat B^T + power ) + R(alpha)
    dL/dw  = 2 weight xi (xi w_hat G - B)

`descend_readably` is that loop; `descend_quadratic` is the same by the kernel, but for rounding,
and looks at the definition where a step is recorded. Nothing is drawn: no step depends on the seed.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.kernels import gram_descent as kernel
from refquant.network.graph import Key
from refquant.optimal.layer_quadratic import quadratic_losses
from refquant.reconstruct.gram_layer import Problem
from refquant.reconstruct.model import State, weight_params
from refquant.reconstruct.task import UnitTask
from refquant.reconstruct.unit import (
    Step,
    Watch,
    beta_at,
    descend,
    rate,
    regularised,
    weight_gradients,
)


def loss_weight(task: UnitTask) -> float:
    """Return what multiplies the mean squared error summed over the channels."""
    (term,), layer = task.phase.terms, task.unit.layers[0]
    channels = len(task.network.params[(f"{layer}.product", "w")])
    return term.weight / (channels if term.reduction == "mean" else 1)


def descend_quadratic(
    task: UnitTask, own: State, problem: Problem, tick: Callable[[], None], watch: Watch
) -> dict[Key, Array]:
    """Return the unit's state after all steps on alpha."""
    alone = tuple(pair for pair in task.phase.learn if pair[0] == "alpha")
    task = replace(task, phase=replace(task.phase, learn=alone))
    key, exact = (problem.layer.name, "alpha"), exact_gradients(problem)
    alpha, learn = own[key], dict(alone)["alpha"]
    fixed = fused_problem(problem, loss_weight(task), alpha.dtype)
    edge = task.model.weights[problem.layer.name].edge
    buffers, powers = kernel.start(fixed, alpha.reshape(fixed.linear.shape), edge), (1.0, 1.0)
    current = dict(own)
    for step in range(1, task.phase.steps + 1):
        if watch.due(step):
            current[key] = kernel.alpha_of(buffers).reshape(alpha.shape)
            watch(step, exact(task, current, step), current)
        powers = (powers[0] * kernel.BETA1, powers[1] * kernel.BETA2)
        how = kernel.numbers(rate(task, learn, alpha, step), powers, *_penalty(task, step), alpha)
        with np.errstate(divide="ignore"):  # log 0 at an undecided weight, by design
            kernel.gram_step(fixed, buffers, how)
        tick()
    return {**current, key: kernel.alpha_of(buffers).reshape(alpha.shape)}


def descend_readably(
    task: UnitTask, own: State, problem: Problem, tick: Callable[[], None], watch: Watch
) -> dict[Key, Array]:
    """Return what `descend_quadratic` returns, by the definition: the loop of `unit` itself."""
    alone = tuple(pair for pair in task.phase.learn if pair[0] == "alpha")
    task = replace(task, phase=replace(task.phase, learn=alone))
    return descend(task, own, tick, watch, exact_gradients(problem))


def exact_gradients(problem: Problem) -> Callable[[UnitTask, State, int], Step]:
    """Return what `unit.gradients` is for batches: loss and gradient of alpha at one step."""
    form, xi = problem.form, problem.xi[:, :, None]

    def gradients(task: UnitTask, own: State, step: int) -> Step:
        """Return what one full-batch step finds."""
        (layer,), weight = task.unit.layers, loss_weight(task)
        key = (f"{layer}.product", "w")
        params, caches = weight_params(task.model, own, task.quantized_layers)
        w_hat = xi * params[key].astype(np.float64).reshape(form.cross.shape)
        loss = weight * float(nx.sum(quadratic_losses(form, w_hat)))
        d_w = 2.0 * weight * xi * (nx.matmul(w_hat, form.gram) - form.cross)
        through = {layer: d_w.astype(params[key].dtype).reshape(params[key].shape)}
        return regularised(task, own, step, loss, weight_gradients(task, through, caches))

    return gradients


def fused_problem(
    problem: Problem, weight: float, dtype: "np.dtype[np.generic]"
) -> kernel.GramProblem:
    """Return the layer's quadratic in h as the kernel reads it."""
    rows = problem.rows()
    gram = problem.form.gram
    curve = np.array([2.0 * weight * part.curve for part in rows])[:, :, None]
    linear = np.array([weight * part.linear for part in rows])
    cast = (np.asarray(v, dtype=dtype) for v in (gram, curve, linear, problem.layer.free))
    return kernel.GramProblem(*cast)


def _penalty(task: UnitTask, step: int) -> tuple[float, float]:
    """Return lambda and beta of a step; lambda is 0 while the regulariser is off."""
    if task.phase.penalty is None:
        return 0.0, 2.0
    beta, on = beta_at(task.phase.penalty, step, task.phase.steps)
    return (task.phase.penalty.lam if on else 0.0), beta
