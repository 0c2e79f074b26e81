"""The command ``refquant``: one parser, one table of commands, one place for exit codes.

    0 ok   1 mismatch   2 interrupted   3 internal error   4 usage   5 nothing ran
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from refquant import __version__
from refquant.cli import demo, env, methods, quantize, train
from refquant.cli.output import fail

OK, MISMATCH, INTERRUPTED, INTERNAL, USAGE, NOTHING = 0, 1, 2, 3, 4, 5
COMMANDS = (demo, quantize, methods, train, env)


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
        description="Reference implementation and test oracle for the rounding methods of "
        "post-training quantization.",
        epilog="exit codes: 0 ok, 1 mismatch, 2 interrupted, 3 internal error, 4 usage, "
        "5 nothing ran",
    )
    parser.add_argument("--version", action="version", version=f"refquant {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = build_parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        fail("interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # the reader, `head` for one, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except (ValueError, TypeError, OSError) as error:
        fail(str(error))
        return USAGE


if __name__ == "__main__":
    sys.exit(main())
