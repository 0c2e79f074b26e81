"""The benchmark's frame: turns, ratios, refusals, the peer's protocol. No time is asserted."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from refquant.bench.agreement import same_gradients
from refquant.bench.case import TABLES, Case, Work
from refquant.bench.catalogue import catalogue, chosen
from refquant.bench.measure import peak_bytes, repeats, seconds
from refquant.bench.peer import PeerError, running
from refquant.bench.rounds import Outcome, measure
from refquant.bench.surroundings import surroundings
from refquant.cli.bench import limits, peer_command
from refquant.cli.main import main

# A peer that needs nothing: it answers 1, 2, 3, ... seconds, and doubles its inputs.
WORKER = """
import json, sys
turn = 0
for line in sys.stdin:
    request = json.loads(line)
    turn += request["do"] == "seconds"
    answers = {"about": {"name": "toy"}, "start": {"results": request.get("inputs")},
               "repeats": {"value": 3}, "seconds": {"value": turn}, "bytes": {"error": "no"}}
    print(json.dumps(answers[request["do"]]), flush=True)
"""


def toy(**fields):
    """A case whose two sides record when they run."""
    calls = []

    def side(name):
        results = {"d": np.arange(3.0)}
        return lambda inputs: Work(lambda: calls.append(name), lambda: results)

    case = Case(
        name="toy",
        table="same algorithm",
        peer="itself",
        inputs=lambda: {"d": np.arange(3.0)},
        ours=side("a"),
        theirs=side("b"),
        judge=same_gradients,
    )
    return replace(case, **fields), calls


def worker(tmp_path):
    path = tmp_path / "worker.py"
    path.write_text(WORKER)
    return [sys.executable, str(path)]


def test_sides_run_in_turn_and_the_order_changes(monkeypatch):
    """A B, B A, A B; and every round gives one ratio."""
    monkeypatch.setattr("refquant.bench.rounds.repeats", lambda run: 1)
    case, calls = toy()
    outcome = measure(case, 4, None)
    assert calls == list("abbaabba")
    assert len(outcome.ratios) == 4 and outcome.facts == {"gradients_differ_by": 0.0}


def test_ratios_are_the_peers_cost_over_ours():
    """Median, smallest and largest of the rounds' own ratios, not ratios of medians."""
    case, _ = toy(target=2.0, aim=3.0)
    row = Outcome(case=case, ours=(1.0, 2.0, 4.0), theirs=(8.0, 2.0, 12.0)).row()
    assert [row[f"ratio_{which}"] for which in ("min", "median", "max")] == [1.0, 3.0, 8.0]
    assert (row["target"], row["aim"], row["ours"], row["theirs"]) == (2.0, 3.0, 2.0, 8.0)
    keys = ("name", "table", "peer", "ratio_min", "ratio_median", "ratio_max", "target", "aim")
    assert tuple(row)[:8] == keys


def test_what_keeps_cases_from_their_aims_is_said_once():
    """Below the aim, a text and all who share it; at the aim, or without a text, nothing."""
    rows = [
        {"name": name, "ratio_median": ratio, "aim": 2.0, "limit": text}
        for name, ratio, text in (
            ("a", 1.9, "the product"),
            ("b", 2.0, "the product"),
            ("c", 0.1, ""),
            ("d", 0.5, "the product"),
            ("e", 1.0, "memory"),
        )
    ]
    assert limits(rows) == {"the product": ["a", "d"], "memory": ["e"]}


def test_a_peer_is_asked_in_lines_of_json(tmp_path):
    """Inputs go to it as a file, its results come back, its times count `times` over."""
    case, _ = toy(theirs=None, worker="toy", times=10.0)
    with running(worker(tmp_path)) as peer:
        assert peer.about == {"name": "toy"}
        outcome = measure(case, 3, peer)
        assert outcome.theirs == (10.0, 20.0, 30.0)
        with pytest.raises(PeerError, match="the peer: no"):
            peer.value(do="bytes")
    with pytest.raises(PeerError, match="has ended"), running([sys.executable, "-c", ""]):
        pass
    with pytest.raises(PeerError, match="No such file"), running([str(tmp_path / "none")]):
        pass


def test_what_differs_is_no_comparison():
    """Gradients that are apart, or missing on one side."""
    here, near = {"d": np.float32([1.0, 100.0])}, {"d": np.float32([1.005, 100.0])}
    assert same_gradients(here, near)["gradients_differ_by"] < 1e-4
    with pytest.raises(ValueError, match=r"d differs by 0\.5"):
        same_gradients(here, {"d": np.float32([51.0, 100.0])})
    with pytest.raises(ValueError, match="d differs by nan"):
        same_gradients(here, {"d": np.float32([np.nan, 100.0])})
    with pytest.raises(ValueError, match="d is float32 here, float64 there"):
        same_gradients(here, {"d": np.float64([1.0, 100.0])})
    with pytest.raises(ValueError, match="d differs by 5e-05"):
        same_gradients(*({"d": value["d"].astype(np.float64)} for value in (here, near)))
    with pytest.raises(ValueError, match="the sides return"):
        same_gradients(here, {})
    case, _ = toy(theirs=None)
    with pytest.raises(ValueError, match="no peer"):
        measure(case, 1, None)


def test_costs():
    """Short runs are repeated; a run that fills an array costs its bytes."""
    assert seconds(lambda: None, 5) >= 0.0 and repeats(lambda: None) > 10
    if not Path("/proc/self/clear_refs").exists():
        with pytest.raises(OSError):
            peak_bytes(lambda: None)
    else:
        assert 30e6 < peak_bytes(lambda: np.ones(4_000_000)) < 60e6


def test_the_catalogue():
    """Unique names; every case has a peer or a second side; known tables; targets below aims."""
    cases = catalogue()
    assert len({case.name for case in cases}) == len(cases) >= 20
    for case in cases:
        assert case.table in TABLES and case.peer
        assert bool(case.worker) != (case.theirs is not None)
        assert case.target is None or case.aim is None or case.target <= case.aim
    assert {c.name for c in chosen("B1", True)} <= {c.name for c in cases}
    with pytest.raises(ValueError, match="B1 gram step"):
        chosen("nothing like it", False)
    with pytest.raises(ValueError, match="same algorithm"):
        toy(table="other")


def test_the_command_without_a_peer(tmp_path, monkeypatch, capsys):
    """Nothing that needs one is run: exit code 5; a wrong name is wrong usage."""
    monkeypatch.chdir(tmp_path)
    assert peer_command(None) is None and peer_command("a 'b c'") == ["a", "b c"]
    history = tmp_path / "history.jsonl"
    code = main(["bench", "--only", "B1 gram step, by hand", "--json", "--history", str(history)])
    report = json.loads(capsys.readouterr().out)
    assert code == 5 and report["cases"] == [] and report["peer"] is None
    assert json.loads(history.read_text()) == report
    assert main(["bench", "--only", "nothing"]) == 4


def test_surroundings_hold_no_path():
    """They are pasted into reports."""
    found = surroundings()
    assert {"blas_kernel", "one_thread", "threads", "malloc", "malloc_of_the_peer", "load"} == set(
        found
    )
    assert "/" not in json.dumps(found)
