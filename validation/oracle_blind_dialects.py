"""What is caught of the blind sets where a dialect is declared: a section of oracle-blind.md."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from refquant.oracle import corpus
from refquant.oracle.build import Built
from refquant.oracle.declared import spoken
from refquant.oracle.op import Op
from refquant.oracle.registry import ops
from validation.blind.sets import BlindSet, Run

HEAD = """\

## Where a dialect is declared

A backend that declares a value of one field, not the default, is held to the cases that have it and
to those of other values whose golden is the same with it. Each wrong implementation of an op counts
once for each such value; bugs of another value cannot show, and none of them is left out. Blamed
are right implementations of the sets, for cases of other values.

| | wrong ones, values | caught by cases of the value | by all that it is held to | blamed |
|---|---:|---:|---:|---:|"""
Fails = Callable[[Op, Built, Run], bool]


def lines(found: Mapping[str, tuple[BlindSet, set[str]]], fails: Fails) -> Iterator[str]:
    """Yield the section, line by line.

    Parameters
    ----------
    found : mapping of name to (set, ops that do not count)
    fails : function (op, case, implementation) -> bool
    """
    yield from HEAD.split("\n")
    held = list(dialects())
    for name, (blind, left_out) in found.items():
        counted = [row for row in held if row[0].name not in left_out]
        counts = [count(blind, op, items, fails) for op, items in counted]
        wrong, own, both, blamed = (sum(column) for column in zip(*counts, strict=True))
        shares = [f"{n} ({100 * n / wrong:.1f} %)" for n in (own, both)]
        yield f"| {name} set | {wrong} | {' | '.join(shares)} | {blamed} |"


def dialects() -> Iterator[tuple[Op, list[Built]]]:
    """Yield, for every value that is no default, the op and the cases that are asked with it."""
    for op in ops().values():
        for attr in op.attrs:
            for value in attr.choices if attr.dialect else ():
                if value != attr.default:
                    fields: dict[str, Any] = {f"{op.name}.{attr.name}": value}
                    yield op, list(spoken(op, corpus.load(op.name), fields).values())


def count(blind: BlindSet, op: Op, items: list[Built], fails: Fails) -> tuple[int, int, int, int]:
    """Return the wrong ones of an op, those caught by own cases and by all, and right ones blamed.

    A case of another value is one that has frozen attributes beside those that are asked.
    """
    own = [item for item in items if item.case.frozen is None]
    others = [item for item in items if item.case.frozen is not None]
    runs = [mistake.run for mistake in blind.wrong if mistake.op == op.name]
    first = [run for run in runs if any(fails(op, item, run) for item in own)]
    missed = [run for run in runs if run not in first]
    more = [run for run in missed if any(fails(op, item, run) for item in others)]
    right = [blind.right[op.name]] if op.name in blind.right else []
    blamed = sum(any(fails(op, item, run) for item in others) for run in right)
    return len(runs), len(first), len(first) + len(more), blamed
