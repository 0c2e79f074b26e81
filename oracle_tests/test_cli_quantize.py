"""``refquant quantize``: its numbers are the library's; directories; interruption."""

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import refquant as rq
from refquant.cli import quantize as command
from refquant.cli.main import main
from refquant.reconstruct import loop

ROOT = Path(__file__).parent.parent
LINE = ("quantize", "digits-mlp", "--weight-bits", "2", "--steps", "3", "--seed", "5")
Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


def forbid(patch: Patch, place: Any, name: str) -> None:
    """Make a call of `place.name` end the command with exit code 3."""

    def called(*_: object, **__: object) -> None:
        raise RuntimeError(f"{name} was called")

    patch.setattr(place, name, called)


def test_json_holds_the_numbers_of_the_library(tmp_path: Path, capsys: Capture) -> None:
    """One object on standard output, equal to what the same call gives in Python."""
    out = tmp_path / "result"
    assert main([*LINE, "--json", "--out", str(out)]) == 0
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    network, data = rq.zoo.load("digits-mlp"), rq.zoo.data("digits")
    result = rq.quantize(network, data.calib.x, weight_bits=2, steps=3, seed=5)
    x = data.test.x.astype(np.float64)
    logits = result.integer(x)
    assert report["run_id"] == result.run_id
    assert report["accuracy"] == rq.metrics.accuracy(logits, data.test.y)
    assert report["fp32_accuracy"] == rq.metrics.accuracy(network(x), data.test.y)
    assert report["sqnr_db"] == pytest.approx(rq.metrics.sqnr_db(network(x), logits), rel=1e-9)
    assert report["integer_equals_fake"] is True
    asked = ("method", "weight_bits", "act_bits", "first_last_bits", "steps", "seed")
    assert [report[key] for key in asked] == ["adaround", 2, 8, 8, 3, 5]
    assert [unit["unit"] for unit in report["units"]] == list(result.layers)
    assert report["environment"]["arithmetic"]["mode"] == "fast"
    saved = {path.read_bytes() for path in out.glob("*.npy")}
    assert (out / "manifest.json").is_file() and len(saved) > len(result.layers)
    assert "saved to" in printed.err and "fc1" in printed.err  # progress and remarks


def test_text_names_every_unit(capsys: Capture) -> None:
    """The same as a table; --quiet leaves standard error empty."""
    assert main([*LINE, "--quiet", "--first-last-bits", "none"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    for word in ("fc1", "fc2", "loss at start", "like the others", "digits-mlp", "adaround"):
        assert word in printed.out


def test_a_method_without_learning_has_no_units(capsys: Capture) -> None:
    """Nearest rounding: no steps, no table of units; pinned arithmetic is reported as such."""
    assert main(["quantize", "digits-mlp", "--method", "nearest", "--pinned", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["units"] == [] and report["steps"] is None
    assert report["environment"]["arithmetic"] == {"mode": "pinned", "slices": 2}
    assert main(["quantize", "digits-mlp", "--method", "nearest"]) == 0
    assert "loss at start" not in capsys.readouterr().out


def test_real_weights_have_no_integer_network(capsys: Capture) -> None:
    """Nothing to compare is not a mismatch: exit code 0, null in JSON, words in the table."""
    line = ["quantize", "digits-mlp", "--method", "a-rounding", "--quiet"]
    assert main([*line, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["integer_equals_fake"] is None and report["border"] is None
    assert main(line) == 0
    assert "no integer network" in capsys.readouterr().out


def test_borders_are_reported(capsys: Capture) -> None:
    """What they cost, and the share of codes that storing them changes on the test images."""
    line = ["quantize", "digits-mlp", "--method", "nearest-border", "--act-bits", "3", "--quiet"]
    assert main([*line, "--json"]) == 0
    border = json.loads(capsys.readouterr().out)["border"]
    network, data = rq.zoo.load("digits-mlp"), rq.zoo.data("digits")
    result = rq.quantize(network, data.calib.x, "nearest-border", act_bits=3)
    assert border == result.border_report(data.test.x).to_data()
    assert border["changed"]["8"] > 0 and border["changed"]["16"] < border["changed"]["8"]
    assert border["layers"][0]["counted"] == 3 * 64
    assert main(line) == 0
    printed = capsys.readouterr().out
    assert f"{border['parameters']}; as the paper counts" in printed
    assert "codes_changed_at_16_bits" in printed and "codes_changed_at_8_bits" in printed


def test_gaps_are_printed_on_request(capsys: Capture) -> None:
    """Loss, bound and what is surely lost of every layer; reasons where nothing can be said."""
    line = ["quantize", "digits-mlp", "--gaps", "--quiet", "--weight-bits", "2"]
    assert main([*line, "--method", "nearest", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["gaps"]
    data = rq.zoo.data("digits")
    result = rq.quantize(rq.zoo.load("digits-mlp"), data.calib.x, "nearest", weight_bits=2)
    assert found == [gap._asdict() for gap in result.optimality_gap(data.calib.x)]
    assert not any(gap["exact"] for gap in found) and found[0]["surely"] > 0.0
    assert main([*line, "--method", "a-rounding"]) == 0
    assert "its weights are real numbers" in capsys.readouterr().out


def test_a_mismatch_is_exit_code_1(capsys: Capture, monkeypatch: Patch) -> None:
    """If the integer network were not the fake one, a script would notice."""
    monkeypatch.setattr(command, "integer_equals_fake", lambda result, x: False)
    assert main(["quantize", "digits-mlp", "--method", "nearest", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["integer_equals_fake"] is False


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--out", "full"], "--out full: not empty"),
        (["--out", "file"], "--out file: a file stands there"),
        (["--out", "missing/result"], "does not exist"),
        (["--out", "file/result"], "does not exist"),
        (["--out", "new", "--checkpoint", "new"], "--checkpoint new: lies in --out new"),
        (["--out", "new", "--checkpoint", "new/units"], "lies in --out new"),
    ],
)
def test_a_directory_is_refused_before_the_work(
    options: list[str], said: str, tmp_path: Path, capsys: Capture, monkeypatch: Patch
) -> None:
    """An hour's run does not end with "not empty"; nothing has been written."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    forbid(monkeypatch, command, "quantize")
    assert main([*LINE, *options]) == 4
    assert said in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_an_unwritable_directory_is_refused_before_the_work(
    tmp_path: Path, capsys: Capture, monkeypatch: Patch
) -> None:
    """A trial tells, not the mode bits: a full disk has good ones, and root ignores them."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("refquant.cli.folders.tempfile.TemporaryDirectory", full)
    forbid(monkeypatch, command, "quantize")
    assert main([*LINE, "--out", str(tmp_path / "new")]) == 4
    assert "No space left on device; choose a directory" in capsys.readouterr().err


def test_a_checkpoint_in_a_file_is_refused_before_the_work(
    tmp_path: Path, capsys: Capture, monkeypatch: Patch
) -> None:
    """`--checkpoint` is tried like `--out`."""
    (tmp_path / "file").touch()
    forbid(monkeypatch, loop, "learn_unit")
    assert main([*LINE, "--checkpoint", str(tmp_path / "file")]) == 4
    assert "writable path" in capsys.readouterr().err


def test_an_empty_directory_will_do(tmp_path: Path, capsys: Capture) -> None:
    """`mkdir result` first is no mistake."""
    line = ["quantize", "digits-mlp", "--method", "nearest", "--out", str(tmp_path)]
    assert main(line) == 0
    assert (tmp_path / "manifest.json").is_file()
    assert main(line) == 4
    assert "not empty" in capsys.readouterr().err


# Runs the command; says so when the first unit is kept, and gives the signal time to arrive.
INTERRUPTED = """
import sys, time
from refquant.cli.main import main
from refquant.reconstruct.checkpoint import Store
keep = Store.keep
def keep_and_wait(*arguments):
    keep(*arguments)
    print("kept", flush=True)
    time.sleep(60)
Store.keep = keep_and_wait
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(os.name == "nt", reason="a console interrupt cannot be sent there")
def test_an_interrupted_run_keeps_finished_units_and_goes_on(
    tmp_path: Path, capsys: Capture, monkeypatch: Patch
) -> None:
    """Ctrl-C after the first unit: exit code 2; the same command learns only the other two."""
    line = [*LINE, "--checkpoint", str(tmp_path), "--json"]
    running = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, *line],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # jobs ignore it
    )
    assert running.stdout is not None and running.stdout.readline() == "kept\n"
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=50)
    assert (running.returncode, out) == (2, "")
    assert "the same command goes on from there\nerror: interrupted" in err
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.glob("*/*")] == ["phase0-unit000"]
    learnt: list[str] = []
    learn = loop.learn_unit

    def counted(task: Any, *rest: Any) -> Any:
        learnt.append(task.unit.name)
        return learn(task, *rest)

    monkeypatch.setattr(loop, "learn_unit", counted)
    assert main(line) == 0
    assert learnt == ["fc2", "fc"]
    resumed = json.loads(capsys.readouterr().out)
    assert main([*LINE, "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)
    for key in ("run_id", "accuracy", "sqnr_db", "kl", "units"):
        assert resumed[key] == whole[key]


def test_the_cache_is_passed_on(tmp_path: Path, capsys: Capture) -> None:
    """The same run by name, planned with files; a place that is none is a usage error."""
    found = []
    for options in ([], ["--memory", "--cache", "disk"], ["--cache", str(tmp_path)]):
        assert main([*LINE, "--json", *options]) == 0
        printed = capsys.readouterr()
        found.append(json.loads(printed.out)["run_id"])
        assert ("MB of files" in printed.err) == ("disk" in options)
    assert len({*found}) == 1 and not any(tmp_path.iterdir())
    assert main([*LINE, "--cache", str(tmp_path / "none")]) == 4
    assert "No such file or directory" in capsys.readouterr().err
