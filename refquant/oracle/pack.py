"""One file of the frozen corpus: all cases of one op, in one line of JSON and the bytes after it.

    refquant vectors 1\\n
    {"cases": [...], "inputs": [...], "op": ..., "outputs": [...]}\\n    canonical JSON in ASCII
    bytes of all arrays                   little endian, C order, in the order of the header

A case is a list: tier, purpose, attributes, clauses, flags, agreement (bits, doubts, and whether
reference and twin equal the exact answer), inputs and outputs in the order of their names. An array
is "dtype shape", as "f4 3x4", or "" where a case has none; an output has one to three: the value,
its error, the other right answer. Ids are not stored, they are hashes of what is. Each array is in
the smallest dtype that holds it: integers in 1, 2, 4 or 8 bytes, floats in 2 or 4 where float16 or
float32 holds every one. The same content is always the same bytes.
"""

import json
import math
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.build import BOUND, EQUAL, WHO, Built, Golden
from refquant.oracle.case import Case

MAGIC = b"refquant vectors 1\n"
DTYPES = ("b1", "i1", "i2", "i4", "i8", "f2", "f4", "f8")
ROLES = ("value", "error", "other")


def pack(op: str, built: list[Built]) -> bytes:
    """Return the file of one op."""
    arrays: list[Array] = []
    names = {
        "inputs": sorted({name for item in built for name in item.case.inputs}),
        "outputs": sorted({name for item in built for name in item.outputs}),
    }
    entries = [_entry(item, names, arrays) for item in built]
    content = {"cases": entries, "op": op, **names}
    header = json.dumps(content, sort_keys=True, separators=(",", ":"))
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
        cases = [_built(header, entry, reader) for entry in header["cases"]]
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"unpack(): a damaged header ({error}). Reinstall refquant.") from error
    if reader.at != len(data):
        raise ValueError(f"unpack(): {len(data)} bytes; expected {reader.at}. Reinstall refquant.")
    return header["op"], cases


def compact(value: Array) -> Array:
    """Return an array in the smallest stored dtype that holds it exactly."""
    kind = value.dtype.kind
    for dtype in (f"<{name}" for name in DTYPES if name[0] == kind):
        with np.errstate(over="ignore"):
            small = value.astype(dtype)
        if np.array_equal(small.astype(value.dtype), value, equal_nan=kind == "f"):
            break
    return small


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
        count, kind = math.prod(shape), np.dtype(f"<{dtype}")
        if self.at + count * kind.itemsize > len(self.data):
            raise ValueError("unpack(): the data end early. Reinstall refquant.")
        array = np.frombuffer(self.data, kind, count, self.at).reshape(shape)
        self.at += count * kind.itemsize
        with np.errstate(invalid="ignore"):  # a signalling NaN, in a damaged file
            wide: Array = array.astype({"f": np.float64, "i": np.int64, "b": np.bool_}[kind.kind])
        wide.flags.writeable = False
        return wide


def _entry(item: Built, names: dict[str, list[str]], arrays: list[Array]) -> list[Any]:
    case, found = item.case, item.agreement
    agreement = [found["bits"], found["doubts"], *(int(found[who] == EQUAL) for who in WHO)]
    inputs = [_put(case.inputs.get(name), arrays) for name in names["inputs"]]
    outputs = [_roles(item.outputs.get(name), arrays) for name in names["outputs"]]
    texts = [case.tier, case.purpose, case.attrs, list(case.clauses), list(case.flags)]
    return [*texts, agreement, inputs, outputs]


def _roles(golden: Golden | None, arrays: list[Array]) -> list[str]:
    """Return value, error and other; what is absent at the end is left out."""
    specs = [_put(getattr(golden, role, None), arrays) for role in ROLES]
    while specs and not specs[-1]:
        specs.pop()
    return specs


def _put(value: Array | None, arrays: list[Array]) -> str:
    if value is None:
        return ""
    small = compact(value)
    arrays.append(small)
    return f"{small.dtype.str[1:]} {'x'.join(map(str, small.shape))}"


def _built(header: dict[str, Any], entry: list[Any], reader: Reader) -> Built:
    tier, purpose, attrs, clauses, flags, (bits, doubts, *equal), inputs, outputs = entry
    named = zip(header["inputs"], inputs, strict=True)
    arrays = {name: reader.take(spec) for name, spec in named if spec}
    goldens = {
        name: Golden(*(reader.take(spec) if spec else None for spec in specs))  # type: ignore[arg-type]
        for name, specs in zip(header["outputs"], outputs, strict=True)
        if specs
    }
    how = {who: EQUAL if same else BOUND for who, same in zip(WHO, equal, strict=True)}
    case = Case(header["op"], tier, purpose, arrays, attrs, tuple(clauses), tuple(flags))
    return Built(case, goldens, {"bits": bits, "doubts": doubts, **how})
