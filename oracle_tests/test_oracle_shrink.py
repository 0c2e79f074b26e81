"""A failing case is made small, and stays a failing case with a golden of its own."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oracle_tests.oracle_cases import Backend, goldens, half_away
from refquant.oracle import corpus
from refquant.oracle.registry import ops
from refquant.oracle.shrink import axes_of, reproduce
from refquant.oracle.shrink_failures import shrink_failures
from refquant.oracle.verify import verify


def failing() -> object:
    """The first case, at ties."""
    return goldens()[0]


def test_a_rounding_bug_shrinks_to_one_tie() -> None:
    """0.5 is the simplest number that shows it."""
    found = reproduce(Backend({"rint": half_away}), failing())
    assert found.built.case.inputs["x"].tolist() == [0.5]
    assert found.built.outputs["y"].value.tolist() == [0.0]
    assert found.outputs["y"].tolist() == [1.0]
    assert found.diagnosis is not None and found.diagnosis.variants == ("round.rint_half_away",)
    assert found.exit_code == 1
    for text in ("x = [0.5]", "expected y = [0.0]", "actual y = [1.0]", "Ties go away"):
        assert text in found.to_text()


def test_integers_are_made_simple_too() -> None:
    """Negative accumulators come out one too low: -1 is the simplest of them."""
    item = next(b for b in corpus.load("requant_fixed") if b.case.purpose.startswith("M = 1/2 and"))

    class Low(Backend):
        def run(self, op: str, inputs: Any, attrs: Any) -> Any:
            codes = super().run(op, inputs, attrs)["codes"]
            return {"codes": codes - (np.asarray(inputs["acc"]) < 0)}

    found = reproduce(Low(), item).built.case.inputs
    assert found["acc"].tolist() == [-1] and found["zero_point"] == 0


def test_a_case_that_passes_is_right() -> None:
    """Nothing to shrink."""
    found = reproduce(Backend(), failing())
    assert found.exit_code == 0 and "right" in found.to_text()


def test_an_exception_shrinks_too() -> None:
    """To the smallest input that raises."""

    def broken(op: str, found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if (found["y"] == 4).any():
            raise RuntimeError("four")
        return found

    found = reproduce(Backend(change=broken), failing())
    assert found.built.case.inputs["x"].size == 1
    assert "raised RuntimeError: four" in found.to_text()


def test_axes_are_named_by_the_letters_of_the_shape() -> None:
    """Tensors whose shape is not spelt out share their axes."""
    op = ops()["border_round"]
    assert axes_of(op, "u", np.zeros((2, 3))) == axes_of(op, "border", np.zeros((2, 3)))


def test_cases_are_found_by_the_beginning_of_their_id() -> None:
    """And an id that is not there says so."""
    item = corpus.load("round")[0]
    assert corpus.find(f"round/{item.case.id[:8]}") is item
    assert corpus.find(item.case.id) is item
    with pytest.raises(ValueError, match="no op and no case"):
        corpus.find("round/ffffffffffffffff")
    with pytest.raises(ValueError, match=r"stands for \d+ cases"):
        corpus.find("round/")


PROGRAM = """
import sys, pathlib
import numpy as np
vectors, results = map(pathlib.Path, sys.argv[1:])
with open("runs", "a") as file:
    print(file=file)
for case in (vectors / "border_round").iterdir():
    u, border = np.load(case / "in.u.npy"), np.load(case / "in.border.npy")
    out = results / "border_round" / case.name
    out.mkdir(parents=True)
    np.save(out / "y.npy", np.floor(u) + (u - np.floor(u) >= border))
"""


def test_a_program_is_asked_about_many_cases_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fraction at its border, found in a few runs; what lies in a directory stays as it is."""
    monkeypatch.chdir(tmp_path)
    Path("kernel.py").write_text(PROGRAM)
    item = corpus.find(f"border_round/{corpus.load('border_round')[0].case.id}")
    found = reproduce(f"cmd:{sys.executable} kernel.py", item)
    (u,), (border,) = (found.built.case.inputs[name] for name in ("u", "border"))
    assert u - np.floor(u) == border and found.outputs["y"] == np.floor(u) + 1
    assert len(Path("runs").read_text().splitlines()) < 30
    home = tmp_path / "results" / "border_round" / item.case.id
    home.mkdir(parents=True)
    np.save(home / "y.npy", item.outputs["y"].value + 1)
    recorded = reproduce(f"dir:{tmp_path / 'results'}", item)
    assert recorded.built is item and f", ...] of shape {item.case.inputs['u'].shape}" in (
        recorded.to_text()
    )


def test_a_report_has_one_small_case_of_each_op() -> None:
    """Beside the original, in every form of the report; the other failures stay as they are."""
    backend, asked = Backend({"rint": half_away}), list[str]()
    report = verify(backend, ops="round,relu,fake_quant")
    found = shrink_failures(report, backend, progress=asked.append)
    small = {f.op: f.small for f in found.failures if f.small}
    assert asked == list(small) == ["round", "fake_quant"]
    assert {failure.op for failure in found.failures} == set(small)
    first = next(f for f in found.failures if f.op == "round")
    assert first.small is small["round"] and first.case == report.failures[0].case
    assert first.small.built.case.inputs["x"].tolist() == [0.5]
    for text in (found.to_text(), found.to_html(), found.to_junit()):
        assert text.count("small as possible") == 2 and text.count("input x = [0.5]") == 1
    kept = [f["small"] for f in found.to_json()["failures"]]
    assert kept[0]["inputs"] == {"x": [0.5]} and kept.count(None) == len(kept) - 2
    assert "small as possible" not in report.to_text()


def test_what_is_right_when_asked_again_has_no_small_case() -> None:
    """Such a backend fails once and never again."""
    answers = []

    def once(op: str, found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        answers.append(op)
        return {"y": found["y"] + (len(answers) == 1)}

    backend = Backend(change=once)
    report = verify(backend, ops="relu")
    assert [f.small for f in shrink_failures(report, backend).failures] == [None]


def test_results_in_a_directory_cannot_be_asked_again() -> None:
    """Refused by name."""
    with pytest.raises(ValueError, match=r"dir:results.*asked again.*cmd:PROGRAM"):
        shrink_failures(verify(Backend(), ops="relu"), "dir:results")
