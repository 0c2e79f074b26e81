"""Name the bug: which known wrong implementation gives the backend's outputs?

Every variant of the op runs on the same cases. A variant *explains* an element that the backend
has wrong if it gives what the backend gave; it is *contradicted* by an element that it has wrong
and the backend has not. Its share is

    explained / (wrong elements of the backend + contradictions)

and 1 means that the backend does exactly this, on everything that was run. If no single variant
reaches 1, pairs of variants that exchange different parts are tried: two bugs at once, see `pairs`.
Reading an attribute as another of its values (a dialect) is a variant too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from refquant._types import Array
from refquant.oracle.build import Built
from refquant.oracle.compare import Mismatch, compare
from refquant.oracle.gallery import Candidate, Gallery
from refquant.oracle.general import SINGLE_PRECISION
from refquant.oracle.op import Op
from refquant.oracle.pairs import best_pair
from refquant.oracle.tiers import FORMATS, Format

NEAR, NEAR_PAIR = 0.05, 0.75  # least shares of a bug, and of two, that are said to be the nearest
INCOMPARABLE = ("dtype", "name")
CHANGED = "It changes its inputs; give it copies, and see what is wrong besides."
UNKNOWN = "Unknown; the nearest known bug: "
NO_ANSWER = (
    "It raised an exception, was stopped, or returned nothing to compare, wherever it failed."
)
SINGLE = (
    'Right in single precision, and double is declared: does the backend lack dtype = "float32"?'
)


@dataclass(frozen=True)
class Seen:
    """A case and what the backend gave for it.

    Attributes
    ----------
    built : Built
    outputs : mapping of output to array
    layout : str
        Of the inputs in memory; "" where all were tried.
    mismatches : tuple of Mismatch
        What was found wrong when it ran.
    """

    built: Built
    outputs: Mapping[str, Array]
    layout: str = ""
    mismatches: tuple[Mismatch, ...] = ()


@dataclass(frozen=True)
class Diagnosis:
    """What the backend does, if the catalogue knows it.

    Attributes
    ----------
    variants : tuple of str
        Ids, two if two bugs explain it together; empty if nothing comes near.
    says : str
        One sentence.
    source : str
        Where the bug was seen before, or why it is likely.
    share : float
        1 if everything that was run is explained.
    clauses : tuple of str
        Of the specification, those that the failing cases test.
    common : tuple of str
        What holds in all failing cases together, see `common`.
    declare : str
        What the backend may say of itself for this to be right: an arithmetic, or fields of a
        profile, where published implementations differ in the attributes.
    """

    variants: tuple[str, ...]
    says: str
    source: str
    share: float
    clauses: tuple[str, ...]
    common: tuple[str, ...] = ()
    declare: str = ""

    @property
    def known(self) -> bool:
        """Whether the catalogue explains everything."""
        return bool(self.variants) and self.share >= 1.0

    @property
    def text(self) -> str:
        """The sentence, with how sure it is."""
        if not self.variants or self.known:
            return self.says
        return f"{self.says} (explains {100 * self.share:.0f} %)"

    @property
    def lines(self) -> tuple[str, ...]:
        """All sentences: the name first if it explains everything, or else what is common."""
        found = tuple(f"In common: {text}." for text in self.common)
        if not self.known:
            return (*found, self.text)
        meant = f"If that is meant, declare it: {self.declare}."
        return (self.text, *([meant] if self.declare else []), *found)


def diagnose(op: Op, seen: list[Seen], form: Format, gallery: Gallery | None = None) -> Diagnosis:
    """Return the best explanation of what a backend gave on the cases of one op.

    Parameters
    ----------
    op : Op
    seen : list of Seen
        Right answers too: they tell similar bugs apart.
    form : Format
        The arithmetic that the backend declares.
    gallery : Gallery, optional
        Of the op and the arithmetic, where several backends are diagnosed.
    """
    wrong = [(item, compare(op, item.built.outputs, item.outputs, form)) for item in seen]
    failing = [item for item, mismatches in wrong if mismatches]
    clauses = tuple(dict.fromkeys(c for item in failing or seen for c in item.built.case.clauses))
    problems = [m for _, mismatches in wrong for m in mismatches]
    changed = any(m.problem == "input" for item in seen for m in item.mismatches)
    if changed and not failing:
        return Diagnosis((), CHANGED, "", 0.0, clauses)
    if not any(item.outputs for item in failing):
        return Diagnosis((), NO_ANSWER, "", 0.0, clauses)
    if all(m.problem in INCOMPARABLE for m in problems):
        says = f"The answers cannot be compared: {problems[0].output}: {problems[0].says}."
        return Diagnosis((), says, "", 0.0, clauses)
    gallery = gallery or Gallery(op, form)
    best = _single(gallery, seen)
    if best.share < 1.0:
        if changed:
            return Diagnosis((), CHANGED, "", 0.0, clauses)
        if form.name == "float64" and _right_in_single(op, failing):
            return Diagnosis((), SINGLE, "", 0.0, clauses)
        two = _double(gallery, seen, failing)
        best = two if two and two.share > max(best.share, NEAR_PAIR) else best
    if best.share < NEAR:
        says = f"Unknown: no variant of {op.name} gives these outputs."
        if all(m.problem == "shape" for m in problems):
            says = f"Shapes are wrong: {problems[0].output}: {problems[0].says}."
        return Diagnosis((), says, "", 0.0, clauses)
    return replace(best, says=best.says if best.known else UNKNOWN + best.says, clauses=clauses)


def _right_in_single(op: Op, failing: list[Seen]) -> bool:
    """Return whether what is wrong in double precision is right in single precision."""
    single = FORMATS["float32"]
    common = [item for item in failing if item.built.case.tier in single.tiers]
    return bool(common) and not any(
        compare(op, item.built.outputs, item.outputs, single) for item in common
    )


def _single(gallery: Gallery, seen: list[Seen]) -> Diagnosis:
    """Return the best single candidate; of equals, the first of the catalogue."""
    shares = gallery.shares([(item.built, item.outputs) for item in seen])
    best = int(np.argmax(shares))
    found = _named(gallery.op, gallery.candidates[best], float(shares[best]))
    if found.known and not found.declare:  # another name for it, perhaps, that can be declared
        same = (gallery.candidates[i] for i in np.flatnonzero(shares == 1.0))
        names = filter(None, (_declare(gallery.op, candidate) for candidate in same))
        return replace(found, declare=next(names, ""))
    return found


def _double(gallery: Gallery, seen: list[Seen], failing: list[Seen]) -> Diagnosis | None:
    """Return the best pair of candidates, if there is one."""
    given, wrong = ([(item.built, item.outputs) for item in items] for items in (seen, failing))
    pair, share = best_pair(gallery, given, wrong)
    return _named(gallery.op, pair, share) if pair else None


def _named(op: Op, found: Candidate, share: float) -> Diagnosis:
    return Diagnosis(found.ids, found.says, found.source, share, (), declare=_declare(op, found))


def _declare(op: Op, found: Candidate) -> str:
    """Return what a backend that does this, and nothing else, may say of itself; "" if nothing."""
    if found.ids == (f"{op.name}.{SINGLE_PRECISION}",):
        return 'dtype = "float32"'
    if found.parts or not set(found.attrs) <= set(op.dialect):
        return ""
    fields = (f'"{op.name}.{key}": {value!r}' for key, value in found.attrs.items())
    return f"profile = {{{', '.join(fields)}}}".replace("'", '"')
