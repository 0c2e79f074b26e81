"""Printing for all commands: results on standard output, everything else on standard error.

A reader that has seen enough (``refquant methods | head -1``) closes the pipe. What is printed
after that is dropped; the command goes on and its exit code stays what it is.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any


def show(text: str) -> None:
    """Print a result on standard output, at once."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _discard()


def flush() -> None:
    """Write out what others, argparse for one, have printed on standard output."""
    try:
        if sys.stdout is not None:  # as it is where standard output was closed
            sys.stdout.flush()
    except BrokenPipeError:
        _discard()


def note(message: str) -> None:
    """Print a remark on standard error, where it does not disturb ``--json``."""
    print(message, file=sys.stderr, flush=True)


def fail(message: str) -> None:
    """Print an error message on standard error."""
    note(f"error: {message}")


def print_json(value: Any) -> None:
    """Print one JSON value; NaN and infinities become null."""
    show(json.dumps(finite(value), indent=2, allow_nan=False))


def finite(value: Any) -> Any:
    """Return `value` with NaN and infinities replaced by None, which JSON can hold."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return a table in plain text: the first `left` columns left, the others right aligned."""
    lines = [tuple(header), *(tuple(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["  ".join(_cells(line, widths, left)).rstrip() for line in lines]
    text.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(text)


def facts(values: Mapping[str, object]) -> str:
    """Return names and values, one pair a line."""
    width = max(map(len, values))
    return "\n".join(f"{key.ljust(width)}  {value}" for key, value in values.items())


def percent(value: float) -> str:
    """Return a share as a percentage with two decimals."""
    return f"{100.0 * value:.2f} %"


def _cells(line: Sequence[str], widths: Sequence[int], left: int) -> list[str]:
    pairs = list(zip(line, widths, strict=True))
    return [cell.ljust(w) for cell, w in pairs[:left]] + [cell.rjust(w) for cell, w in pairs[left:]]


def _discard() -> None:
    """Point standard output to nowhere, so that Python's last flush does not fail as well."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
