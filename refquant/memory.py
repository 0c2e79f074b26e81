"""How much memory and disk a run will take, found out by a rehearsal on a few of its inputs.

A run keeps, for every calibration input, what its `cache` says where: the inputs of the unit that
is due, as the float network and as the quantized one make them; those of the next unit beside them
while it goes on; edges that later units read, such as the way around a block; for the minibatch
solver the unit's targets, and Fisher weights where a term has them; the input itself where its
dtype is not that of the run. The rest does not grow with the number of inputs: steps run on a
batch, everything else on chunks of a fixed size.

So two short runs, one step a unit, on some and on twice as many of the inputs, give the slope of
every stage, and a straight line leads to any number. Python's tracemalloc counts what NumPy takes;
shared libraries, what the process held before, and pages of files are not in it.
"""

import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from refquant._types import Array
from refquant.inputs import check_labels, inputs_of
from refquant.methods import Setting, resolve
from refquant.network import Network
from refquant.pipeline import check_network, quantize, run_dtype
from refquant.reconstruct.prefix import CHUNK
from refquant.storage import storage_for

MEGABYTE = 1e6


@dataclass(frozen=True)
class Stage:
    """One stage of a run: a name, and its peaks in bytes, in memory and in temporary files."""

    name: str
    peak: float
    disk: float = 0.0


@dataclass(frozen=True)
class MemoryPlan:
    """What a run will take.

    Attributes
    ----------
    inputs : int
        Bytes of the calibration inputs, which the caller holds; of an iterator, a file.
    stages : tuple of Stage
        Calibration, then every unit with the way to the next one; a unit that several phases
        learn appears once for each.
    spooled : int
        Bytes of the file that an iterator's inputs go to.
    """

    inputs: int
    stages: tuple[Stage, ...]
    spooled: int = 0

    @property
    def peak(self) -> float:
        """Most bytes in memory at any time, on top of the calibration inputs."""
        return max(stage.peak for stage in self.stages)

    @property
    def disk(self) -> float:
        """Most bytes in temporary files at any time."""
        return self.spooled + max(stage.disk for stage in self.stages)

    @property
    def largest(self) -> Stage:
        """The stage with the peak."""
        return max(self.stages, key=lambda stage: stage.peak)

    def __str__(self) -> str:
        top, held = self.largest, self.inputs / MEGABYTE
        files = f" and {self.disk / MEGABYTE:.1f} MB of files," if self.disk else ""
        peak = f"{top.peak / MEGABYTE:.1f} MB"
        return f"at most {peak}, at {top.name},{files} on {held:.1f} MB of inputs"


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
        As for `refquant.quantize`; an iterator is used up.
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
    storage = storage_for("memory_plan", options.get("cache", "memory"))
    check_network("memory_plan", network)
    kind = run_dtype("memory_plan", network, options.get("dtype"))
    inputs = inputs_of("memory_plan", network, x, kind, storage)
    n, large = len(inputs), 4 * CHUNK
    short = {"method": shortened(resolve(method)), "steps": 1, "checkpoint": None}
    run = {**options, **short, "cache": storage}
    if run.get("labels") is not None:
        check_labels("memory_plan", "labels", run["labels"], n)
    spooled = inputs.nbytes if isinstance(x, Iterator) else 0
    if n <= large:
        return MemoryPlan(inputs.nbytes, tuple(rehearsed(network, inputs, run)), spooled)
    half, whole = (rehearsed(network, inputs[:m], run) for m in (large // 2, large))
    more = (n - large) / (large // 2)
    stages = (further(*pair, more) for pair in zip(half, whole, strict=True))
    return MemoryPlan(inputs.nbytes, tuple(stages), spooled)


def further(half: Stage, whole: Stage, more: float) -> Stage:
    """Return the stage `more` times as far beyond `whole` as that is beyond `half`."""
    peak = whole.peak + more * max(0.0, whole.peak - half.peak)
    return Stage(whole.name, peak, whole.disk + more * max(0.0, whole.disk - half.disk))


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
    labels, storage = run.get("labels"), run["cache"]
    some = None if labels is None else labels[: len(x)]
    held, _ = storage.held, storage.peak()
    with traced() as peak:
        name = "calibration"

        def begins(label: str, steps: int) -> Callable[[], None]:
            """Close the stage before, and open this one."""
            nonlocal name
            stages.append(Stage(name, peak(), storage.peak() - held))
            name = label
            return lambda: None

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of few samples, say: the run itself will warn
            quantize(network, x, **{**run, "labels": some, "progress": begins})
        stages.append(Stage(name, peak(), storage.peak() - held))
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
