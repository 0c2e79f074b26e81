"""Solve one layer through its quadratic: ``solver="gram"``, beside the minibatch loop of `unit`.

    repeat `rounds` times (once where alpha alone is learnt):
        sum the moments of the columns, with the activations as they are quantized now
        round: descent, plane or nearest, then single flips or tabu       alpha
        least squares, and flips again until both agree                   xi, eta
        line search with the codes fixed                                  s_x

References: methods.md 6, 7, 10 and 15.3; `refquant.methods.gram` says where it applies.

With eta learnt, rounding sees covariances in place of second moments: that is the error after the
best shift. The descent, which takes the steps, is run in the last round; those before find out
with the nearest plane where the other parameters go. What has few columns for each of its inputs
is fitted to chance, and a `FewSamples` warning says so.
"""

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from refquant._types import Array
from refquant.methods.gram import Gram
from refquant.network.graph import Key
from refquant.optimal.layer_quadratic import Quadratic, best_transform, centred, ridged
from refquant.optimal.nearest_plane import nearest_plane
from refquant.optimal.row_flips import Rows, flip_rows
from refquant.optimal.row_tabu import tabu_rows
from refquant.reconstruct.gram_descent import descend_quadratic, exact_gradients
from refquant.reconstruct.gram_layer import GramLayer, Problem, alpha_of, chosen, gram_layer
from refquant.reconstruct.gram_moments import first_samples, layer_quadratic
from refquant.reconstruct.gram_step import search_step
from refquant.reconstruct.model import State
from refquant.reconstruct.task import UnitTask
from refquant.reconstruct.unit import Watch

FEW = 4  # columns for each input of a row; below it held-out errors rise (gram-few-samples.md)
SETTLED = 20  # turns of codes and least squares; each lowers the error, so they end by themselves

Tick = Callable[[], None]


class FewSamples(UserWarning):
    """A layer has too few calibration columns for the inputs of its rows."""


def solve_gram(task: UnitTask, own: State, tick: Tick, watch: Watch) -> dict[Key, Array]:
    """Return the unit's state after the phase; in the signature of `descend`.

    Warns
    -----
    FewSamples
        If there are fewer than `FEW` columns for each input of a row, and no ridge.
    """
    gram, layer, current = task.phase.gram, gram_layer(task, own), dict(own)
    learnt = {name for name, _ in task.phase.learn}
    rounds = gram.rounds if len(learnt) > 1 else 1
    all_samples = first_samples(task, gram.samples)
    few = first_samples(all_samples, gram.scout)
    for number in range(rounds):
        last = number == rounds - 1
        moments = layer_quadratic(all_samples if last else few, current)
        if last:
            _warn(layer, moments, gram)
        form = ridged(moments, layer.w, gram.ridge)
        problem = Problem(layer, centred(form) if "eta" in learnt else form, _xi(layer, current))
        h = _rounded(task, current, problem, (tick, watch)) if last else _scouted(problem, gram)
        h = _settled(problem, h) if "xi" in learnt else h
        current[(layer.name, "alpha")] = alpha_of(layer, h, own[(layer.name, "alpha")])
        current |= _transform(layer, form, h, own, learnt)
        if "s_x" in learnt and not last:
            current |= search_step(few, current, layer.weights(h), gram.span / (1 << number))
    return current


def _rounded(task: UnitTask, own: State, problem: Problem, report: tuple[Tick, Watch]) -> Array:
    """Return the choices of the phase's start and finish."""
    gram, (tick, watch) = task.phase.gram, report
    if gram.start == "descent":
        last = descend_quadratic(task, own, problem, tick, watch)
        h = chosen(task, problem.layer, last)
    else:
        h = _planes(problem) if gram.start == "plane" else problem.layer.nearest()
        watch(1, exact_gradients(problem)(task, own, 1), own)
        tick()
    if gram.finish == "none":
        return h
    finish = flip_rows if gram.finish == "flips" else partial(tabu_rows, steps=gram.tabu)
    return _each(problem, h, finish)


def _scouted(problem: Problem, gram: Gram) -> Array:
    """Return choices for a round that only finds out where the other parameters go."""
    h = problem.layer.nearest() if gram.start == "nearest" else _planes(problem)
    return _each(problem, h, flip_rows)


def _settled(problem: Problem, h: Array) -> Array:
    """Return the choices that no flip improves at their own best xi."""
    for _ in range(SETTLED):
        xi, _ = best_transform(problem.form, problem.layer.weights(h), shift=False)
        problem, before = replace(problem, xi=xi), h
        h = _each(problem, h, flip_rows)
        if np.array_equal(h, before):
            break
    return h


def _planes(problem: Problem) -> Array:
    return np.array([nearest_plane(rows) for rows in problem.rows()])


def _each(problem: Problem, h: Array, search: Callable[[Rows, Array], Array]) -> Array:
    """Search every group's rows."""
    return np.array([search(*part) for part in zip(problem.rows(), h, strict=True)])


def _xi(layer: GramLayer, own: State) -> Array:
    neutral = np.ones(layer.step.size)
    return own.get((layer.name, "xi"), neutral).astype(np.float64).reshape(layer.step.shape)


def _transform(
    layer: GramLayer, form: Quadratic, h: Array, own: State, learnt: set[str]
) -> dict[Key, Array]:
    """Return the best xi and eta of the choices, where they are learnt."""
    scale, shift = "xi" in learnt, "eta" in learnt
    xi, eta = best_transform(form, layer.weights(h), scale, shift)
    found = {"xi": xi, "eta": eta}
    keys = [(layer.name, name) for name in ("xi", "eta") if name in learnt]
    return {key: found[key[1]].reshape(-1).astype(own[key].dtype) for key in keys}


def _warn(layer: GramLayer, moments: Quadratic, gram: Gram) -> None:
    features = layer.w.shape[2]
    if moments.columns < FEW * features and not gram.ridge:
        warnings.warn(
            f"layer {layer.name!r} has {moments.columns} calibration columns for rows of "
            f"{features} inputs: its rounding is fitted to chance. Use more calibration inputs, "
            f"or Gram(ridge=0.1).",
            FewSamples,
            stacklevel=2,
        )
