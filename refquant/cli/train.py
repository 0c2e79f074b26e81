"""``refquant train NAME``: train an embedded network again and compare every bit."""

import argparse
from dataclasses import asdict
from functools import partial
from typing import Any

from refquant import zoo
from refquant.cli.arguments import NETWORKS, add_command, add_quiet, network_name
from refquant.cli.env import environment
from refquant.cli.output import note, print_json, show

DESCRIPTION = """\
Trains embedded networks again and compares them with the weights in the package.

Training runs in pinned arithmetic, so every weight must come out bit for bit. A network takes
from seconds to minutes. Exit code 1 if any weight differs.
"""
EPILOG = f"""\
{NETWORKS}
examples:
  refquant train digits-mlp
  refquant train digits-resnet:2 digits-resnet:3 --json
  refquant train --check
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = add_command(
        commands,
        "train",
        help="train embedded networks again and compare every bit with the package's",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    parser.add_argument("names", nargs="*", type=network_name, metavar="NAME")
    parser.add_argument("--check", action="store_true", help="without names: all networks")
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train, compare, print; 1 if any weight differs, 5 if no network was named."""
    names = arguments.names or (zoo.names() if arguments.check else ())
    if not names:
        note("nothing to train: name a network, or use --check for all of them.")
    checks = []
    for name in names:
        checks.append(zoo.check(name, None if arguments.quiet else _bar()))
        if not arguments.json:
            show(readable(checks[-1]))
    if arguments.json:
        print_json({"checks": [asdict(c) for c in checks], "environment": environment()})
    if not checks:
        return 5
    return 0 if all(checks) else 1


def readable(check: zoo.Check) -> str:
    """Return the outcome for one network as a line, which is printed as soon as it is known."""
    outcome = "same bits" if check else f"DIFFERS in {check.differing} weights"
    return f"{check.name.ljust(18)}  {outcome}  sha256 {check.trained}"


def _bar() -> Any:
    from tqdm import tqdm  # only here: a quiet run need not import it

    return partial(tqdm, leave=False, dynamic_ncols=True)
