"""Name the bug: which known wrong implementation gives the backend's outputs?

Every variant of the op runs on the same cases. A variant *explains* an element that the backend
has wrong if it gives what the backend gave; it is *contradicted* by an element that it has wrong
and the backend has not. Its share is

    explained / (wrong elements of the backend + contradictions)

and 1 means that the backend does exactly this, on everything that was run. If no single variant
reaches 1, pairs of variants that exchange different parts are tried: two bugs at once. Reading an
attribute as another of its values (a dialect) is a variant too.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.build import Built, bound, same_class
from refquant.oracle.compare import wrong_elements
from refquant.oracle.judge import handed
from refquant.oracle.op import Attrs, Op, Variant
from refquant.oracle.registry import variants
from refquant.oracle.tiers import Format

PAIRS_FROM = 14  # the best single variants are paired
CERTAIN, LIKELY = 1.0, 0.5


@dataclass(frozen=True)
class Seen:
    """A case and what the backend gave for it."""

    built: Built
    outputs: Mapping[str, Array]


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
    """

    variants: tuple[str, ...]
    says: str
    source: str
    share: float
    clauses: tuple[str, ...]

    @property
    def text(self) -> str:
        """The sentence, with how sure it is."""
        if not self.variants:
            return self.says
        sure = "" if self.share >= CERTAIN else f" (explains {100 * self.share:.0f} %)"
        return self.says + sure


@dataclass(frozen=True)
class Candidate:
    """Something that a backend may do: a variant, two, or another reading of an attribute."""

    ids: tuple[str, ...]
    says: str
    source: str
    parts: Mapping[str, Any]
    attrs: Mapping[str, Any]


def diagnose(op: Op, seen: list[Seen], form: Format) -> Diagnosis:
    """Return the best explanation of what a backend gave on the cases of one op."""
    failing = _failing(seen, form)
    clauses = tuple(dict.fromkeys(c for item in failing for c in item.built.case.clauses))
    if not any(item.outputs for item in failing):
        return Diagnosis((), "It raised an exception on every case that failed.", "", 0.0, clauses)
    ranked = _ranked(op, seen, form, candidates(op))
    if ranked[:1] and ranked[0][0] < CERTAIN:
        best = [candidate for share, candidate in ranked[:PAIRS_FROM] if share > 0.0]
        pairs = [_both(a, b) for a, b in combinations(best, 2) if _compatible(a, b)]
        ranked = sorted(_ranked(op, seen, form, pairs) + ranked, key=lambda pair: -pair[0])
    if not ranked or ranked[0][0] <= 0.0:
        says = f"Unknown: no variant of {op.name} gives these outputs."
        return Diagnosis((), f"{says} Clauses {', '.join(clauses)}.", "", 0.0, clauses)
    share, found = ranked[0]
    near = "" if share >= LIKELY else "Unknown; the nearest known bug: "
    return Diagnosis(found.ids, near + found.says, found.source, share, clauses)


def candidates(op: Op) -> list[Candidate]:
    """Return everything that a backend of this op is known to do wrong."""
    found = [_of(v) for v in variants() if v.op == op.name and not v.equivalent]
    for attr in op.attrs:
        for value in attr.choices:
            says = f"The attribute {attr.name} is taken as {value!r} whatever it says."
            ids = (f"{op.name}.{attr.name}={value}",)
            found.append(Candidate(ids, says, "", {}, {attr.name: value}))
    return found


def _of(variant: Variant) -> Candidate:
    return Candidate((variant.id,), variant.says, variant.source, variant.parts, {})


def _compatible(a: Candidate, b: Candidate) -> bool:
    return not (set(a.parts) & set(b.parts)) and not (set(a.attrs) & set(b.attrs))


def _both(a: Candidate, b: Candidate) -> Candidate:
    source = "; ".join(filter(None, (a.source, b.source)))
    says = f"Two bugs: {a.says} {b.says}"
    return Candidate(a.ids + b.ids, says, source, {**a.parts, **b.parts}, {**a.attrs, **b.attrs})


def _failing(seen: Iterable[Seen], form: Format) -> list[Seen]:
    return [item for item in seen if any(w.any() for *_, w in _elements(item, item.outputs, form))]


def _ranked(
    op: Op, seen: list[Seen], form: Format, found: list[Candidate]
) -> list[tuple[float, Candidate]]:
    """Return (share, candidate), best first; ties keep the order of the catalogue."""
    shares = [(_share(op, seen, form, candidate), candidate) for candidate in found]
    return sorted(shares, key=lambda pair: -pair[0])


def _share(op: Op, seen: list[Seen], form: Format, candidate: Candidate) -> float:
    explained = wrong = contradicted = 0
    for item in seen:
        attrs = op.resolve(item.built.case.attrs)
        theirs = _run(op, item.built, attrs, form, candidate)
        for name, value, bad in _elements(item, item.outputs, form):
            wrong += int(np.count_nonzero(bad))
            other = theirs.get(name)
            if other is None or other.shape != value.shape:
                continue
            agree = _agree(item.built.outputs[name], value, other, form)
            explained += int(np.count_nonzero(bad & agree))
            off = wrong_elements(item.built.outputs[name], other, form)
            contradicted += int(np.count_nonzero(off & ~bad & ~agree))
    return explained / (wrong + contradicted) if wrong else 0.0


def _run(
    op: Op, built: Built, attrs: Attrs, form: Format, candidate: Candidate
) -> Mapping[str, Array]:
    try:
        with np.errstate(all="ignore"):
            found = op.plain(
                handed(built.case, form), {**attrs, **candidate.attrs}, candidate.parts
            )
        return {name: np.asarray(value) for name, value in found.items()}
    except Exception:  # a wrong implementation may fail where the backend did not
        return {}


def _elements(
    item: Seen, outputs: Mapping[str, Array], form: Format
) -> Iterator[tuple[str, Array, Array]]:
    """Yield (output, value, where it is wrong) of the outputs that have the right shape."""
    for name, golden in item.built.outputs.items():
        value = outputs.get(name)
        if value is not None and value.shape == golden.value.shape and value.dtype.kind in "biuf":
            yield name, value, wrong_elements(golden, value, form)


def _agree(golden: Any, value: Array, other: Array, form: Format) -> Array:
    """Return where two wrong answers are the same one, up to their roundings."""
    if golden.value.dtype.kind != "f":
        return np.asarray(value == other)
    a, b = value.astype(np.float64), other.astype(np.float64)
    with np.errstate(invalid="ignore"):
        size = np.maximum(np.abs(a), np.abs(b))
        near = np.abs(a - b) <= 2 * bound(golden, form.roundoff) + 32 * form.roundoff * size
    return same_class(a, b) | near
