"""The frozen corpus: one packed file per op, and the manifest that lists and hashes them.

spec_version       of the meaning of the ops: a change makes right implementations wrong
goldens_version    of the vectors: major if a golden changes, minor for new cases, patch for texts
floor              cases that must be there, so that an empty corpus is an error and not a pass
tombstones         cases that are gone, with the reason
"""

import hashlib
import json
from functools import cache
from importlib import resources
from typing import Any

from refquant._checks import check_in
from refquant.oracle.build import Built
from refquant.oracle.pack import unpack
from refquant.oracle.registry import alike

VERSION = "v1"
SPEC_VERSION, GOLDENS_VERSION, SCHEMA = "1.0", "1.0.0", 1
MANIFEST = "manifest.json"
TIERS = ("smoke", "quick", "full")
FEW = 3  # cases that an error message names
QUICK_STEPS = 6  # of a trajectory, in the quick tier


@cache
def manifest() -> dict[str, Any]:
    """Return the manifest of the frozen corpus.

    Raises
    ------
    ValueError
        If it is missing or damaged, or was written by another version of the format.
    """
    try:
        value = json.loads(_read(MANIFEST))
    except (OSError, ValueError) as error:
        text = f"corpus: {MANIFEST} cannot be read ({error}). Reinstall refquant."
        raise ValueError(text) from error
    if value.get("schema") != SCHEMA:
        raise ValueError(f"corpus: schema {value.get('schema')}; expected {SCHEMA}.")
    return dict(value)


@cache
def load(op: str) -> tuple[Built, ...]:
    """Return the frozen cases of one op.

    Raises
    ------
    ValueError
        If the op has no cases, or its file is not the one that the manifest hashes.
    """
    entries = manifest()["ops"]
    check_in("corpus", "op", op, entries)
    data = _read(entries[op]["file"])
    if hashlib.sha256(data).hexdigest() != entries[op]["sha256"]:
        raise ValueError(f"corpus: {entries[op]['file']} is damaged. Reinstall refquant.")
    _, cases = unpack(data)
    if len(cases) != entries[op]["cases"]:
        raise ValueError(f"corpus: {op} has {len(cases)} cases; expected {entries[op]['cases']}.")
    return tuple(cases)


def select(op: str, tier: str) -> tuple[Built, ...]:
    """Return the cases of one op in a tier.

    smoke: few, chosen by what they catch. quick: all but late steps of trajectories. full: all.
    """
    check_in("corpus.select", "tier", tier, TIERS)
    return tuple(in_tier(load(op), tier))


def in_tier(cases: tuple[Built, ...] | list[Built], tier: str) -> list[Built]:
    """Return those of `cases`, all of one op, that belong to a tier."""
    if tier == "smoke":
        chosen = set(manifest()["smoke"])
        return [item for item in cases if item.case.id in chosen]
    if tier == "full":
        return list(cases)
    steps = [item for item in cases if "trajectory" in item.case.flags]
    late = {id(item) for item in steps[QUICK_STEPS:]}
    return [item for item in cases if id(item) not in late]


def find(case: str) -> Built:
    """Return the case of an id, or of ``op/id``; a unique beginning of the id is enough.

    Raises
    ------
    ValueError
        If no case or more than one begins so, or the case is a tombstone (with its reason).
    """
    op, _, start = case.rpartition("/")
    entries = manifest()
    op, start = (case, "") if case in entries["ops"] else (op, start)
    names = [op] if op else list(entries["ops"])
    found = [item for name in names for item in load(name) if item.case.id.startswith(start)]
    if len(found) == 1 and start:
        return found[0]
    for grave in entries["tombstones"]:
        if grave["id"].startswith(start) and start:
            raise ValueError(f"case {case} was removed: {grave['reason']}")
    raise ValueError(_not_one(case, [f"{item.case.op}/{item.case.id}" for item in found]))


def _not_one(case: str, found: list[str]) -> str:
    """Return why `case` names no case, or none in particular, and what to write instead."""
    if found:
        few = ", ".join(found[:FEW]) + ", ..." * (len(found) > FEW)
        return f"case {case!r} stands for {len(found)} cases: {few}"
    question = "" if "/" in case else alike(case)
    fix = "`refquant verify --list` prints the ops, `refquant vectors --list` the cases."
    return " ".join(filter(None, [f"{case!r} is no op and no case.", question, fix]))


def _read(name: str) -> bytes:
    return (resources.files(__package__) / VERSION / name).read_bytes()
