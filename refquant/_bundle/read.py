"""Read a bundle that may be damaged or hostile.

Nothing is allocated before the manifest's declared sizes are within the limit and agree with the
files; no name leads out of the directory; nothing in the directory is left unexplained.
"""

import os
from pathlib import Path
from typing import Any, NamedTuple

from refquant._bundle.error import refusal
from refquant._bundle.manifest import MANIFEST, decode
from refquant._bundle.npy import nbytes, read_npy, read_whole
from refquant._types import Array

MAX_BYTES = 2**30  # of all arrays together
MAX_MANIFEST = 2**23


class Bundle(NamedTuple):
    """What a bundle holds: the manifest as written, read-only arrays in the order written."""

    manifest: dict[str, Any]
    arrays: dict[str, Array]


def read_bundle(
    directory: str | os.PathLike[str], max_bytes: int = MAX_BYTES, name: str = MANIFEST
) -> Bundle:
    """Return the contents of a bundle.

    Parameters
    ----------
    directory : path
    max_bytes : int
        Limit on the arrays' declared size in memory, all together.
    name : str
        Of the manifest's file.

    Returns
    -------
    Bundle
        What is in `manifest` the caller has to check, ``manifest["format"]`` first; it is some
        JSON object without NaN.

    Raises
    ------
    BundleError
        If anything is missing, unexpected, too large or inconsistent.
    """
    root = Path(directory)
    path = root / name
    manifest, entries = decode(path, read_whole(path, MAX_MANIFEST))
    total = sum(nbytes(entry.dtype, entry.shape) for entry in entries)
    if total > max_bytes:
        problem = f"arrays of {total} bytes are declared, more than the limit of {max_bytes}"
        raise refusal(path, problem, "Raise max_bytes if you trust it.")
    _check_listing(root, {path.name, *(entry.file for entry in entries)})
    arrays = {e.name: read_npy(root / e.file, e.dtype, e.shape, e.sha256) for e in entries}
    return Bundle(manifest, arrays)


def _check_listing(root: Path, expected: set[str]) -> None:
    try:
        names = {path.name for path in root.iterdir()}
    except OSError as error:
        raise refusal(root, f"cannot be listed ({error.strerror})", "Make it readable.") from error
    for name in sorted(names - expected):
        raise refusal(root / name, "not in the manifest", "Remove it.")
