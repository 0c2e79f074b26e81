"""Build the corpus anew: ``python -m refquant.oracle.freeze [--check] [--tombstone REASON]``.

Every case is built by three computations that must agree, every file packed, and the manifest
written last. With --check nothing is written: the command fails if any byte would differ.
A case that would disappear needs a reason, which becomes its tombstone.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from refquant.oracle import corpus, registry
from refquant.oracle.build import Built, build
from refquant.oracle.pack import pack, unpack
from refquant.oracle.smoke import smoke

HOME = Path(__file__).parent / "corpus" / corpus.VERSION


def regenerate(ops: tuple[str, ...] = ()) -> dict[str, bytes]:
    """Return {op: packed file}, of all ops or of some, in the order of the registry."""
    known = registry.ops()
    built: dict[str, list[Built]] = {name: [] for name in known if not ops or name in ops}
    for case in registry.cases():
        if case.op in built:
            built[case.op].append(build(known[case.op], case))
    return {name: pack(name, items) for name, items in built.items()}


def manifest_of(files: dict[str, bytes], tombstones: list[dict[str, str]]) -> dict[str, Any]:
    """Return the manifest of packed files."""
    cases = {name: unpack(data)[1] for name, data in files.items()}
    ops = {
        name: {
            "file": f"{name}.bin",
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "cases": len(cases[name]),
        }
        for name, data in files.items()
    }
    chosen = smoke(list(cases.values()))
    floor = {
        tier: sum(len(corpus.in_tier(items, tier)) for items in cases.values())
        for tier in ("quick", "full")
    }
    return {
        "format": "refquant-corpus",
        "schema": corpus.SCHEMA,
        "spec_version": corpus.SPEC_VERSION,
        "goldens_version": corpus.GOLDENS_VERSION,
        "floor": {"smoke": len(chosen), **floor},
        "smoke": chosen,
        "elements": _elements([item for items in cases.values() for item in items]),
        "ops": ops,
        "tombstones": tombstones,
    }


def _elements(cases: list[Built]) -> dict[str, int]:
    """Count output elements: all, those with a bound, those with two right answers."""
    goldens = [golden for item in cases for golden in item.outputs.values()]
    return {
        "all": sum(g.value.size for g in goldens),
        "bounded": sum(int(np.count_nonzero(g.error)) for g in goldens if g.error is not None),
        "two_answers": sum(
            int(np.count_nonzero(g.value != g.other)) for g in goldens if g.other is not None
        ),
    }


def text_of(manifest: dict[str, Any]) -> bytes:
    """Return a manifest as bytes."""
    return (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode("ascii")


def graves(files: dict[str, bytes], reason: str) -> list[dict[str, str]]:
    """Return old tombstones and those of cases that are frozen now but not in `files`.

    Raises
    ------
    ValueError
        If cases would disappear and there is no reason.
    """
    if not (HOME / corpus.MANIFEST).exists():
        return []
    kept = {item.case.id for data in files.values() for item in unpack(data)[1]}
    old = [
        {"id": item.case.id, "op": name, "reason": reason}
        for name in corpus.manifest()["ops"]
        for item in corpus.load(name)
        if item.case.id not in kept
    ]
    if old and not reason:
        names = ", ".join(f"{grave['op']}/{grave['id']}" for grave in old[:5])
        raise ValueError(f"{len(old)} cases would disappear ({names}...); give --tombstone REASON")
    return [*corpus.manifest()["tombstones"], *old]


def differing(reason: str = "") -> list[str]:
    """Return the names of frozen files that would be other bytes if they were built now."""
    found = everything(reason)
    frozen = {name: HOME / name for name in found}
    return [
        name
        for name, data in found.items()
        if not frozen[name].exists() or frozen[name].read_bytes() != data
    ]


def everything(reason: str = "") -> dict[str, bytes]:
    """Return {file: bytes} of the whole corpus, built now."""
    files = regenerate()
    found = {f"{name}.bin": data for name, data in files.items()}
    found[corpus.MANIFEST] = text_of(manifest_of(files, graves(files, reason)))
    return found


def main(argv: list[str] | None = None) -> int:
    """Write the corpus, or check it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    parser.add_argument("--tombstone", default="", metavar="REASON", help="why cases disappear")
    arguments = parser.parse_args(argv)
    if arguments.check:
        differ = differing(arguments.tombstone)
        print("\n".join(f"differs: {name}" for name in differ) or "the same, byte for byte")
        return 1 if differ else 0
    try:
        found = everything(arguments.tombstone)
    except ValueError as error:
        parser.error(str(error))
    HOME.mkdir(parents=True, exist_ok=True)
    for path in HOME.glob("*.bin"):
        path.unlink()
    for name, data in found.items():
        (HOME / name).write_bytes(data)
    print(f"{len(found) - 1} ops, {sum(map(len, found.values()))} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
