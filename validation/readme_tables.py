"""Write the generated parts of the README: ``python validation/readme_tables.py``.

They are the demo's output and the tables of methods and dialects, between ``<!-- begin NAME -->``
and ``<!-- end NAME -->``. ``--check`` compares the tables of methods with the README instead of
writing (exit code 1 if they differ); the demo's times differ from run to run, so its table is not
compared. ``--methods`` writes the other two alone, without running the demo.
Needs the package installed, or the root of the repository in PYTHONPATH.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

from refquant.cli.methods import dialect_rows, own_rows

README = Path(__file__).parent.parent / "README.md"


def main(argv: list[str] | None = None) -> int:
    """Write or check the README; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--methods", action="store_true", help="write the tables of methods alone")
    arguments = parser.parse_args(argv)
    text = README.read_text(encoding="utf-8")
    methods = markdown(["method", "learns", "unit", "steps", "reference"], own_rows())
    dialects = markdown(["dialect", "released in", "differs from `adaround` in"], dialect_rows())
    current = replaced(replaced(text, "methods", methods), "dialects", dialects)
    if arguments.check:
        same = current == text
        stale = "differ: run python validation/readme_tables.py"
        print(f"the README's tables of methods {'are up to date' if same else stale}")
        return 0 if same else 1
    if not arguments.methods:
        current = replaced(current, "demo", demo_output())
    README.write_text(current, encoding="utf-8")
    return 0


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines).replace(" --- ", "---")


def demo_output() -> str:
    """Return what ``refquant demo`` prints, as a Markdown code block."""
    command = [sys.executable, "-m", "refquant.cli.main", "demo"]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return f"```text\n{run.stdout.rstrip()}\n```"


def replaced(text: str, name: str, content: str) -> str:
    """Return `text` with the part between the markers called `name` replaced.

    Raises
    ------
    ValueError
        If the pair of markers is not there exactly once.
    """
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->\n"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if len(pattern.findall(text)) != 1 or text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"the README must hold the markers {begin!r} and {end!r} once, in order.")
    return pattern.sub(lambda _: f"{begin}{content}\n{end}", text)


if __name__ == "__main__":
    sys.exit(main())
