"""The corpus as a directory that any language can read.

    manifest.json                  versions, and of every case: op, attributes, tensors, hashes
    schema.json                    JSON Schema of the manifest
    SHA256SUMS                     of every other file, as sha256sum writes and checks them
    OP/ID/case.txt                 the case once more, for programs without a JSON reader
    OP/ID/in.NAME.npy              inputs: float64, int32 (int64 where it must) or bool
    OP/ID/out.NAME.npy             right outputs
    OP/ID/out.NAME.error.npy       rounding steps of each element; absent where all are exact
    OP/ID/out.NAME.other.npy       the other right answer, where a decision is in doubt

All .npy files are of format 1.0, little endian, in C order. case.txt has one item a line::

    op NAME | tier T8 | attr NAME TYPE VALUE | in NAME DTYPE SHAPE | out NAME DTYPE SHAPE

where TYPE is one of int, float (in C's hexadecimal notation), bool, str, none, list (of hexadecimal
floats or integers, separated by commas) and SHAPE is numbers joined by ``x``, or ``scalar``.
Where the attributes are those of a declared dialect, the manifest has those that the id is made of
beside them, as "frozen".
A program writes RESULTS/OP/ID/NAME.npy, in any numeric dtype, and may leave out what it lacks.

`read_vectors` reads it back and trusts nothing.
"""

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

from refquant._bundle.error import refusal
from refquant._bundle.npy import npy_bytes
from refquant._types import Array
from refquant.oracle import corpus
from refquant.oracle.build import Built
from refquant.oracle.pack import ROLES
from refquant.oracle.registry import ops
from refquant.oracle.tiers import narrowed

FORMAT = "refquant-vectors"


def write_vectors(directory: Path, cases: Iterable[Built]) -> Path:
    """Write cases as a directory, all or nothing.

    Raises
    ------
    BundleError
        If something stands there already, or it cannot be written.
    """
    target = Path(directory).resolve()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise refusal(target, "not empty", "Choose a new directory.")
    part = target.parent / f".{target.name}.{uuid.uuid4().hex[:12]}.part"
    try:
        part.mkdir(parents=True)
        _fill(part, cases)
        if target.exists():
            target.rmdir()
        part.rename(target)
    except OSError as error:
        fix = "The directory it stands in must be writable."
        raise refusal(target, f"cannot be written ({error})", fix) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def _fill(part: Path, cases: Iterable[Built]) -> None:
    sums: dict[str, str] = {}

    def put(name: str, data: bytes) -> str:
        """Write a file and return its hash."""
        path = part / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        sums[name] = hashlib.sha256(data).hexdigest()
        return sums[name]

    entries = []
    for item in cases:
        home = f"{item.case.op}/{item.case.id}"
        tensors = []
        for name, role, array in _tensors(item):
            put(f"{home}/{file_name(name, role)}", b"".join(npy_bytes(array)))
            tensors.append(_tensor(name, role, array))
        put(f"{home}/case.txt", _text(item, tensors).encode("ascii"))
        entries.append(_entry(item, tensors))
    about = {
        "format": FORMAT,
        "schema": corpus.SCHEMA,
        "spec_version": corpus.SPEC_VERSION,
        "goldens_version": corpus.GOLDENS_VERSION,
        "cases": entries,
    }
    put("manifest.json", json.dumps(about, indent=1, sort_keys=True).encode("ascii") + b"\n")
    put("schema.json", schema_text())
    lines = [f"{digest}  {name}\n" for name, digest in sorted(sums.items())]
    (part / "SHA256SUMS").write_text("".join(lines), encoding="ascii")


def schema_text() -> bytes:
    """Return the JSON Schema of the manifest."""
    return (resources.files("refquant.oracle.corpus") / "schema.json").read_bytes()


def file_name(name: str, role: str) -> str:
    """Return the file of a tensor: in.x.npy, out.y.npy, out.y.error.npy."""
    if role == "input":
        return f"in.{name}.npy"
    return f"out.{name}.npy" if role == "value" else f"out.{name}.{role}.npy"


def _tensors(item: Built) -> Iterable[tuple[str, str, Array]]:
    for name, value in sorted(item.case.inputs.items()):
        yield name, "input", expanded(value)
    for name, golden in sorted(item.outputs.items()):
        for role in ROLES:
            if (array := getattr(golden, role)) is not None:
                yield name, role, expanded(array)


def expanded(value: Array) -> Array:
    """Return an array in the dtype of the directory: float64, int32 or int64, bool."""
    whole = narrowed(value) if value.dtype.kind == "i" else value
    return whole.astype(whole.dtype.newbyteorder("<"))


def _tensor(name: str, role: str, array: Array) -> dict[str, Any]:
    digest = hashlib.sha256(array.tobytes()).hexdigest()
    about = {"name": name, "role": role, "dtype": array.dtype.str, "shape": list(array.shape)}
    return {**about, "sha256": digest}


def _entry(item: Built, tensors: list[dict[str, Any]]) -> dict[str, Any]:
    case = item.case
    frozen = {} if case.frozen is None else {"frozen": case.frozen}
    return frozen | {
        "id": case.id,
        "op": case.op,
        "tier": case.tier,
        "purpose": case.purpose,
        "attrs": case.attrs,
        "clauses": list(case.clauses),
        "flags": list(case.flags),
        "agreement": item.agreement,
        "tensors": tensors,
    }


def _text(item: Built, tensors: list[dict[str, Any]]) -> str:
    lines = [f"op {item.case.op}", f"tier {item.case.tier}"]
    attrs = ops()[item.case.op].resolve(item.case.attrs)
    lines += [f"attr {name} {_typed(value)}" for name, value in sorted(attrs.items())]
    for tensor in tensors:
        if tensor["role"] in ("input", "value"):
            side = "in" if tensor["role"] == "input" else "out"
            shape = "x".join(map(str, tensor["shape"])) or "scalar"
            lines.append(f"{side} {tensor['name']} {tensor['dtype']} {shape}")
    return "\n".join(lines) + "\n"


def _typed(value: Any) -> str:
    if value is None:
        return "none -"
    if isinstance(value, bool):
        return f"bool {int(value)}"
    if isinstance(value, list | tuple):
        return "list " + ",".join(_typed(v).partition(" ")[2] for v in value)
    if isinstance(value, float):
        return f"float {value.hex()}"
    return f"{'int' if isinstance(value, int) else 'str'} {value}"
