"""Results that a program left in a directory: RESULTS/OP/ID/OUTPUT.npy, and perhaps backend.json.

    backend.json    {"name": ..., "profile": ..., "dtype": ...}, each optional

The directory is untrusted: names are matched, sizes checked, nothing evaluated. Cases that have no
directory are cases that the program does not support.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from refquant._bundle.error import refusal
from refquant._bundle.manifest import parse
from refquant._bundle.npy import read_any_npy, read_whole
from refquant._types import Array
from refquant.oracle.vectors_read import ID, NAME, OP

MAX_TENSOR, MAX_ABOUT, MAX_NAME = 1 << 24, 1 << 16, 80


def read_results(directory: Path) -> tuple[dict[str, dict[str, Array]], dict[str, Any]]:
    """Return ({case id: {output: array}}, what backend.json says).

    Raises
    ------
    BundleError
        If the directory is missing, or holds something that is not a result.
    """
    root = Path(directory)
    if not root.is_dir():
        raise refusal(root, "no directory", "Name the directory that holds OP/ID/OUTPUT.npy.")
    found: dict[str, dict[str, Array]] = {}
    for op in _folders(root, OP):
        for case in _folders(op, ID):
            found[case.name] = {
                path.stem: read_any_npy(path, MAX_TENSOR)
                for path in sorted(case.iterdir())
                if path.suffix == ".npy" and NAME.fullmatch(path.stem)
            }
    return found, _about(root / "backend.json")


def _folders(root: Path, pattern: Any) -> Iterator[Path]:
    for path in sorted(root.iterdir()):
        if pattern.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            yield path


def _about(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    about = parse(path, read_whole(path, MAX_ABOUT))
    if not isinstance(about, dict) or set(about) - {"name", "profile", "dtype"}:
        raise refusal(
            path, "not an object of name, profile and dtype", "See `refquant verify --help`."
        )
    name = about.get("name", "-")
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= MAX_NAME:
        raise refusal(path, "a name that is no line of text", f"At most {MAX_NAME} characters.")
    return about
