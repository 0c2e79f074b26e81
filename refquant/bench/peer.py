"""The peer: a process of its own with one thread, spoken to in lines of JSON.

    we write                                              it answers
    {"do": "start", "case": NAME, "inputs": FILE.npz}     {"results": FILE.npz or null}
    {"do": "repeats"}                                     {"value": how often to repeat a run}
    {"do": "seconds", "repeat": n}                        {"value": seconds of one run}
    {"do": "bytes"}                                       {"value": peak bytes of one run}

An answer with "error" is raised. While we are measured it waits for a line, and the other way
round. Its memory allocator never gives memory back (`MALLOC`): fresh large arrays would otherwise
be paid for in page faults, which is the machine's cost and not the peer's.
"""

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.bench.case import Arrays

MALLOC = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
    "MALLOC_TOP_PAD_": str(1 << 26),
}
THREADS = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class PeerError(ValueError):
    """The peer could not be started, or said that it cannot do this."""


class Peer:
    """A running worker; `about` is what it says of itself."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self._folder = folder
        environment = {**os.environ, **MALLOC, **THREADS}
        try:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
            )
        except OSError as error:
            raise PeerError(f"the peer {shlex.join(command)!r}: {error.strerror}") from error
        self.about: dict[str, Any] = {}

    def start(self, case: str, inputs: Arrays) -> dict[str, Array]:
        """Prepare a case and return what it computes on `inputs`, for comparison."""
        path = self._folder / "inputs.npz"
        np.savez(path, **inputs)  # type: ignore[arg-type]
        results = self.ask({"do": "start", "case": case, "inputs": str(path)})["results"]
        if results is None:
            return {}
        with np.load(results, allow_pickle=False) as found:
            return {name: found[name] for name in found.files}

    def value(self, **request: Any) -> float:
        """Return the number that answers a request."""
        return float(self.ask(request)["value"])

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request and return the answer.

        Raises
        ------
        PeerError
            If the worker is gone or answers with an error.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise PeerError("the peer has no pipes")
        try:
            stdin.write(json.dumps(request) + "\n")
            stdin.flush()
        except OSError as error:
            raise PeerError("the peer has ended; its message stands above") from error
        line = stdout.readline()
        if not line:
            raise PeerError("the peer has ended; its message stands above")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerError(f"the peer: {answer['error']}")
        return answer

    def close(self) -> None:
        """End the worker."""
        self._process.terminate()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):  # what it never read cannot be delivered
                if pipe:
                    pipe.close()


@contextmanager
def running(command: Sequence[str]) -> Iterator[Peer]:
    """Yield the worker that `command` starts; it ends with the block."""
    with tempfile.TemporaryDirectory() as folder:
        peer = Peer(command, Path(folder))
        try:
            peer.about = peer.ask({"do": "about"})
            yield peer
        finally:
            peer.close()
