"""``refquant describe METHOD``: a setting as it runs, with the learning rates of its steps."""

import argparse
from typing import Any

from refquant.cli.arguments import add_command, integer, method_name
from refquant.cli.output import show
from refquant.methods import describe, resolve

EPILOG = """\
examples:
  refquant describe aquant
  refquant describe aquant+adaqtransform --steps 400
  refquant describe brecq --json
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = add_command(
        commands,
        "describe",
        help="print a setting as it runs",
        description="Prints every field of a setting. With --steps, learning rates are those of a\n"
        "run of so many steps, in which parameters can travel as far as published.",
        epilog=EPILOG,
    )
    parser.add_argument("name", type=method_name, metavar="METHOD", help="a method, or a+b")
    parser.add_argument(
        "--steps", type=integer(1), metavar="N", help="steps of every phase (default: published)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print one setting."""
    print_setting(arguments.name, arguments.steps, arguments.json)
    return 0


def print_setting(name: str, steps: int | None, as_json: bool) -> None:
    """Print a setting as it runs in so many steps a phase; None: as published."""
    setting = resolve(name).taking(steps)
    show(setting.to_json(indent=2) if as_json else describe(setting))
