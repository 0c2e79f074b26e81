"""The one loop: walk phases and units in the order the setting says, learn, harden, move on.

Knows no method by name. A unit that is finished is kept: with a checkpoint directory every one of
them is written as soon as it is done, and a run that starts again skips what it finds there.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from refquant._types import Array
from refquant.methods.setting import Phase, Setting
from refquant.network import Network, Unit, bypass, cut
from refquant.network.graph import Key
from refquant.reconstruct import checkpoint as store
from refquant.reconstruct.history import Record
from refquant.reconstruct.model import Model, State, harden, weight_params
from refquant.reconstruct.objective import sites
from refquant.reconstruct.prefix import Prefix, advance, run_sites, start
from refquant.reconstruct.unit import UnitTask, learn_unit

Progress = Callable[[str, int], "Tick"]  # (label, steps) -> tick
Tick = Callable[[], None]


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
    checkpoint : checkpoint.Store or None
    """

    seed: int
    steps: int | None
    progress: Progress
    checkpoint: store.Store | None = None


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
    state: dict[Key, Array] = dict(model.start)
    records: list[Record] = []
    prefixes: dict[int, Prefixes] = {}
    for number, phase, index, unit in jobs(model.network, setting):
        if number not in prefixes:
            prefixes[number] = Prefixes.begin(model, phase, x)
        prefixes[number] = prefixes[number].to(unit, model, state)
        task = prefixes[number].task(model, phase, unit, run, (run.seed, number, index))
        done = run.checkpoint.find(number, index) if run.checkpoint else None
        if done is None:
            tick = run.progress(f"{unit.name}", task.phase.steps)
            done = learn_unit(task, state, tick)
            if run.checkpoint:
                run.checkpoint.keep(number, index, *done)
        state, record = done
        records.append(record)
    left = [layer for layer in model.weights if (layer, "codes") not in state]
    return harden(model, state, left), tuple(records)


def jobs(network: Network, setting: Setting) -> Iterator[tuple[int, Phase, int, Unit]]:
    """Yield (phase number, phase, unit number, unit) in running order."""
    plans = [
        [(number, phase, index, unit) for index, unit in enumerate(cut(network, phase.unit))]
        for number, phase in enumerate(setting.phases)
    ]
    if setting.order == "phase-first":
        yield from (job for plan in plans for job in plan)
    else:
        yield from (job for group in zip(*plans, strict=True) for job in group)


@dataclass(frozen=True)
class Prefixes:
    """The calibration set on its way through the quantized and the float network of a phase."""

    network: Network
    float_network: Network
    quantized: Prefix
    real: Prefix

    @staticmethod
    def begin(model: Model, phase: Phase, x: Array) -> "Prefixes":
        """Return the start of a phase: nothing has run."""
        hidden = frozenset() if "activations" in phase.quantize else model.quantizers
        return Prefixes(bypass(model.network, hidden), model.float_network, start(x), start(x))

    def to(self, unit: Unit, model: Model, state: State) -> "Prefixes":
        """Return both prefixes moved on to the inputs of `unit`."""
        params = {**state, **weight_params(model, state)[0]}
        return replace(
            self,
            quantized=advance(self.quantized, self.network, unit.inputs, params),
            real=advance(self.real, self.float_network, unit.inputs, {}),
        )

    def task(
        self, model: Model, phase: Phase, unit: Unit, run: Run, key: tuple[int, int, int]
    ) -> UnitTask:
        """Return the learning task of `unit`."""
        real = {edge: self.real.values[edge] for edge in unit.inputs}
        quantized = {edge: self.quantized.values[edge] for edge in unit.inputs}
        targets = run_sites(self.float_network, real, unit.nodes, sites(unit, phase.terms))
        return UnitTask(
            model=model,
            phase=replace(phase, steps=run.steps or phase.steps),
            published_steps=phase.steps,
            network=self.network,
            unit=unit,
            inputs=real if phase.source == "float" else quantized,
            float_inputs=real,
            targets=targets,
            key=key,
        )


def summary(records: tuple[Record, ...]) -> Mapping[str, float]:
    """Return the hard losses summed over the units: at the start and at the end."""
    return {
        "hard_start": sum(record.hard_start for record in records),
        "hard_end": sum(record.hard_end for record in records),
    }
