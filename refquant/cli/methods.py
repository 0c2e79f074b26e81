"""``refquant methods``: the catalogue; ``refquant methods NAME``: one setting in full."""

import argparse
import json
from typing import Any

from refquant.cli.arguments import add_command, method_name
from refquant.cli.output import print_json, show, table
from refquant.methods import METHODS, Setting, describe, resolve

EPILOG = """\
examples:
  refquant methods
  refquant methods adaround
  refquant methods adaround --json
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = add_command(
        commands,
        "methods",
        help="list the methods, or print one setting in full",
        description="Lists the methods, or prints every field of one.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "name", nargs="?", type=method_name, metavar="NAME", help="without it all are listed"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the catalogue or one setting."""
    if arguments.name:
        setting = resolve(arguments.name)
        show(setting.to_json(indent=2) if arguments.json else describe(setting))
    elif arguments.json:
        listed = [{**summary(s), "setting": json.loads(s.to_json())} for s in METHODS.values()]
        print_json({"methods": listed})
    else:
        rows = [[str(v) for v in summary(s).values()] for s in METHODS.values()]
        show(table(["method", "learns", "unit", "steps", "reference"], rows, left=5))
    return 0


def summary(setting: Setting) -> dict[str, Any]:
    """Return name, learnt parameters, units, steps and reference of a method."""
    return {
        "name": setting.name,
        "learns": ", ".join(setting.learnt) or "-",
        "unit": ", ".join(dict.fromkeys(phase.unit for phase in setting.phases)) or "-",
        "steps": ", ".join(str(phase.steps) for phase in setting.phases) or "-",
        "reference": setting.reference,
    }
