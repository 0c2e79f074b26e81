"""Write the generated parts of the README: ``python validation/readme_tables.py``.

They are the demo's output, the tables of methods and dialects, what the oracle says of the example,
and the gains that the pages of the study give, between ``<!-- begin NAME -->`` and ``<!-- end NAME
-->``. ``--check`` compares them with the README instead of writing (exit code 1 if they differ),
all but the demo, whose times differ from run to run. ``--methods`` writes all but the demo.
Needs the package installed, or the root of the repository in PYTHONPATH.
"""

import argparse
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from refquant import oracle
from refquant.cli.methods import dialect_rows, own_rows
from refquant.oracle import corpus
from refquant.oracle.registry import variants

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
BITS = ("W4A4", "W2A4", "W3A3", "W2A2")
STUDIES = {  # a later page, of more rounding seeds, is preferred where it is
    "digits": ("study-digits.md",),
    "ResNet-8": ("study-resnet8.md", "study-seeds-resnet8.md"),
}
GAINS = {  # in words: candidate, against
    "AdaRound over nearest": ("adaround+equal-rounding", "nearest"),
    "BRECQ over AdaRound": ("brecq+equal-rounding", "adaround+equal-rounding"),
    "QDrop over BRECQ": ("qdrop+equal-rounding", "brecq+equal-rounding"),
    "AQuant over QDrop": ("aquant", "qdrop+equal-rounding"),
    "AQuant, recommended, over QDrop": ("aquant-recommended", "qdrop+equal-rounding"),
    "... what moving the quantizers gives": (
        "qdrop-input+equal-rounding",
        "qdrop+equal-rounding",
    ),
    "... what the rounding schedule gives": ("aquant-fixed-border", "qdrop-input+equal-rounding"),
    "... what the learnt border gives": ("aquant-recommended", "aquant-fixed-border"),
    "AdaQTransform over QDrop": (
        "adaqtransform+equal-rounding+normalized",
        "qdrop+equal-rounding",
    ),
    "AdaQTransform over NWQ": (
        "adaqtransform+equal-rounding+normalized",
        "nwq+equal-rounding+normalized",
    ),
    "xi and eta without training, over nearest": ("nearest+ols", "nearest"),
}


def main(argv: list[str] | None = None) -> int:
    """Write or check the README; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--methods", action="store_true", help="write all but the demo")
    arguments = parser.parse_args(argv)
    text = README.read_text(encoding="utf-8")
    methods = markdown(["method", "learns", "unit", "steps", "reference"], own_rows())
    dialects = markdown(["dialect", "released in", "differs from `adaround` in"], dialect_rows())
    current = replaced(replaced(text, "methods", methods), "dialects", dialects)
    current = replaced(replaced(current, "verify", verify_output(text)), "oracle", oracle_facts())
    current = replaced(current, "study", gains())
    if arguments.check:
        same = current == text
        stale = "differ: run python validation/readme_tables.py"
        print(f"the README's generated parts {'are up to date' if same else stale}")
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
    command = [sys.executable, "-m", "refquant", "demo"]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return f"```text\n{run.stdout.rstrip()}\n```"


def verify_output(text: str) -> str:
    """Return what the oracle says of the example of the README, without the time it took."""
    code = re.findall(r"^```python\n(# mykernels\.py\n.*?)^```$", text, re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(compile(code[0], "README.md", "exec"), names)
    report = oracle.verify(names["Backend"](), ops="fake_quant")
    report = replace(report, spec="mykernels:Backend", seconds=0.1)
    return f"```text\n{report.to_text()}\n```"


def oracle_facts() -> str:
    """Return the size of the corpus, in a sentence."""
    manifest = corpus.manifest()
    elements, ops = manifest["elements"], manifest["ops"]
    size = sum(entry["bytes"] for entry in ops.values()) / 1e6
    wrong = sum(not variant.equivalent for variant in variants())
    lines = (
        f"{len(ops)} operations, {manifest['floor']['full']} cases, {size:.1f} MB; "
        f"{elements['all']:,} numbers, {elements['bounded']:,} with a bound",
        f"and {elements['two_answers']} with two right answers; {wrong:,} wrong implementations, "
        "all caught, are listed in",
        "[validation/oracle-power.md](validation/oracle-power.md).",
    )
    return "\n".join(lines)


def gains() -> str:
    """Return the gains in SQNR that the study's pages give, undecided ones in italics."""
    columns: dict[str, dict[tuple[str, str], str]] = {}
    for name, pages in STUDIES.items():
        seeds = {bits: n for page in pages for bits, n in seeds_of(HERE / page).items()}
        found = {bits: gain for page in pages for bits, gain in gains_of(HERE / page).items()}
        columns |= {f"{name} {bits}, {counted(seeds[bits])}": found[bits] for bits in found}
    rows = [
        [words, *(column[pair] for column in columns.values())] for words, pair in GAINS.items()
    ]
    return markdown(["gain in SQNR, dB", *columns], rows)


def seeds_of(page: Path) -> dict[str, int]:
    """Return how many rounding seeds a page is of, by bits; its command says so."""
    words = re.search(r"--seeds (\S+) --bits (\S+)", page.read_text(encoding="utf-8"))
    assert words, f"{page.name} has no command"
    return dict.fromkeys(words[2].split(","), len(words[1].split(",")))


def counted(seeds: int) -> str:
    """Return "1 seed", "3 seeds"."""
    return f"{seeds} seed{'s' if seeds > 1 else ''}"


def gains_of(page: Path) -> dict[str, dict[tuple[str, str], str]]:
    """Return the gains of a page by bits, and by candidate and against."""
    found: dict[str, dict[tuple[str, str], str]] = {}
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 10 and cells[5] in BITS:  # source, claim, candidate, against, bits
            gain = f"{float(cells[6].partition(' ')[0]):+.1f}"
            shown = f"*{gain}*" if cells[8].startswith("undecided") else gain
            found.setdefault(cells[5], {})[(cells[3], cells[4])] = shown
    return found


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
