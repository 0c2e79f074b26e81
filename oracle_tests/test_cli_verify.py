"""``refquant verify`` as it is typed: what goes where, what is refused before anything runs."""

import json
from pathlib import Path

import pytest

from refquant.cli.main import main
from refquant.oracle import corpus

CASE = corpus.load("linear")[0].case.id
KERNELS = """
from refquant.oracle import Unsupported, ops

class Loud:
    name = "loud"

    def run(self, op, inputs, attrs):
        if op != "linear":
            raise Unsupported(f"no {op}")
        print("debugging")
        return ops()[op].plain(inputs, attrs)

class Low(Loud):
    def run(self, op, inputs, attrs):
        return {"y": ops()[op].plain(inputs, attrs)["y"] - 1}

class Slow(Loud):
    def run(self, op, inputs, attrs):
        raise KeyboardInterrupt
"""
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of the user's, where the user stands."""
    (tmp_path / "loud_kernels.py").write_text(KERNELS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))


def test_what_a_backend_prints_is_no_part_of_the_report(capsys: Capture) -> None:
    """The JSON stays JSON."""
    assert main(["verify", "loud_kernels:Loud", "--only", "linear", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["passed"] is True and "debugging" in err


def test_a_case_is_run_again(capsys: Capture) -> None:
    """Right: 0; not supported: 5, with the reason."""
    assert main(["verify", "loud_kernels:Loud", "--repro", f"linear/{CASE}"]) == 0
    assert capsys.readouterr().out == "linear: right\n"
    other = f"relu/{corpus.load('relu')[0].case.id}"
    assert main(["verify", "loud_kernels:Loud", "--repro", other]) == 5
    assert capsys.readouterr() == ("", f"{other}: not supported: no relu\n")


@pytest.mark.parametrize("option", ["--html", "--junit"])
def test_a_report_that_cannot_be_written_is_refused_first(option: str, capsys: Capture) -> None:
    """Before the kernels run."""
    assert main(["verify", "loud_kernels:Loud", option, "no/such/place.html"]) == 4
    out, err = capsys.readouterr()
    assert f"{option} is 'no/such/place.html'" in err and "debugging" not in err and out == ""


def test_reports_are_written(tmp_path: Path, capsys: Capture) -> None:
    """Where they were asked for."""
    files = ["--html", "page.html", "--junit", str(tmp_path / "suite.xml")]
    assert main(["verify", "loud_kernels:Loud", "--only", "linear", *files]) == 0
    assert "loud" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert 'name="linear"' in (tmp_path / "suite.xml").read_text(encoding="utf-8")
    assert "passed" in capsys.readouterr().out


def test_an_interrupt_says_which_case_ran(capsys: Capture) -> None:
    """On standard error, with the exit code of an interrupt."""
    assert main(["verify", "loud_kernels:Slow", "--only", "linear"]) == 2
    assert capsys.readouterr().err == f"error: interrupted while the backend ran linear/{CASE}\n"


def test_a_misspelt_op_is_refused_even_among_right_ones(capsys: Capture) -> None:
    """A typing error must not make a run green."""
    assert main(["verify", "loud_kernels:Loud", "--only", "linear,conv2dd"]) == 4
    assert "Did you mean 'conv2d'?" in capsys.readouterr().err


def test_a_small_case_stands_beside_the_failing_one(capsys: Capture) -> None:
    """Asked for; of a directory it is refused before anything is read."""
    assert main(["verify", "loud_kernels:Low", "--only", "relu", "--shrink"]) == 1
    out, err = capsys.readouterr()
    assert "as small as possible:\n        " in out and "actual y = [-1.0]" in out
    assert "as small" not in err
    assert main(["verify", "dir:nowhere", "--shrink"]) == 4
    assert "asked again" in capsys.readouterr().err
