"""Directories that a command will write to, tried before the long work starts."""

import re
import tempfile
from pathlib import Path

ROW = re.compile(r"[0-9a-f]{64}(\.json|\.\d+\.tmp)")  # what a sweep leaves in its directory


def check_new(option: str, text: str) -> Path:
    """Return the directory `text` if results can be saved there: new or empty, and writable.

    Raises
    ------
    ValueError
        If something stands there, or nothing can be written there. Nothing has changed then.
    """
    folder = Path(text)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{option} {text}: a file stands there; choose another directory.")
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"{option} {text}: not empty; choose another directory.")
    if not folder.parent.is_dir():
        fix = "make it first, or choose another one."
        raise ValueError(f"{option} {text}: the directory it stands in does not exist; {fix}")
    _try(option, text, folder.parent)
    return folder


def check_rows(option: str, text: str) -> Path:
    """Return the directory `text`, made if need be, if rows can be kept there or are kept already.

    Raises
    ------
    ValueError
        If it holds anything but rows of a sweep, or cannot be written.
    """
    folder = Path(text)
    if folder.is_dir():
        foreign = sorted(p.name for p in folder.iterdir() if not ROW.fullmatch(p.name))
        if foreign:
            fix = "choose another directory."
            raise ValueError(f"{option} {text}: holds {foreign[0]!r}, which is not a row; {fix}")
    _try(option, text, folder)
    return folder


def check_apart(option: str, text: str, other: str, place: str) -> None:
    """Refuse a directory `place` of option `other` that lies in the directory `text`."""
    outer, inner = Path(text).resolve(), Path(place).resolve()
    if inner == outer or outer in inner.parents:
        raise ValueError(f"{other} {place}: lies in {option} {text}; choose another directory.")


def _try(option: str, text: str, folder: Path) -> None:
    """Make `folder` and something in it; modes alone do not tell (a full or read-only disk)."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".refquant-"):
            pass
    except OSError as error:
        fix = "choose a directory you can write to."
        raise ValueError(f"{option} {text}: {error.strerror}; {fix}") from error
