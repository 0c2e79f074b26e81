"""What a reader needs to judge a time: the BLAS kernel at work, threads, memory allocator."""

import ctypes
import os
from pathlib import Path
from typing import Any

from refquant.bench.peer import MALLOC, THREADS

NAMES = ("scipy_openblas_get_corename64_", "openblas_get_corename64_", "openblas_get_corename")
SETTERS = (
    "scipy_openblas_set_num_threads64_",
    "scipy_openblas_set_num_threads",
    "openblas_set_num_threads64_",
    "openblas_set_num_threads",
)
MAPS = Path("/proc/self/maps")


def surroundings() -> dict[str, Any]:
    """Return kernel, threads, allocator and load, as plain data without paths."""
    return {
        "blas_kernel": blas_kernel(),
        "one_thread": use_one_thread(),
        "threads": {name: os.environ.get(name) for name in THREADS},
        "malloc": {name: os.environ.get(name) for name in MALLOC},
        "malloc_of_the_peer": dict(MALLOC),
        "load": [round(value, 2) for value in os.getloadavg()],
    }


def blas_kernel() -> str:
    """Return the name of the kernel that OpenBLAS chose for this machine, or "unknown"."""
    for library in _loaded("openblas"):
        for name in NAMES:
            core = getattr(library, name, None)
            if core is not None:
                core.restype = ctypes.c_char_p
                return str(core().decode())
    return "unknown"


def use_one_thread() -> bool:
    """Tell every OpenBLAS of this process to use one thread; return whether there was one.

    The environment variables are read when a library is loaded, which is before we are asked.
    """
    found = False
    for library in _loaded("openblas"):
        for name in SETTERS:
            setter = getattr(library, name, None)
            if setter is not None:
                setter(1)
                found = True
    return found


def _loaded(word: str) -> list[ctypes.CDLL]:
    """Return the shared libraries of this process with `word` in their name (Linux)."""
    if not MAPS.exists():
        return []
    paths = {line.split()[-1] for line in MAPS.read_text().splitlines() if word in line}
    return [ctypes.CDLL(path) for path in sorted(paths)]
