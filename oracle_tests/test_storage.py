"""Arrays and mapped files hold the same; files leave nothing behind, however a run ends."""

import errno
import gc
import os
import signal
import subprocess
import sys
import tempfile
import weakref
from pathlib import Path

import numpy as np
import pytest

import refquant as rq
from oracle_tests.gram_cases import gram_setting
from oracle_tests.reconstruct_cases import CASE_111, adaround, classes, images, normed, residual
from oracle_tests.test_methods import bits_of
from refquant.inputs import inputs_of
from refquant.methods import Mix, Term
from refquant.methods.closed_form import NEAREST_BIAS_CORRECTION, NEAREST_OLS
from refquant.storage import MEMORY, Disk, Memory, storage_for

ROOT = Path(__file__).parent.parent
UNEVEN = (7, 1, 12)
FISHER = adaround(unit="block", terms=(Term(kind="fisher_diag"),))
SETTINGS = {
    "layer by layer": adaround(),
    "phase by phase": CASE_111,
    "inputs dropped": adaround(mix=(Mix(at="input"),)),
    "Fisher weights": FISHER,
    "gram": gram_setting(),
    "least squares": NEAREST_OLS,
    "bias correction": NEAREST_BIAS_CORRECTION,
}


def parts(values):
    """The rows of some arrays in uneven chunks."""
    for begin, size in zip(np.cumsum((0, *UNEVEN)), UNEVEN, strict=False):
        yield {name: value[begin : begin + size] for name, value in values.items()}


@pytest.mark.parametrize("storage", [Memory(), Disk()], ids=["memory", "disk"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_kept_comes_back(storage, dtype):
    """Names in order, rows in order, any number of axes, any layout, values alone."""
    rng = np.random.default_rng(0)
    values = {
        "maps": rng.normal(size=(20, 3, 4, 2)).astype(dtype),
        "rows": np.asfortranarray(rng.normal(size=(20, 5)).astype(dtype)),
        "numbers": rng.normal(size=20).astype(dtype)[::-1],
    }
    kept = storage.keep(parts(values), 20)
    assert list(kept) == list(values)
    for name, value in values.items():
        assert type(kept[name]) is np.ndarray and kept[name].dtype == dtype
        np.testing.assert_array_equal(kept[name], value)
        assert not np.shares_memory(kept[name], value)


def test_files_are_counted_while_they_are_read():
    """From the last array on, or a view of it, their room is free again."""
    disk = Disk()
    kept = disk.keep([{"a": np.zeros((4, 2))}, {"a": np.ones((3, 2))}])
    assert disk.held == 7 * 2 * 8 and not kept["a"].flags.writeable
    view = kept.pop("a")[5:]
    assert disk.held == 112
    np.testing.assert_array_equal(view, np.ones((2, 2)))
    del view
    assert disk.held == 0
    assert disk.peak() == 112 and disk.peak() == 0
    assert MEMORY.held == MEMORY.peak() == 0


@pytest.mark.parametrize(
    ("build", "name"), [*((residual, name) for name in SETTINGS), (normed, "bias correction")]
)
def test_a_run_does_not_depend_on_where_its_values_are(build, name):
    """A skip path, a depthwise layer, batch norms; pinned: the same bits, and the same name."""
    network, setting = build(), SETTINGS[name]
    x, disk = images(network, 17), Disk()
    options = {"weight_bits": 3, "act_bits": 4, "steps": 2, "labels": classes(x)}
    with rq.arithmetic("pinned"):
        a, b = (rq.quantize(network, x, setting, **options, cache=c) for c in ("memory", disk))
    assert bits_of(a) == bits_of(b) and a.run_id == b.run_id and a.history == b.history
    assert disk.peak() > 0 and disk.held == 0


def test_a_checkpoint_goes_on_with_its_values_elsewhere(tmp_path):
    """Where values lie is no part of what a run is."""
    network, x, want = residual(), images(residual()), adaround()
    whole = rq.quantize(network, x, want, steps=3)

    def stop(label, steps):
        if label == "point":
            raise KeyboardInterrupt
        return lambda: None

    with pytest.raises(KeyboardInterrupt):
        rq.quantize(network, x, want, steps=3, checkpoint=tmp_path, progress=stop, cache="disk")
    (kept,) = tmp_path.iterdir()
    assert {path.name for path in kept.iterdir()} == {"phase0-unit000", "phase0-unit001"}
    again = rq.quantize(network, x, want, steps=3, checkpoint=tmp_path)
    assert bits_of(again) == bits_of(whole)


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_batches_give_the_bits_of_the_array(cache):
    """An uneven last batch, a single input, another dtype than that of the run."""
    network = residual()
    x = images(network, 23).astype(np.float32)
    batches = (x[:10], x[10:11], x[11:20].astype(np.float64), x[20:])
    with rq.arithmetic("pinned"):
        a = rq.quantize(network, x, adaround(), steps=2)
        b = rq.quantize(network, iter(batches), adaround(), steps=2, cache=cache)
    assert bits_of(a) == bits_of(b) and a.run_id == b.run_id


def test_batches_are_let_go_as_they_come():
    """None but the last is held when the next is asked for."""
    network, before = residual(), []

    def batches():
        for seed in range(4):
            assert not any(ref() is not None for ref in before[:-1])
            batch = images(network, 6, seed)
            before.append(weakref.ref(batch))
            yield batch

    disk = Disk()
    found = inputs_of("test", network, batches(), np.dtype(np.float64), disk)
    assert len(found) == 24 and disk.held == found.nbytes
    np.testing.assert_array_equal(found[18:], images(network, 6, 3))


def test_a_folder_for_the_files_can_be_named(tmp_path, monkeypatch):
    """By the argument, or as for all temporary files; they have no names there."""
    places = []

    def opened(**options):
        places.append(options["dir"])
        return temporary(**options)

    temporary = tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", opened)
    network, x = residual(), images(residual())
    for cache in (tmp_path, str(tmp_path)):
        rq.quantize(network, x, adaround(), steps=2, cache=cache)
    assert {*places} == {tmp_path} and not any(tmp_path.iterdir())
    rq.quantize(network, x, adaround(), steps=2, cache="disk")
    assert places[-1] is None


@pytest.mark.parametrize(
    ("cache", "kind", "words"),
    [
        ("tape", ValueError, r"quantize\(\): cache is 'tape' \(No such file or directory\)"),
        (3, TypeError, "cache is int; expected 'memory', 'disk' or a folder"),
        (None, TypeError, "cache is NoneType"),
    ],
)
def test_other_places_are_refused(cache, kind, words):
    """Before anything is computed."""
    with pytest.raises(kind, match=words):
        rq.quantize(residual(), images(residual()), adaround(), cache=cache)


def test_a_full_disk_is_an_error_and_its_room_is_free_again(monkeypatch):
    """The fifth write finds no room: an OSError that says where, and no file is left."""
    disk, write, calls = Disk(), Disk._write, []

    class Full:
        def __init__(self, file):
            self.file = file

        def write(self, data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def filling(self, file, value):
        calls.append(value.nbytes)
        write(self, Full(file) if len(calls) == 5 else file, value)

    monkeypatch.setattr(Disk, "_write", filling)
    with pytest.raises(OSError, match="No space left") as caught:
        rq.quantize(residual(), images(residual()), adaround(), steps=2, cache=disk)
    assert "calibration inputs were written in" in caught.value.__notes__[0]
    caught = None
    gc.collect()
    assert disk.held == 0 and len(calls) == 5


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX only")
def test_a_killed_run_leaves_nothing_behind(tmp_path):
    """The process has no chance to clean up, and need not."""
    code = """
import os, signal, sys
import numpy as np
from refquant.storage import Disk
disk = Disk(sys.argv[1])
kept = disk.keep([{"a": np.zeros((1000, 100))}])
print(disk.held, len(os.listdir(sys.argv[1])))
sys.stdout.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""
    line = [sys.executable, "-c", code, str(tmp_path)]
    run = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.stdout.split() == ["800000", "0"] and run.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []


def test_a_name_or_a_storage_chooses_one():
    """A storage is taken as it is."""
    disk = Disk()
    assert storage_for("f", disk) is disk and storage_for("f", "memory") is MEMORY
    assert isinstance(storage_for("f", "disk"), Disk)
