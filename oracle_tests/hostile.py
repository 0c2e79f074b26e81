"""Mutations of files that somebody else may hand over: damaged by chance, or made to do harm.

A mutation is a function of random numbers and the bytes of a file; `mutate` chooses one for one of
the files. What is drawn depends on the seed alone.
"""

import io
import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np

Files = dict[str, bytes | None]
HOSTILE: tuple[Any, ...] = (
    -1, 0, 2**31, 2**63, 10**30, -(2**62), 1.5, 1e300, True, None, "", "..", "../../etc/passwd",
    "/etc/passwd", "a/b", "a\\b", "con", "x" * 5000, "\u0000", "\u202e", "{'a': 1}",
    "__import__('os')", [], {}, [[]], [-1], [2**40, 2**40], [1] * 40, {"__reduce__": 1}, "|O8",
    "<f16", ">f8", "<M8[s]",
)  # fmt: skip
SHAPES = (
    "(-1,)",
    "(99999999999,)",
    "(4294967296, 4294967296)",
    "(1.5,)",
    "(__import__('os'),)",
    "(1,",
)
DTYPES = ("|O", "<f16", "|S1000000000", "<U8", ">f8", "[('a','<f8')]", "<i8", "|b1")


def truncate(rng: random.Random, data: bytes) -> bytes:
    """Cut it anywhere."""
    return data[: rng.randrange(len(data) + 1)]


def flip(rng: random.Random, data: bytes) -> bytes:
    """Turn over one to four bits."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def grow(rng: random.Random, data: bytes) -> bytes:
    """Put something in."""
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.randint(1, 200)) + data[at:]


def overwrite(rng: random.Random, data: bytes) -> bytes:
    """Replace a stretch."""
    at = rng.randrange(len(data) + 1)
    stretch = rng.choice([b"\x00", b"\xff", b"9", b'"', b"[", b"{"]) * rng.randint(1, 60)
    return data[:at] + stretch + data[at + len(stretch) :]


def header(rng: random.Random, data: bytes) -> bytes:
    """A .npy header that lies: its length, dtype, order or shape."""
    order = rng.choice(["True", "False", "1"])
    start = f"{{'descr': '{rng.choice(DTYPES)}', 'fortran_order': {order}, "
    text = f"{start}'shape': {rng.choice(SHAPES)}, }}".encode()
    text += b" " * rng.choice([0, 7, 60000]) + b"\n"
    length = rng.choice([len(text), 0, 65535]) % 65536
    version = rng.choice([b"\x01\x00", b"\x02\x00", b"\x09\x00"])
    return b"\x93NUMPY" + version + length.to_bytes(2, "little") + text + data[-64:]


def pickled(rng: random.Random, data: bytes) -> bytes:
    """An array of objects, as numpy.save writes it."""
    file = io.BytesIO()
    np.save(file, np.array([{"a": rng.random()}], dtype=object), allow_pickle=True)
    return file.getvalue()


def deep(rng: random.Random, data: bytes) -> bytes:
    """JSON that exhausts a stack."""
    n = rng.choice([100, 5000, 100000])
    return (b"[" * n + b"]" * n) if rng.random() < 0.5 else b'{"cases":' * n + b"1" + b"}" * n


def numbers(rng: random.Random, data: bytes) -> bytes:
    """JSON numbers that are none, and keys that come twice."""
    for old, new in ((b"1", b"NaN"), (b"0", b"1e999"), (b'"op"', b'"id"'), (b",", b",,")):
        if rng.random() < 0.3:
            data = data.replace(old, new, rng.randint(1, 3))
    return data


def value(rng: random.Random, data: bytes) -> bytes:
    """One value of the JSON replaced by a hostile one, or removed, or doubled."""
    try:
        whole = json.loads(data)
    except ValueError:
        return flip(rng, data)
    here = whole
    while isinstance(here, dict | list) and here:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        key = rng.choice(keys)
        if not isinstance(here[key], dict | list) or not here[key] or rng.random() < 0.15:
            _change(rng, here, key)
            break
        here = here[key]
    return json.dumps(whole).encode()


def _change(rng: random.Random, here: Any, key: Any) -> None:
    what = rng.random()
    if what < 0.15:
        del here[key]
    elif what < 0.25 and isinstance(here, list):
        here.append(here[key])
    elif what < 0.35 and isinstance(here, dict):
        here[str(rng.choice(HOSTILE))[:50]] = here[key]
    else:
        here[key] = rng.choice(HOSTILE)


BINARY = (truncate, flip, grow, overwrite, header, pickled)
TEXT = (truncate, flip, grow, overwrite, deep, numbers, value, value, value, value)


def mutate(rng: random.Random, files: Files) -> Files:
    """Return the files that change: {name: new bytes, or None for one that goes}."""
    names = sorted(files)
    what = rng.random()
    if what < 0.05 and len(names) > 1:  # swap two
        a, b = rng.sample(names, 2)
        return {a: files[b], b: files[a]}
    name = rng.choice(names)
    if what < 0.08:
        return {name: None}
    mutations: tuple[Callable[[random.Random, bytes], bytes], ...]
    mutations = TEXT if name.endswith((".json", ".txt")) else BINARY
    data = files[name]
    return {name: rng.choice(mutations)(rng, data or b"")}
