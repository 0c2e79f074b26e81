"""A whole AdaRound run in pinned arithmetic against the same in fast float64: what bits cost.

The ratio is fast over pinned: 0.5 is twice the time. Both run the fused kernel, moments included;
60 steps on a layer of 64 channels.
"""

from dataclasses import replace
from functools import partial
from typing import Literal

from refquant import numerics as nx
from refquant._types import Array
from refquant.bench.case import SAME, Arrays, Case, Work
from refquant.bench.layers import Size, images, weights
from refquant.bench.solves import Problem, Unwatched, prepared
from refquant.kernels.memory import keep_freed_memory
from refquant.methods import Gram, Penalty
from refquant.reconstruct.gram import solve_gram

SIZE, STEPS = Size(64, 8, 64), 60
GOALS = {1: (0.5, 0.667), 2: (0.333, 0.4)}  # by slices: at most 2 and 3 times, aims 1.5 and 2.5
SLOW = "tanh, exp and log, built from single operations, are {} of a run; "
LIMITS = {
    1: SLOW.format("a quarter") + "products, with scales and cuts that make them exact, are half.",
    2: SLOW.format("a seventh")
    + "three products of slices, in place of one, with scales and cuts are seven tenths.",
}


def cases() -> tuple[Case, ...]:
    """Return the cases of pinned arithmetic."""
    return tuple(
        Case(
            name=f"pinned AdaRound, {slices} slice{'s' * (slices > 1)}, 64:8",
            table=SAME,
            peer="refquant in fast arithmetic, float64",
            inputs=_inputs,
            ours=partial(_run, "pinned", slices),
            theirs=partial(_run, "fast", None),
            target=target,
            aim=aim,
            limit=LIMITS[slices],
        )
        for slices, (target, aim) in GOALS.items()
    )


def _inputs() -> dict[str, Array]:
    return {"x": images(0, SIZE).astype(float), "w": weights(SIZE).astype(float)}


def _run(mode: Literal["fast", "pinned"], slices: int | None, inputs: Arrays) -> Work:
    _, task, own = prepared(Problem(SIZE, 4, None), inputs["x"], inputs["w"])
    how = Gram(start="descent", finish="none")
    task = replace(task, phase=replace(task.phase, gram=how, penalty=Penalty(), steps=STEPS))
    keep_freed_memory()  # as a run does first

    def run() -> None:
        """Take all steps in this arithmetic."""
        with nx.arithmetic(mode, slices):
            solve_gram(task, own, lambda: None, Unwatched())

    return Work(run)
