"""``refquant train NAME``: train an embedded network again and compare every bit."""

import argparse
from dataclasses import asdict
from typing import Any

from refquant import zoo
from refquant.cli.output import print_json, table


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "train",
        help="train embedded networks again and compare them with the weights in the package",
        description="Trains in pinned arithmetic, so that the weights must come out bit for bit.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(zoo.names())}")
    parser.add_argument("--check", action="store_true", help="without names: all networks")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train, compare, print; 1 if any weight differs."""
    names = arguments.names or (zoo.names() if arguments.check else ())
    if not names:
        raise ValueError("train: no network named; name one, or use --check for all of them.")
    checks = [zoo.check(name, None if arguments.quiet else _bar()) for name in names]
    if arguments.json:
        print_json([asdict(check) for check in checks])
    else:
        rows = [[c.name, "yes" if c else "NO", str(c.differing), c.trained[:16]] for c in checks]
        print(table(["network", "same bits", "differing", "sha256"], rows))
    return 0 if all(checks) else 1


def _bar() -> Any:
    from tqdm import tqdm  # only here: a quiet run need not import it

    return tqdm
