"""Which semantics does a backend have? Told from its outputs alone, whether right or wrong.

For each trait the answers run on the frozen cases; the elements on which any two of them differ are
the ones that are looked at. A backend has the answer that it agrees with on all of these. A bug
elsewhere does not hide it: cases that ask for another dialect in what the trait is not about are
passed over, and each trait is asked a second time, of answers that have the other traits found.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle import corpus
from refquant.oracle.backend import Recorded, Unsupported, format_of, open_backend
from refquant.oracle.build import Built
from refquant.oracle.gallery import Candidate, Gallery, both, compatible
from refquant.oracle.judge import handed, held
from refquant.oracle.op import Op
from refquant.oracle.program import TIMEOUT
from refquant.oracle.registry import ops, variants
from refquant.oracle.tiers import Format
from refquant.oracle.traits import RIGHT, TRAITS, Trait

Answered = tuple[Built, Mapping[str, Array]]  # a case, and what the backend gave for it


@dataclass(frozen=True)
class Finding:
    """What one trait of a backend is.

    Attributes
    ----------
    trait, op : str
    answers : tuple of str
        Labels that agree on everything; more than one where the cases that the backend has do not
        tell them apart, none where it does something else.
    elements : int
        How many were looked at.
    agreement : dict of label to float
        Share of the elements.
    note : str
        Why there is no answer, if there is none.
    """

    trait: str
    op: str
    answers: tuple[str, ...]
    elements: int
    agreement: dict[str, float]
    note: str = ""

    @property
    def text(self) -> str:
        """The answer in words."""
        if self.note:
            return self.note
        if self.answers:
            return " or ".join(self.answers)
        label, share = max(self.agreement.items(), key=lambda pair: pair[1])
        return f"something else (nearest: {label}, {100 * share:.0f} %)"


def fingerprint(backend: Any, timeout: float = TIMEOUT) -> list[Finding]:
    """Return what each trait of a backend is.

    Parameters
    ----------
    backend : Backend or str
    timeout : float
        Both as `verify` takes them.
    """
    names = dict.fromkeys(trait.op for trait in TRAITS)
    cases = {name: corpus.load(name) for name in names if name in ops()}
    opened = open_backend(backend, [item for items in cases.values() for item in items], timeout)
    form, answered = format_of(opened), {}
    for name, items in cases.items():
        answered[name] = [(item, found) for item in items if (found := _ask(opened, item, form))]
    first = [_look(trait, answered.get(trait.op, []), form, ()) for trait in TRAITS]
    others = [_others(trait, first) for trait in TRAITS]
    return [
        _look(trait, answered[trait.op], form, doing) if doing else found
        for trait, found, doing in zip(TRAITS, first, others, strict=True)
    ]


def _look(
    trait: Trait, answered: list[Answered], form: Format, others: tuple[Candidate, ...]
) -> Finding:
    """Return what the cases about a trait tell, or all cases of the op where those tell nothing."""
    found = _find(trait, _about(trait, answered), form, others)
    return found if found.elements else _find(trait, answered, form, others)


def _about(trait: Trait, answered: list[Answered]) -> list[Answered]:
    """Return the cases that ask for the defaults of all dialects but those of the trait."""
    op = ops().get(trait.op)
    own = {*trait.attrs, *(answer.partition("=")[0] for _, answer in trait.answers)}
    fixed = [a for a in (op.attrs if op else ()) if a.dialect and a.name not in own]
    return [
        (item, found)
        for item, found in answered
        if all(item.case.attrs.get(a.name, a.default) == a.default for a in fixed)
    ]


def _others(trait: Trait, found: list[Finding]) -> tuple[Candidate, ...]:
    """Return what the backend does wrong in other traits of the op, and can do beside this one."""
    op = ops().get(trait.op)
    if op is None:
        return ()
    answers = [_candidate(op, answer) for _, answer in trait.answers]
    doing: list[Candidate] = []
    for other, finding in zip(TRAITS, found, strict=True):
        if other is trait or other.op != trait.op or not finding.answers:
            continue
        candidate = _candidate(op, dict(other.answers)[finding.answers[0]])
        beside = all(compatible(candidate, item) for item in (*answers, *doing))
        if beside and (candidate.parts or candidate.attrs):
            doing.append(candidate)
    return tuple(doing)


def _ask(backend: Any, item: Built, form: Format) -> Mapping[str, Array] | None:
    """Return the backend's outputs; None if it has none for this case, whatever the reason."""
    op = ops()[item.case.op]
    if not held(op, item.case, form):
        return None
    attrs = op.resolve(item.case.attrs)
    try:
        if isinstance(backend, Recorded):
            return backend.outputs(item.case.id)
        with np.errstate(all="ignore"):
            found = backend.run(item.case.op, handed(item.case, form), attrs)
        return {name: np.asarray(value) for name, value in found.items()}
    except Unsupported:
        return None
    except Exception:  # a backend that fails on a case has no trait there
        return None


def _find(
    trait: Trait, answered: list[Answered], form: Format, others: tuple[Candidate, ...]
) -> Finding:
    if not answered:
        return Finding(trait.name, trait.op, (), 0, {}, f"not supported ({trait.op})")
    op = ops()[trait.op]
    answers = [_candidate(op, answer) for _, answer in trait.answers]
    gallery = Gallery(op, form, [reduce(both, others, answer) for answer in answers])
    agree, elements = np.zeros(len(trait.answers)), 0
    for item, outputs in answered:
        for name, wall in gallery.walls(item).items():
            value = outputs.get(name)
            same_shape = value is not None and value.shape == wall.golden.value.shape
            if value is None or not same_shape or len(wall.present) < len(trait.answers):
                continue
            told = ~_all_same(wall.answers, gallery, wall)
            elements += int(np.count_nonzero(told))
            agree += np.count_nonzero(
                gallery.agree(wall, value) & told, axis=tuple(range(1, wall.answers.ndim))
            )
    if not elements:
        return Finding(trait.name, trait.op, (), 0, {}, "no case tells")
    labels = [label for label, _ in trait.answers]
    shares = {label: float(a) / elements for label, a in zip(labels, agree, strict=True)}
    found = tuple(label for label, a in zip(labels, agree, strict=True) if a == elements)
    return Finding(trait.name, trait.op, found, elements, shares)


def _all_same(answers: Array, gallery: Gallery, wall: Any) -> Array:
    """Return where all answers agree with the first, up to roundings."""
    return np.asarray(gallery.agree(wall, answers[0]).all(axis=0))


def _candidate(op: Op, answer: str) -> Candidate:
    if answer == RIGHT:
        return Candidate((), "", "", {}, {})
    name, _, value = answer.partition("=")
    if value:
        choices = next(attr.choices for attr in op.attrs if attr.name == name)
        return Candidate((), "", "", {}, {name: next(c for c in choices if str(c) == value)})
    found = next(v for v in variants() if v.id == f"{op.name}.{name}")
    return Candidate((found.id,), found.says, found.source, found.parts, {})
