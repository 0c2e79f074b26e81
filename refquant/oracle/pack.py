"""One file of the frozen corpus: all cases of one op, in one line of JSON and the bytes after it.

    refquant vectors 1\\n
    {"cases": [...], "op": ...}\\n        canonical JSON in ASCII
    bytes of all arrays                   little endian, C order, in the order of the header

Each array is stored in the smallest dtype that holds it: integers in 1, 2, 4 or 8 bytes, floats in
4 where float32 holds every one of them. The same content is always the same bytes.
"""

import json
import math
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.build import Built, Golden
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

    def take(self, dtype: str, shape: list[int]) -> Array:
        """Return the next array, widened to float64, int64 or bool and read-only."""
        if dtype not in DTYPES or not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError("unpack(): an array of another kind. Reinstall refquant.")
        count = math.prod(shape)
        kind = np.dtype(dtype)
        if self.at + count * kind.itemsize > len(self.data):
            raise ValueError("unpack(): the data end early. Reinstall refquant.")
        array = np.frombuffer(self.data, kind, count, self.at).reshape(shape)
        self.at += count * kind.itemsize
        wide: Array = array.astype({"f": np.float64, "i": np.int64, "b": np.bool_}[kind.kind])
        wide.flags.writeable = False
        return wide


def _entry(item: Built, arrays: list[Array]) -> dict[str, Any]:
    case = item.case
    return {
        "id": case.id,
        "tier": case.tier,
        "purpose": case.purpose,
        "attrs": case.attrs,
        "clauses": list(case.clauses),
        "flags": list(case.flags),
        "agreement": item.agreement,
        "inputs": {name: _put(value, arrays) for name, value in sorted(case.inputs.items())},
        "outputs": {
            name: {
                role: _put(array, arrays)
                for role in ROLES
                if (array := getattr(golden, role)) is not None
            }
            for name, golden in sorted(item.outputs.items())
        },
    }


def _put(value: Array, arrays: list[Array]) -> list[Any]:
    small = compact(value)
    arrays.append(small)
    return [small.dtype.str, list(small.shape)]


def _built(op: str, entry: dict[str, Any], reader: Reader) -> Built:
    inputs = {name: reader.take(*spec) for name, spec in entry["inputs"].items()}
    outputs = {
        name: Golden(**{role: reader.take(*roles[role]) for role in ROLES if role in roles})
        for name, roles in entry["outputs"].items()
    }
    case = Case(
        op, entry["tier"], entry["purpose"], inputs, entry["attrs"],
        tuple(entry["clauses"]), tuple(entry["flags"]),
    )  # fmt: skip
    return Built(case, outputs, entry["agreement"])
