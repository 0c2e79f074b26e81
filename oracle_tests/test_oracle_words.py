"""What a user reads of mistyped names, of lists that are out of date, and of what to type next."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from oracle_tests.oracle_cases import Backend
from refquant import oracle
from refquant.cli.main import main
from refquant.oracle import corpus
from refquant.oracle.digits import counted
from refquant.oracle.expected import read_expected
from refquant.oracle.pattern import pattern
from refquant.oracle.registry import ops

CASES = corpus.load("border_round")
WRONG = Backend({"base": np.trunc})


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("sigmoid", "'sigmoid' is no op and no case. Did you mean 'rect_sigmoid'?"),
        ("aquant", "Did you mean 'aquant_quant', 'aquant_step' or 'adaquant_quant'?"),
        ("softsign", "'softsign' is no op and no case. `refquant verify --list`"),
        ("border_round", f"stands for {len(CASES)} cases: border_round/{CASES[0].case.id}, "),
        ("border_round/", f"stands for {len(CASES)} cases"),
        ("round/zzzz", "'round/zzzz' is no op and no case. `refquant"),
    ],
)
def test_a_case_that_is_none_gets_what_is_near(typed: str, text: str) -> None:
    """Parts of names, misspelt ones, ops, and beginnings of several ids."""
    with pytest.raises(ValueError) as error:
        corpus.find(typed)
    assert text in str(error.value)


@pytest.mark.parametrize("command", ["verify", "vectors"])
def test_the_command_that_was_typed_complains(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of an op that is none."""
    assert main([command, "x:y", "--only", "fake_qant"]) == 4
    text = f"error: {command}(): ops is 'fake_qant'; expected names of ops. Did you mean"
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    ("field", "near"), [("fake_quant.roundng", "fake_quant.rounding"), ("tei", "tie")]
)
def test_a_dialect_field_that_is_none_gets_the_nearest(field: str, near: str) -> None:
    """With its op, if it was typed with one."""
    backend = Backend()
    backend.profile = {field: "rint"}
    with pytest.raises(ValueError, match=f"Did you mean '{near}'"):
        oracle.verify(backend, cases=CASES)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("mykernels.Backend", "Did you mean mykernels:Backend?"),
        ("./mykernels.py", "expected module:attribute, cmd:PROGRAM or dir:PATH."),
        ("cmd:'no end", "(No closing quotation); expected a program."),
        ("cmd:/", "(Permission denied); expected a program. Make it executable, or name what"),
    ],
)
def test_a_backend_that_is_none_gets_what_to_type(spec: str, text: str) -> None:
    """For the slips of a first try."""
    with pytest.raises(ValueError) as error:
        oracle.verify(spec, cases=CASES[:1])
    assert text in str(error.value)


def known(folder: Path, text: str) -> Path:
    """Return an xfails file."""
    (folder / "known.toml").write_text(text, encoding="utf-8")
    return folder / "known.toml"


def test_a_list_of_known_failures_may_be_empty(tmp_path: Path) -> None:
    """When the last bug is gone, the file may stay."""
    assert read_expected(known(tmp_path, "# none\n")).entries == ()
    with pytest.raises(ValueError, match=r"not TOML .*Each entry is \[\[xfail\]\]"):
        read_expected(known(tmp_path, "[[xfail]\n"))


def test_a_stale_entry_alone_is_what_failed(tmp_path: Path) -> None:
    """And not 0 cases."""
    path = known(tmp_path, '[[xfail]]\ncase = "border_round/*"\nreason = "fixed"\n')
    report = oracle.verify(Backend(), cases=CASES, xfails=read_expected(path))
    lines = report.to_text().splitlines()
    stale = "stale entry in the xfails file: border_round/* explains no failure; take it out"
    assert lines[-2:] == [stale, "FAILED: 1 stale entry"]


def test_numbers_have_their_nouns() -> None:
    """One case is wrong, two are."""
    assert [counted(n, "case") for n in (0, 1, 2)] == ["0 cases", "1 case", "2 cases"]
    report = oracle.verify(WRONG, cases=CASES[:1])
    assert "border_round: its 1 case is wrong" in report.to_text()


def test_an_exception_of_several_lines_stays_in_its_place() -> None:
    """All of it under its case."""

    class Broken(Backend):
        def run(self, op: str, inputs: object, attrs: object) -> dict[str, object]:
            raise RuntimeError("an illegal access\nwas encountered")

    text = oracle.verify(Broken(), cases=CASES[:1]).to_text()
    assert "      raised RuntimeError: an illegal access\n        was encountered\n" in text


def test_results_are_called_by_their_name_and_asked_for_by_their_place(tmp_path: Path) -> None:
    """The name of backend.json; a place with a space can be pasted into a shell."""
    place = tmp_path / "my results"
    for item in CASES:
        folder = place / "border_round" / item.case.id
        folder.mkdir(parents=True)
        np.save(folder / "y.npy", item.outputs["y"].value + 1.0)
    (place / "backend.json").write_text(json.dumps({"name": "the old kernel"}))
    report = oracle.verify(f"dir:{place}", cases=CASES)
    assert report.backend == "the old kernel"
    assert {failure.layout for failure in report.failures} == {"C"}  # of files
    typed = shlex.split(report.failures[0].reproduce(report.spec))
    assert typed[:3] == ["refquant", "verify", f"dir:{place}"]
    for name in (7, "", "\x1b[2J", "long" * 40):
        (place / "backend.json").write_text(json.dumps({"name": name}))
        with pytest.raises(ValueError, match="a name that is no line of text"):
            oracle.verify(f"dir:{place}", cases=CASES)


def test_integers_tell_where_it_is_wrong_as_floats_do() -> None:
    """Negative accumulators rounded down."""
    op = ops()["requant_fixed"]
    item = next(b for b in corpus.load(op.name) if b.case.purpose == "M = 1/2 and its ties, double")
    codes = item.outputs["codes"].value - (item.case.inputs["acc"] < 0)

    class Down:
        name = "down"

        def run(self, op: str, inputs: object, attrs: object) -> dict[str, object]:
            return {"codes": codes}

    (failure,) = oracle.verify(Down(), cases=[item]).failures
    assert "exactly where acc < 0" in pattern(op, item.case, failure.mismatches[0])
    assert any("exactly where acc < 0" in line for line in failure.diagnosis.lines)
