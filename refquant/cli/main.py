"""The command ``refquant``: one parser, one table of commands, one place for exit codes.

    0 ok   1 mismatch   2 interrupted   3 internal error   4 usage   5 nothing ran

A command is a module with ``add_parser(commands)`` and ``run(arguments) -> exit code``. It raises
ValueError or OSError for arguments that the parser could not judge (4). Anything else is a bug of
refquant (3), a TypeError too: what the parser lets through has the right types.
"""

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from refquant import __version__
from refquant.cli import (
    bench,
    compare,
    demo,
    describe,
    env,
    explain,
    fingerprint,
    methods,
    quantize,
    selftest,
    train,
    vectors,
    verify,
)
from refquant.cli.output import fail, flush, note

OK, MISMATCH, INTERRUPTED, INTERNAL, USAGE, NOTHING = 0, 1, 2, 3, 4, 5
COMMANDS = (
    demo,
    quantize,
    compare,
    methods,
    describe,
    train,
    verify,
    vectors,
    fingerprint,
    explain,
    selftest,
    bench,
    env,
)
EPILOG = """\
exit codes:
  0 ok   1 mismatch   2 interrupted   3 internal error   4 usage   5 nothing ran

examples:
  refquant demo
  refquant quantize digits-resnet --weight-bits 2 --steps 400
  refquant verify mykernels:Backend
  refquant COMMAND --help
"""
REPORT = """\
This is a bug of refquant, not of your input. Please report it with the command line, the output
of `refquant env` and the traceback, which --debug prints."""


class Parser(argparse.ArgumentParser):
    """argparse, with the exit code for wrong usage that pytest uses."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and exit with 4."""
        self.print_usage(sys.stderr)
        fail(f"{self.prog}: {message}")
        raise SystemExit(USAGE)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = Parser(
        prog="refquant",
        description="Reference implementation and test oracle for the rounding methods of\n"
        "post-training quantization.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"refquant {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Raises
    ------
    SystemExit
        From argparse: 0 after ``--help`` and ``--version``, 4 for wrong usage.
    """
    try:
        arguments = build_parser().parse_args(argv)
    finally:
        flush()
    debug = arguments.debug or bool(os.environ.get("REFQUANT_DEBUG"))
    try:
        code: int = arguments.run(arguments)
        return code
    except BrokenPipeError:  # of the progress: nobody reads it any more
        return INTERRUPTED
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            traceback.print_exc()
        return exit_code(error)


def exit_code(error: BaseException) -> int:
    """Print what ended a command and return the exit code for it."""
    if isinstance(error, KeyboardInterrupt):
        fail(" ".join(["interrupted", *getattr(error, "__notes__", ())]))
        return INTERRUPTED
    if isinstance(error, ValueError | OSError):
        fail(str(error))
        return USAGE
    fail(f"{type(error).__name__}: {error}")
    note(REPORT)
    return INTERNAL
