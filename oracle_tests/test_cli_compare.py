"""``refquant compare``: table, JSON, report; resuming, interruption, refusals before the work."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from oracle_tests.compare_cases import row
from refquant.cli import study_arguments
from refquant.cli.compare_report import caution, unsettled
from refquant.cli.main import build_parser, main
from refquant.sweeps import Config

command = import_module("refquant.cli.compare")
ROOT = Path(__file__).parent.parent
LINE = ("compare", "digits-mlp:1..2", "--bits", "W4A4,W2A2", "--steps", "2", "--resamples", "50")
TOP = {
    *("schema", "study", "settings", "test_images", "methods", "pairs"),
    *("title", "note", "command", "seconds", "environment"),
}
MEAN = {
    *("group", "bits", "method", "runs", "sqnr_db", "kl", "accuracy", "float_accuracy"),
    *("seconds", "integer_equals_fake", "phases"),
}
PHASE = {
    *("phase", "units", "decided", "decided_min", "hard_start", "hard_end", "kept_start"),
}
PAIR = {
    *("group", "bits", "baseline", "candidate", "verdict", "runs", "runs_better"),
    *("sqnr_db", "kl", "accuracy"),
}
Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with all eight rows of LINE."""
    path = tmp_path_factory.mktemp("compare") / "rows"
    assert main([*LINE, "--out", str(path), "--quiet", "--json"]) == 0
    return path


def no_work(monkeypatch: Patch) -> None:
    """Make any sweep an internal error."""

    def called(*_: object, **__: object) -> None:
        raise RuntimeError("a row was computed")

    monkeypatch.setattr(command, "sweep", called)


def test_json_has_its_schema(finished: Path, capsys: Capture) -> None:
    """Every level has exactly the names that readers may rely on."""
    assert main([*LINE, "--out", str(finished), "--quiet", "--json"]) == 0
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert printed.err == "" and {*report} == TOP and report["schema"] == "refquant-compare/1"
    assert all({*mean} == MEAN for mean in report["methods"]) and len(report["methods"]) == 4
    assert all({*pair} == PAIR for pair in report["pairs"]) and len(report["pairs"]) == 2
    for pair in report["pairs"]:
        for name in ("sqnr_db", "kl", "accuracy"):
            assert {*pair[name]} == {"gain", "low", "high", "verdict"}
            assert pair[name]["low"] <= pair[name]["high"]
    learnt = [m for m in report["methods"] if m["method"] == "adaround"]
    assert all({*phase} == PHASE for m in learnt for phase in m["phases"])
    assert [m["phases"] == [] for m in report["methods"]] == [True, False] * 2
    assert report["study"]["networks"] == ["digits-mlp:1", "digits-mlp:2"]
    assert report["test_images"] == 773 and report["study"]["steps"] == 2


def test_finished_rows_are_not_run_again(finished: Path, capsys: Capture) -> None:
    """One row is taken away: that one is written again, the others keep their time stamps."""
    line = [*LINE, "--out", str(finished), "--json"]
    gone = sorted(finished.iterdir())[3]
    text = json.loads(gone.read_text())
    gone.unlink()
    before = {path: path.stat().st_mtime_ns for path in finished.iterdir()}
    assert len(before) == 7 and main(line) == 0
    printed = capsys.readouterr()
    assert {path: path.stat().st_mtime_ns for path in before} == before
    again = json.loads(gone.read_text())
    assert again["codes_sha256"] == text["codes_sha256"] and again["images"] == text["images"]
    assert "8 runs" in printed.err and "8/8" in printed.err  # the bar, with its estimate


def test_the_report_holds_the_command_that_makes_it(
    finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    """Its command, parsed again, is the same study and the same command."""
    path = tmp_path / "report.md"
    options = ["--report", str(path), "--title", "A title", "--note", "Few steps; a first look."]
    assert main([*LINE, "--out", str(finished), "--quiet", *options]) == 0
    text, shown = path.read_text(), capsys.readouterr().out
    assert text.startswith("# A title\n\n**Few steps; a first look.**\n\n```console\nrefquant ")
    words = shlex.split(text.partition("```console\n")[2].partition("\n")[0])
    parsed = build_parser().parse_args(words[1:])
    original = build_parser().parse_args([*LINE, "--out", str(finished), *options])
    assert command.study(parsed) == command.study(original)
    assert command.command(parsed, command.study(parsed)) == shlex.join(words)
    for part in ("## Verdicts", "## Means", "## Convergence", "## Origin", "2 trained copies"):
        assert part in text
    assert "| W2A2 | digits-mlp | adaround | nearest |" in text
    assert "adaround" in shown and "W2A2" in shown and "2 trained copies are few" in shown


def test_an_interrupt_ends_the_workers_and_keeps_finished_rows(tmp_path: Path) -> None:
    """A row that would take days does not hold it up; no worker is left
    that could still write to standard error."""
    out = tmp_path / "rows"
    words = ["compare", "digits-mlp", "--bits", "W4A4,W3A3,W2A2,W5A5", "--quiet"]
    words += ["--steps", "100000000"]
    words += ["--workers", "1", "--out", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-m", "refquant", *words],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # jobs ignore it
    )
    while process.poll() is None and not list(out.glob("*.json")):
        time.sleep(0.1)
    time.sleep(0.5)  # the long row has begun
    os.killpg(process.pid, signal.SIGINT)
    try:
        _, errors = process.communicate(timeout=60)  # to the end of what all of them can write
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    assert process.returncode == 2 and "interrupted" in errors
    assert f"finished rows are in {out}" in errors and "Traceback" not in errors
    (kept,) = out.glob("*.json")
    assert json.loads(kept.read_text())["method"] == "nearest"


def test_a_network_that_differs_in_integers_is_a_mismatch(
    monkeypatch: Patch, capsys: Capture
) -> None:
    """Exit code 1, after the report."""

    def fake(configs: list[Config], **_: Any) -> list[dict[str, Any]]:
        good = [row(config, [1.0, 2.0], [0.1, 0.2]) for config in configs]
        good[-1]["integer_equals_fake"] = False
        return good

    monkeypatch.setattr(command, "sweep", fake)
    assert main([*LINE, "--quiet"]) == 1
    assert "undecided" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["digits-mpl"], "Did you mean"),
        (["digits-mlp:4"], "digits-mlp"),
        (["digits-mlp:1..4"], "digits-mlp"),
        (["digits-mlp:3..1"], "NAME:FIRST..LAST"),
        (["digits-mlp", "digits-mlp:1"], "named twice"),
        (["digits-mlp", "--methods", "nearest,adarond"], "Did you mean"),
        (["digits-mlp", "--methods", "nearest,nearest"], "twice"),
        (["digits-mlp", "--bits", "4/4"], "W4A8"),
        (["digits-mlp", "--bits", "W1A4"], "2"),
        (["digits-mlp", "--seeds", "0,-1"], "at least|in 0"),
        (["digits-mlp", "--steps", "0"], "at least 1"),
        (["digits-mlp", "--level", "95"], "between 0 and 1"),
        (["digits-mlp", "--resamples", "0"], "1"),
        (["digits-mlp", "--pairs", "nearest"], "BASELINE:CANDIDATE"),
        (["digits-mlp", "--pairs", "nearest:nearest"], "BASELINE:CANDIDATE"),
        (["digits-mlp", "--pairs", "nearest:qdrop"], "not in --methods"),
        (["digits-mlp", "--report", "{tmp}"], "a directory stands there"),
        (["digits-mlp", "--report", "{tmp}/none/r.md"], "does not exist"),
        (["digits-mlp", "--out", "{tmp}/rows", "--report", "{tmp}/rows/r.md"], "does not exist|in"),
        (["digits-mlp", "--out", "{tmp}/full"], "not a row"),
        ([], "NETWORK"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(
    words: list[str], message: str, tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    """Exit code 4, a message on standard error, nothing on standard output, no row computed."""
    no_work(monkeypatch)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    try:
        code: Any = main(["compare", *(word.format(tmp=tmp_path) for word in words)])
    except SystemExit as error:
        code = error.code
    printed = capsys.readouterr()
    assert code == 4 and printed.out == ""
    assert re.search(message, printed.err)


def test_a_report_among_the_rows_is_refused(tmp_path: Path, monkeypatch: Patch) -> None:
    """The next run would take it for a foreign file. A probe leaves nothing behind."""
    no_work(monkeypatch)
    inside = ["--out", str(tmp_path / "rows"), "--report", str(tmp_path / "rows" / "r.md")]
    assert main(["compare", "digits-mlp", *inside]) == 4
    assert not (tmp_path / "rows" / "r.md").exists()
    assert main(["compare", "digits-mlp", "--quiet", "--report", str(tmp_path / "r.md")]) == 3
    assert not (tmp_path / "r.md").exists()


def test_networks_and_widths() -> None:
    """Ranges, single copies, names alone."""
    for text, names in (
        ("digits-mlp", ["digits-mlp:1"]),
        ("digits-mlp:3", ["digits-mlp:3"]),
        ("digits-mlp:2..3", ["digits-mlp:2", "digits-mlp:3"]),
    ):
        assert [chosen.name for chosen in study_arguments.networks(text)] == names
    assert study_arguments.width("W4A16") == (4, 16)
    assert study_arguments.pair("a+b:c") == ("a+b", "c")


@pytest.mark.parametrize(
    ("copies", "words"),
    [(1, "nothing about other networks"), (3, "about 0.82"), (5, "cover images")],
)
def test_the_caution_follows_the_copies(copies: int, words: str) -> None:
    """sqrt(2/3) = 0.816; the architecture with the fewest decides."""
    names = [f"a:{i}" for i in range(9)] + [f"b:{i}" for i in range(copies)]
    assert words in caution({"study": {"networks": names}})


@pytest.mark.parametrize(
    ("decided", "named"), [(0.5, True), (0.9899, True), (0.99, False), (1.0, False), (None, False)]
)
def test_methods_that_were_not_decided_are_named(decided: float | None, named: bool) -> None:
    """At the end of the last phase; the groups within "all" do not repeat it."""
    phases = [{"decided": 0.1}, {"decided": decided}]
    mean = {"method": "brecq", "bits": "W2A2", "phases": phases}
    plain = {"method": "nearest", "bits": "W2A2", "phases": [], "group": "all"}
    groups = [plain, {**mean, "group": "all"}, {**mean, "group": "digits-mlp"}]
    found = unsettled({"methods": groups})
    assert len(found) == named and (not named or found[0].count("brecq W2A2") == 1)
