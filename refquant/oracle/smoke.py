"""Choose the smoke tier: few small cases that catch as much as possible.

Greedy cover. Until every variant that any case catches is caught, or the size is used up, take the
case that catches most new variants for its bytes; then give every op that has none its smallest
case. Ties go to the earlier case, so the choice depends on the corpus and the catalogue alone.
"""

from functools import partial

from refquant.oracle.build import Built
from refquant.oracle.judge import first_failure
from refquant.oracle.pack import pack
from refquant.oracle.registry import ops, variants
from refquant.oracle.tiers import FORMATS

MAX_BYTES = 100_000


def smoke(families: list[list[Built]]) -> list[str]:
    """Return the ids of the chosen cases, of the cases of each op, in the order of the corpus."""
    items = [item for cases in families for item in cases]
    size = {item.case.id: len(pack(item.case.op, [item])) for item in items}
    caught = {item.case.id: set[str]() for item in items}
    for cases in families:
        for item in cases:
            caught[item.case.id] = catches(item)
    chosen: list[str] = []
    left, used = set[str]().union(*caught.values()), 0
    while left:
        best = max(caught, key=lambda i: len(caught[i] & left) / size[i])
        if used + size[best] > MAX_BYTES or not caught[best] & left:
            break
        chosen.append(best)
        left -= caught[best]
        used += size[best]
    for cases in families:
        if cases and not any(item.case.id in chosen for item in cases):
            chosen.append(min((item.case.id for item in cases), key=lambda i: size[i]))
    return [item.case.id for item in items if item.case.id in set(chosen)]


def catches(item: Built) -> set[str]:
    """Return the ids of the variants that fail a case."""
    op, form = ops()[item.case.op], FORMATS["float64"]
    found = set()
    for variant in variants():
        if variant.op != op.name or variant.equivalent:
            continue
        if first_failure(op, [item], partial(op.plain, exchanged=variant.parts), form):
            found.add(variant.id)
    return found
