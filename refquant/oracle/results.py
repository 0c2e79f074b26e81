"""Results that a program left in a directory: RESULTS/OP/ID/OUTPUT.npy, and perhaps backend.json.

    backend.json    {"name": ..., "profile": ..., "dtype": ...}, each optional

The directory is untrusted: names are matched, sizes checked, nothing evaluated. Cases that have no
directory are cases that the program does not support.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from refquant._bundle.error import refusal
from refquant._bundle.manifest import is_name, parse
from refquant._bundle.npy import read_any_npy, read_whole
from refquant._types import Array
from refquant.oracle.vectors_read import ID, NAME, OP

MAX_TENSOR, MAX_TOTAL, MAX_ABOUT = 1 << 24, 1 << 28, 1 << 16  # bytes
MAX_NAME = 80


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
    total = 0
    for op in _folders(root, OP):
        for case in _folders(op, ID):
            files = [p for p in sorted(case.iterdir()) if p.suffix == ".npy"]
            files = [path for path in files if NAME.fullmatch(path.stem)]
            found[case.name] = {path.stem: read_any_npy(path, MAX_TENSOR) for path in files}
            total += sum(array.nbytes for array in found[case.name].values())
            if total > MAX_TOTAL:
                raise refusal(root, f"more than {MAX_TOTAL} bytes", "Leave only results there.")
    about = root / "backend.json"
    return found, read_about(about) if about.exists() else {}


def _folders(root: Path, pattern: Any) -> Iterator[Path]:
    for path in sorted(root.iterdir()):
        if pattern.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            yield path


def read_about(path: Path) -> dict[str, Any]:
    """Return what a backend.json says.

    Raises
    ------
    BundleError
        If it is missing, or says something else.
    """
    about = parse(path, read_whole(path, MAX_ABOUT))
    if not isinstance(about, dict) or set(about) - {"name", "profile", "dtype"}:
        raise refusal(
            path, "not an object of name, profile and dtype", "See `refquant verify --help`."
        )
    name, dtype, profile = (about.get(key, "any") for key in ("name", "dtype", "profile"))
    if not is_name(name) or len(name) > MAX_NAME:
        raise refusal(path, "a name that is no line of text", f"At most {MAX_NAME} characters.")
    if not isinstance(dtype, str) or not isinstance(profile, str | dict):
        raise refusal(path, "a dtype or a profile of the wrong type", "See `refquant verify -h`.")
    return about
