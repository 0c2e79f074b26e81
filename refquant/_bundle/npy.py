"""The .npy files of a bundle: written plainly, read without interpreting anything.

Format 1.0 of https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html:

    bytes   content
    6       \\x93NUMPY
    2       version: 1, 0
    2       length of the header, little endian
    ...     {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } spaces, newline
    ...     the elements in C order

`numpy.load` evaluates the header as Python text and allocates what it says. Here the manifest has
already said which dtype and shape to expect, so the header is compared with the one text that is
right, and nothing is evaluated. Only the number of spaces is free: it differs between writers.

Edge cases: booleans other than 0 and 1 are refused; NaN payloads and negative zeros survive.
"""

import hashlib
import os
import re
import stat
from io import BufferedReader
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np

from refquant._bundle.error import refusal
from refquant._types import Array

DTYPES = ("|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f4", "<f8")
MAGIC = b"\x93NUMPY\x01\x00"
MAX_HEADER = 4096  # bytes; 64 axes of 20 digits are under 2000
MAX_SHAPE_TEXT = 200
HEADER = re.compile(
    r"\{'descr': ?'(?P<dtype>[<>|=][biuf][1248])', ?'fortran_order': ?(?P<order>True|False), ?"
    r"'shape': ?\((?P<shape>[0-9, ]*)\),? ?\} *\n"
)
DAMAGED = "The file is damaged or not part of this bundle; write the bundle again."


def little_endian(value: Array) -> Array:
    """Return `value` as an array in C order and little endian."""
    array = np.asarray(value)
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def npy_bytes(array: Array) -> tuple[bytes, bytes]:
    """Return header and elements of the file for `array`, which is little endian in C order."""
    text = _header(array.dtype.str, array.shape)
    padding = -(len(MAGIC) + 2 + len(text) + 1) % 64  # as NumPy pads: the elements are aligned
    header = text + b" " * padding + b"\n"
    return MAGIC + len(header).to_bytes(2, "little") + header, array.tobytes()


def nbytes(dtype: str, shape: tuple[int, ...]) -> int:
    """Return the size of the elements; an axis of length 0 counts as 1, so none hides another."""
    return np.dtype(dtype).itemsize * prod(max(size, 1) for size in shape)


def read_npy(path: Path, dtype: str, shape: tuple[int, ...], sha256: str) -> Array:
    """Return the array in `path` as a read-only array of native byte order.

    Raises
    ------
    BundleError
        If the file is not a plain file of exactly this dtype, shape and hash. The size of the
        file is checked before memory is taken.
    """
    with open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(len(MAGIC) + 2)
        length = int.from_bytes(start[len(MAGIC) :], "little")
        if not start.startswith(MAGIC) or length > MAX_HEADER:
            raise refusal(path, "not a .npy file of format 1.0", DAMAGED)
        header = file.read(length)
        if not header.endswith(b"\n") or header.rstrip(b" \n") != _header(dtype, shape):
            problem = f"the header differs from dtype {dtype} and shape {shape} in the manifest"
            raise refusal(path, problem, DAMAGED)
        expected = len(start) + length + prod(shape) * np.dtype(dtype).itemsize
        if size != expected:
            raise refusal(path, f"{size} bytes where {expected} are declared", DAMAGED)
        array = np.empty(shape, dtype)
        raw = array.reshape(-1).view(np.uint8)  # the same memory, byte by byte
        file.readinto(raw.data)
    if hashlib.sha256(raw.data).hexdigest() != sha256:
        raise refusal(path, "the contents differ from the hash in the manifest", DAMAGED)
    if dtype == "|b1" and np.any(raw > 1):
        raise refusal(path, "a boolean that is neither 0 nor 1", DAMAGED)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    array.flags.writeable = False
    return array


def read_any_npy(path: Path, max_bytes: int) -> Array:
    """Return the array in a .npy file that no manifest describes, read-only, in native byte order.

    Formats 1 to 3 of any boolean, integer or float dtype, in C or Fortran order, are read. The
    header is matched, never evaluated; its size is checked against `max_bytes` and the file.

    Raises
    ------
    BundleError
        If the file is anything else, or larger.
    """
    with open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(8)
        wide = start[6:7] in (b"\x02", b"\x03")
        length = int.from_bytes(file.read(4 if wide else 2), "little")
        known = start[:6] == MAGIC[:6] and start[6:7] in (b"\x01", b"\x02", b"\x03")
        if not known or length > MAX_HEADER:
            raise refusal(path, "not a .npy file", DAMAGED)
        match = HEADER.fullmatch(file.read(length).decode("latin-1"))
        if not match or len(match["shape"]) > MAX_SHAPE_TEXT:
            raise refusal(path, "a .npy header that is not of a plain array of numbers", DAMAGED)
        shape = tuple(int(part) for part in match["shape"].replace(",", " ").split())
        dtype = np.dtype(match["dtype"])
        expected = 8 + (4 if wide else 2) + length + prod(shape) * dtype.itemsize
        if size != expected or nbytes(dtype.str, shape) > max_bytes:
            problem = f"{size} bytes where {expected} are declared, of at most {max_bytes}"
            raise refusal(path, problem, DAMAGED)
        flat = np.frombuffer(file.read(size), dtype, prod(shape))
    order: Literal["C", "F"] = "F" if match["order"] == "True" else "C"
    array = flat.reshape(shape, order=order).astype(dtype.newbyteorder("="))
    array.flags.writeable = False
    return array


def read_whole(path: Path, max_bytes: int) -> bytes:
    """Return the contents of a plain file; BundleError if there are more than `max_bytes`.

    The size is asked for first: reading "at most n" bytes would take memory for n.
    """
    with open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(size + 1) if size <= max_bytes else b""
    if size > max_bytes or len(data) > size:
        problem = f"larger than {max_bytes} bytes"
        raise refusal(path, problem, "A file of that size was not written by refquant.")
    return data


def open_plain(path: Path) -> BufferedReader:
    """Open a plain file for reading: no link, no pipe, no device.

    The check is made on what was opened, so nothing can be put in its place in between.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        if path.is_symlink():  # for systems without O_NOFOLLOW
            raise refusal(path, "a symbolic link", "Put the file itself into the bundle.")
        descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0))
    except FileNotFoundError as error:
        raise refusal(path, "missing", "Check the path, or write the bundle again.") from error
    except OSError as error:
        raise refusal(path, f"cannot be opened ({error.strerror})", DAMAGED) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise refusal(path, "not a plain file", "Put the file itself into the bundle.")
    return os.fdopen(descriptor, "rb")


def _header(dtype: str, shape: tuple[int, ...]) -> bytes:
    return f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape!r}, }}".encode("ascii")
