"""Rows of a sweep on disk: one JSON file each, written under a temporary name and renamed.

JSON has no infinity: a network that is reproduced exactly has an infinite SQNR, and that is
written as the text "inf" (likewise "-inf" and "nan") and read back as the number.
"""

import json
import math
import os
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from refquant._checks import complaint

Row = dict[str, Any]
SCHEMA = 3  # of a row: 2 added images and units, 3 how many weights a unit rounds
WORDS = ("inf", "-inf", "nan")


def open_folder(folder: Path) -> Path:
    """Return the directory, made if need be.

    Raises
    ------
    ValueError
        If it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        got, fix = f"{str(folder)!r} ({error.strerror})", "Choose a directory you can write to."
        raise ValueError(complaint("sweep", "out", got, "a writable path", fix)) from error
    return folder


def find(
    folder: Path | None,
    key: str,
    facts: Mapping[str, Any],
    fields: Set[str],
    more: Set[str] = frozenset(),
) -> Row | None:
    """Return the row kept under `key`; None if there is none, or what is there is not that row.

    Parameters
    ----------
    folder : Path or None
    key : str
        Content hash of the configuration.
    facts : mapping
        What the row must say: the configuration, as JSON gives it back, and the schema.
    fields, more : set of str
        Its names, and those it may have beside them.
    """
    if folder is None or not (path := folder / f"{key}.json").is_file():
        return None
    try:
        found = restored(json.loads(path.read_text(encoding="utf-8")))
    except ValueError:
        return None  # damaged: run again, and replace it
    whole = isinstance(found, dict) and fields <= {*found} <= fields | more
    return found if whole and all(found[name] == facts[name] for name in facts) else None


def keep(folder: Path | None, key: str, row: Row) -> None:
    """Write a row, so that it is there whole or not at all."""
    if folder is not None:
        path = folder / f"{key}.json"
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(plain(row), allow_nan=False), encoding="utf-8")
        temporary.replace(path)


def plain(value: Any) -> Any:
    """Return `value` as JSON data; tuples become lists, infinities and NaN become text."""
    if isinstance(value, dict):
        return {name: plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def restored(value: Any) -> Any:
    """Return what `plain` wrote, with the numbers that JSON lacks."""
    if isinstance(value, dict):
        return {name: restored(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [restored(entry) for entry in value]
    return float(value) if isinstance(value, str) and value in WORDS else value
