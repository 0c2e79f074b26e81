"""``refquant methods``: the catalogue; ``refquant methods NAME``: one setting in full."""

import argparse
import json
from typing import Any

from refquant.cli.arguments import add_command, method_name
from refquant.cli.describe import print_setting
from refquant.cli.output import print_json, show, table
from refquant.methods import ADDITIONS, DIALECTS, METHODS, Setting, differences

EPILOG = """\
examples:
  refquant methods
  refquant methods adaround
  refquant methods --json
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
        print_setting(arguments.name, None, arguments.json)
    elif arguments.json:
        added = [{"name": name, "reference": a.reference} for name, a in ADDITIONS.items()]
        print_json({"methods": [listed(s) for s in METHODS.values()], "additions": added})
    else:
        show(table(["method", "learns", "unit", "steps", "reference"], own_rows(), left=5))
        show("\nDialects, and where they differ from their parent:\n")
        show(table(["dialect", "released in", "differs in"], dialect_rows(), left=3))
        show("\nAdditions, behind a plus as in nearest+ols; not every one fits every method:\n")
        show(table(["+", "reference"], [[n, a.reference] for n, a in ADDITIONS.items()], left=2))
    return 0


def listed(setting: Setting) -> dict[str, Any]:
    """Return what programs want to know of a method, and its setting in full."""
    return {
        "name": setting.name,
        "reference": setting.reference,
        "parents": list(setting.parents),
        "learnt": list(setting.learnt),
        "granularity": [phase.unit for phase in setting.phases],
        "steps": [phase.steps for phase in setting.phases],
        "setting": json.loads(setting.to_json()),
    }


def own_rows() -> list[list[str]]:
    """Return name, learnt parameters, units, steps and reference of all that are no dialects."""
    return [
        [
            setting.name,
            ", ".join(setting.learnt) or "-",
            ", ".join(dict.fromkeys(phase.unit for phase in setting.phases)) or "-",
            ", ".join(str(phase.steps) for phase in setting.phases) or "-",
            setting.reference,
        ]
        for setting in METHODS.values()
        if setting not in DIALECTS
    ]


def dialect_rows() -> list[list[str]]:
    """Return name, reference and changed fields, by their last names, of the dialects."""
    rows = []
    for setting in DIALECTS:
        changed = differences(setting, METHODS[setting.parents[0]])
        texts = [f"{_short(path)}={_plain(value)}" for path, value in changed.items()]
        rows.append([setting.name, setting.reference, ", ".join(texts)])
    return rows


def _short(path: str) -> str:
    """Return a path without the part of the setting it is in: the last two names in it."""
    names = [name for name in path.split(".") if not name.isdigit()]
    return ".".join(names[1:][-2:])


def _plain(value: Any) -> str:
    """Return a value as text, without the marks of a tuple."""
    return "+".join(map(str, value)) if isinstance(value, tuple) else str(value)
