"""Arguments of the commands: values that are refused before any work starts, shared options."""

import argparse
import textwrap
from collections.abc import Callable
from typing import Any

from refquant import zoo
from refquant._checks import MAX_BITS, MIN_BITS
from refquant.methods import METHODS, resolve
from refquant.oracle.program import TIMEOUT
from refquant.zoo.catalogue import entry

ARCHITECTURES = tuple(dict.fromkeys(name.partition(":")[0] for name in zoo.names()))
NETWORKS = f"""\
networks:
  {" ".join(ARCHITECTURES)}
  NAME:2 and NAME:3 are trained from other seeds; NAME alone is NAME:1
  or a folder with a network and images of your own, as refquant.subjects.save writes it
"""
METHOD_LIST = f"""\
methods:
{
    textwrap.fill(
        " ".join(METHODS), 88, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
    )
}
  `refquant describe METHOD` prints one in full
"""
LARGEST_SEED = 2**64 - 1  # a key of the counter generator holds 64-bit integers


def add_command(commands: Any, name: str, **texts: str) -> argparse.ArgumentParser:
    """Return the parser of a new command, whose texts keep their line breaks.

    Parameters
    ----------
    commands : the action that ``add_subparsers`` returned
    name : str
    **texts : str
        ``help``, ``description`` and ``epilog`` of argparse.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **texts
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--debug",
        action="store_true",
        help="print the traceback of an error (as does a non-empty REFQUANT_DEBUG)",
    )
    return parser


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Add the option that silences progress."""
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")


def add_seed(parser: argparse.ArgumentParser) -> None:
    """Add the option that decides all random draws."""
    parser.add_argument(
        "--seed",
        type=integer(0, LARGEST_SEED),
        default=0,
        metavar="N",
        help="decides every random draw (default: %(default)s)",
    )


def add_timeout(parser: argparse.ArgumentParser) -> None:
    """Add the option that says how long a program of somebody else's may keep silent."""
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=TIMEOUT,
        metavar="SECONDS",
        help="how long a cmd: program may go without results for another case; it is then killed, "
        "that case fails, and the others are judged (default: %(default)s)",
    )


def seconds(text: str) -> float:
    """Return a time above 0."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds") from None
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def integer(low: int, high: int | None = None) -> Callable[[str], int]:
    """Return a converter of text to an integer in [low, high]."""

    def convert(text: str) -> int:
        """Return the integer that `text` is, if it lies in the range."""
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer") from None
        if value < low or (high is not None and value > high):
            wanted = f"at least {low}" if high is None else f"in {low}..{high}"
            raise argparse.ArgumentTypeError(f"{value} is not {wanted}")
        return value

    return convert


def bits(text: str) -> int:
    """Return a bit width that refquant supports."""
    return integer(MIN_BITS, MAX_BITS)(text)


def bits_or_none(text: str) -> int | None:
    """Return a bit width, or None for ``none``."""
    return None if text == "none" else bits(text)


def network_name(text: str) -> str:
    """Return `text` if it names a network of the zoo."""
    return _checked(text, entry)


def method_name(text: str) -> str:
    """Return `text` if it names a method."""
    return _checked(text, resolve)


def _checked(text: str, check: Callable[[str], Any]) -> str:
    """Return `text` if `check` takes it; else an error without the name of a Python function."""
    try:
        check(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).partition("(): ")[2] or str(error)) from None
    return text
