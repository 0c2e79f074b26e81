"""Write the generated parts of the README: the demo's output and the table of methods.

usage: python validation/readme_tables.py [--check]

With ``--check`` only the table of methods is compared (the demo's times differ from run to run),
and the exit code is 1 if it is out of date.
"""

import re
import subprocess
import sys
from pathlib import Path

from refquant.cli.methods import summary
from refquant.methods import METHODS

README = Path(__file__).parent.parent / "README.md"


def methods_table() -> str:
    """Return the catalogue as a Markdown table."""
    lines = ["| method | learns | unit | steps | reference |", "|---|---|---|---|---|"]
    for setting in METHODS.values():
        lines.append("| " + " | ".join(str(v) for v in summary(setting).values()) + " |")
    return "\n".join(lines)


def demo_output() -> str:
    """Return what `refquant demo` prints, as a Markdown code block."""
    command = [sys.executable, "-m", "refquant.cli.main", "demo", "--quiet"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return f"```text\n{run.stdout.rstrip()}\n```"


def replaced(text: str, name: str, content: str) -> str:
    """Return `text` with the part between the markers called `name` replaced."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    return pattern.sub(lambda _: f"{begin}\n{content}\n{end}", text)


def main() -> int:
    """Write or check the README."""
    text = README.read_text(encoding="utf-8")
    current = replaced(text, "methods", methods_table())
    if "--check" in sys.argv[1:]:
        return int(current != text)
    README.write_text(replaced(current, "demo", demo_output()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
