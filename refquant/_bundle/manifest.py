"""The manifest of a bundle: canonical JSON, checked field by field.

    {"arrays": [{"dtype", "file", "name", "sha256", "shape"}, ...],  "bundle": 1,
     "format": "refquant-network",  and what else the writer put in}

Canonical: sorted keys, ASCII, one space of indent, numbers as Python prints them, a newline at
the end; the same content is always the same bytes. Reading accepts any layout, but no duplicate
keys, no NaN or infinity, no unknown or missing field.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from refquant._bundle.error import BundleError, refusal
from refquant._bundle.npy import DTYPES

VERSION = 1  # of the layout of bundles; what is in one has its own version, in its own field
OWN = ("arrays", "bundle")  # fields that are not the writer's
MANIFEST = "manifest.json"
MAX_AXES = 32
MAX_NAME = 400
MAX_SIZE = 2**48  # of one axis
FILE = re.compile(r"[0-9]{4,6}-[A-Za-z0-9_-]{0,64}\.npy")
HASH = re.compile(r"[0-9a-f]{64}")
REWRITE = "Write the bundle again with this version of refquant."


class Entry(NamedTuple):
    """One array as the manifest declares it."""

    name: str
    file: str
    dtype: str
    shape: tuple[int, ...]
    sha256: str


def encode(path: Path, manifest: Mapping[str, Any], entries: Sequence[Entry]) -> bytes:
    """Return the manifest as bytes; BundleError if it is not JSON or not finite."""
    if not is_name(manifest.get("format")) or any(name in manifest for name in OWN):
        fix = f"Name the format, and leave {' and '.join(OWN)} to the bundle."
        raise refusal(path, f"a manifest of fields {sorted(manifest)}", fix)
    arrays = [{**entry._asdict(), "shape": list(entry.shape)} for entry in entries]
    whole = {**manifest, "bundle": VERSION, "arrays": arrays}
    try:
        text = json.dumps(whole, sort_keys=True, indent=1, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        fix = "Save names, finite numbers, lists and objects with string keys."
        raise refusal(path, f"the manifest cannot be written as JSON ({error})", fix) from error
    return text.encode("ascii") + b"\n"


def decode(path: Path, data: bytes) -> tuple[dict[str, Any], tuple[Entry, ...]]:
    """Return the writer's fields and the array entries in `data`; BundleError if it is wrong."""
    whole = parse(path, data)
    if not isinstance(whole, dict) or not is_name(whole.get("format")):
        raise refusal(path, "no object with a field format", REWRITE)
    check_version(path, "bundle", whole.pop("bundle", None), VERSION)
    arrays = whole.pop("arrays", None)
    if not isinstance(arrays, list):
        raise refusal(path, "arrays is not a list", REWRITE)
    entries = tuple(_entry(path, entry) for entry in arrays)
    for field in ("name", "file"):
        values = [getattr(entry, field) for entry in entries]
        if len(set(values)) < len(values):
            raise refusal(path, f"two arrays of the same {field}", REWRITE)
    return whole, entries


def parse(path: Path, data: bytes) -> Any:
    """Return the JSON value in `data`, without duplicate keys, NaN or infinities; BundleError."""
    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_not_finite,
            parse_float=_finite,
        )
    except (ValueError, RecursionError) as error:
        raise refusal(path, f"not valid JSON for a bundle ({error})", REWRITE) from error


def check_version(path: Path, field: str, version: object, known: int) -> None:
    """Refuse any version but the integer `known`."""
    if type(version) is not int or version != known:
        problem = f"{field} is {_shown(version)}; this refquant reads {known}"
        raise refusal(path, problem, "Use the version of refquant that wrote it.")


def is_name(value: object) -> bool:
    """Tell whether `value` is a name a bundle may hold: short, printable, not empty."""
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME and value.isprintable()


def _entry(path: Path, entry: Any) -> Entry:
    if not isinstance(entry, dict) or set(entry) != set(Entry._fields):
        problem = f"an array does not have the fields {', '.join(Entry._fields)}"
        raise refusal(path, problem, REWRITE)
    shape = entry["shape"]
    allowed = {
        "name": is_name(entry["name"]),
        "file": isinstance(entry["file"], str) and FILE.fullmatch(entry["file"]),
        "dtype": entry["dtype"] in DTYPES,
        "shape": isinstance(shape, list) and len(shape) <= MAX_AXES and all(map(_is_size, shape)),
        "sha256": isinstance(entry["sha256"], str) and HASH.fullmatch(entry["sha256"]),
    }
    for field, good in allowed.items():
        if not good:
            problem = f"array {_shown(entry['name'])} has {field} {_shown(entry[field])}"
            raise refusal(path, problem, REWRITE)
    return Entry(**{**entry, "shape": tuple(shape)})


def _shown(value: object) -> str:
    """Return a short text for an error message; a nested value could exhaust the stack."""
    plain = isinstance(value, str | int | float) or value is None
    shallow = isinstance(value, list) and all(isinstance(v, int) for v in value)
    return f"{value!r:.80}" if plain or shallow else f"a JSON {type(value).__name__}"


def _is_size(value: object) -> bool:
    return type(value) is int and 0 <= value < MAX_SIZE


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise BundleError("an object has the same key twice")
    return found


def _not_finite(text: str) -> NoReturn:
    raise BundleError(f"{text} is not a number of JSON")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise BundleError(f"{text:.40} is out of range")
    return value
