"""The processes of a sweep: one BLAS thread each, and none left behind by an interrupt."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let workers start with one BLAS thread: the processes already fill the cores.

    With more, the threads of small products wait for each other. What the user set stays.
    """
    added = {name: "1" for name in THREADS if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


@contextmanager
def pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of spawned workers that are ended at once if anything interrupts the sweep.

    Leaving a pool waits for what its workers do, which may take minutes. Its futures must not be
    cancelled before that: a pool whose workers die sets an error on every future it still holds,
    and CPython 3.11 fails over a cancelled one.
    """
    before = set(multiprocessing.active_children())
    spawn = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(workers, mp_context=spawn, initializer=_leave_interrupts)
    try:
        yield executor
    except BaseException as error:
        if not isinstance(error, Exception):
            for process in set(multiprocessing.active_children()) - before:
                process.terminate()
        raise
    finally:
        executor.shutdown()


def _leave_interrupts() -> None:
    """Let a worker ignore Ctrl-C, which reaches it too: the sweep decides what becomes of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
