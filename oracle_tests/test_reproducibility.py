"""Pinned arithmetic gives the same bits in every configuration this machine can run.

Each configuration is a process of its own: OpenBLAS kernel x threads x NumPy's dispatched
SIMD features x (REFQUANT_OLDEST_PYTHON) an interpreter with the oldest supported NumPy.
The processes report what they ran with, so a switch that had no effect is noticed.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from oracle_tests.reproducibility.machine import active_features, describe, kernels

ROOT = Path(__file__).parent.parent
OLDEST = "REFQUANT_OLDEST_PYTHON"
MODULE = "oracle_tests.reproducibility"


@dataclass(frozen=True)
class Configuration:
    """One way to run the battery."""

    kernel: str = ""  # "" leaves OpenBLAS its choice
    threads: int = 1
    dispatch: bool = True  # NumPy's SIMD beyond its baseline
    python: str = sys.executable

    def environment(self) -> dict[str, str]:
        """Return the environment variables that select this configuration."""
        chosen = {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": str(self.threads)}
        if self.kernel:
            chosen["OPENBLAS_CORETYPE"] = self.kernel
        if not self.dispatch:
            chosen["NPY_DISABLE_CPU_FEATURES"] = " ".join(active_features())
        unset = {"OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES"} - set(chosen)
        return {k: v for k, v in os.environ.items() if k not in unset} | chosen


def run(configuration: Configuration, *command: str) -> dict[str, Any]:
    """Return the JSON a Python command prints in this configuration."""
    done = subprocess.run(
        [configuration.python, *command],
        env=configuration.environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, f"{configuration} failed:\n{done.stderr}"
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def battery(configurations: list[Configuration], mode: str) -> list[dict[str, Any]]:
    """Run the battery in each configuration, as many at a time as fill two cores.

    Two processes of two threads each would spend the time waiting for each other.
    """
    command = ("-m", f"{MODULE}.battery", "--mode", mode)
    results: dict[int, dict[str, Any]] = {}
    for threads in (1, 2):
        chosen = [i for i, c in enumerate(configurations) if c.threads == threads]
        with ThreadPoolExecutor(2 // threads) as pool:
            found = pool.map(lambda i: run(configurations[i], *command), chosen)
            results |= dict(zip(chosen, found, strict=True))
    return [results[i] for i in range(len(configurations))]


@cache
def distinct_kernels() -> tuple[str, ...]:
    """Return the core types that make OpenBLAS load different kernels here, plainest first."""
    code = f"import json, {MODULE}.machine as m; print(json.dumps(m.describe()))"
    names = [""] if describe()["kernel"] is None else kernels() or [""]
    with ThreadPoolExecutor(2) as pool:
        seen = list(pool.map(lambda k: run(Configuration(k), "-c", code)["kernel"], names))
    return tuple(name for i, name in enumerate(names) if seen[i] not in seen[:i])


def matrix() -> list[Configuration]:
    """Every kernel with one and two threads; dispatch off for the plainest and the richest."""
    names = distinct_kernels()
    cells = [Configuration(kernel, threads) for kernel in names for threads in (1, 2)]
    if active_features():
        ends = dict.fromkeys((names[0], names[-1]))
        cells += [Configuration(kernel, 1, dispatch=False) for kernel in ends]
        cells.append(Configuration(names[-1], 2, dispatch=False))
    return cells


def differing(results: list[dict[str, Any]]) -> dict[str, list[int]]:
    """Return the workloads with more than one hash, and how often each hash occurs."""
    workloads = results[0]["hashes"]
    assert all(list(r["hashes"]) == list(workloads) for r in results)
    counts = {w: Counter(r["hashes"][w] for r in results) for w in workloads}
    return {w: sorted(c.values()) for w, c in counts.items() if len(c) > 1}


def check_applied(configuration: Configuration, machine: dict[str, Any]) -> None:
    """Fail if the process did not run in the configuration it was asked to."""
    if machine["threads"] is not None and (os.cpu_count() or 1) >= configuration.threads:
        assert machine["threads"] == configuration.threads, (configuration, machine)
    if not configuration.dispatch:
        assert machine["features"] == [], (configuration, machine)


def test_pinned_bits_are_the_same_in_every_configuration() -> None:
    """Kernel, threads and SIMD level change no bit of any workload, with any slices."""
    cells = matrix()
    results = battery(cells, "pinned")
    for cell, result in zip(cells, results, strict=True):
        check_applied(cell, result["machine"])
    loaded = {r["machine"]["kernel"] for r in results}
    assert len(loaded) == len(distinct_kernels()), f"kernels did not change: {loaded}"
    print(f"{len(cells)} configurations, kernels {sorted(map(str, loaded))}")
    assert differing(results) == {}


def test_pinned_bits_are_the_same_under_the_oldest_numpy() -> None:
    """The oldest supported NumPy, with its own OpenBLAS, gives the bits of this one."""
    python = os.environ.get(OLDEST)
    if not python:
        pytest.skip(f"{OLDEST} is not set: no interpreter with the oldest supported NumPy")
    results = battery([Configuration(), Configuration(python=python, threads=2)], "pinned")
    versions = [r["machine"]["numpy"] for r in results]
    assert versions[0] != versions[1], f"{OLDEST} has the NumPy under test, {versions[0]}"
    assert differing(results) == {}


def test_fast_bits_differ_so_the_matrix_can_fail() -> None:
    """Control: plain NumPy over the same configurations gives several hashes."""
    if describe()["kernel"] is None:
        pytest.skip("NumPy's BLAS is not a bundled OpenBLAS: its kernels cannot be switched")
    if len(distinct_kernels()) < 2:
        pytest.skip("this CPU runs one OpenBLAS kernel only")
    ends = (distinct_kernels()[0], distinct_kernels()[-1])
    cells = [Configuration(kernel, dispatch=on) for kernel in ends for on in (True, False)]
    changed = differing(battery(cells, "fast"))
    print(f"fast arithmetic: {len(changed)} workloads differ")
    assert any(name.startswith("matmul") for name in changed)
    if active_features():
        assert any(not name.startswith("matmul") for name in changed)
