"""Print what a benchmark's own side spends its time on: the shares that its limits state.

    OPENBLAS_NUM_THREADS=1 python -m validation.bench_shares "B1 gram step, batches" "B2 AQuant"

Of every case with a limit whose name holds one of the words, or of all if there are none: the share
of the quickest run that is in matrix products; in finding scales and cutting operands of pinned
arithmetic; in its tanh, exp and log; in moments of a layer, products included. Python's profiler
slows what makes many short calls, so that the shares of long ones are a little low. A border's
products with vectors, within `border_levels`, are not counted: they are passes over the patches.
"""

import cProfile
import pstats
import sys
from collections.abc import Callable
from time import perf_counter, process_time
from typing import Any
from unittest import mock

import numpy as np

from refquant.bench.case import Case
from refquant.bench.catalogue import catalogue
from refquant.numerics import fast_arithmetic as fast

SECONDS, LEAST = 2.0, 5  # of all runs of a case, and how many
PARTS = {  # functions, each by its name and the end of its file's
    "products": (("bench_shares.py", "matmul"),),
    "scales and cuts": (("pinned_slices.py", "row_shifter"), ("pinned_slices.py", "cut")),
    "tanh, exp, log": tuple(("operations.py", name) for name in ("tanh", "exp", "log")),
    "moments": (("gram_moments.py", "layer_quadratic"),),
}
UNCOUNTED = "border_levels.py"  # whose calls are not counted


def main(words: list[str]) -> int:
    """Print one line a case."""
    for case in catalogue():
        if case.limit and any(word in case.name for word in words or [""]):
            said = (f"{part} {share:.0%}" for part, share in shares(case).items() if share)
            print(f"{case.name}: {', '.join(said)}", flush=True)
    return 0


def shares(case: Case) -> dict[str, float]:
    """Return the share of the quickest run's time that is in each of the parts."""
    product = seen(np.matmul)
    with mock.patch.object(np, "matmul", product), mock.patch.object(fast, "matmul", product):
        run = case.ours(case.inputs()).run
        end, found = perf_counter() + SECONDS, [profiled(run)]
        while len(found) < LEAST or perf_counter() < end:
            found.append(profiled(run))
    best = min(found, key=lambda stats: stats.total_tt)
    return {part: spent(best.stats, places) / best.total_tt for part, places in PARTS.items()}


def profiled(run: Callable[[], object]) -> Any:
    """Return the statistics of one run, a `pstats.Stats`, whose numbers typeshed does not tell."""
    profile = cProfile.Profile(process_time)  # which waits for no other process
    profile.runcall(run)
    return pstats.Stats(profile)


def seen(product: Callable[..., Any]) -> Callable[..., Any]:
    """Return the product as a function of Python's, which the profiler sees."""

    def matmul(*args: Any, **options: Any) -> Any:
        """Multiply."""
        return product(*args, **options)

    return matmul


def spent(rows: dict[Any, Any], places: tuple[tuple[str, str], ...]) -> float:
    """Return the seconds in these functions and what they call."""
    seconds = 0.0
    for (file, _, name), (*_, callers) in rows.items():
        if any(file.endswith(end) and name == own for end, own in places):
            counted = (row for place, row in callers.items() if not place[0].endswith(UNCOUNTED))
            seconds += sum(row[3] for row in counted)
    return seconds


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
