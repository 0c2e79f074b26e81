"""What a backend that declares its dialect is held to: a table of validation/oracle-power.md.

A backend that declares a value of a field is held to the cases that have it and to those of others
whose golden is the same with it; one that declares the dialect of the papers, to those of defaults.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from refquant.oracle import corpus
from refquant.oracle.build import Built
from refquant.oracle.declared import spoken
from refquant.oracle.judge import first_failure
from refquant.oracle.legit import LEGIT
from refquant.oracle.op import Attr, Op
from refquant.oracle.registry import ops
from refquant.oracle.selftest import Kill, Selftest
from refquant.oracle.tiers import FORMATS

HEAD = """\
## By declared dialect

How many cases have a value, and how many of others are asked with it because their golden is the
same; how many of the op's wrong implementations the former catch, and how many all of them. "All"
has every field at its default, marked *. Bugs of another value cannot show, and none of them is
left out of the count.

| op | wrong ones | all * | field | value: cases + others, caught |
|---|---:|---|---|---|"""


@dataclass(frozen=True)
class Held:
    """What a backend of one dialect is held to, of one op.

    Attributes
    ----------
    own, others : list of Built
        Cases that have its values, and those of other values, as they are asked.
    first, last : int
        Wrong implementations that the former catch, and that all catch.
    blamed : int
        Right implementations that fail one of the others.
    """

    own: list[Built]
    others: list[Built]
    first: int
    last: int
    blamed: int

    def __str__(self) -> str:
        """The numbers, shortly."""
        if not self.others:
            return f"{len(self.own)}, {self.first}"
        return f"{len(self.own)} + {len(self.others)}, {self.first} -> {self.last}"


def lines(result: Selftest) -> Iterator[str]:
    """Yield the section, line by line."""
    yield from HEAD.split("\n")
    found: list[Held] = []
    for op in ops().values():
        fields = [attr for attr in op.attrs if attr.dialect and attr.choices]
        kills = [k for k in result.kills if k.variant.op == op.name and not k.variant.equivalent]
        whole = held(op, {field.name: field.default for field in fields}, kills)
        for i, field in enumerate(fields):
            first = (f"`{op.name}`", len(kills), whole) if i == 0 else ("", "", "")
            rows = {v: held(op, {field.name: v}, kills) for v in field.choices}
            values = "; ".join(f"{value}{star(field, value)}: {row}" for value, row in rows.items())
            yield "| {} | {} | {} | {} | {} |".format(*first, f"`{field.name}`", values)
            found += rows.values()
    yield from ("", f"{sum(len(row.others) for row in found)} questions are asked of others, and")
    yield f"{sum(row.blamed for row in found)} right implementations are blamed by their answers."
    yield ""


def star(field: Attr, value: Any) -> str:
    """Return the mark of a default."""
    return " *" if value == field.default else ""


def held(op: Op, values: dict[str, Any], kills: list[Kill]) -> Held:
    """Return what a backend with these values is held to, and what that catches."""
    fields = {f"{op.name}.{name}": value for name, value in values.items()}
    asked = list(spoken(op, corpus.load(op.name), fields).values()) if values else []
    own = [item for item in asked if item.case.frozen is None]
    others = [item for item in asked if item.case.frozen is not None]
    ids = {item.case.id for item in own}
    missed = [kill.variant for kill in kills if ids.isdisjoint(kill.killers)]
    form = FORMATS["float64"]
    more = [
        v for v in missed if first_failure(op, others, partial(op.plain, exchanged=v.parts), form)
    ]
    first = len(kills) - len(missed)
    return Held(own, others, first, first + len(more), blamed(op, others))


def blamed(op: Op, items: list[Built]) -> int:
    """Return how many right implementations fail some of the cases."""
    count = 0
    for legit in LEGIT:
        able = [item for item in items if (op.name, item.case.tier) not in legit.excused]
        run = partial(legit.run, op)
        count += first_failure(op, able, run, FORMATS[legit.dtype]) is not None
    return count
