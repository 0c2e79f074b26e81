"""One phase on one unit, start to end: thaw, descend, judge once rounded for good, harden.

`unit` has the optimisation itself; here is what frames it.
"""

from collections.abc import Callable, Mapping

from refquant._types import Array
from refquant.network.graph import Key
from refquant.network.run import evaluate, group_by_node
from refquant.reconstruct.fit import begun
from refquant.reconstruct.gram import solve_gram
from refquant.reconstruct.history import Record
from refquant.reconstruct.model import State, hard_params, harden, part_of, weight_of
from refquant.reconstruct.objective import loss_and_cotangents, sites
from refquant.reconstruct.prefix import count, slices
from refquant.reconstruct.rest import weighed
from refquant.reconstruct.task import UnitTask
from refquant.reconstruct.unit import Step, Watch, descend, thaw

RECORDS = 50  # entries of a history: enough for a curve, little to store


SOLVERS: Mapping[str, Callable[[UnitTask, State, Callable[[], None], Watch], dict[Key, Array]]] = {
    "minibatch": descend,
    "gram": solve_gram,
}


class Course:
    """Records some of the steps while they are taken; a `Watch`."""

    def __init__(self, task: UnitTask) -> None:
        self._task = task
        self._every = -(-task.phase.steps // RECORDS)
        self._rows: list[tuple[int, float, float, float, float]] = []

    def due(self, step: int) -> bool:
        """Return whether this step is recorded: the first, the last, and some between."""
        return step in (1, self._task.phase.steps) or step % self._every == 0

    def __call__(self, step: int, found: Step, state: State) -> None:
        """Record what a step found, if it is due."""
        if self.due(step):
            binary = share_binary(self._task, state)
            self._rows.append((step, found.loss, found.penalty, found.beta, binary))

    def record(self, hard: tuple[float, float], back: bool) -> Record:
        """Return the record of the phase; see `Record` for the last two."""
        task = self._task
        columns = (tuple(column) for column in zip(*self._rows, strict=True))
        steps, loss, penalty, beta, binary = columns
        betas = () if task.phase.penalty is None else beta
        name, phase = task.unit.name, task.key[1]
        rounded = sum(rounding_sizes(task).values())
        return Record(phase, name, steps, loss, penalty, betas, rounded, binary, *hard, back)


def learn_unit(
    task: UnitTask, state: State, tick: Callable[[], None]
) -> tuple[dict[Key, Array], Record]:
    """Return the unit's part of the state after the phase, and the record of it.

    `tick` is called once a step, for progress bars.
    """
    first = begun(task, thaw(task, part_of(state, task.unit)))
    task = weighed(task, first)
    watch = Course(task)
    last = SOLVERS[task.phase.solver](task, first, tick, watch)
    before, after = hard_loss(task, first), hard_loss(task, last)
    back = task.phase.keep_best and not after < before  # NaN goes back too
    chosen = first if back else last
    if "weights" in task.phase.harden:
        chosen = harden(task.model, chosen, task.unit.layers)
    end = before if back else after
    return chosen, watch.record((before, end), back)


def hard_loss(task: UnitTask, own: State) -> float:
    """Return the loss on the whole calibration set with this unit's weights rounded for good."""
    params = {**own, **hard_params(task.model, own, task.quantized_layers)}
    edges, total = sites(task.unit, task.phase.terms, task.logits), 0.0
    inputs = {**task.inputs, **task.beside}
    for rows in slices(inputs):
        part = {edge: value[rows] for edge, value in inputs.items()}
        values = evaluate(task.network, part, edges, params)
        loss, _ = loss_and_cotangents(values, task.goal(rows), task.unit, task.phase.terms)
        total += loss * count(part)
    return total / count(inputs)


def share_binary(task: UnitTask, own: State) -> float:
    """Return the share of decided rounding variables, weighted by their number."""
    weights, params = task.model.weights, group_by_node(own)
    sizes = rounding_sizes(task)
    decided = sum(weights[name].share_binary(params[name]) * n for name, n in sizes.items())
    return decided / sum(sizes.values()) if sizes else 1.0


def rounding_sizes(task: UnitTask) -> dict[str, int]:
    """Return how many weights of the unit are rounded, by layer."""
    layers = [name for name in task.unit.layers if name in task.model.weights]
    return {name: weight_of(task.network, name).size for name in layers}
