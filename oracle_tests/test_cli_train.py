"""``refquant train``: what it reports; the training itself is tested with the zoo."""

import json

import pytest

from refquant import zoo
from refquant.cli.main import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace training: copy 2 of any network comes out different. Return what was trained."""
    calls: list[str] = []

    def check(name: str, progress: object = None) -> zoo.Check:
        calls.append(name)
        differing = 3 if name.endswith(":2") else 0
        return zoo.Check(name, differing == 0, differing, "ab" * 32, "cd" * 32)

    monkeypatch.setattr(zoo, "check", check)
    return calls


def test_all_networks_are_checked(trained: list[str], capsys: Capture) -> None:
    """--check without names takes the whole zoo; one difference is exit code 1."""
    assert main(["train", "--check"]) == 1
    assert tuple(trained) == zoo.names()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(zoo.names())
    assert [":2 " in line for line in lines] == ["DIFFERS in 3 weights" in line for line in lines]


def test_named_networks_are_checked(trained: list[str], capsys: Capture) -> None:
    """Only those that are named, with or without --check; all equal is exit code 0."""
    assert main(["train", "digits-mlp:1", "digits-mlp:3", "--check", "--json", "--quiet"]) == 0
    assert trained == ["digits-mlp:1", "digits-mlp:3"]
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert [check["same"] for check in report["checks"]] == [True, True]
    assert report["environment"]["refquant"]
    assert printed.err == ""


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_nothing_named_is_nothing_run(
    options: list[str], trained: list[str], capsys: Capture
) -> None:
    """Exit code 5, and a hint."""
    assert main(["train", *options]) == 5
    assert trained == []
    printed = capsys.readouterr()
    assert "name a network, or use --check" in printed.err
    assert json.loads(printed.out)["checks"] == [] if options else printed.out == ""


def test_a_finished_network_is_printed_at_once(
    trained: list[str], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupting the check of twelve networks loses no outcome."""
    first = zoo.check

    def check(name: str, progress: object = None) -> zoo.Check:
        if trained:
            raise KeyboardInterrupt
        return first(name)

    monkeypatch.setattr(zoo, "check", check)
    assert main(["train", "digits-mlp:1", "digits-mlp:3"]) == 2
    assert capsys.readouterr().out.startswith("digits-mlp:1        same bits")
