"""``refquant selftest``: how much the oracle catches, measured."""

import argparse
import sys
from typing import Any

from refquant.cli.arguments import add_command, add_quiet
from refquant.cli.output import facts, note, print_json, show

EPILOG = """\
Every wrong implementation of the catalogue must fail a case of its op, and every right one that
computes differently must pass them all. Variants and vectors have the same authors.

examples:
  refquant selftest
  refquant selftest --json
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = add_command(
        commands,
        "selftest",
        help="count the bugs that the goldens catch, and false alarms",
        description="Runs the catalogue of wrong implementations, and right ones, on the goldens.",
        epilog=EPILOG,
    )
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the self-test and print its numbers; 1 if a bug survives or a right backend fails."""
    from refquant.oracle.selftest import selftest

    quiet = arguments.quiet or not sys.stderr.isatty()
    result = selftest(None if quiet else lambda op: note(f"  {op}"))
    found = result.to_json()
    if arguments.json:
        print_json(found)
    else:
        show(facts({key: _text(value) for key, value in found.items()}))
        for name, alarms in result.alarms.items():
            for alarm in alarms:
                show(f"false alarm: {name}: {alarm}")
    return 0 if result.passed else 1


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list | dict):
        return ", ".join(map(str, value)) or "none"
    return str(value)
