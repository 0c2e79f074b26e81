"""B5: peak memory of AdaRound on one layer, on top of weights and calibration images.

Ours is the whole solution, moments and all; the peer's is one iteration of its loop, which is as
much as all of them. What the allocator keeps is given back before each measurement.
"""

from functools import partial

from refquant.bench.case import BETTER, Arrays, Case, Work
from refquant.bench.layers import Size
from refquant.bench.solves import Problem, ours, solve_inputs

SIZES = {"64:16": Size(64, 16, 256), "16:32": Size(16, 32, 256)}


def cases() -> tuple[Case, ...]:
    """Return the cases of B5."""
    return tuple(
        Case(
            name=f"B5 peak memory, AdaRound, {name}",
            table=BETTER,
            peer="PyTorch eager, one iteration on a batch of 32",
            inputs=partial(solve_inputs, Problem(size, 4, None)),
            ours=partial(_ours, Problem(size, 4, None)),
            worker="adaround-minibatch",
            measure="bytes",
        )
        for name, size in SIZES.items()
    )


def _ours(problem: Problem, inputs: Arrays) -> Work:
    return Work(ours(problem, inputs).run)
