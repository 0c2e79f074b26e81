"""The one loop: walk phases and units in the order the setting says, learn, harden, move on.

Knows no method by name. A unit that is finished is kept: with a checkpoint directory every one of
them is written as soon as it is done, and a run that starts again skips what it finds there.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from refquant._types import Array
from refquant.kernels.memory import keep_freed_memory
from refquant.methods.sequential import starting_steps
from refquant.methods.setting import Phase, Setting
from refquant.network import Network, Unit, bypass, cut
from refquant.network.graph import Key
from refquant.reconstruct.checkpoint import Store
from refquant.reconstruct.fit import finished, started
from refquant.reconstruct.history import Record
from refquant.reconstruct.learn import learn_unit
from refquant.reconstruct.model import Model, State, hard_params, harden, part_of, with_part
from refquant.reconstruct.objective import sites
from refquant.reconstruct.prefix import Prefix, advance, start, values_at
from refquant.reconstruct.rest import edges_beside, looks_past, rest_of
from refquant.reconstruct.task import UnitTask
from refquant.storage import MEMORY, Storage

Tick = Callable[[], None]
Progress = Callable[[str, int], Tick]  # (label, steps) -> tick


@dataclass(frozen=True)
class Run:
    """What a run needs beside the model and the setting.

    Attributes
    ----------
    seed : int
    steps : int or None
        Steps per phase and unit; None keeps the published number.
    progress : function (label, steps) -> tick
        Called before each unit; the tick it returns is called once a step.
    checkpoint : Store or None
    labels : int array (n,) or None
        Classes of the calibration inputs, where a term reads them.
    storage : Storage
        Where the values of all samples are kept.
    """

    seed: int
    steps: int | None
    progress: Progress
    checkpoint: Store | None = None
    labels: Array | None = None
    storage: Storage = MEMORY


def reconstruct(
    model: Model, x: Array, setting: Setting, run: Run
) -> tuple[dict[Key, Array], tuple[Record, ...]]:
    """Return the hardened state of `model` and what happened on the way.

    Parameters
    ----------
    model : Model
    x : Array
        Calibration inputs.
    setting : Setting
    run : Run
    """
    keep_freed_memory()
    state = started(model, x, starting_steps(setting), run.storage)
    records: list[Record] = []
    supplies: dict[int, Supply] = {}
    for number, phase, index, unit in jobs(model.network, setting):
        place = f"phase{number}-unit{index:03d}"
        done = run.checkpoint.find(place, part_of(state, unit)) if run.checkpoint else None
        if done is None:
            supply = supplies.get(number) or Supply.begin(model, phase, x, run.storage)
            supplies[number] = supply.to(unit, model, state)
            task = supplies[number].task(model, unit, run, (run.seed, number, index))
            done = learn_unit(task, state, run.progress(unit.name, task.phase.steps))
            if run.checkpoint:
                run.checkpoint.keep(place, *done)
        own, record = done
        state = with_part(state, unit, own)
        records.append(record)
    hardened = harden(model, state, tuple(model.weights))
    return finished(model, x, setting.finish, hardened, run.storage), tuple(records)


def jobs(network: Network, setting: Setting) -> Iterator[tuple[int, Phase, int, Unit]]:
    """Yield (phase number, phase, unit number, unit) in running order."""
    plans = []
    for number, phase in enumerate(setting.phases):
        units = cut(network, phase.unit, phase.merge)
        plans.append([(number, phase, index, unit) for index, unit in enumerate(units)])
    if setting.order == "phase-first":
        yield from (job for plan in plans for job in plan)
    else:
        yield from (job for group in zip(*plans, strict=True) for job in group)


@dataclass(frozen=True)
class Supply:
    """What the units of one phase are given: the calibration set on its way through two networks.

    Attributes
    ----------
    phase : Phase
    network, float_network : Network
        With the quantizers that the phase leaves out bypassed, and with all of them.
    quantized, real : Prefix
        How far the samples have come in each.
    """

    phase: Phase
    network: Network
    float_network: Network
    quantized: Prefix
    real: Prefix

    @staticmethod
    def begin(model: Model, phase: Phase, x: Array, storage: Storage = MEMORY) -> "Supply":
        """Return the start of a phase: nothing has run."""
        hidden = frozenset[str]() if "activations" in phase.quantize else model.quantizers
        network = bypass(model.network, hidden)
        here = start(x, storage)
        return Supply(phase, network, model.float_network, here, here)

    def to(self, unit: Unit, model: Model, state: State) -> "Supply":
        """Return both prefixes moved on to the inputs of `unit`.

        Where the phase quantizes weights, the layers passed on the way are rounded for good.
        """
        layers = tuple(model.weights) if "weights" in self.phase.quantize else ()
        params = {**state, **hard_params(model, state, layers)}
        return replace(
            self,
            quantized=advance(self.quantized, self.network, unit.inputs, params),
            real=advance(self.real, self.float_network, unit.inputs),
        )

    def task(self, model: Model, unit: Unit, run: Run, key: tuple[int, int, int]) -> UnitTask:
        """Return the learning task of `unit`, to whose inputs the prefixes have come."""
        network, rest, passing = self._way(unit)
        real, quantized = self.real.values, self.quantized.values
        source = real if self.phase.source == "float" else quantized
        float_inputs = {edge: real[edge] for edge in unit.inputs}
        return UnitTask(
            model=model,
            phase=self.phase.taking(run.steps),
            network=network,
            unit=unit,
            inputs={edge: source[edge] for edge in unit.inputs},
            float_inputs=float_inputs,
            targets=self._targets(unit, float_inputs | {edge: real[edge] for edge in passing}),
            key=key,
            rest=rest,
            beside={edge: source[edge] for edge in passing},
            labels={} if run.labels is None else {network.nodes[-1].name: run.labels},
            storage=run.storage,
        )

    def _way(self, unit: Unit) -> tuple[Network, tuple[str, ...], tuple[str, ...]]:
        """Return the network with a float way to the logits, that way, and what passes the unit.

        Without a term that looks past the unit: the network as it is, and nothing.
        """
        if not looks_past(self.phase.terms):
            return self.network, (), ()
        rest = rest_of(self.network, unit, self.quantized.done)
        hidden = [name for name in rest if self.network.node(name).op == "quantize"]
        return bypass(self.network, hidden), rest, edges_beside(self.network, unit, rest)

    def _targets(self, unit: Unit, real: Mapping[str, Array]) -> dict[str, Array]:
        """Return the float values that the terms are measured against, or weighted by."""
        if self.phase.solver == "gram":
            return {}
        logits = self.network.nodes[-1].name
        edges = sites(unit, self.phase.terms, logits)
        if looks_past(self.phase.terms):
            edges = tuple(dict.fromkeys((*edges, logits)))
        return values_at(self.float_network, real, edges, storage=self.real.storage)
