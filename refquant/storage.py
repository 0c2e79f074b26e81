"""Where a run keeps what it has computed for every calibration input: in memory, or in files.

What the units of a network read and are measured against grows with the number of inputs. It comes
a chunk of samples at a time, in order, and is read back a few rows at a time:

    memory   arrays
    disk     temporary files, mapped: arrays too, of which the system holds as many pages as it has
             room for, and none has to stay

The values are the same, so the bits of a run are the same.

A file has no name, from its creation or from the first moment after it: its room is given back
with the last array that reads it, and when the process ends in whatever way. (Windows knows no such
files; there they go when they are closed.) They are written, not mapped, while they grow, so that a
full disk is an OSError and not the end of the process. In a folder that lies in memory, as some
systems have for temporary files, they take memory.
"""

import mmap
import os
import tempfile
import weakref
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np

from refquant._checks import complaint
from refquant._types import Array

Parts = Iterable[Mapping[str, Array]]


class Memory:
    """Keeps values of all samples in arrays.

    Attributes
    ----------
    held : int
        Bytes in files now: none.
    """

    held = 0

    def keep(self, parts: Parts, count: int) -> dict[str, Array]:
        """Return what `parts`, chunks of samples in order, give for each name, `count` rows."""
        found, begin = dict[str, Array](), 0
        for part in parts:
            end = begin
            for name, value in part.items():
                if name not in found:
                    found[name] = np.empty((count, *value.shape[1:]), value.dtype)
                end = begin + len(value)
                found[name][begin:end] = value
            begin = end
        return found

    def peak(self) -> int:
        """Return the most bytes in files since it was last called: none."""
        return 0


class Disk:
    """Keeps values of all samples in temporary files, which are mapped as read-only arrays.

    Attributes
    ----------
    folder : Path or None
        Where the files are; None leaves it to `tempfile`: TMPDIR, TEMP or TMP, or the system's.
    held : int
        Bytes in files now.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self.folder = None if folder is None else Path(folder)
        self.held = self._most = 0

    def keep(self, parts: Parts, count: int | None = None) -> dict[str, Array]:
        """Return arrays of as many rows as `parts` have; the chunks of a name have one dtype.

        Raises
        ------
        OSError
            If the disk is full.
        """
        files, like = dict[str, IO[bytes]](), dict[str, Array]()
        with ExitStack() as closing:
            for part in parts:
                for name, value in part.items():
                    if name not in files:
                        files[name] = closing.enter_context(self._open())
                        like[name] = np.empty((0, *value.shape[1:]), value.dtype)
                    self._write(files[name], value)
            return {name: self._map(file, like[name]) for name, file in files.items()}

    def peak(self) -> int:
        """Return the most bytes in files since it was last called."""
        found, self._most = self._most, self.held
        return found

    def _open(self) -> IO[bytes]:
        return tempfile.TemporaryFile(prefix="refquant-", dir=self.folder)

    def _write(self, file: IO[bytes], value: Array) -> None:
        try:
            file.write(np.ascontiguousarray(value).data)
            file.flush()
        except OSError as error:
            where = self.folder or tempfile.gettempdir()
            error.add_note(f"while values of calibration inputs were written in {str(where)!r}")
            raise

    def _map(self, file: IO[bytes], like: Array) -> Array:
        """Return what the file holds; the map keeps it open."""
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        size = len(mapped)
        self.held += size
        self._most = max(self._most, self.held)
        weakref.finalize(mapped, self._release, size)
        return np.frombuffer(mapped, like.dtype).reshape(-1, *like.shape[1:])

    def _release(self, size: int) -> None:
        self.held -= size


Storage: TypeAlias = Memory | Disk
MEMORY = Memory()


def storage_for(function: str, cache: Any) -> Storage:
    """Return what the argument `cache` of a function asks for.

    Parameters
    ----------
    function : str
        Of the caller, for messages.
    cache : {"memory", "disk"}, path or Storage
        A path is a folder for the files.

    Raises
    ------
    TypeError, ValueError
        If it is none of these, or no file can be made in the folder.
    """
    if isinstance(cache, Storage):
        return cache
    if not isinstance(cache, str | os.PathLike):
        expected = "'memory', 'disk' or a folder"
        raise TypeError(complaint(function, "cache", type(cache).__name__, expected))
    if cache == "memory":
        return MEMORY
    return writable(function, Disk(None if cache == "disk" else cache))


def on_disk(function: str, storage: Storage) -> Disk:
    """Return `storage` if it is on disk, else files where `tempfile` puts them."""
    return storage if isinstance(storage, Disk) else writable(function, Disk())


def writable(function: str, disk: Disk) -> Disk:
    """Return `disk`, after making sure that a file can be made there."""
    try:
        disk.keep([{"probe": np.zeros(1)}])
    except OSError as error:
        where = disk.folder or "the folder for temporary files"
        got = f"{str(where)!r} ({error.strerror})"
        expected = "'memory', 'disk' or a folder in which files can be made"
        raise ValueError(complaint(function, "cache", got, expected)) from error
    return disk
