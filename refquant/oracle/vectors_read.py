"""Read a directory of vectors that may be damaged or hostile.

No name leads out of the directory, no link is followed, declared sizes are summed and checked
before memory is taken, every tensor is compared with its hash and every case with its id.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refquant._bundle.error import refusal
from refquant._bundle.manifest import is_name, parse
from refquant._bundle.npy import read_npy, read_whole
from refquant._types import Array
from refquant.oracle import corpus
from refquant.oracle.build import Built, Golden
from refquant.oracle.case import Case
from refquant.oracle.pack import ROLES
from refquant.oracle.vectors import FORMAT, file_name

MAX_BYTES, MAX_MANIFEST, MAX_AXES = 1 << 28, 1 << 25, 16
OP = re.compile("[a-z][a-z0-9_]{0,63}")
ID = re.compile("[0-9a-f]{16}")
NAME = re.compile("[A-Za-z][A-Za-z0-9_]{0,63}")
DTYPES = ("<f8", "<i4", "<i8", "|b1", "<f4")
REWRITE = "Write the vectors again with `refquant vectors DIR`."


def read_vectors(directory: Path) -> list[Built]:
    """Return the cases in a directory.

    Raises
    ------
    BundleError
        If anything is missing, unexpected, too large, or differs from its hash.
    """
    path = Path(directory) / "manifest.json"
    whole = parse(path, read_whole(path, MAX_MANIFEST))
    if not isinstance(whole, dict) or whole.get("format") != FORMAT:
        raise refusal(path, "not a manifest of vectors", REWRITE)
    if whole.get("schema") != corpus.SCHEMA or not isinstance(whole.get("cases"), list):
        raise refusal(path, f"not of schema {corpus.SCHEMA}", REWRITE)
    entries = [_checked(path, entry) for entry in whole["cases"]]
    declared = sum(_size(tensor) for entry in entries for tensor in entry["tensors"])
    if declared > MAX_BYTES:
        raise refusal(path, f"tensors of {declared} bytes, of at most {MAX_BYTES}", REWRITE)
    return [_read_case(Path(directory), entry) for entry in entries]


def _size(tensor: Mapping[str, Any]) -> int:
    shape: list[int] = tensor["shape"]
    return 8 * math.prod(max(n, 1) for n in shape)


def _checked(path: Path, entry: Any) -> dict[str, Any]:
    """Return an entry of the manifest if every field is what it must be."""
    problem = ""
    fields = {*("id", "op", "tier", "purpose", "attrs", "clauses", "flags", "agreement", "tensors")}
    if not isinstance(entry, dict) or set(entry) - {"frozen"} != fields:
        problem = "a case without the fields " + ", ".join(sorted(fields))
    elif not _matches(OP, entry["op"]) or not _matches(ID, entry["id"]):
        problem = f"a case named {entry['op']!r:.40}/{entry['id']!r:.40}"
    elif not is_name(entry["purpose"]):
        problem = f"case {entry['id']}: a purpose that is no line of text"
    elif not all(_is_flat(entry.get(key, {})) for key in ("attrs", "frozen", "agreement")):
        problem = f"case {entry['id']}: attributes or an agreement of the wrong type"
    elif not all(
        isinstance(entry[key], list) and all(map(is_name, entry[key]))
        for key in ("clauses", "flags")
    ):
        problem = f"case {entry['id']}: clauses or flags of the wrong type"
    elif not isinstance(entry["tensors"], list) or not all(map(_is_tensor, entry["tensors"])):
        problem = f"case {entry['id']}: a tensor that cannot be"
    if problem:
        raise refusal(path, problem, REWRITE)
    return dict(entry)


def _is_flat(value: Any) -> bool:
    """Tell whether a value is an object of single values, or lists of such."""
    if not isinstance(value, dict) or not all(map(is_name, value)):
        return False
    rows = (v if isinstance(v, list) else [v] for v in value.values())
    return all(v is None or is_name(v) or isinstance(v, int | float) for row in rows for v in row)


def _is_tensor(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == {"name", "role", "dtype", "shape", "sha256"}
        and _matches(NAME, value["name"])
        and value["role"] in ("input", *ROLES)
        and value["dtype"] in DTYPES
        and isinstance(value["sha256"], str)
        and isinstance(value["shape"], list)
        and len(value["shape"]) <= MAX_AXES
        and all(type(n) is int and 0 <= n < MAX_BYTES for n in value["shape"])
    )


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _read_case(directory: Path, entry: dict[str, Any]) -> Built:
    home = directory / entry["op"] / entry["id"]
    for folder in (home.parent, home):
        if folder.is_symlink():
            raise refusal(folder, "a symbolic link", "Put the directory itself there.")
    inputs: dict[str, Array] = {}
    outputs: dict[str, dict[str, Array]] = {}
    for t in entry["tensors"]:
        file = home / file_name(t["name"], t["role"])
        array = read_npy(file, t["dtype"], tuple(t["shape"]), t["sha256"])
        if t["role"] == "input":
            inputs[t["name"]] = array
        else:
            outputs.setdefault(t["name"], {})[t["role"]] = array
    try:
        case = Case(
            entry["op"], entry["tier"], entry["purpose"], inputs, entry["attrs"],
            tuple(entry["clauses"]), tuple(entry["flags"]), entry.get("frozen"),
        )  # fmt: skip
        goldens = {name: Golden(**roles) for name, roles in outputs.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise refusal(home, f"not a case ({error})", REWRITE) from error
    if case.id != entry["id"]:
        raise refusal(home, f"contents have the id {case.id}", REWRITE)
    return Built(case, goldens, dict(entry["agreement"]))
