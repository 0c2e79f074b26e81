"""Sweeps: rows in order, none run twice, none lost; workers compute what this process does."""

import json
import time
from concurrent.futures import Executor, Future
from dataclasses import asdict, replace
from importlib import import_module

import numpy as np
import pytest

from oracle_tests.reconstruct_cases import adaround, images, residual
from refquant import numerics as nx
from refquant import zoo
from refquant.methods import METHODS
from refquant.metrics import accuracy, sqnr_db
from refquant.pipeline import quantize
from refquant.rows import SCHEMA
from refquant.sweeps import MEASURED, Config, codes_sha256, integer_equals_fake, run, sweep

sweep_module = import_module("refquant.sweeps")
BASE = Config(network="digits-mlp", method="nearest")


class Inline(Executor):
    """Runs each task when it is submitted, with a fake in place of the real work."""

    def __init__(self, work):
        self.work, self.ran = work, []

    def submit(self, fn, /, *args, **kwargs):
        assert fn is run and not kwargs
        self.ran.append(args[0])
        future = Future()
        try:
            future.set_result(self.work(args[0]))
        except Exception as error:
            future.set_exception(error)
        return future


def fake(config):
    """A row whose values can be recognised."""
    measured = dict.fromkeys(MEASURED, 0.5) | {"codes_sha256": f"{config.seed:064d}"}
    measured |= {"schema": SCHEMA, "images": {"kl": [0.5, 0.25]}, "units": []}
    return {**asdict(config), **measured}


def configs(n):
    return [replace(BASE, seed=seed) for seed in range(n)]


def test_rows_come_back_in_the_order_given():
    """A configuration given twice runs once and has its row twice."""
    todo = configs(4)
    executor, heard = Inline(fake), []
    rows = sweep([todo[2], todo[0], todo[2], todo[3]], executor, on_row=heard.append)
    assert [row["seed"] for row in rows] == [2, 0, 2, 3]
    assert executor.ran == [todo[2], todo[0], todo[3]] and len(heard) == 3


def test_rows_found_are_not_run_again(tmp_path):
    """A second sweep runs what is new; on_row hears of all."""
    first, second, heard = Inline(fake), Inline(fake), []
    rows = sweep(configs(3), first, out=tmp_path / "deep" / "rows")
    more = sweep(configs(5), second, out=tmp_path / "deep" / "rows", on_row=heard.append)
    assert len(first.ran) == 3 and [c.seed for c in second.ran] == [3, 4]
    assert more[:3] == rows and sorted(row["seed"] for row in heard) == [0, 1, 2, 3, 4]
    files = sorted((tmp_path / "deep" / "rows").iterdir())
    assert [f.stem for f in files] == sorted(c.key for c in configs(5))


DAMAGES = {
    "cut short": lambda text: text[:20],
    "empty": lambda text: "",
    "not a row": lambda text: "[1, 2]",
    "of another configuration": lambda text: text.replace('"seed": 1', '"seed": 9'),
    "without a measurement": lambda text: json.dumps(
        {k: v for k, v in json.loads(text).items() if k != "kl"}
    ),
    "with one too many": lambda text: json.dumps({**json.loads(text), "kl2": 0.0}),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_rows_are_run_again_and_replaced(damage, tmp_path):
    """A row that cannot be the configuration's own is not used."""
    rows = sweep(configs(2), Inline(fake), out=tmp_path)
    path = tmp_path / f"{configs(2)[1].key}.json"
    path.write_text(DAMAGES[damage](path.read_text()))
    again = Inline(fake)
    assert sweep(configs(2), again, out=tmp_path) == rows and again.ran == configs(2)[1:]
    assert json.loads(path.read_text()) == rows[1]


def test_half_written_files_are_ignored(tmp_path):
    """They bear another name until they are whole."""
    config = configs(1)[0]
    (tmp_path / f"{config.key}.4711.tmp").write_text('{"seed": 0, "accu')
    executor = Inline(fake)
    sweep([config], executor, out=tmp_path)
    assert executor.ran == [config]
    assert json.loads((tmp_path / f"{config.key}.json").read_text()) == fake(config)
    assert len(list(tmp_path.iterdir())) == 2


def test_one_failure_does_not_cost_the_other_rows(tmp_path):
    """They are kept, the error says which configuration it was, and the rest need not run again."""

    def work(config):
        if config.seed == 1:
            raise RuntimeError("broken worker")
        return fake(config)

    with pytest.raises(RuntimeError, match="broken worker") as caught:
        sweep(configs(4), Inline(work), out=tmp_path)
    assert any("seed=1" in note for note in caught.value.__notes__)
    again = Inline(fake)
    sweep(configs(4), again, out=tmp_path)
    assert [c.seed for c in again.ran] == [1]


def test_bad_sweeps_are_refused_before_anything_runs(tmp_path):
    """No configuration, an unknown method, a file in the way of `out`."""
    executor = Inline(fake)
    with pytest.raises(ValueError, match="at least one Config"):
        sweep([], executor)
    with pytest.raises(ValueError, match="Did you mean 'nearest'"):
        sweep([BASE, replace(BASE, method="neares")], executor, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match=r"sweep\(\): out is .*a writable path"):
        sweep([BASE], executor, out=tmp_path / "file")
    assert executor.ran == [] and (tmp_path / "file").read_text() == "mine"


def test_every_field_of_a_configuration_is_in_its_key():
    """Two configurations that differ anywhere never share a row."""
    changes = {
        "network": "digits-resnet",
        "method": "adaround",
        "weight_bits": 3,
        "act_bits": 7,
        "first_last_bits": None,
        "seed": 1,
        "steps": 5,
        "calibration": 10,
        "arithmetic": "pinned",
        "slices": 1,
    }
    assert set(changes) == set(asdict(BASE))
    keys = {BASE.key, *(replace(BASE, **{k: v}).key for k, v in changes.items())}
    assert len(keys) == 1 + len(changes)
    assert replace(BASE).key == BASE.key


def test_the_key_covers_the_setting_behind_the_name(monkeypatch):
    """A method that changes its meaning has another key."""
    before = BASE.key
    monkeypatch.setattr(sweep_module, "resolve", lambda name: adaround())
    assert BASE.key != before


def test_without_an_integer_network_there_is_nothing_to_compare():
    """None, neither true nor false, where weights or activations are real numbers."""
    network = residual()
    for setting in (METHODS["nearest-w32"], replace(METHODS["nearest"], activations=None)):
        result = quantize(network, images(network), setting)
        assert integer_equals_fake(result, images(network, 6)) is None
    row = run(replace(BASE, method="nearest-w32", act_bits=2, calibration=64))
    assert row["integer_equals_fake"] is None and np.isfinite(row["sqnr_db"])


def test_integer_equals_fake_sees_a_wrong_code(monkeypatch):
    """True for a result as it is; false as soon as one code or one logit differs."""
    network = residual()
    x = images(network, 6)
    result = quantize(network, images(network), "nearest", weight_bits=3)
    assert integer_equals_fake(result, x) and integer_equals_fake(result, x, batch=4)
    real = sweep_module.run_integer
    edge = "r2.q"

    def one_code_off(plan, part):
        trace = real(plan, part)
        codes = {**trace.codes, edge: trace.codes[edge].copy()}
        codes[edge].reshape(-1)[-1] ^= 1
        return trace._replace(codes=codes)

    monkeypatch.setattr(sweep_module, "run_integer", one_code_off)
    assert not integer_equals_fake(result, x)
    monkeypatch.setattr(
        sweep_module,
        "run_integer",
        lambda plan, part: real(plan, part)._replace(output=real(plan, part).output + 1e-12),
    )
    assert not integer_equals_fake(result, x)


def test_the_hash_of_codes_sees_codes_steps_and_names():
    """Each of them changes it; float32 steps count as the numbers they are."""
    network = residual()
    result = quantize(network, images(network), "nearest")
    layer = result.layers["fc"]
    hashes = {codes_sha256(result)}
    for changed in (
        {"fc": layer._replace(codes=layer.codes + 1)},
        {"fc": layer._replace(s_w=layer.s_w * 2)},
        {"other": layer},
    ):
        hashes.add(codes_sha256(replace(result, layers={**result.layers, **changed})))
    assert len(hashes) == 4
    same = replace(result, layers={"fc": layer._replace(s_w=layer.s_w.astype(np.float64))})
    assert codes_sha256(same) == codes_sha256(replace(result, layers={"fc": layer}))


def test_spawned_workers_compute_what_this_process_does(tmp_path):
    """In pinned arithmetic: the same codes and steps, with their arithmetic from the Config."""
    config = Config(
        network="digits-mlp",
        method="adaround",
        weight_bits=3,
        steps=2,
        calibration=48,
        arithmetic="pinned",
        slices=1,
    )
    began = time.perf_counter()
    (row,) = sweep([config], out=tmp_path)
    elapsed = time.perf_counter() - began
    assert nx.current() == nx.Arithmetic()
    network, data = zoo.load("digits-mlp"), zoo.data("digits")
    with nx.arithmetic("pinned", slices=1):
        options = {"weight_bits": 3, "steps": 2}
        result = quantize(network, data.calib.x[:48], "adaround", **options)
        logits = result.network(data.test.x)
        noise = sqnr_db(network(data.test.x.astype(np.float64)), logits)
    assert row["codes_sha256"] == codes_sha256(result) and row["sqnr_db"] == noise
    assert row["accuracy"] == accuracy(logits, data.test.y) and row["integer_equals_fake"]
    assert {**asdict(config)}.items() <= row.items() and {*row} == {*asdict(config), *MEASURED}
    assert 0.0 < row["seconds"] <= elapsed
    assert sweep([config], Inline(fake), out=tmp_path) == [row]


def test_a_row_in_fast_arithmetic():
    """The default configuration runs in this process too; a good network stays good at W8A8."""
    row = run(replace(BASE, weight_bits=8, calibration=64))
    assert row["accuracy"] > 0.9 and row["sqnr_db"] > 20 and 0 <= row["kl"] < 0.1
    assert row["arithmetic"] == "fast" and row["integer_equals_fake"] is True
    json.dumps(row, allow_nan=False)


def test_adaround_beats_nearest_on_digits():
    """P35, statistical: summed hard loss of the layers of digits-mlp, three copies, 3 bits."""
    gains = []
    for seed in (1, 2, 3):
        network, data = zoo.load(f"digits-mlp:{seed}"), zoo.data("digits")
        options = {"weight_bits": 3, "steps": 100, "seed": seed, "first_last_bits": None}
        result = quantize(network, data.calib.x[:128], "adaround", **options)
        start, end = (
            sum(getattr(r, name) for r in result.history) for name in ("hard_start", "hard_end")
        )
        gains.append(end / start)
    assert np.mean(gains) < 0.8 and max(gains) < 1.0
