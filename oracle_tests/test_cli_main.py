"""The command line as a whole: help, exit codes, refusals, pipes that close."""

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import refquant as rq
from refquant.cli import methods as methods_command
from refquant.cli.main import COMMANDS, build_parser, main
from refquant.methods import ADDITIONS

ROOT = Path(__file__).parent.parent
NAMES = (
    "demo",
    "quantize",
    "compare",
    "methods",
    "describe",
    "train",
    "verify",
    "vectors",
    "fingerprint",
    "explain",
    "selftest",
    "bench",
    "env",
)
Capture = pytest.CaptureFixture[str]


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command."""
    for action in build_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    raise LookupError("no commands")


def refused(argv: list[str], capsys: Capture) -> str:
    """Return what a command says that is refused by the parser."""
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 4
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err


def test_the_commands_are_those_of_the_design() -> None:
    """Scripts of other projects call these names."""
    assert tuple(parsers()) == NAMES
    assert len(COMMANDS) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_help_has_examples_that_parse(name: str, capsys: Capture) -> None:
    """A reader copies the examples; each must be accepted as it stands."""
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    lines = printed.out.partition("examples:\n")[2].splitlines()
    examples = [line.split("   ")[0].split(">")[0].strip() for line in map(str.strip, lines)]
    commands = [line for line in examples if line.startswith("refquant ")]
    assert commands
    for line in commands:
        assert build_parser().parse_args(shlex.split(line)[1:]).run is not None


@pytest.mark.parametrize("name", NAMES)
def test_help_shows_every_default(name: str) -> None:
    """Nobody has to read the source for a number that decides a result."""
    parser = parsers()[name]
    text = " ".join(parser.format_help().split())
    for action in parser._actions:
        assert action.help or not action.option_strings, f"{name} {action.dest} has no help"
        if action.default not in (None, False, argparse.SUPPRESS):
            assert f"default: {action.default}" in text, f"{name} {action.dest}"


@pytest.mark.parametrize("name", NAMES)
def test_every_command_takes_json_and_debug(name: str) -> None:
    """--json everywhere, for tools; --debug everywhere, for reports."""
    options = {option for action in parsers()[name]._actions for option in action.option_strings}
    assert {"--json", "--debug", "--help"} <= options


def test_version(capsys: Capture) -> None:
    """The version is the package's."""
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"refquant {rq.__version__}\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "required: COMMAND"),
        ("quantise digits-mlp", "invalid choice: 'quantise'"),
        ("--vers", "required: COMMAND"),
        ("quantize", "required: NETWORK"),
        ("quantize digits-mpl", "Did you mean 'digits-mlp'?"),
        ("quantize digits-mlp:4", "Did you mean 'digits-mlp"),
        ("quantize digits-mlp --method adaroun", "Did you mean 'adaround'?"),
        ("quantize digits-mlp --weight-bits 1", "1 is not in 2..16"),
        ("quantize digits-mlp --act-bits 17", "17 is not in 2..16"),
        ("quantize digits-mlp --first-last-bits 0", "0 is not in 2..16"),
        ("quantize digits-mlp --weight-bits four", "'four' is not an integer"),
        ("quantize digits-mlp --steps 0", "0 is not at least 1"),
        ("quantize digits-mlp --seed -1", "-1 is not in 0..18446744073709551615"),
        ("quantize digits-mlp --jso", "unrecognized arguments: --jso"),
        ("demo --network resnet", "Did you mean 'digits-resnet"),
        ("demo --steps 1.5", "'1.5' is not an integer"),
        ("methods nearst", "Did you mean 'nearest'?"),
        ("train digits-mlp digits-resnt", "Did you mean 'digits-resnet"),
        ("env now", "unrecognized arguments: now"),
    ],
)
def test_wrong_usage_is_refused_with_exit_code_4(line: str, said: str, capsys: Capture) -> None:
    """The message names the argument's value and what would do, without Python's words."""
    message = refused(shlex.split(line), capsys)
    assert said in message
    assert message.startswith("usage: refquant")
    assert "(): " not in message and "Traceback" not in message


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ValueError("f(): x is 3; expected 4."), 4, "error: f(): x is 3; expected 4.\n"),
        (FileNotFoundError(2, "No such file", "a"), 4, "error: [Errno 2] No such file: 'a'\n"),
        (KeyboardInterrupt(), 2, "error: interrupted\n"),
        (BrokenPipeError(), 2, ""),
        (TypeError("no"), 3, "error: TypeError: no\nThis is a bug of refquant"),
        (ZeroDivisionError("by zero"), 3, "error: ZeroDivisionError: by zero\nThis is a bug"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_exit_codes_of_exceptions(
    error: BaseException, code: int, said: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2 interrupted, 3 a bug (with what to report), 4 an argument; no traceback unasked."""
    monkeypatch.delenv("REFQUANT_DEBUG", raising=False)
    monkeypatch.setattr(methods_command, "show", raising(error))
    assert main(["methods"]) == code
    printed = capsys.readouterr().err
    assert printed.startswith(said) and "Traceback" not in printed
    assert ("--debug" in printed) == (code == 3)


@pytest.mark.parametrize("how", ["option", "variable"])
def test_debug_prints_the_traceback(
    how: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--debug and REFQUANT_DEBUG show where an error came from; the exit code stays."""
    monkeypatch.setenv("REFQUANT_DEBUG", "1" if how == "variable" else "")
    monkeypatch.setattr(methods_command, "show", raising(ZeroDivisionError("by zero")))
    assert main(["methods", *(["--debug"] if how == "option" else [])]) == 3
    printed = capsys.readouterr().err
    assert printed.startswith("Traceback") and "error: ZeroDivisionError" in printed


def raising(error: BaseException) -> Callable[[str], None]:
    """Return a function that raises `error`."""

    def function(text: str) -> None:
        raise error

    return function


@pytest.mark.parametrize("line", ["methods", "methods --json", "quantize --help"])
def test_a_closed_pipe_is_no_error(line: str) -> None:
    """``refquant methods | head -0`` says nothing and ends as if it had been read."""
    read, write = os.pipe()
    os.close(read)
    try:
        ended = process(line, stdout=write)
    finally:
        os.close(write)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_process_ends_with_the_exit_code() -> None:
    """What main returns is what the shell sees."""
    assert process("train").returncode == 5
    assert process("train digits").returncode == 4


def test_the_package_runs_as_a_module() -> None:
    """As the command does, and under its name."""
    ended = process("--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("usage: refquant ")
    assert all(command.__name__.rpartition(".")[2] in ended.stdout for command in COMMANDS)


def process(line: str, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, whose standard output is buffered as usual."""
    command = [sys.executable, "-m", "refquant", *shlex.split(line)]
    env = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    return subprocess.run(
        command, cwd=ROOT, env=env, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
    )


def test_methods_lists_the_catalogue(capsys: Capture) -> None:
    """Every method with its reference, as text and as JSON."""
    assert main(["methods"]) == 0
    text = capsys.readouterr().out
    own, _, dialects = text.partition("\nAdditions")[0].partition("\nDialects")
    shown = [line.split()[0] for part in (own, dialects) for line in part.splitlines() if line]
    assert sorted(name for name in shown if name in rq.METHODS) == sorted(rq.METHODS)
    assert all(line.startswith("adaround-") for line in dialects.splitlines()[4:] if line)
    assert main(["methods", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    listed, added = report["methods"], report["additions"]
    assert [entry["name"] for entry in added] == list(ADDITIONS)
    assert all(f"\n{entry['name']} " in text and entry["reference"] in text for entry in added)
    assert [entry["name"] for entry in listed] == list(rq.METHODS)
    for entry in listed:
        setting = rq.METHODS[entry["name"]]
        assert entry.pop("setting") == json.loads(setting.to_json())
        assert entry["reference"] == setting.reference and setting.reference in text
        assert tuple(entry["learnt"]) == setting.learnt
        assert tuple(entry["parents"]) == setting.parents
        assert entry["granularity"] == [phase.unit for phase in setting.phases]
        assert entry["steps"] == [phase.steps for phase in setting.phases]


def test_describe_prints_a_setting_as_it_runs(capsys: Capture) -> None:
    """methods.md 5.7: in Tm steps of 20,000, alpha moves at 20 / Tm and a step at 0.8 / Tm."""
    assert main(["describe", "qdrop", "--steps", "400", "--json"]) == 0
    (phase,) = json.loads(capsys.readouterr().out)["phases"]
    rates = {name: learn["lr"] for name, learn in phase["learn"]}
    assert phase["steps"] == 400
    assert rates == pytest.approx({"alpha": 20 / 400, "s_x": 0.8 / 400}, rel=1e-15)
    assert main(["describe", "brecq", "--steps", "7"]) == 0
    text = capsys.readouterr().out
    assert text == f"{rq.describe('brecq', 7)}\n" and text.count("steps: 7\n") == 2
    assert main(["describe", "brecq"]) == 0
    assert capsys.readouterr().out == f"{rq.describe('brecq')}\n"
    assert "at least 1" in refused(["describe", "brecq", "--steps", "0"], capsys)
    assert "Did you mean 'brecq'" in refused(["describe", "brec"], capsys)


@pytest.mark.parametrize("name", rq.METHODS)
def test_methods_prints_one_setting(name: str, capsys: Capture) -> None:
    """In full: the text is `describe`, the JSON is what is hashed."""
    assert main(["methods", name]) == 0
    assert capsys.readouterr().out == f"{rq.describe(name)}\n"
    assert main(["methods", name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(rq.METHODS[name].to_json())


def test_env_tells_versions_but_neither_paths_nor_names(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment of a report can be published."""
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    assert main(["env", "--json"]) == 0
    as_json = capsys.readouterr().out
    values = json.loads(as_json)
    assert values["python"] == platform.python_version()
    assert values["arithmetic"] == {"mode": "fast", "slices": None}
    assert values["threads"]["OPENBLAS_NUM_THREADS"] == "3"
    assert main(["env"]) == 0
    text = capsys.readouterr().out
    assert "OPENBLAS_NUM_THREADS=3" in text
    for printed in (as_json, text):
        assert "/" not in printed and "\\" not in printed
        assert platform.node() not in printed.split()
