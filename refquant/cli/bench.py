"""``refquant bench``: refquant against PyTorch, turn by turn, on this machine."""

import argparse
import importlib.util
import json
import shlex
import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from refquant.bench.case import TABLES, Case
from refquant.bench.catalogue import chosen
from refquant.bench.peer import Peer, running
from refquant.bench.rounds import FEWEST, measure
from refquant.bench.surroundings import surroundings
from refquant.cli.arguments import add_command, add_quiet, integer
from refquant.cli.env import environment
from refquant.cli.output import note, print_json, show, table

WORKER = Path("validation") / "peers" / "worker.py"
EPILOG = """\
A ratio is the peer's time (or memory) over ours, measured in turn: A B B A A B ... The median over
rounds is the number to read; min and max say how far to trust it. "same algorithm" compares the
same computation, gradients checked; "better algorithm" two ways to the same goal.

Everything takes about four minutes on an idle machine, --quick about one; a machine that
is busy makes both sides slower, and a number that is printed should come from an idle one. What is
known to keep a ratio from its aim stands below the tables.

The peers need PyTorch and lie in validation/peers of the repository. They run in a process of
their own: --peer says how to start it. Without one, the cases that need none are run.

examples:
  OPENBLAS_NUM_THREADS=1 refquant bench --quick
  refquant bench --peer "/path/to/python validation/peers/worker.py" --only B1
  refquant bench --history validation/benchmarks/history.jsonl --json
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = add_command(
        commands,
        "bench",
        help="measure speed and memory against PyTorch, side by side",
        description="Measures refquant and a peer in turn, and prints ratios.",
        epilog=EPILOG,
    )
    parser.add_argument("--quick", action="store_true", help="the short cases, two minutes at most")
    parser.add_argument("--only", metavar="TEXT", help="the cases whose name contains it")
    parser.add_argument(
        "--rounds",
        type=integer(1),
        default=FEWEST,
        metavar="N",
        help=f"of each case (default: %(default)s; fewer than {FEWEST} are no result)",
    )
    parser.add_argument("--peer", metavar="COMMAND", help=f"default: this Python and {WORKER}")
    parser.add_argument("--history", metavar="FILE", help="append the result as a line of JSON")
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; 5 if nothing ran, 1 if a comparison was void."""
    a = arguments
    cases, command = chosen(a.only, a.quick), peer_command(a.peer)
    around = surroundings()  # from here on BLAS has one thread
    with running(command) if command else nullcontext() as peer:
        rows, void = _measured(cases, a, peer)
        report = {
            "cases": rows,
            "void": void,
            "quick": a.quick,
            "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
            "environment": {**environment(), **around},
            "peer": peer.about if peer else None,
        }
    if a.history:
        with Path(a.history).open("a", encoding="utf-8") as file:
            file.write(json.dumps(report) + "\n")
    if a.json:
        print_json(report)
    else:
        show(readable(report))
    return 1 if void else 0 if rows else 5


def peer_command(text: str | None) -> list[str] | None:
    """Return the command that starts the peer, or None if there is none here."""
    if text is not None:
        return shlex.split(text)
    there = WORKER.exists() and importlib.util.find_spec("torch") is not None
    return [sys.executable, str(WORKER)] if there else None


def readable(report: dict[str, Any]) -> str:
    """Return the two tables, and what they were measured on."""
    parts = []
    for kind in TABLES:
        rows = [_cells(row) for row in report["cases"] if row["table"] == kind]
        if rows:
            head = ["case", "peer", "ratio", "min", "max", "target", "aim", "ours", "theirs"]
            parts.append(f"{kind}\n\n{table(head, rows, left=2)}")
    parts += [f"void: {name}: {reason}" for name, reason in report["void"].items()]
    parts += [f"{'; '.join(names)}: {text}" for text, names in limits(report["cases"]).items()]
    e = report["environment"]
    parts.append(
        f"BLAS {e['blas']}, kernel {e['blas_kernel']}, "
        f"{'one thread' if e['one_thread'] else _set(e['threads'])}; malloc "
        f"{_set(e['malloc'])}; of the peer {_set(e['malloc_of_the_peer'])}; load {e['load']}"
    )
    return "\n\n".join(parts)


def limits(rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return what keeps which cases from their aims: {text: names}."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row["limit"] and row["ratio_median"] < row["aim"]:
            found.setdefault(row["limit"], []).append(row["name"])
    return found


def _measured(
    cases: tuple[Case, ...], arguments: argparse.Namespace, peer: Peer | None
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the rows, and why a comparison was void."""
    rows, void = [], {}
    for number, case in enumerate(cases, start=1):
        if case.theirs is None and peer is None:
            note(f"left out, needs a peer: {case.name}")
            continue
        try:
            row = measure(case, arguments.rounds, peer).row()
        except (ValueError, OSError) as error:
            void[case.name] = str(error)
            note(f"void: {case.name}: {error}")
            continue
        rows.append(row)
        if not arguments.quiet:
            place = f"{number:3d}/{len(cases)} {row['took']:5.0f} s"
            note(f"{place} {row['ratio_median']:8.2f}x  {case.name}")
    return rows, void


def _cells(row: dict[str, Any]) -> list[str]:
    ratios = [f"{row[f'ratio_{which}']:.3g}" for which in ("median", "min", "max")]
    goals = ["-" if row[goal] is None else f"{row[goal]:g}" for goal in ("target", "aim")]
    unit, scale = ("ms", 1e3) if row["measure"] == "seconds" else ("MB", 1e-6)
    costs = [f"{row[side] * scale:.3g} {unit}" for side in ("ours", "theirs")]
    return [row["name"], row["peer"], *ratios, *goals, *costs]


def _set(values: dict[str, Any]) -> str:
    return ", ".join(f"{k}={v}" for k, v in values.items() if v is not None) or "as it comes"
