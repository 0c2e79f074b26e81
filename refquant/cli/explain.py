"""``refquant explain``: the page of an op, or the arithmetic of one element of a golden."""

import argparse
from typing import Any

from refquant.cli.arguments import add_command
from refquant.cli.output import print_json, show

EPILOG = """\
Beside every exact rational stands the double that the same step gives.

examples:
  refquant explain fake_quant
  refquant explain fake_quant/779d --output codes --index 3
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = add_command(
        commands,
        "explain",
        help="print what an op is, or how one element of a golden comes about",
        description="Prints the page of an op, or one element of a golden, step by step.",
        epilog=EPILOG,
    )
    parser.add_argument("case", metavar="CASE", help="OP, or OP/ID (a beginning will do)")
    parser.add_argument(
        "--output", default="", metavar="NAME", help="of the op (default: the first)"
    )
    parser.add_argument(
        "--index",
        type=_index,
        default=None,
        metavar="I,J,...",
        help="element (default: the first computed)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the explanation."""
    from refquant.oracle import corpus, ops
    from refquant.oracle.explain import explain
    from refquant.oracle.page import page

    if arguments.case in ops():
        text = page(ops()[arguments.case])
    else:
        text = explain(corpus.find(arguments.case), arguments.output, arguments.index)
    if arguments.json:
        print_json({"case": arguments.case, "explanation": text.splitlines()})
    else:
        show(text)
    return 0


def _index(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not numbers with commas") from None
