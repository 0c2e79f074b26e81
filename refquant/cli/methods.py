"""``refquant methods``: the catalogue; ``refquant methods NAME``: one setting in full."""

import argparse
import json
from typing import Any

from refquant.cli.output import print_json, table
from refquant.methods import METHODS, Setting, describe, resolve


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("methods", help="list the methods, or print one setting in full")
    parser.add_argument("name", nargs="?", help="a method; without it all are listed")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the catalogue or one setting."""
    if arguments.name:
        setting = resolve(arguments.name)
        print(setting.to_json(indent=2) if arguments.json else describe(setting))
    elif arguments.json:
        print_json([{**summary(s), "setting": json.loads(s.to_json())} for s in METHODS.values()])
    else:
        rows = [[str(v) for v in summary(s).values()] for s in METHODS.values()]
        print(table(["method", "learns", "unit", "steps", "reference"], rows))
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
