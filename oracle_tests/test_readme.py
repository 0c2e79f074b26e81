"""What the README says is true: its code runs, its tables, commands and links are there."""

import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import refquant as rq
from oracle_tests.scripts import script

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = ("pip install . && refquant demo", "pip install '.[test]' && pytest")
# The public interface: other tools call these names.
PUBLIC = (
    *("METHODS", "Network", "Setting", "arithmetic", "describe", "metrics", "numerics"),
    *("quantize", "replace", "sweep", "zoo", "zoo.data", "zoo.load", "zoo.names"),
    *("Result", "Result.network", "Result.integer", "Result.save"),
    *("Result.optimality_gap", "Result.border_report", "Result.with_border_bits"),
)


def blocks(language: str) -> list[str]:
    """Return the code blocks of the README in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def tables() -> ModuleType:
    """Return the script that writes the generated parts of the README."""
    return script("readme_tables")


def shortened(code: str) -> str:
    """Return a block of code with fewer steps; everything else stays as it is printed."""
    short, count = re.subn(r"steps=400\b", "steps=2", code)
    assert count == 1
    return short


def test_the_python_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    """All blocks, one after the other; from the second on, on a smaller network."""
    first, second, third = [code for code in blocks("python") if "mykernels" not in code]
    names: dict[str, Any] = {}
    exec(compile(shortened(first), "README.md", "exec"), names)
    accuracy, codes = capsys.readouterr().out.split("\n", 1)
    assert 0.0 <= float(accuracy) <= 1.0
    assert re.search(r"\[\[ *-?\d", codes), "integers, printed as a matrix"
    result, x = names["result"], names["data"].test.x
    assert np.array_equal(result.network(x), names["logits"])
    assert result.history and result.layers["block1.conv1"].codes.dtype == np.int64
    names["net"] = rq.zoo.load("digits-mlp")
    exec(compile(shortened(second), "README.md", "exec"), names)
    assert names["result"].setting == rq.METHODS["adaround"]
    exec(compile(third, "README.md", "exec"), names)
    assert re.match(r"at most \d+\.\d MB, at ", capsys.readouterr().out)


def test_what_a_run_holds_is_what_the_plan_counts() -> None:
    """Bytes an image in files, rounded; the plan's own test holds it to a run."""
    network, x = rq.zoo.load("digits-resnet"), rq.zoo.data("digits").calib.x
    held = rq.memory_plan(network, x, "adaround", cache="disk").disk / len(x)
    (said,) = re.findall(r"AdaRound thus holds at most (\d+) kB an image in float64", README)
    assert round(held / 1000) == int(said) and x[0].astype(float).nbytes == 512


def test_the_commands_are_where_the_ci_looks_for_them() -> None:
    """Each on a line of its own in a console block; .ci/run executes them as they stand."""
    lines = [line for block in blocks("console") for line in block.splitlines()]
    commands = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for command in COMMANDS:
        assert lines.count(command) == 1 and README.splitlines().count(command) == 1
        assert f'readme "{command}"' in commands


def test_the_table_of_methods_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    """One row a method, as `validation/readme_tables.py` writes them."""
    assert tables().main(["--check"]) == 0, capsys.readouterr().out
    for method in rq.METHODS.values():
        assert f"| {method.name} |" in README


def test_the_table_of_the_demo_is_there() -> None:
    """Its times differ from run to run; that it is the demo's table does not."""
    shown = README.partition("<!-- begin demo -->")[2].partition("<!-- end demo -->")[0]
    lines = shown.splitlines()
    assert sum(line.startswith(("nearest ", "adaround ")) for line in lines) == 8
    assert all(" yes " in line for line in lines if line.startswith(("nearest ", "adaround ")))


def test_generated_parts_are_replaced_between_their_markers() -> None:
    """Text around them stays; missing, doubled or swapped markers are an error."""
    replaced = tables().replaced
    begin, end = "<!-- begin a -->\n", "<!-- end a -->\n"
    assert replaced(f"1\n{begin}old\n{end}2\n", "a", r"new\1") == f"1\n{begin}new\\1\n{end}2\n"
    for text in ("", f"{begin}old", f"{end}{begin}", f"{begin}{begin}{end}", 2 * f"{begin}{end}"):
        with pytest.raises(ValueError, match="markers"):
            replaced(text, "a", "new")


def test_links_and_paths_exist() -> None:
    """Every link into the repository, and every file or directory named in the text."""
    links = re.findall(r"\]\((?!https?://)([^)#]+)[^)]*\)", README)
    named = re.findall(r"`((?:refquant|oracle_tests|validation|figures)/[\w/.-]*)`", README)
    assert links and named
    missing = [path for path in (*links, *named) if not (ROOT / path).exists()]
    assert missing == []


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_documented(name: str) -> None:
    """`help(rq.NAME)` says something; a table of settings is explained in its module."""
    value: Any = rq
    for part in name.split("."):
        value = getattr(value, part)
    documented = inspect.getmodule(rq.Setting) if name == "METHODS" else value
    text = inspect.getdoc(documented)
    assert text and not text.startswith(f"{name}("), f"rq.{name} has no docstring of its own"
