"""What one run costs: wall time, or peak memory on top of what the process held before."""

import ctypes
import time
from pathlib import Path

from refquant.bench.case import Run

SHORTEST = 0.05  # seconds; shorter runs are repeated, so that the clock's grain does not show
CLEAR, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def seconds(run: Run, repeat: int) -> float:
    """Return the seconds one run takes, the mean of `repeat` in a row."""
    began = time.perf_counter()
    for _ in range(repeat):
        run()
    return (time.perf_counter() - began) / repeat


def repeats(run: Run) -> int:
    """Return how often to repeat a run so that it is long enough to time; warms it up too."""
    run()
    once = max(seconds(run, 1), 1e-9)
    return max(1, round(SHORTEST / once))


def peak_bytes(run: Run) -> float:
    """Return how far the resident memory rose above its start while `run` ran (Linux).

    Raises
    ------
    OSError
        If the system has no such counter.
    """
    run()  # what is loaded on first use is not the run's
    give_back()
    CLEAR.write_text("5")  # resets the high-water mark
    before = _kilobytes("VmRSS")
    run()
    return max(_kilobytes("VmHWM") - before, 1) * 1024.0


def give_back() -> None:
    """Let the C library return what it keeps for later (glibc; elsewhere nothing happens)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _kilobytes(field: str) -> int:
    lines = STATUS.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))
