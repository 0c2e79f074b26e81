"""Arguments of ``refquant compare``: lists in one word, refused before any work starts."""

import argparse
import re
from collections.abc import Callable
from typing import Any

from refquant.cli.arguments import bits, integer, method_name, network_name
from refquant.cli.networks import Chosen, network

WIDTH = re.compile(r"W(\d+)A(\d+)")
COPIES = re.compile(r"(.+):(\d+)\.\.(\d+)")
MOST_COPIES = 100  # of one range: more are a slip of the finger


def networks(text: str) -> tuple[Chosen, ...]:
    """Return what ``NAME``, ``NAME:2``, ``NAME:1..3`` or ``FOLDER`` stands for, by full names."""
    found = COPIES.fullmatch(text)
    if not found:
        one = network(text)
        return (one if ":" in one.name else Chosen(f"{one.name}:1"),)
    name, first, last = found[1], int(found[2]), int(found[3])
    if not first <= last < first + MOST_COPIES:
        raise argparse.ArgumentTypeError(f"{text!r}: write NAME:FIRST..LAST, as NAME:1..3")
    return tuple(Chosen(network_name(f"{name}:{copy}")) for copy in range(first, last + 1))


def width(text: str) -> tuple[int, int]:
    """Return (weight bits, activation bits) of ``W4A8``."""
    found = WIDTH.fullmatch(text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form W4A8")
    return bits(found[1]), bits(found[2])


def pair(text: str) -> tuple[str, str]:
    """Return (baseline, candidate) of ``BASELINE:CANDIDATE``."""
    baseline, colon, candidate = text.partition(":")
    if not colon or baseline == candidate:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form BASELINE:CANDIDATE")
    return baseline, candidate


def level(text: str) -> float:
    """Return the level of an interval, between 0 and 1."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0 and 1, as 0.95")
    return value


def several(convert: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    """Return a converter of a list with commas; an entry that comes twice is refused."""

    def converted(text: str) -> tuple[Any, ...]:
        """Return the entries of `text`, each converted."""
        found = tuple(convert(part) for part in text.split(","))
        if len(set(found)) < len(found):
            raise argparse.ArgumentTypeError(f"{text!r} names something twice")
        return found

    return converted


def add_study(parser: argparse.ArgumentParser) -> None:
    """Add what decides the numbers of a study."""
    parser.add_argument("networks", nargs="+", type=networks, metavar="NETWORK")
    options: tuple[tuple[str, Callable[[str], Any], Any, str, str], ...] = (
        ("--methods", several(method_name), "nearest,adaround", "LIST", "with commas"),
        ("--bits", several(width), "W4A4,W2A2", "LIST", "of weights and activations"),
        ("--seeds", several(integer(0, 2**64 - 1)), "0", "LIST", "of rounding, as 0,1"),
        ("--pairs", several(pair), None, "LIST", "as BASELINE:CANDIDATE,...; without it all"),
        ("--steps", integer(1), None, "N", "per unit; without it the published numbers"),
        ("--resamples", integer(1, 1_000_000), 2000, "N", "of the bootstrap"),
        ("--level", level, 0.95, "P", "of the intervals"),
    )
    for name, convert, default, metavar, text in options:
        shown = text if default is None else f"{text} (default: %(default)s)"
        parser.add_argument(name, type=convert, default=default, metavar=metavar, help=shown)
    parser.add_argument("--pinned", action="store_true", help="pinned arithmetic in every run")
