"""The sets of implementations in one shape."""

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any

from validation.blind import first as first_module
from validation.blind import second as second_package
from validation.blind import third as third_package

Run = Callable[[Any, Any], Mapping[str, Any]]


@dataclass(frozen=True)
class Mistake:
    """A wrong implementation: what it does, and what runs it."""

    op: str
    name: str
    says: str
    run: Run

    @property
    def id(self) -> str:
        """``op.name``."""
        return f"{self.op}.{self.name}"


@dataclass(frozen=True)
class BlindSet:
    """Right implementations by op, and wrong ones."""

    right: dict[str, Run]
    wrong: list[Mistake]


def first() -> BlindSet:
    """Return the first set."""
    wrong = [Mistake(b["op"], b["name"], b["says"], b["run"]) for b in first_module.BUGS]
    return BlindSet(dict(first_module.CORRECT), wrong)


def second() -> BlindSet:
    """Return the second set."""
    return kept(second_package)


def third() -> BlindSet:
    """Return the third set."""
    return kept(third_package)


def kept(package: ModuleType) -> BlindSet:
    """Return a set that lies in a package, a file for each subject."""
    found = BlindSet({}, [])
    for entry in pkgutil.iter_modules(package.__path__):
        if entry.name == "common":  # what the others share: no implementations
            continue
        module = import_module(f"{package.__name__}.{entry.name}")
        found.right.update(module.OPS)
        for op, name, says in module.BUGS:
            found.wrong.append(Mistake(op, name, says, partial(module.OPS[op], bug=name)))
    return found
