"""Row files and what is measured for a comparison: valid JSON, schema, per image and in total."""

import json
import math
from concurrent.futures import Executor, Future
from dataclasses import asdict, replace
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oracle_tests.compare_cases import row
from refquant import rows, zoo
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
from refquant.sweeps import MEASURED, Config, measure, run, sweep

sweep_module = import_module("refquant.sweeps")
BASE = Config(network="digits-mlp:1", method="nearest")


class Inline(Executor):
    """Gives prepared rows; a configuration without one is interrupted."""

    def __init__(self, found: dict[Config, Any]) -> None:
        self.found, self.ran = found, list[Config]()

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.ran.append(args[0])
        future: Future[Any] = Future()
        future.set_result(self.found[args[0]])
        return future


def test_a_row_with_infinities_is_valid_json_and_comes_back(tmp_path: Path) -> None:
    """A perfect network has an infinite SQNR; no reader of JSON knows the word Infinity."""
    perfect = row(BASE, [0.0], [0.0], sqnr_db=math.inf)
    perfect["units"] = [{"hard_start": math.nan, "hard_end": -math.inf}]
    sweep([BASE], Inline({BASE: perfect}), out=tmp_path)
    (path,) = tmp_path.iterdir()

    def refuse(word: str) -> None:
        raise AssertionError(word)

    written = json.loads(path.read_text(), parse_constant=refuse)
    assert written["sqnr_db"] == "inf" and written["units"][0]["hard_start"] == "nan"
    idle = Inline({})
    (found,) = sweep([BASE], idle, out=tmp_path)
    assert (
        idle.ran == []
        and found["sqnr_db"] == math.inf
        and math.isnan(found["units"][0].pop("hard_start"))
    )
    assert found["units"] == [{"hard_end": -math.inf}]


def test_a_row_of_another_schema_is_run_again(tmp_path: Path, monkeypatch: Any) -> None:
    """Neither its name nor its content is taken for a row of this version."""
    key = BASE.key
    monkeypatch.setattr(sweep_module, "SCHEMA", rows.SCHEMA + 1)
    assert BASE.key != key
    monkeypatch.undo()
    old = row(BASE, [1.0], [0.5], schema=rows.SCHEMA - 1)
    rows.keep(tmp_path, key, old)
    again = Inline({BASE: row(BASE, [2.0], [0.5])})
    (found,) = sweep([BASE], again, out=tmp_path)
    assert again.ran == [BASE] and found["images"]["noise"] == [2.0]


def test_an_interrupt_keeps_what_was_finished_but_not_yet_collected(tmp_path: Path) -> None:
    """Three rows are done when the first is reported and the user stops: all three are kept."""
    configs = [replace(BASE, seed=seed) for seed in range(3)]

    def stop(_: Any) -> None:
        raise KeyboardInterrupt

    done = Inline({config: row(config, [1.0], [0.5]) for config in configs})
    with pytest.raises(KeyboardInterrupt):
        sweep(configs, done, out=tmp_path, on_row=stop)
    assert {path.stem for path in tmp_path.iterdir()} == {config.key for config in configs}


def test_an_interrupt_cancels_what_waits_in_an_executor_of_the_callers_own(tmp_path: Path) -> None:
    """Nobody will ask for it any more; the executor itself stays the caller's."""
    waiting: Future[Any] = Future()
    other = replace(BASE, seed=1)

    class Busy(Inline):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            return waiting if args[0] == other else super().submit(fn, *args, **kwargs)

    def stop(_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep([BASE, other], Busy({BASE: row(BASE, [1.0], [0.5])}), out=tmp_path, on_row=stop)
    assert waiting.cancelled() and [path.stem for path in tmp_path.iterdir()] == [BASE.key]


def test_per_image_measures_add_up_to_the_totals() -> None:
    """By hand for the energies; the totals are those of `metrics`."""
    r = np.array([[3.0, 4.0], [0.0, 2.0], [1.0, 0.0]])
    a = np.array([[3.0, 3.5], [1.0, 0.0], [1.0, 0.0]])
    signal, noise = energy_per_image(r, a)
    assert [*signal] == [25.0, 4.0, 1.0] and [*noise] == [0.25, 5.0, 0.0]
    found = measure(r, a, np.array([1, 1, 1]))
    assert found["images"]["signal"] == [25.0, 4.0, 1.0] and found["images"]["right"] == [1, 0, 0]
    assert Fraction(found["accuracy"]) == Fraction(1 / 3) and found["float_accuracy"] == 2 / 3
    assert found["sqnr_db"] == sqnr_db(r, a) == pytest.approx(10 * math.log10(30 / 5.25), rel=1e-12)
    assert np.mean(found["images"]["kl"]) == pytest.approx(kl_divergence(r, a), rel=1e-12)
    assert found["images"]["kl"][2] == 0.0 and found["kl"] == kl_divergence(r, a)
    assert json.loads(json.dumps(found["images"])) == found["images"]


def test_refusals_name_the_function_that_was_called() -> None:
    """Per image or in total."""
    logits, labels = np.ones((2, 3)), np.zeros(2, int)
    for call, name in (
        (lambda: energy_per_image(logits, logits[:1]), "energy_per_image"),
        (lambda: kl_per_image(logits, logits[:1]), "kl_per_image"),
        (lambda: kl_divergence(logits, logits[:1]), "kl_divergence"),
        (lambda: right_per_image(logits, labels[:1]), "right_per_image"),
        (lambda: accuracy(logits, labels[:1]), "accuracy"),
        (lambda: energy_per_image(logits[0], logits[0]), "energy_per_image"),
    ):
        with pytest.raises(ValueError, match=f"^{name}"):
            call()


def test_a_real_row_says_what_happened_image_by_image_and_unit_by_unit() -> None:
    """The same run by hand; the course of its units is that of its history."""
    config = replace(BASE, method="adaround", weight_bits=2, steps=3, calibration=32)
    found = run(config)
    assert {*found} == {*asdict(config), *MEASURED}
    network, data = zoo.load("digits-mlp:1"), zoo.data("digits")
    result = quantize(network, data.calib.x[:32], "adaround", weight_bits=2, steps=3)
    x = data.test.x.astype(np.float64)
    logits, exact = result.network(x), predict(network, x)
    per_image = found["images"]
    assert {name: len(values) for name, values in per_image.items()} == dict.fromkeys(
        ("signal", "noise", "kl", "right"), len(x)
    )
    right = logits.argmax(axis=1) == data.test.y
    assert np.array_equal(per_image["right"], right) and found["accuracy"] == right.mean()
    noise = ((exact - logits) * (exact - logits)).sum(axis=1)
    assert per_image["noise"] == pytest.approx(noise.tolist(), rel=1e-6, abs=1e-9)
    assert [unit["unit"] for unit in found["units"]] == [r.unit for r in result.history]
    assert [unit["hard_end"] for unit in found["units"]] == pytest.approx(
        [record.hard_end for record in result.history], rel=1e-6
    )
    assert all(0.0 <= unit["decided"] <= 1.0 for unit in found["units"])
