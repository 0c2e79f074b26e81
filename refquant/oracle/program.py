"""An external program as a backend: run as ``PROG VECTORS RESULTS``, and stopped where it hangs.

It is run once on all cases. Only a run that ends with 0 is read, so nothing half-written ever
counts. After one that does not, it is run again op by op, and within an op that fails on fewer
cases, until a case fails alone: that case is wrong, with what became of the program as the reason,
and the others are judged. A program that fails before its first result is no backend.

It has no standard input; the beginning of what it prints goes to standard error. What it started
ends with it, except what left its process group.
"""

import os
import shlex
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from refquant._checks import complaint
from refquant._types import Array
from refquant.oracle.build import Built
from refquant.oracle.child import Child
from refquant.oracle.results import read_results
from refquant.oracle.vectors import write_vectors

TIMEOUT = 60.0  # seconds without results for another case
HANGS, DEATHS = 12, 64  # runs that may fail before the remaining cases are given up
EXECUTABLE = "Make it executable, or name what runs it: 'cmd:python kernel.py'."
BEGUN = "It must exit with 0 once its results are written."


@dataclass
class Answers:
    """What a program gave.

    Attributes
    ----------
    found : dict of case id to {output: array}
    stopped : dict of case id to str
        Why there is no answer: it failed on this case alone, or was not asked any more.
    about : dict
        What its backend.json says.
    """

    found: dict[str, Mapping[str, Array]] = field(default_factory=dict)
    stopped: dict[str, str] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes
    ----------
    why : str
        What became of the program; "" if it ended with 0.
    hung : bool
    written : tuple of Built
        Cases that have results, whole or not, the newest last.
    """

    why: str
    hung: bool
    written: tuple[Built, ...]


def ask_program(command: str, cases: Iterable[Built], timeout: float = TIMEOUT) -> Answers:
    """Run a program on cases, and again on fewer of them where it fails.

    Parameters
    ----------
    command : str
        Split as a shell does; two directories are added.
    cases : iterable of Built
    timeout : float
        Seconds that it may spend without results for another case.

    Raises
    ------
    ValueError
        If there is no such program, it fails before its first result, or no run ends with 0.
    """
    if not timeout > 0:
        raise ValueError(complaint("verify", "timeout", timeout, "seconds above 0"))
    given, runs = list(cases), _Runs(command, timeout)
    first = runs.run(given)
    if first.why and first.written:
        runs.again(smaller(given, first.written))
    if first.why and not runs.succeeded:
        last = [f"the last case with results is {place(item)}" for item in first.written[-1:]]
        got = f"'cmd:{command}', which {first.why}; {last[0] if last else 'no case has results'}"
        fix = "A longer --timeout lets it work on." if first.hung else BEGUN
        raise ValueError(complaint("verify", "backend", got, "exit code 0", fix))
    return runs.answers


def words(command: str, posix: bool = os.name == "posix") -> list[str]:
    """Return the words of a command; on Windows a backslash is part of a path.

    Examples
    --------
    >>> words("./run --fast 'my kernel'", True), words(r'C:\\npu\\run.exe "my kernel"', False)
    (['./run', '--fast', 'my kernel'], ['C:\\\\npu\\\\run.exe', 'my kernel'])
    """
    parts = shlex.split(command, posix=posix)
    return parts if posix else [part.strip('"') for part in parts]


def place(item: Built) -> str:
    """Return ``op/id``, where a case lies in both directories."""
    return f"{item.case.op}/{item.case.id}"


def _written(results: Path, cases: list[Built]) -> tuple[Built, ...]:
    """Return the cases that have a directory, in the order in which these were last changed."""
    found = {item.case.id: results / place(item) for item in cases}
    ages = {case: path.stat().st_mtime_ns for case, path in found.items() if path.is_dir()}
    there = [item for item in cases if item.case.id in ages]
    return tuple(sorted(there, key=lambda item: ages[item.case.id]))


def smaller(cases: list[Built], written: tuple[Built, ...]) -> list[list[Built]]:
    """Return the parts, two at least, into which cases are cut after a run on them failed.

    By ops; within one op into what was written, the newest of it, which may be half-written, and
    two halves of the others, of which the program may have taken any first.
    """
    ops = [list(group) for _, group in groupby(cases, key=lambda item: item.case.op)]
    if len(ops) > 1:
        return ops
    done = {item.case.id for item in written}
    others = [item for item in cases if item.case.id not in done]
    half = (len(others) + 1) // 2
    parts = [list(written[:-1]), list(written[-1:]), others[:half], others[half:]]
    return [part for part in parts if part]


class _Runs:
    """Runs of one program, and what they gave together."""

    def __init__(self, command: str, timeout: float) -> None:
        self.command, self.timeout = command, timeout
        self.answers = Answers()
        self.succeeded, self.hangs, self.deaths = False, 0, 0

    def run(self, cases: list[Built]) -> Ended:
        """Run the program once, and read what it wrote if it ends with 0."""
        with tempfile.TemporaryDirectory(prefix="refquant-") as folder:
            vectors, results = Path(folder) / "vectors", Path(folder) / "results"
            write_vectors(vectors, cases)
            results.mkdir()
            why, hung = self._start([str(vectors), str(results)]).wait(results, self.timeout)
            if not why:
                found, self.answers.about = read_results(results)
                self.answers.found |= found
                self.succeeded = True
            self.hangs, self.deaths = self.hangs + hung, self.deaths + bool(why and not hung)
            return Ended(why, hung, _written(results, cases))

    def _start(self, directories: list[str]) -> Child:
        try:
            return Child([*words(self.command), *directories])
        except (OSError, ValueError) as error:
            got = f"'cmd:{self.command}' ({getattr(error, 'strerror', None) or error})"
            fix = EXECUTABLE if isinstance(error, PermissionError) else ""
            raise ValueError(complaint("verify", "backend", got, "a program", fix)) from error

    def again(self, waiting: list[list[Built]]) -> None:
        """Run the program on parts, and on smaller ones, as long as it is worth it."""
        while waiting and self.hangs < HANGS and self.deaths < DEATHS:
            part = waiting.pop(0)
            ended = self.run(part)
            if ended.why and len(part) > 1:
                waiting[:0] = smaller(part, ended.written)
            elif ended.why:
                self.answers.stopped[part[0].case.id] = (
                    f"the program {ended.why}, on this case alone"
                )
        says = f"not run: the program had failed {self.hangs + self.deaths} times before"
        self.answers.stopped |= {item.case.id: says for part in waiting for item in part}
