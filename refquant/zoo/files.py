"""The embedded files: read with their checksums, written by rename.

Everything lies in ``refquant/zoo/embedded`` as plain .npy without pickle, little-endian, so that a
file is the same bytes wherever it was made; ``SHA256SUMS`` beside them is what ``sha256sum -c``
reads. A file that does not hash to its line there is refused.
"""

import hashlib
import io
import os
import tempfile
from importlib import resources
from pathlib import Path

import numpy as np

from refquant._checks import check_in, complaint
from refquant._types import Array

SUMS = "SHA256SUMS"


def read_sums() -> dict[str, str]:
    """Return {file name: SHA-256 in hexadecimal} of every embedded file."""
    lines = _embedded(SUMS).decode("ascii").splitlines()
    return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}


def read_array(name: str) -> Array:
    """Return the array of one embedded .npy file.

    Raises
    ------
    ValueError
        If `name` is not embedded, or its bytes do not hash to its line in SHA256SUMS.
    """
    sums = read_sums()
    check_in("read_array", "name", name, sums)
    content = _embedded(name)
    digest = hashlib.sha256(content).hexdigest()
    if digest != sums[name]:
        fix = "The installed file is damaged: install refquant again."
        got = f"{name} with SHA-256 {digest}"
        raise ValueError(complaint("read_array", "the file", got, sums[name], fix))
    array: Array = np.load(io.BytesIO(content), allow_pickle=False)
    return array


def npy_bytes(array: Array) -> bytes:
    """Return `array` as the bytes of a little-endian .npy file, version 1.0."""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, little, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def write_files(directory: Path, contents: dict[str, bytes]) -> None:
    """Write files into `directory` and enter them in its SHA256SUMS, which is written last.

    Each file is written under a temporary name and renamed, so a reader finds the old bytes or
    the new ones and never a part.
    """
    listed = {}
    if (directory / SUMS).exists():
        lines = (directory / SUMS).read_text("ascii").splitlines()
        listed = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    for name, content in contents.items():
        _replace(directory / name, content)
        listed[name] = hashlib.sha256(content).hexdigest()
    text = "".join(f"{listed[name]}  {name}\n" for name in sorted(listed))
    _replace(directory / SUMS, text.encode("ascii"))


def _embedded(name: str) -> bytes:
    return (resources.files("refquant.zoo") / "embedded" / name).read_bytes()


def _replace(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
