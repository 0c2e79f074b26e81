"""validation/study.py: what it plans, what it says a run costs, and how it judges the claims."""

import argparse
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from oracle_tests.compare_cases import row
from oracle_tests.reconstruct_cases import classes, dense, images
from oracle_tests.scripts import script
from refquant import subjects
from refquant.compare import compare, setting_hash
from refquant.methods import resolve
from refquant.study import bits_name
from refquant.subjects import Subject
from refquant.sweeps import Config
from refquant.zoo import Split


@pytest.fixture(scope="module", name="study")
def study_script() -> ModuleType:
    """The script as a module."""
    return script("study")


@pytest.fixture
def asked(study: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the function from a command line to the script's arguments."""

    def parsed(*words: str) -> argparse.Namespace:
        monkeypatch.setattr(sys, "argv", ["study.py", *words])
        found: argparse.Namespace = study.arguments()
        return found

    return parsed


def phase(start: float = 2.0, end: float = 1.0, decided: float | None = 1.0) -> dict[str, Any]:
    return {"hard_start": start, "hard_end": end, "decided": decided}


STUDIES = ("digits", "resnet8", "seeds-resnet8")
JUDGED = {
    "settled": ([[phase()], [phase(), phase(1.0, 0.5, None)]], "transfers"),
    "nothing learnt": ([[], []], "transfers"),
    "just settled": ([[phase(decided=0.99)], []], "transfers"),
    "undecided": ([[phase()], [phase(decided=0.989)]], "undecided: 98.9% of the weights decided"),
    "the worst counts": ([[phase(decided=0.5), phase(decided=0.9)], []], "undecided: 50.0% of"),
    "as far as it was": ([[phase(1.0, 1.0)], []], "transfers"),
    "worse than before": ([[], [phase(1.0, 1.001)]], "undecided: loss ended above its start"),
    "of steps alone": ([[phase(1.0, 2.0, None)], []], "undecided: loss ended above its start"),
}


@pytest.mark.parametrize("case", JUDGED)
def test_a_claim_is_judged_by_settled_runs_alone(case: str, study: ModuleType) -> None:
    """Whatever the gains: an undecided run or a loss that rose judges nothing."""
    courses, expected = JUDGED[case]
    assert study.judged("transfers", courses).startswith(expected)


def test_every_claim_is_a_pair_of_methods_that_are_run(study: ModuleType) -> None:
    """The methods exist, each is listed once, and no pair compares a method with itself."""
    assert len(set(study.METHODS)) == len(study.METHODS)
    for claim in study.CLAIMS:
        assert {claim.baseline, claim.candidate} <= set(study.METHODS)
        assert claim.baseline != claim.candidate and claim.words and claim.source
    assert len(set(study.PAIRS)) == len(study.PAIRS)
    assert all(resolve(name).name == name for name in study.METHODS)


def rows_of(plan: Any, gains: dict[str, float]) -> list[dict[str, Any]]:
    """Rows in which each method's noise is 4 over its gain, on four images alike."""
    return [
        row(
            config,
            [4.0 / gains.get(config.method, 1.0)] * 4,
            [1.0 / gains.get(config.method, 1)] * 4,
        )
        | {"units": []}
        for config in plan.configs()
    ]


def test_claims_have_a_line_for_every_bit_setting(study: ModuleType, asked: Any) -> None:
    """By hand: ten times less noise is 10 dB, and KL falls from 1 to 1/10; all others are equal."""
    (plan,), _ = study.parts(asked("--networks", "digits-mlp:1", "--bits", "W4A4,W2A2"))
    rows = rows_of(plan, {"nearest+ols": 10.0})
    lines = study.claims(compare(plan, rows), study.CLAIMS)
    assert len(lines) == 2 * len(study.CLAIMS)
    assert [line[4] for line in lines[:2]] == ["W4A4", "W2A2"]
    for source, _, candidate, baseline, _, sqnr, kl, verdict in lines:
        if candidate == "nearest+ols":
            assert (source, baseline, verdict) == ("control", "nearest", "transfers")
            assert sqnr == "+10.00 [+10.00, +10.00]" and kl == "+0.9000 [+0.9000, +0.9000]"
        else:
            assert verdict == "undecided" and sqnr.startswith(("+0.00", "-0.00"))


def test_the_page_holds_rule_claims_and_the_whole_comparison(study: ModuleType, asked: Any) -> None:
    """And the command that makes its rows, which plans the same runs."""
    words = ("--networks", "digits-mlp:1,digits-mlp:2", "--bits", "W2A2", "--seeds", "0,1")
    (plan,), _ = study.parts(asked(*words, "--steps", "50"))
    rows = rows_of(plan, {})
    report = compare(plan, rows)
    text = study.page(dict(report), rows)
    assert text.startswith("# Do the papers' orderings hold") and "## Whole comparison" in text
    assert "Everything below was fixed before results were seen" in text
    assert text.count("| AQuant |") == sum(c.source == "AQuant" for c in study.CLAIMS)
    line = study.command(report["study"])
    assert line in text
    (again,), folders = study.parts(asked(*shlex.split(line)[2:]))
    assert again == plan and folders == {}


def test_a_folder_is_a_study_of_its_own(study: ModuleType, asked: Any, tmp_path: Path) -> None:
    """Other test images, other report; its command names no place of this machine."""
    x = images(dense(), 8)
    own = Subject(dense(), Split(x, None), Split(x, classes(x)))
    name = subjects.save(own, tmp_path / "net")
    plans, folders = study.parts(asked("--resnet8", str(tmp_path / "net")))
    assert [plan.networks for plan in plans] == [study.DIGITS, (name,)]
    assert folders == {name: str(tmp_path / "net")}
    line = study.command({**vars(plans[1]), "networks": [name]})
    assert "--resnet8 RESNET8" in line and str(tmp_path) not in line
    only, _ = study.parts(asked("--networks", "", "--resnet8", str(tmp_path / "net")))
    assert [plan.networks for plan in only] == [(name,)]
    for plan in plans:
        assert (plan.methods, plan.pairs, plan.steps) == (study.METHODS, study.PAIRS, 700)
        assert plan.widths == study.BITS == ((4, 4), (2, 4), (3, 3), (2, 2))


def test_the_cost_of_a_run(study: ModuleType) -> None:
    """Fixed, and so much a step of the method in front of the pluses; nearest takes none."""
    made = {"network": "digits-resnet:2", "steps": 100}
    costs = study.PER_STEP["digits-resnet"]
    for method, step in (
        ("nearest", 0.0),
        ("nearest+ols", 0.0),
        ("brecq+equal-rounding", costs["brecq"]),
        ("aquant-fixed-border", costs["aquant"]),
        ("qdrop-input+equal-rounding", costs["other"]),
    ):
        config = Config(method=method, **made)
        assert study.seconds(config) == pytest.approx(0.5 + 100 * step)
    assert study.seconds(Config(network="resnet8:ab", method="nearest", steps=None)) == 15.0
    for network in study.DIGITS:
        assert study.seconds(Config(network=network, method="aquant", steps=1)) > 0.0


def test_a_dry_run_counts_what_is_missing(
    study: ModuleType, asked: Any, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that are there are not counted; nothing is run."""
    monkeypatch.setattr(study, "sweep", None)
    line = ("--networks", "digits-resnet:1", "--bits", "W2A2", "--out", str(tmp_path), "--dry-run")
    (plan,), _ = study.parts(asked(*line))
    configs = plan.configs()
    asked(*line)
    assert study.main() == 0
    total = len(study.METHODS)
    assert f"{total} of {total} runs are missing: about 0." in capsys.readouterr().out
    (tmp_path / f"{configs[0].key}.json").write_text("{}")
    assert study.main() == 0
    assert f"{total - 1} of {total} runs are missing" in capsys.readouterr().out
    assert bits_name(plan.widths[0]) == "W2A2"


@pytest.mark.parametrize("page", [*(f"study-{name}" for name in STUDIES), "seq-mse"])
def test_the_settings_of_the_pages_are_those_of_today(page: str) -> None:
    """A field that came later is left out of the JSON at its default; rows keep their keys."""
    path = Path(__file__).parents[1] / "validation" / f"{page}.md"
    text = path.read_text(encoding="utf-8")
    (line,) = (one for one in text.splitlines() if one.startswith("Settings, by the hash"))
    found = dict(re.findall(r"(\S+) `([0-9a-f]{12})`", line))
    assert "nearest" in found and len(found) > 5
    assert found == {name: setting_hash(name) for name in found}
