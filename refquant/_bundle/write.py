"""Write a bundle: all of it or nothing.

Everything is checked first, then written into a new directory beside the target, and that is
renamed to the target at the end. An interrupted run leaves at most a directory whose name starts
with a dot, and a full target is never touched unless the caller says so. The data is not forced
to the disk; the hashes show after a power cut whether it got there.
"""

import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refquant._bundle.error import refusal
from refquant._bundle.manifest import MANIFEST, MAX_AXES, Entry, encode, is_name
from refquant._bundle.npy import DTYPES, little_endian, npy_bytes
from refquant._types import Array


def write_bundle(
    directory: str | os.PathLike[str],
    manifest: Mapping[str, Any],
    arrays: Mapping[str, Array],
    overwrite: bool = False,
    name: str = MANIFEST,
) -> Path:
    """Write `manifest` and `arrays` as a bundle and return its path.

    Parameters
    ----------
    directory : path
        Where the bundle shall be; new, or an empty directory.
    manifest : mapping of str to JSON value
        ``manifest["format"]`` says what this is. Besides: nested dicts with string keys, lists,
        strings, finite numbers, booleans, None.
    arrays : mapping of name to array
        Booleans, integers, float32 or float64; stored bit for bit.
    overwrite : bool
        Replace the bundle that is there. Anything else is refused.
    name : str
        Of the manifest's file.

    Raises
    ------
    BundleError
        If the manifest or an array cannot be saved, or the target is occupied or unwritable.
        Nothing has changed then.
    """
    target = Path(directory).resolve()
    contents = {key: little_endian(value) for key, value in arrays.items()}
    entries = [_entry(target, i, key, value) for i, (key, value) in enumerate(contents.items())]
    text = encode(target, manifest, entries)
    workplace = target.parent / f".{target.name}.{uuid.uuid4().hex[:12]}.part"
    try:
        _check_target(target, name, overwrite)
        workplace.mkdir()  # shows as well that a directory can be made there
        _fill(workplace, entries, contents)
        (workplace / name).write_bytes(text)
        _move(workplace, target, overwrite)
    except OSError as error:
        fix = "The directory it stands in must exist and be writable."
        raise refusal(target, f"cannot be written ({error})", fix) from error
    finally:
        shutil.rmtree(workplace, ignore_errors=True)  # gone already if all went well
    return target


def _fill(workplace: Path, entries: list[Entry], contents: Mapping[str, Array]) -> None:
    for entry in entries:
        header, elements = npy_bytes(contents[entry.name])
        with (workplace / entry.file).open("xb") as file:
            file.write(header)
            file.write(elements)


def _entry(target: Path, index: int, name: str, value: Array) -> Entry:
    if not is_name(name):
        raise refusal(target, f"array name {name!r:.80}", "Use short printable names.")
    if value.dtype.str not in DTYPES or value.ndim > MAX_AXES:
        problem = f"array {name!r} of dtype {value.dtype} and {value.ndim} axes"
        raise refusal(target, problem, f"Cast it to one of {', '.join(DTYPES)}.")
    readable = re.sub("[^A-Za-z0-9_]+", "-", name)[:64]
    # The number makes the name unique where case does not count, and never a reserved one.
    file, digest = f"{index:04d}-{readable}.npy", hashlib.sha256(value.tobytes()).hexdigest()
    return Entry(name, file, value.dtype.str, value.shape, digest)


def _check_target(target: Path, manifest: str, overwrite: bool) -> None:
    if target.exists() and not target.is_dir():
        raise refusal(target, "a file stands there", "Choose another directory.")
    names = [entry.name for entry in target.iterdir()] if target.is_dir() else []
    if names and not overwrite:
        raise refusal(target, "not empty", "Choose another directory, or pass overwrite=True.")
    if names and not _is_bundle(target, manifest, names):
        fix = "Only a bundle is overwritten; remove this one yourself."
        raise refusal(target, f"not a bundle with a {manifest}", fix)


def _is_bundle(target: Path, manifest: str, names: list[str]) -> bool:
    arrays = [name for name in names if name != manifest]
    plain = all(name.endswith(".npy") and (target / name).is_file() for name in arrays)
    return plain and len(arrays) < len(names)


def _move(workplace: Path, target: Path, overwrite: bool) -> None:
    """Rename `workplace` to `target`, whose old contents go once the new ones are in place."""
    if not target.exists() or not overwrite:
        if target.exists():
            target.rmdir()  # fails if somebody has put something there meanwhile
        workplace.rename(target)
        return
    old = workplace.with_suffix(".old")
    target.rename(old)
    try:
        workplace.rename(target)
    except BaseException:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
