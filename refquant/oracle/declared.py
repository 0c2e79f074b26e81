"""A case under another dialect than it was frozen with: right too, where its golden is the same.

Most inputs hold no tie, no NaN, no weight at the end of its range: what an implementation does
there changes nothing. A backend that declares a dialect is held to the cases that have its values,
and to every other one whose golden its values leave as it is, which it is asked with its values.

Nothing of this is stored. Whether a golden stays is computed when a dialect is declared, for just
the values declared together, as goldens are: three computations agree, every value is the same, no
bound would have to be wider, and there is no right answer besides that the golden does not have.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from refquant.oracle.ask import same
from refquant.oracle.build import Built, Disagreement, Golden, build
from refquant.oracle.case import Case
from refquant.oracle.judge import first_failure, held
from refquant.oracle.op import Op
from refquant.oracle.tiers import FORMATS, Format


def spoken(
    op: Op, items: Iterable[Built], fields: Mapping[str, Any], form: Format = FORMATS["float64"]
) -> dict[str, Built]:
    """Return the cases that a backend is held to, by id, as it is asked them.

    Parameters
    ----------
    op : Op
    items : iterable of Built
        Cases of the op.
    fields : mapping of "op.attribute" to value
        A profile, as `profiles.resolve` returns it.
    form : Format
        The arithmetic that is declared.

    Returns
    -------
    dict of id to Built
        Those that have the values declared, as they are; and of the others those with the same
        golden, asked with these values, unless that is what another case asks already.
    """
    able = [item for item in items if held(op, item.case, form)]
    found = {item.case.id: item for item in able if not _other(op, item, fields)}
    others = [item for item in able if item.case.id not in found]
    questions = {_question(op, item.case) for item in found.values()} if others else set()
    for item in others:
        question = _question(op, _asking(item.case, _other(op, item, fields)))
        asked = None if question in questions else as_declared(op, item, fields)
        if asked is not None:
            found[item.case.id] = asked
            questions.add(question)
    return found


def as_declared(op: Op, item: Built, fields: Mapping[str, Any]) -> Built | None:
    """Return a case with the values declared, or None if its golden is not the same with them.

    It is `item` itself if it has them; else inputs, id and goldens stay.
    """
    other = _other(op, item, fields)
    if not other:
        return item
    asked = replace(item, case=_asking(item.case, other))
    if first_failure(op, [asked], op.plain, FORMATS["float64"]):
        return None  # no need to compute exactly
    try:
        found = build(op, asked.case).outputs
    except (Disagreement, ValueError):  # a decision is in doubt, or nobody has these values here
        return None
    named = found.keys() == item.outputs.keys()
    return asked if named and all(covers(item.outputs[k], found[k]) for k in found) else None


def also_right(op: Op, item: Built) -> Iterator[tuple[str, Any]]:
    """Yield the dialect fields, and their other values, of which each leaves the golden as it is.

    One at a time: two of them together may not.
    """
    for attr in op.attrs:
        for value in attr.choices if attr.dialect else ():
            found = as_declared(op, item, {f"{op.name}.{attr.name}": value})
            if found is not None and found is not item:
                yield attr.name, value


def covers(golden: Golden, found: Golden) -> bool:
    """Return whether all that is right by `found` is right by `golden`, and its value the same."""
    if not same(golden.value, found.value):
        return False
    if found.other is not None and (golden.other is None or not same(golden.other, found.other)):
        return False
    none = np.zeros(golden.value.shape)
    found_error, error = (none if g.error is None else g.error for g in (found, golden))
    return bool(np.all(found_error <= error))


def _other(op: Op, item: Built, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes for which a profile has another value than a case, with that value."""
    attrs = op.resolve(item.case.attrs)
    wanted = {name: fields.get(f"{op.name}.{name}", attrs[name]) for name in op.dialect}
    return {name: value for name, value in wanted.items() if value != attrs[name]}


def _asking(case: Case, other: dict[str, Any]) -> Case:
    """Return a case with other values of attributes, and its own id."""
    frozen = case.attrs if case.frozen is None else case.frozen
    return replace(case, attrs={**case.attrs, **other}, frozen=frozen)


def _question(op: Op, case: Case) -> str:
    """Return what two cases have in common that ask the same."""
    return replace(case, attrs=op.resolve(case.attrs), frozen=None).id
