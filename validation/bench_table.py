"""Write validation/benchmarks/latest.md from the history that `refquant bench` appends to.

    refquant bench --peer "PYTHON validation/peers/worker.py" \\
        --history validation/benchmarks/history.jsonl
    python -m validation.bench_table

Of every case the last measurement is shown, whenever that was; its date stands beside it.
"""

import json
import sys
from pathlib import Path
from typing import Any

from refquant.cli.bench import limits

FOLDER = Path(__file__).parent / "benchmarks"
HISTORY, TABLE = FOLDER / "history.jsonl", FOLDER / "latest.md"
TABLES = ("same algorithm", "better algorithm")
HEAD = """# Benchmarks

Made by `python -m validation.bench_table` from `history.jsonl`, to which `refquant bench --history`
appends. A ratio is the peer's time (or memory) over ours, measured in turn, at least seven rounds;
the median is the number to read, min and max say how far to trust it. The two tables answer
different questions and are never mixed.

"""


def rows_of(text: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return the last row of every case with the report it stands in, in order of name."""
    found: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    for line in text.splitlines():
        report = json.loads(line)
        for row in report["cases"]:
            found[row["name"]] = (row, report)
    return [found[name] for name in sorted(found)]


def cells(row: dict[str, Any], report: dict[str, Any]) -> list[str]:
    """Return one line of the table."""
    scale, unit = (1e3, "ms") if row["measure"] == "seconds" else (1e-6, "MB")
    goal = "-" if row["target"] is None else f"{row['target']:g}"
    aim = "-" if row["aim"] is None else f"{row['aim']:g}"
    return [
        row["name"],
        row["peer"],
        f"**{row['ratio_median']:.3g}** ({row['ratio_min']:.3g} .. {row['ratio_max']:.3g})",
        f"{goal} / {aim}",
        f"{row['ours'] * scale:.3g} {unit}",
        f"{row['theirs'] * scale:.3g} {unit}",
        facts(row["facts"]),
        report["date"],
    ]


def facts(found: dict[str, Any]) -> str:
    """Return what was compared, in a few words."""
    words = []
    for name, value in found.items():
        if isinstance(value, dict):
            pair = " against ".join(f"{value[side]:.4f}" for side in ("ours", "theirs"))
            words.append(f"{name.replace('_', '-')} error {pair}")
        elif isinstance(value, float):
            words.append(f"{name.replace('_', ' ')} {value:.1g}")
    return "; ".join(words) or "-"


def surroundings(report: dict[str, Any]) -> str:
    """Return where a report was made, in one line."""
    e = report["environment"]
    peer = ", ".join(f"{k} {v}" for k, v in (report["peer"] or {}).items() if k != "cases")
    return (
        f"- {report['date']}: {e['machine']}, {e['cores']} cores, load {e['load'][0]}; BLAS "
        f"{e['blas']}, kernel {e['blas_kernel']}; NumPy {e['numpy']}; malloc of "
        f"ours {chosen(e['malloc'])}, of the peer {chosen(e['malloc_of_the_peer'])}; {peer or '-'}"
    )


def chosen(values: dict[str, Any]) -> str:
    """Return the variables that are set."""
    return ", ".join(f"{k}={v}" for k, v in values.items() if v is not None) or "as it comes"


def main() -> int:
    """Write the table."""
    rows = rows_of(HISTORY.read_text(encoding="utf-8"))
    head = ["case", "peer", "ratio", "target / aim", "ours", "theirs", "compared", "measured"]
    parts = [HEAD.rstrip()]
    for kind in TABLES:
        lines = [cells(row, report) for row, report in rows if row["table"] == kind]
        table = ["| " + " | ".join(line) + " |" for line in (head, *lines)]
        table.insert(1, "|---" * len(head) + "|")
        title = kind.capitalize()
        parts.append(f"## {title}\n\n" + "\n".join(table))
    short = limits([{"limit": "", **row} for row, _ in rows])
    if short:
        lines = "\n".join(f"- {'; '.join(names)}: {text}" for text, names in short.items())
        parts.append(f"## What keeps them from their aims\n\n{lines}")
    reports = {report["date"]: report for _, report in rows}
    places = "\n".join(surroundings(reports[date]) for date in sorted(reports))
    parts.append(f"## Where\n\nOne thread on both sides.\n\n{places}")
    TABLE.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
