"""Run many configurations, over many processes or machines, and lose none that finished.

A unit of work is a pure function of its `Config`, arithmetic included, keyed by the hash of that
configuration. With an output directory every finished row is one JSON file, written under a
temporary name and renamed; a sweep that starts again skips what it finds.
"""

import hashlib
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from refquant import __version__, zoo
from refquant import numerics as nx
from refquant._checks import complaint
from refquant._types import Array
from refquant.deploy import run_fake, run_integer
from refquant.methods import resolve
from refquant.metrics import accuracy, kl_divergence, sqnr_db
from refquant.network import predict
from refquant.pipeline import quantize
from refquant.result import Result, deployed

Row = dict[str, Any]
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
MEASURED = ("accuracy", "sqnr_db", "kl", "integer_equals_fake", "codes_sha256", "seconds")


@dataclass(frozen=True, kw_only=True)
class Config:
    """One run: everything that decides its row, and nothing else.

    Attributes
    ----------
    network : str
        A name of `refquant.zoo.names()`.
    method : str
        A name of `refquant.METHODS`.
    weight_bits, act_bits, first_last_bits, seed, steps
        As in `refquant.quantize`.
    calibration : int
        How many calibration images are used, from the first.
    arithmetic : {"fast", "pinned"}
        A context variable does not reach worker processes, so the worker enters this one itself.
    slices : int or None
        Of pinned arithmetic; None for its default.
    """

    network: str
    method: str
    weight_bits: int = 4
    act_bits: int = 8
    first_last_bits: int | None = 8
    seed: int = 0
    steps: int | None = None
    calibration: int = 1024
    arithmetic: Literal["fast", "pinned"] = "fast"
    slices: int | None = None

    @property
    def key(self) -> str:
        """Content hash of version, configuration and the resolved setting."""
        facts = [__version__, asdict(self), resolve(self.method).to_json()]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def run(config: Config) -> Row:
    """Quantize one network and measure it on the test images.

    Returns
    -------
    dict
        The configuration's fields, ``accuracy``, ``sqnr_db`` and ``kl`` of the logits against the
        float network, ``integer_equals_fake``, ``codes_sha256`` and ``seconds``.
    """
    began = time.perf_counter()
    with nx.arithmetic(config.arithmetic, slices=config.slices):
        network, data = zoo.load(config.network), zoo.data("digits")
        result = quantize(
            network,
            data.calib.x[: config.calibration],
            config.method,
            weight_bits=config.weight_bits,
            act_bits=config.act_bits,
            first_last_bits=config.first_last_bits,
            seed=config.seed,
            steps=config.steps,
        )
        seconds = time.perf_counter() - began
        x = data.test.x.astype(np.float64)
        float_logits, logits = predict(network, x), result.network(x)
        return {
            **asdict(config),
            "accuracy": accuracy(logits, data.test.y),
            "sqnr_db": sqnr_db(float_logits, logits),
            "kl": kl_divergence(float_logits, logits),
            "integer_equals_fake": integer_equals_fake(result, x),
            "codes_sha256": codes_sha256(result),
            "seconds": round(seconds, 2),
        }


def sweep(
    configs: Iterable[Config],
    executor: Executor | None = None,
    out: str | Path | None = None,
    on_row: Callable[[Row], None] | None = None,
) -> list[Row]:
    """Run all configurations and return their rows in the order given.

    Parameters
    ----------
    configs : iterable of Config
    executor : concurrent.futures.Executor, optional
        Where they run: a process pool (the default, one spawned worker a core), Dask's
        ``client.get_executor()``, ``mpi4py.futures.MPIPoolExecutor``, ...
    out : path, optional
        Directory for finished rows; rows found there are not run again.
    on_row : callable, optional
        Called with every row as it arrives.

    Raises
    ------
    ValueError
        If there are no configurations, a method is unknown, or `out` cannot be written.
    Exception
        What the first configuration that failed raised, with a note that says which it was. All
        others have run by then, and with `out` their rows are kept.
    """
    todo = list(configs)
    if not todo:
        raise ValueError(complaint("sweep", "configs", "empty", "at least one Config"))
    keys = {config: config.key for config in todo}  # refuses an unknown method
    folder = None if out is None else _open(Path(out))
    found = {config: _find(folder, config) for config in keys}
    rows = {config: row for config, row in found.items() if row is not None}
    for row in rows.values():
        _notify(on_row, row)
    missing = [config for config in found if config not in rows]
    if missing and executor is None:
        with _one_thread_each(), _pool(len(missing)) as pool:
            rows |= _collect(pool, missing, folder, on_row)
    elif missing and executor is not None:
        rows |= _collect(executor, missing, folder, on_row)
    return [rows[config] for config in todo]


def integer_equals_fake(result: Result, x: Array, batch: int = 256) -> bool:
    """Return whether all codes and logits of the integer network equal the fake-quantized ones."""
    plan = deployed(result)
    for begin in range(0, len(x), batch):
        part = x[begin : begin + batch]
        fake, real = run_fake(plan, part), run_integer(plan, part)
        same = all(np.array_equal(fake.codes[edge], real.codes[edge]) for edge in fake.codes)
        if not same or not np.array_equal(fake.output, real.output):
            return False
    return True


def codes_sha256(result: Result) -> str:
    """Return the SHA-256 of every layer's codes and steps, in order."""
    digest = hashlib.sha256()
    for name, layer in result.layers.items():
        digest.update(name.encode())
        digest.update(layer.codes.astype("<i8").tobytes())
        digest.update(layer.s_w.astype("<f8").tobytes())
    return digest.hexdigest()


def _open(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        got, fix = f"{str(folder)!r} ({error.strerror})", "Choose a directory you can write to."
        raise ValueError(complaint("sweep", "out", got, "a writable path", fix)) from error
    return folder


@contextmanager
def _one_thread_each() -> Iterator[None]:
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


def _pool(jobs: int) -> ProcessPoolExecutor:
    workers = min(jobs, os.cpu_count() or 1)
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def _collect(
    executor: Executor,
    configs: list[Config],
    folder: Path | None,
    on_row: Callable[[Row], None] | None,
) -> dict[Config, Row]:
    running: dict[Future[Row], Config] = {executor.submit(run, c): c for c in configs}
    rows: dict[Config, Row] = {}
    errors: list[Exception] = []
    try:
        for future in as_completed(running):
            config, error = running[future], future.exception()
            if isinstance(error, Exception):
                error.add_note(f"in {config}")
                errors.append(error)
                continue
            rows[config] = future.result()
            _keep(folder, config, rows[config])
            _notify(on_row, rows[config])
    finally:
        for future in running:
            future.cancel()  # after an interrupt; does nothing to those that ran
    if errors:
        raise errors[0]
    return rows


def _notify(on_row: Callable[[Row], None] | None, row: Row) -> None:
    if on_row is not None:
        on_row(row)


def _find(folder: Path | None, config: Config) -> Row | None:
    """Return the row kept for `config`; None if there is none, or what is there is not its row."""
    if folder is None or not (path := folder / f"{config.key}.json").is_file():
        return None
    try:
        found: Row = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None  # damaged: run again, and replace it
    mine = json.loads(json.dumps(asdict(config)))
    whole = isinstance(found, dict) and {*found} == {*mine, *MEASURED}
    return found if whole and all(found[name] == mine[name] for name in mine) else None


def _keep(folder: Path | None, config: Config, row: Row) -> None:
    if folder is not None:
        path = folder / f"{config.key}.json"
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(row, indent=1), encoding="utf-8")
        temporary.replace(path)
