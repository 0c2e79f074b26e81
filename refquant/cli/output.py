"""Printing for all commands: tables on standard output, everything else on standard error."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def fail(message: str) -> None:
    """Print an error message on standard error."""
    print(f"error: {message}", file=sys.stderr)


def note(message: str) -> None:
    """Print a remark on standard error, where it does not disturb ``--json``."""
    print(message, file=sys.stderr)


def print_json(value: Any) -> None:
    """Print one JSON value; infinities become null."""
    print(json.dumps(finite(value), indent=2, allow_nan=False))


def finite(value: Any) -> Any:
    """Return `value` with NaN and infinities replaced by None, which JSON can hold."""
    if isinstance(value, float) and (value != value or value in (float("inf"), -float("inf"))):
        return None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in plain text: the first column left, the others right aligned."""
    lines = [tuple(header), *(tuple(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    text = []
    for line in lines:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        text.append("  ".join(cells).rstrip())
    text.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(text)


def percent(value: float) -> str:
    """Return a share as a percentage with two decimals."""
    return f"{100.0 * value:.2f} %"
