"""How much memory a run will take, found out by a rehearsal on a few of its inputs.

A run holds, besides weights and the calibration inputs themselves, the inputs of the unit that is
due, as the float network and as the quantized one make them; those of the next unit beside them
while it goes on; edges that later units read, such as the way around a block; for the minibatch
solver the unit's targets, and Fisher weights where a term has them. These grow with the number of
inputs. The rest does not: steps run on a batch, everything else on chunks of a fixed size.

Not counted: what joins the batches of an iterator, for a moment the inputs once more, and what the
caller holds.

So two short runs, one step a unit, on some and on twice as many of the inputs, give the slope of
every stage, and a straight line leads to any number. Python's tracemalloc counts what NumPy takes;
shared libraries and what the process held before are not in it.
"""

import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from refquant._types import Array
from refquant.inputs import check_inputs, check_labels
from refquant.methods import Setting, resolve
from refquant.network import Network
from refquant.pipeline import quantize
from refquant.reconstruct.prefix import CHUNK

MEGABYTE = 1e6


@dataclass(frozen=True)
class Stage:
    """One stage of a run: a name, and its peak in bytes."""

    name: str
    peak: float


@dataclass(frozen=True)
class MemoryPlan:
    """What a run will take.

    Attributes
    ----------
    inputs : int
        Bytes of the calibration inputs, which the caller holds.
    stages : tuple of Stage
        Calibration, then every unit with the way to the next one; a unit that several phases
        learn appears once for each.
    """

    inputs: int
    stages: tuple[Stage, ...]

    @property
    def peak(self) -> float:
        """Most bytes at any time, on top of the calibration inputs."""
        return max(stage.peak for stage in self.stages)

    @property
    def largest(self) -> Stage:
        """The stage with the peak."""
        return max(self.stages, key=lambda stage: stage.peak)

    def __str__(self) -> str:
        top, held = self.largest, self.inputs / MEGABYTE
        return f"at most {top.peak / MEGABYTE:.1f} MB, at {top.name}, on {held:.1f} MB of inputs"


def memory_plan(
    network: Network,
    x: Array | Iterator[Array],
    method: str | Setting = "adaround",
    **options: Any,
) -> MemoryPlan:
    """Return how much memory ``quantize(network, x, method, ...)`` will take.

    Parameters
    ----------
    network, x, method
        As for `refquant.quantize`.
    **options
        The other arguments of `refquant.quantize`, but for `checkpoint` and `progress`; the number
        of steps makes no difference.

    Returns
    -------
    MemoryPlan

    Raises
    ------
    TypeError, ValueError
        As `refquant.quantize`.
    """
    inputs = check_inputs("memory_plan", network, x)
    n, large = len(inputs), 4 * CHUNK
    run = {**options, "method": shortened(resolve(method)), "steps": 1, "checkpoint": None}
    if run.get("labels") is not None:
        check_labels("memory_plan", "labels", run["labels"], n)
    if n <= large:
        return MemoryPlan(inputs.nbytes, tuple(rehearsed(network, inputs, run)))
    half, whole = (rehearsed(network, inputs[:m], run) for m in (large // 2, large))
    more = (n - large) / (large // 2)
    pairs = zip(half, whole, strict=True)
    stages = (Stage(b.name, b.peak + more * max(0.0, b.peak - a.peak)) for a, b in pairs)
    return MemoryPlan(inputs.nbytes, tuple(stages))


def shortened(setting: Setting) -> Setting:
    """Return the setting with the shortest tabu search, which takes the memory of a longer one."""
    phases = (
        replace(p, gram=replace(p.gram, tabu=1)) if p.gram.finish == "tabu" else p
        for p in setting.phases
    )
    return replace(setting, phases=tuple(phases))


def rehearsed(network: Network, x: Array, run: dict[str, Any]) -> list[Stage]:
    """Return the peaks of a short run on `x`, stage by stage."""
    stages: list[Stage] = []
    labels = run.get("labels")
    some = None if labels is None else labels[: len(x)]
    with traced() as peak:
        name = "calibration"

        def begins(label: str, steps: int) -> Callable[[], None]:
            """Close the stage before, and open this one."""
            nonlocal name
            stages.append(Stage(name, peak()))
            name = label
            return lambda: None

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of few samples, say: the run itself will warn
            quantize(network, x, **{**run, "labels": some, "progress": begins})
        stages.append(Stage(name, peak()))
    return stages


@contextmanager
def traced() -> Iterator[Callable[[], float]]:
    """Yield a function that returns the peak in bytes since it was last called, above the start."""
    own = not tracemalloc.is_tracing()
    if own:
        tracemalloc.start()
    start, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()

    def peak() -> float:
        """Return the peak since the last call."""
        _, found = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        return float(max(0, found - start))

    try:
        yield peak
    finally:
        if own:
            tracemalloc.stop()
