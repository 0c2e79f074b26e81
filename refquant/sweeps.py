"""Run many configurations, over many processes or machines, and lose none that finished.

A unit of work is a pure function of its `Config`, arithmetic included, keyed by the hash of that
configuration. With an output directory every finished row is one JSON file (`refquant.rows`); a
sweep that starts again skips what it finds. An interrupt ends the workers at once.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, Future, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from refquant import __version__, rows, subjects
from refquant import numerics as nx
from refquant._checks import complaint
from refquant._types import Array
from refquant.deploy import run_fake, run_integer
from refquant.methods import resolve
from refquant.metrics import (
    accuracy,
    energy_per_image,
    kl_divergence,
    kl_per_image,
    right_per_image,
    sqnr_db,
)
from refquant.network import predict
from refquant.pipeline import quantize
from refquant.reconstruct.history import Record
from refquant.report.remarks import REMARKS, remarks
from refquant.result import Result
from refquant.rows import SCHEMA
from refquant.rows import Row as Row
from refquant.workers import one_thread_each, pool

MEASURED = (
    *("schema", "accuracy", "float_accuracy", "sqnr_db", "kl", "integer_equals_fake"),
    *("codes_sha256", "seconds", "images", "units"),
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """One run: everything that decides its row, and nothing else.

    Attributes
    ----------
    network : str
        A name of `refquant.zoo.names()`, or one that `refquant.subjects.save` gave.
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
        """Content hash of version, row schema, configuration and the resolved setting."""
        facts = [__version__, SCHEMA, asdict(self), resolve(self.method).to_json()]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def run(config: Config, folder: str | None = None) -> Row:
    """Quantize one network, of the zoo or in `folder`, and measure it on the test images.

    Returns
    -------
    dict
        The configuration's fields, ``schema``, ``seconds`` of quantizing, ``codes_sha256``,
        ``integer_equals_fake``, ``units`` (see `unit`) and what `measure` returns; ``notes`` and
        ``allocation`` of a result that has them.
    """
    began = time.perf_counter()
    with nx.arithmetic(config.arithmetic, slices=config.slices):
        network, calib, test = subjects.load(config.network, folder)
        result = quantize(
            network,
            calib.x[: config.calibration],
            config.method,
            labels=None if calib.y is None else calib.y[: config.calibration],
            weight_bits=config.weight_bits,
            act_bits=config.act_bits,
            first_last_bits=config.first_last_bits,
            seed=config.seed,
            steps=config.steps,
        )
        seconds = time.perf_counter() - began
        x = test.x.astype(np.float64)
        return {
            **asdict(config),
            "schema": SCHEMA,
            **measure(predict(network, x), result.network(x), test.y),
            "integer_equals_fake": integer_equals_fake(result, x),
            "codes_sha256": codes_sha256(result),
            "seconds": round(seconds, 2),
            "units": [unit(record) for record in result.history],
            **remarks(result.notes, result.allocation),
        }


def measure(float_logits: Array, logits: Array, labels: Array | None) -> Row:
    """Return the measures of a quantized network, over all images and image by image.

    Returns
    -------
    dict
        ``accuracy``, ``float_accuracy``, ``sqnr_db`` and ``kl`` of the logits against those of
        the float network, and ``images``: lists of ``signal`` and ``noise`` (energy of the float
        logits and of the difference), ``kl`` and ``right`` (0 or 1), one entry an image.
    """
    signal, noise = energy_per_image(float_logits, logits)
    return {
        "accuracy": accuracy(logits, labels),
        "float_accuracy": accuracy(float_logits, labels),
        "sqnr_db": sqnr_db(float_logits, logits),
        "kl": kl_divergence(float_logits, logits),
        "images": {
            "signal": signal.tolist(),
            "noise": noise.tolist(),
            "kl": kl_per_image(float_logits, logits).tolist(),
            "right": right_per_image(logits, labels).astype(int).tolist(),
        },
    }


def unit(record: Record) -> Row:
    """Return what one phase on one unit says about convergence.

    Returns
    -------
    dict
        ``phase``, ``unit``, ``hard_start`` and ``hard_end`` (loss with weights rounded for good,
        before and after), ``rounded`` (number of rounding variables), ``decided`` (share of them;
        None where nothing was recorded) and ``kept_start``.
    """
    return {
        "phase": record.phase,
        "unit": record.unit,
        "hard_start": record.hard_start,
        "hard_end": record.hard_end,
        "rounded": record.rounded,
        "decided": record.binary[-1] if record.binary else None,
        "kept_start": record.kept_start,
    }


def sweep(
    configs: Iterable[Config],
    executor: Executor | None = None,
    out: str | Path | None = None,
    on_row: Callable[[Row], None] | None = None,
    workers: int | None = None,
    folders: Mapping[str, str] | None = None,
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
    workers : int, optional
        Processes of the default pool; one a core without it.
    folders : mapping of str to str, optional
        Where networks lie that are not of the zoo, by their names (`refquant.subjects`).

    Raises
    ------
    ValueError
        If there are no configurations, a method is unknown, or `out` cannot be written.
    Exception
        What the first configuration that failed raised, with a note that says which it was. All
        others have run by then, and with `out` their rows are kept.
    KeyboardInterrupt
        After the workers of the default pool were ended; rows that were finished are kept.
    """
    todo = list(configs)
    if not todo:
        raise ValueError(complaint("sweep", "configs", "empty", "at least one Config"))
    keys = {config: config.key for config in todo}  # refuses an unknown method
    folder = None if out is None else rows.open_folder(Path(out))
    found = {config: _find(folder, config) for config in keys}
    done = {config: row for config, row in found.items() if row is not None}
    for row in done.values():
        _notify(on_row, row)
    missing = [config for config in found if config not in done]
    if missing and executor is None:
        with one_thread_each(), pool(min(len(missing), workers or os.cpu_count() or 1)) as own:
            done |= _collect(_submit(own, missing, folders or {}), folder, on_row)
    elif missing and executor is not None:
        running = _submit(executor, missing, folders or {})
        done |= _collect(running, folder, on_row, cancel=True)
    return [done[config] for config in todo]


def integer_equals_fake(result: Result, x: Array, batch: int = 256) -> bool | None:
    """Return whether all codes and logits of the integer network equal the fake-quantized ones.

    None where there is no integer network: weights, or the inputs of a layer, are real numbers.
    """
    plan = result.plan
    if plan is None or any(layer.source is None for layer in plan.layers.values()):
        return None
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


def _submit(
    executor: Executor, configs: list[Config], folders: Mapping[str, str]
) -> dict[Future[Row], Config]:
    return {executor.submit(run, c, folders.get(c.network)): c for c in configs}


def _collect(
    running: dict[Future[Row], Config],
    folder: Path | None,
    on_row: Callable[[Row], None] | None,
    cancel: bool = False,
) -> dict[Config, Row]:
    """Return the rows of `running` as they finish; `cancel` what waits if anything interrupts."""
    done: dict[Config, Row] = {}
    errors: list[Exception] = []
    try:
        for future in as_completed(running):
            config, error = running[future], future.exception()
            if isinstance(error, Exception):
                error.add_note(f"in {config}")
                errors.append(error)
                continue
            done[config] = future.result()
            rows.keep(folder, config.key, done[config])
            _notify(on_row, done[config])
    finally:
        for future, config in running.items():
            if cancel:
                future.cancel()  # does nothing to those that ran
            if config not in done and _succeeded(future):
                rows.keep(folder, config.key, future.result())
    if errors:
        raise errors[0]
    return done


def _succeeded(future: "Future[Row]") -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def _notify(on_row: Callable[[Row], None] | None, row: Row) -> None:
    if on_row is not None:
        on_row(row)


def _find(folder: Path | None, config: Config) -> Row | None:
    """Return the row kept for `config`, if it is one of this schema."""
    facts = json.loads(json.dumps({**asdict(config), "schema": SCHEMA}))
    return rows.find(folder, config.key, facts, {*asdict(config), *MEASURED}, {*REMARKS})
