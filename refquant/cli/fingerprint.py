"""``refquant fingerprint``: which semantics a backend has, told from its outputs."""

import argparse
import sys
from dataclasses import asdict
from typing import Any

from refquant.cli.arguments import add_command, add_timeout
from refquant.cli.output import facts, print_json, show

EPILOG = """\
A backend is given as for `refquant verify`. Nothing is passed or failed here.

examples:
  refquant fingerprint mykernels:Backend
  refquant fingerprint cmd:./kernel --json
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = add_command(
        commands,
        "fingerprint",
        help="tell which rounding, requantization, ... a backend has",
        description="Tells the semantics of a backend from its outputs alone.",
        epilog=EPILOG,
    )
    add_timeout(parser)
    parser.add_argument("backend", metavar="BACKEND", help="mod:attr, cmd:PROGRAM or dir:RESULTS")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; 5 if the backend has none of the ops."""
    from refquant.oracle.fingerprint import fingerprint

    sys.path.insert(0, "")  # as `python -m` does: the user's module lies where the user stands
    found = fingerprint(arguments.backend, arguments.timeout)
    if arguments.json:
        print_json([asdict(finding) | {"text": finding.text} for finding in found])
    else:
        show(facts({finding.trait: finding.text for finding in found}))
    return 0 if any(finding.elements for finding in found) else 5
