"""What a backend that declares its dialect is held to: a table of validation/oracle-power.md.

A backend that declares a value of a field is held to the cases that have it, and one that declares
the dialect of the papers to those that have all defaults: to fewer cases, which catch fewer bugs.
"""

from collections.abc import Iterable, Iterator

from refquant.oracle import corpus
from refquant.oracle.op import Attr, Op
from refquant.oracle.registry import ops
from refquant.oracle.selftest import Kill, Selftest

HEAD = """\
## By declared dialect

How many cases have a value, and how many of the op's wrong implementations these catch. "All"
has every field at its default, marked *. Bugs of another value cannot show, and none of them is
left out of the count.

| op | wrong ones | all * | field | value: cases, caught |
|---|---:|---|---|---|"""


def lines(result: Selftest) -> Iterator[str]:
    """Yield the section, line by line."""
    yield from HEAD.split("\n")
    for op in ops().values():
        fields = [attr for attr in op.attrs if attr.dialect and attr.choices]
        kills = [k for k in result.kills if k.variant.op == op.name and not k.variant.equivalent]
        whole = caught(kills, having(op, {field.name: field.default for field in fields}))
        for i, field in enumerate(fields):
            first = (f"`{op.name}`", len(kills), whole) if i == 0 else ("", "", "")
            values = "; ".join(of_value(op, field, value, kills) for value in field.choices or ())
            yield "| {} | {} | {} | {} | {} |".format(*first, f"`{field.name}`", values)
    yield ""


def of_value(op: Op, field: Attr, value: object, kills: list[Kill]) -> str:
    """Return a value with its cases and what they catch."""
    star = " *" if value == field.default else ""
    return f"{value}{star}: {caught(kills, having(op, {field.name: value}))}"


def having(op: Op, values: dict[str, object]) -> set[str]:
    """Return the ids of the cases of an op in which all attributes have these values."""
    found = {item.case.id: op.resolve(item.case.attrs) for item in corpus.load(op.name)}
    return {id for id, attrs in found.items() if values.items() <= attrs.items()}


def caught(kills: Iterable[Kill], ids: set[str]) -> str:
    """Return the number of cases, and that of the variants that they catch."""
    return f"{len(ids)}, {sum(not ids.isdisjoint(kill.killers) for kill in kills)}"
