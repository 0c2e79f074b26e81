"""One file of the frozen corpus: all cases of one op, in one line of JSON and the bytes after it.

    refquant vectors 1\\n
    {"cases": [...], "op": ...}\\n        canonical JSON in ASCII
    bytes of all arrays                   little endian, C order, in the order of the header

A case is a list: tier, purpose, attributes, clauses, flags, agreement (bits, doubts, and whether
reference and twin equal the exact answer), inputs and outputs. An array is "dtype shape", as
"<f4 3x4"; an output has one to three: the value, its error, the other right answer. Ids are not
stored, they are hashes of what is. Each array is in the smallest dtype that holds it: integers in
1, 2, 4 or 8 bytes, floats in 4 where float32 holds every one. The same content is always the same
bytes.
"""

import json
import math
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.build import BOUND, EQUAL, WHO, Built, Golden
from refquant.oracle.case import Case

MAGIC = b"refquant vectors 1\n"
DTYPES = ("|b1", "|i1", "<i2", "<i4", "<i8", "<f4", "<f8")
ROLES = ("value", "error", "other")


def pack(op: str, built: list[Built]) -> bytes:
    """Return the file of one op."""
    arrays: list[Array] = []
    entries = [_entry(item, arrays) for item in built]
    header = json.dumps({"cases": entries, "op": op}, sort_keys=True, separators=(",", ":"))
    body = b"".join(array.tobytes() for array in arrays)
    return MAGIC + header.encode("ascii") + b"\n" + body


def unpack(data: bytes) -> tuple[str, list[Built]]:
    """Return the op and the cases in a file.

    Raises
    ------
    ValueError
        If the file is not what `pack` writes: wrong magic, damaged JSON, or another size.
    """
    if not data.startswith(MAGIC):
        raise ValueError(
            "unpack(): data do not start as a file of vectors does; reinstall refquant."
        )
    try:
        end = data.index(b"\n", len(MAGIC))
        header = json.loads(data[len(MAGIC) : end])
        reader = Reader(data, end + 1)
        cases = [_built(header["op"], entry, reader) for entry in header["cases"]]
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"unpack(): a damaged header ({error}). Reinstall refquant.") from error
    if reader.at != len(data):
        raise ValueError(f"unpack(): {len(data)} bytes; expected {reader.at}. Reinstall refquant.")
    return header["op"], cases


def compact(value: Array) -> Array:
    """Return an array in the smallest stored dtype that holds it exactly."""
    if value.dtype.kind == "f":
        with np.errstate(over="ignore"):
            small = value.astype("<f4")
        return small if np.array_equal(small.astype("<f8"), value, equal_nan=True) else value
    if value.dtype.kind == "b":
        return value.astype("|b1")
    for dtype in ("|i1", "<i2", "<i4"):
        if np.array_equal(value.astype(dtype).astype("<i8"), value):
            return value.astype(dtype)
    return value.astype("<i8")


class Reader:
    """Takes arrays from bytes one after the other."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def take(self, spec: str) -> Array:
        """Return the next array, widened to float64, int64 or bool and read-only."""
        dtype, _, sizes = spec.partition(" ")
        shape = [int(size) for size in sizes.split("x") if size]
        if dtype not in DTYPES or any(size < 0 for size in shape):
            raise ValueError("unpack(): an array of another kind. Reinstall refquant.")
        count, kind = math.prod(shape), np.dtype(dtype)
        if self.at + count * kind.itemsize > len(self.data):
            raise ValueError("unpack(): the data end early. Reinstall refquant.")
        array = np.frombuffer(self.data, kind, count, self.at).reshape(shape)
        self.at += count * kind.itemsize
        with np.errstate(invalid="ignore"):  # a signalling NaN, in a damaged file
            wide: Array = array.astype({"f": np.float64, "i": np.int64, "b": np.bool_}[kind.kind])
        wide.flags.writeable = False
        return wide


def _entry(item: Built, arrays: list[Array]) -> list[Any]:
    case, found = item.case, item.agreement
    agreement = [found["bits"], found["doubts"], *(found[who] == EQUAL for who in WHO)]
    inputs = {name: _put(value, arrays) for name, value in sorted(case.inputs.items())}
    outputs = {name: _roles(golden, arrays) for name, golden in sorted(item.outputs.items())}
    texts = [case.tier, case.purpose, case.attrs, list(case.clauses), list(case.flags)]
    return [*texts, agreement, inputs, outputs]


def _roles(golden: Golden, arrays: list[Array]) -> list[str]:
    """Return value, error and other; what is absent at the end is left out."""
    roles = [getattr(golden, role) for role in ROLES]
    specs = ["" if array is None else _put(array, arrays) for array in roles]
    while not specs[-1]:
        specs.pop()
    return specs


def _put(value: Array, arrays: list[Array]) -> str:
    small = compact(value)
    arrays.append(small)
    return f"{small.dtype.str} {'x'.join(map(str, small.shape))}"


def _built(op: str, entry: list[Any], reader: Reader) -> Built:
    tier, purpose, attrs, clauses, flags, (bits, doubts, *equal), inputs, outputs = entry
    arrays = {name: reader.take(spec) for name, spec in inputs.items()}
    goldens = {
        name: Golden(*(reader.take(spec) if spec else None for spec in specs))  # type: ignore[arg-type]
        for name, specs in outputs.items()
    }
    how = {who: EQUAL if same else BOUND for who, same in zip(WHO, equal, strict=True)}
    case = Case(op, tier, purpose, arrays, attrs, tuple(clauses), tuple(flags))
    return Built(case, goldens, {"bits": bits, "doubts": doubts, **how})
