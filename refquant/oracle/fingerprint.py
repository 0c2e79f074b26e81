"""Which semantics does a backend have? Told from its outputs alone, whether right or wrong.

For each trait the answers run on the frozen cases; the elements on which any two of them differ are
the ones that are looked at. A backend has the answer that it agrees with on all of these, so a bug
elsewhere does not hide it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle import corpus
from refquant.oracle.backend import Recorded, Unsupported, format_of, open_backend
from refquant.oracle.build import Built
from refquant.oracle.gallery import Candidate, Gallery
from refquant.oracle.judge import handed, held
from refquant.oracle.op import Op
from refquant.oracle.program import TIMEOUT
from refquant.oracle.registry import ops, variants
from refquant.oracle.tiers import Format
from refquant.oracle.traits import RIGHT, TRAITS, Trait


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
    return [_find(trait, answered.get(trait.op, []), form) for trait in TRAITS]


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


def _find(trait: Trait, answered: list[tuple[Built, Mapping[str, Array]]], form: Format) -> Finding:
    if not answered:
        return Finding(trait.name, trait.op, (), 0, {}, "not supported")
    op = ops()[trait.op]
    gallery = Gallery(op, form, [_candidate(op, answer) for _, answer in trait.answers])
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
