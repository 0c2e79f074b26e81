"""The conformance suite as other projects run it: in a process of its own, with their backend."""

import subprocess
import sys
from pathlib import Path

import pytest

from refquant.oracle import corpus

ROOT = Path(__file__).parent.parent
GOOD = "from refquant.oracle.itself import FAST as Backend\n"
BAD = """
import numpy as np
from refquant.oracle import Unsupported

class Backend:
    name, dtype = "bad", "float32"

    def run(self, op, inputs, attrs):
        if op != "round" or attrs["mode"] != "rint":
            raise Unsupported("only rint")
        x = inputs["x"]
        return {"y": np.copysign(np.floor(np.abs(x) + np.float32(0.5)), x)}
"""


def conformance(
    folder: Path, *options: str, start: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the suite on two ops from a folder that is not the checkout."""
    command = [sys.executable, "-P", "-m", "pytest", "--pyargs", "oracle_tests.conformance", "-q"]
    plugin = ["-p", "refquant.pytest_plugin", "-p", "no:cacheprovider", "--rootdir", str(folder)]
    code = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(folder)!r}]"
    (folder / "sitecustomize.py").write_text(code)
    return subprocess.run(
        [*command, *plugin, "--refquant-ops=round,border_round", *options],
        cwd=start or folder, capture_output=True, text=True, env={"PYTHONPATH": f"{folder}:{ROOT}"},
    )  # fmt: skip


def test_a_right_backend_passes(tmp_path: Path) -> None:
    """Every golden is a test."""
    (tmp_path / "mine.py").write_text(GOOD)
    run = conformance(tmp_path, "--refquant-backend=mine:Backend")
    assert run.returncode == 0, run.stdout + run.stderr
    of_the_suite = 2  # something ran, and no known failure is stale
    goldens = sum(len(list(corpus.select(op, "quick"))) for op in ("round", "border_round"))
    assert f"{goldens + of_the_suite} passed" in run.stdout


def test_a_wrong_backend_fails_by_name(tmp_path: Path) -> None:
    """What it does not have is skipped with its reason; the page is written."""
    (tmp_path / "mine.py").write_text(BAD)
    run = conformance(
        tmp_path, "--refquant-backend=mine:Backend", "--refquant-html=report.html", "-rs"
    )
    assert run.returncode == 1
    assert "taken as 'half_away' whatever it says. 1/2 is added and the sum rounded" in run.stdout
    assert "--repro round/" in run.stdout and "only rint" in run.stdout
    assert "half_away" in (tmp_path / "report.html").read_text()


def test_known_failures_are_expected_and_stale_ones_are_not(tmp_path: Path) -> None:
    """An entry that explains nothing fails the run."""
    (tmp_path / "mine.py").write_text(BAD)
    known = '[[xfail]]\ncase = "round/*"\nreason = "the old firmware"\n'
    (tmp_path / "known.toml").write_text(known)
    options = ("--refquant-backend=mine:Backend", "--refquant-xfails=known.toml")
    run = conformance(tmp_path, *options)
    assert run.returncode == 0 and "xfailed" in run.stdout, run.stdout
    (tmp_path / "mine.py").write_text(GOOD)
    run = conformance(tmp_path, *options)
    assert run.returncode == 1 and "test_known_failures_still_fail" in run.stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--refquant-backend=no_such_module_here:Backend"], "No module named"),
        (["--refquant-backend=dir:nowhere"], "no directory"),
        (["--refquant-backend=cmd:./nothing"], "expected a program"),
        (["--refquant-ops=bordr_round"], "Did you mean 'border_round'"),
        (["--refquant-xfails=nowhere.toml"], "nowhere.toml"),
    ],
)
def test_wrong_usage_ends_the_run_at_once(tmp_path: Path, options: list[str], says: str) -> None:
    """Not one failure for each golden."""
    run = conformance(tmp_path, *options)
    assert (
        run.returncode == pytest.ExitCode.USAGE_ERROR and (run.stdout + run.stderr).count(says) == 1
    )


def test_the_module_lies_where_pytest_starts(tmp_path: Path) -> None:
    """The command `pytest`, unlike `python -m pytest`, does not put that folder on the path."""
    here = tmp_path / "here"
    here.mkdir()
    (here / "mine.py").write_text(BAD)
    run = conformance(tmp_path, "--refquant-backend=mine:Backend", start=here)
    assert run.returncode == 1 and "half_away" in run.stdout, run.stdout


def test_the_options_are_explained() -> None:
    """In pytest's own help."""
    command = [sys.executable, "-m", "pytest", "-p", "refquant.pytest_plugin", "--help"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--refquant-backend=BACKEND" in run.stdout
