"""A child process that is never waited for in vain, and of which nothing is left behind.

It leads a process group of its own, which is killed when it has ended or is given up, so children
of its own end too. Standard input is empty. What it prints is drained all the time, so that it
never blocks, and its beginning is passed on to standard error.
"""

import contextlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import IO

POLL, LINGER = 0.2, 1.0  # seconds
PRINTED = 1 << 16  # bytes that are passed on
STDERR = 2


class Child:
    """A program, started.

    Raises
    ------
    OSError
        If there is none, or it may not be run.
    """

    def __init__(self, words: list[str]) -> None:
        self.process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            bufsize=0, start_new_session=True,
        )  # fmt: skip
        self.reader = threading.Thread(target=_drain, args=(self.process.stdout,), daemon=True)
        self.reader.start()

    def wait(self, results: Path, timeout: float) -> tuple[str, bool]:
        """Wait for the end, or for `timeout` seconds in which no case is added to `results`.

        Returns
        -------
        (str, bool)
            What became of it, "" if it ended with 0; and whether it had to be killed.
        """
        try:
            ended = self._watch(results, timeout)
        finally:  # an interrupt, too, leaves nothing running
            self._kill()
        if not ended:
            return f"was killed after {timeout:g} s without a new result", True
        code = self.process.returncode
        if code < 0:
            return f"ended by signal {-code}{_signal_name(-code)}", False
        return (f"ended with code {code}" if code else ""), False

    def _watch(self, results: Path, timeout: float) -> bool:
        """Return True once it has ended, False if it hangs."""
        count, since = 0, time.monotonic()
        while True:
            left = since + timeout - time.monotonic()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(max(0.0, min(POLL, left)))
                return True
            if (now := sum(1 for _ in results.glob("*/*"))) > count:
                count, since = now, time.monotonic()
            elif left <= 0:
                return False

    def _kill(self) -> None:
        """End the process and its group; wait for both."""
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.kill()
        self.process.wait()
        self.reader.join(LINGER)  # longer only if something that left the group holds the pipe
        if self.process.stdout:
            self.process.stdout.close()


def _signal_name(number: int) -> str:
    """Return " (SIGSEGV)", "" for a number without a name."""
    with contextlib.suppress(ValueError):
        return f" ({signal.Signals(number).name})"
    return ""


def _drain(pipe: IO[bytes] | None) -> None:
    """Read all, pass the beginning on, and say how much was not."""
    count = 0
    with contextlib.suppress(ValueError):  # the pipe was closed, see Child._kill
        while pipe and (chunk := pipe.read(PRINTED)):
            _pass_on(chunk[: max(0, PRINTED - count)])
            count += len(chunk)
    if count > PRINTED:
        _pass_on(f"\n[{count - PRINTED} more bytes are not shown]\n".encode())


def _pass_on(text: bytes) -> None:
    """Write to standard error; where nobody reads that, the pipe must be drained all the same."""
    with contextlib.suppress(OSError):
        os.write(STDERR, text)
