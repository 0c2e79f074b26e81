"""Measure the oracle itself: does it catch every wrong implementation, and no right one?

killed          a variant that fails a case of its op, in float64, as a backend would
smoke           killed by the smoke tier alone
false alarm     a right implementation that fails a case
diagnosis top1  variants whose own id is the first answer (or that of a variant whose outputs
                on all cases are the same)
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from refquant.oracle import corpus
from refquant.oracle.build import Built
from refquant.oracle.diagnose import Seen, diagnose
from refquant.oracle.gallery import Gallery
from refquant.oracle.judge import handed, held, judge
from refquant.oracle.legit import LEGIT, Legit
from refquant.oracle.op import Op, Variant
from refquant.oracle.registry import ops, variants
from refquant.oracle.tiers import FORMATS, Format

Tick = Callable[[str], None]


@dataclass(frozen=True)
class Kill:
    """What became of one variant.

    Attributes
    ----------
    variant : Variant
    killers : tuple of str
        Ids of the cases that it fails.
    smoke : bool
        Whether one of them is in the smoke tier.
    named : tuple of str
        The first diagnosis.
    """

    variant: Variant
    killers: tuple[str, ...]
    smoke: bool
    named: tuple[str, ...]


@dataclass(frozen=True)
class Selftest:
    """The outcome: `kills` of all variants, equivalent ones too, and what right backends failed."""

    kills: tuple[Kill, ...]
    alarms: dict[str, list[str]]
    judged: dict[str, int]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return the numbers that are promised."""
        real = [kill for kill in self.kills if not kill.variant.equivalent]
        killed = [kill for kill in real if kill.killers]
        first = [kill for kill in killed if kill.variant.id in kill.named]
        return {
            "variants": len(real),
            "killed": len(killed),
            "survivors": [kill.variant.id for kill in real if not kill.killers],
            "killed_by_smoke": sum(kill.smoke for kill in killed),
            "equivalent": [k.variant.id for k in self.kills if k.variant.equivalent],
            "equivalent_killed": [
                k.variant.id for k in self.kills if k.variant.equivalent and k.killers
            ],
            "false_alarms": sum(map(len, self.alarms.values())),
            "legit_backends": len(self.alarms),
            "diagnosis_top1": len(first) / max(1, len(killed)),
            "misdiagnosed": {k.variant.id: list(k.named) for k in killed if k not in first},
            "seconds": self.seconds,
        }

    @property
    def passed(self) -> bool:
        """Every bug killed, no right implementation blamed, no equivalent one killed."""
        found = self.to_json()
        bad = found["survivors"] or found["false_alarms"] or found["equivalent_killed"]
        return bool(self.kills) and not bad


def selftest(progress: Tick | None = None) -> Selftest:
    """Run all variants and all right implementations on the full corpus."""
    began, kills = time.perf_counter(), []
    for op in ops().values():
        if progress:
            progress(op.name)
        kills += list(_kills(op, corpus.load(op.name)))
    alarms: dict[str, list[str]] = {}
    judged: dict[str, int] = {}
    for legit in LEGIT:
        if progress:
            progress(legit.name)
        alarms[legit.name], judged[legit.name] = _alarms(legit)
    return Selftest(tuple(kills), alarms, judged, time.perf_counter() - began)


def _kills(op: Op, cases: tuple[Built, ...]) -> Iterator[Kill]:
    form = FORMATS["float64"]
    gallery, chosen = Gallery(op, form), set(corpus.manifest()["smoke"])
    for variant in (v for v in variants() if v.op == op.name):
        seen = [Seen(item, _outputs(op, item, variant, form)) for item in cases]
        wrong = [item for item in seen if _fails(op, item, form)]
        smoke = any(item.built.case.id in chosen for item in wrong)
        named = diagnose(op, seen, form, gallery).variants if wrong else ()
        yield Kill(variant, tuple(item.built.case.id for item in wrong), smoke, named)


def _outputs(op: Op, item: Built, variant: Variant, form: Format) -> dict[str, Any]:
    try:
        with np.errstate(all="ignore"):
            found = op.plain(handed(item.case, form), op.resolve(item.case.attrs), variant.parts)
        return {name: np.asarray(value) for name, value in found.items()}
    except Exception:  # a wrong implementation may raise where the right one does not
        return {}


def _fails(op: Op, item: Seen, form: Format) -> bool:
    return not item.outputs or bool(judge(op, item.built, lambda *_: item.outputs, form))


def _alarms(legit: Legit) -> tuple[list[str], int]:
    """Return what a right implementation is wrongly blamed for, and how many cases it ran."""
    form, found, count = FORMATS[legit.dtype], [], 0
    for op in ops().values():
        for item in corpus.load(op.name):
            if not held(op, item.case, form) or (op.name, item.case.tier) in legit.excused:
                continue
            count += 1
            wrong = judge(op, item, partial(legit.run, op), form)
            found += [f"{op.name}/{item.case.id} {m.output}: {m.says}" for m in wrong]
    return found, count
