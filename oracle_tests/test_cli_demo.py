"""``refquant demo``: the table and its JSON, resuming, refusals."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import refquant as rq
from refquant.cli import demo
from refquant.cli.main import main
from refquant.sweeps import codes_sha256

LINE = ("demo", "--network", "digits-mlp", "--steps", "2")
ROW = {"method", "weight_bits", "act_bits", "accuracy", "sqnr_db", "integer_equals_fake", "seconds"}
Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with all rows but one of the small demo, run once."""
    path = tmp_path_factory.mktemp("demo") / "rows"
    assert main([*LINE, "--out", str(path), "--quiet", "--json"]) == 0
    next(path.glob("*.json")).unlink()
    return path


def no_work(monkeypatch: Patch) -> None:
    """Make any further run an internal error."""

    def called(*_: object) -> None:
        raise RuntimeError("a row was computed")

    workers = import_module("refquant.workers")
    monkeypatch.setattr(workers, "ProcessPoolExecutor", called)


def test_json_and_resuming(folder: Path, capsys: Capture, monkeypatch: Patch) -> None:
    """The missing row is run, the others are not; then there is nothing left to run."""
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("*.json")}
    assert len(kept) == 7
    capsys.readouterr()
    assert main([*LINE, "--out", str(folder), "--json"]) == 0
    printed = capsys.readouterr()
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert len(list(folder.iterdir())) == 8
    assert "8/8" in printed.err
    report = json.loads(printed.out)
    assert {"fp32_accuracy", "rows", "environment", "network", "steps", "seed"} <= set(report)
    assert all(set(row) == ROW for row in report["rows"])
    widths = [(row["weight_bits"], row["act_bits"]) for row in report["rows"]]
    assert widths == [pair for pair in demo.WIDTHS for _ in demo.METHODS]
    assert [row["method"] for row in report["rows"]] == ["nearest", "adaround"] * 4
    assert all(row["integer_equals_fake"] is True for row in report["rows"])
    no_work(monkeypatch)
    assert main([*LINE, "--out", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == report


def test_rows_are_what_the_library_computes(folder: Path) -> None:
    """A row of the table is a quantization anyone can repeat."""
    row = next(
        row
        for path in folder.glob("*.json")
        if (row := json.loads(path.read_text()))["method"] == "adaround"
    )
    network, data = rq.zoo.load("digits-mlp"), rq.zoo.data("digits")
    bits: dict[str, Any] = {key: row[key] for key in ("weight_bits", "act_bits", "seed", "steps")}
    result = rq.quantize(network, data.calib.x, "adaround", **bits)
    assert row["codes_sha256"] == codes_sha256(result)


def rows(same: bool) -> Any:
    """Return a sweep that computes nothing."""

    def sweep(configs: list[rq.Config], **_: object) -> list[dict[str, Any]]:
        values = {"accuracy": 0.5, "sqnr_db": float("inf"), "seconds": 1.0}
        return [{**vars(c), **values, "integer_equals_fake": same} for c in configs]

    return sweep


@pytest.mark.parametrize(("same", "code", "word"), [(True, 0, " yes "), (False, 1, " NO ")])
def test_text_ends_with_the_table(
    same: bool, code: int, word: str, capsys: Capture, monkeypatch: Patch
) -> None:
    """A mismatch is a loud NO and exit code 1; the table says what its words mean."""
    monkeypatch.setattr(demo, "sweep", rows(same))
    assert main([*LINE, "--quiet"]) == code
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.count(word) == 8
    assert printed.out.count("W4A8") == 3
    assert "773 held-out images" in printed.out and "inf dB" in printed.out


def test_infinite_sqnr_is_null_in_json(capsys: Capture, monkeypatch: Patch) -> None:
    """Standard output is JSON even then."""
    monkeypatch.setattr(demo, "sweep", rows(True))
    assert main([*LINE, "--quiet", "--json"]) == 0
    report = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert {row["sqnr_db"] for row in report["rows"]} == {None}


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("other", "--out other: holds 'notes.txt', which is not a row"),
        ("other/notes.txt", "--out other/notes.txt: File exists"),
        ("other/notes.txt/rows", "--out other/notes.txt/rows: Not a directory"),
    ],
)
def test_a_directory_is_refused_before_the_work(
    out: str, said: str, tmp_path: Path, capsys: Capture, monkeypatch: Patch
) -> None:
    """Rows go to a directory of their own, which can be written."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    monkeypatch.chdir(tmp_path)
    no_work(monkeypatch)
    assert main([*LINE, "--out", out]) == 4
    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["other", "notes.txt"]
