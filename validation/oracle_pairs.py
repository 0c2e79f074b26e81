"""Two bugs at once: are they named as these two, and if not, why not?

Of each op a few pairs of variants that exchange different parts are drawn, and each pair is run as
one backend. `oracle_power` writes what is said of them, and the classes are these:

    named         as these two
    same numbers  as others that give the same numbers on every case: nothing can tell them apart
    hidden        as one of the two, which gives every number alone: the other does not show
    right         not at all: on every case the two cancel out, and the answers are right
    precision     as single precision: what is wrong is right in float32
    missed        as something that does not give every number, though the two do
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from refquant.oracle import corpus
from refquant.oracle.build import Built
from refquant.oracle.diagnose import SINGLE, Diagnosis, Seen, diagnose
from refquant.oracle.gallery import Candidate, Gallery, both, compatible
from refquant.oracle.judge import handed, judge
from refquant.oracle.op import Op
from refquant.oracle.registry import ops
from refquant.oracle.tiers import FORMATS

FORM = FORMATS["float64"]
PAIRS = 3  # of each op, besides those of which one hides the other
CLASSES = {
    "named": "these two",
    "same numbers": "others, which give the same numbers on every case",
    "hidden": "one of them, which gives every number alone: the other does not show",
    "right": "nothing: the two cancel out, on every case the answers are right",
    "precision": "single precision: what is wrong would be right in float32",
    "missed": "something that does not give every number, though the two do",
}


@dataclass(frozen=True)
class Pair:
    """Two variants, what they were taken for, and the class that this is of."""

    variants: tuple[str, ...]
    said: tuple[str, ...]
    kind: str


def pairs() -> Iterator[Pair]:
    """Yield the pairs of all ops."""
    for op in ops().values():
        gallery = Gallery(op, FORM)
        known = [candidate for candidate in gallery.candidates if candidate.parts]
        counted = 0
        for a, b in zip(known, known[len(known) // 2 :], strict=False):
            if counted < PAIRS and compatible(a, b):
                yield (pair := _pair(op, gallery, both(a, b)))
                counted += pair.kind != "hidden"


def _pair(op: Op, gallery: Gallery, two: Candidate) -> Pair:
    """Run a pair as a backend, and return what is said of it."""
    seen = [Seen(item, outputs(op, item, two.parts)) for item in corpus.load(op.name)]
    if not any(judge(op, s.built, lambda *_, s=s: s.outputs, FORM) for s in seen):
        return Pair(two.ids, (), "right")
    found = diagnose(op, seen, FORM, gallery)
    return Pair(two.ids, found.variants, _kind(two, found))


def _kind(two: Candidate, found: Diagnosis) -> str:
    if set(found.variants) == set(two.ids):
        return "named"
    if found.says == SINGLE:
        return "precision"
    if not found.known:
        return "missed"
    return "hidden" if set(found.variants) < set(two.ids) else "same numbers"


def outputs(op: Op, item: Built, parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the plain op gives with parts exchanged; nothing if it raises."""
    try:
        with np.errstate(all="ignore"):
            found = op.plain(handed(item.case, FORM), op.resolve(item.case.attrs), parts)
        return {name: np.asarray(value) for name, value in found.items()}
    except Exception:
        return {}


def lines(found: list[Pair]) -> list[str]:
    """Return the part of the page."""
    told = {kind: [pair for pair in found if pair.kind == kind] for kind in CLASSES}
    shown = len(found) - len(told["hidden"])
    table = [
        f"| {text} | {len(told[kind])} | {_some(told[kind]) if kind != 'named' else ''} |"
        for kind, text in CLASSES.items()
    ]
    return [
        "## Two bugs at once",
        "",
        f"{len(found)} pairs of variants that exchange different parts, of each op at most {PAIRS} "
        f"in which both show: {len(told['named'])} of these {shown} are named as the two.",
        "",
        "| taken for | pairs | which |",
        "|---|---|---|",
        *table,
        "",
    ]


def _some(found: list[Pair]) -> str:
    return ", ".join(f"`{' + '.join(pair.variants)}`".replace(" + ", "` + `") for pair in found)
