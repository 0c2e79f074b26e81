"""Choose the smoke tier: few small cases that catch as much as possible, unlisted bugs too.

Cases that catch every known variant once, and just so, catch few unknown ones. Hence what a case is
worth, of its own op alone, as everything here:

    a variant that k chosen cases catch already                          64^-k
    an attribute's value, a clause, a tier, an optional input there or
    left out, that no chosen case shows                                   1/4
    a number of axes, a length beyond that of a vector or a warp, or
    equal to it, two equal axes, that no chosen case has                 1/16

The case that is worth most for its bytes is taken, until none fits any more; of equals, the earlier
one, so the choice depends on corpus and catalogue alone. Choosing by a random half of the variants
catches 80 % of the other half, 79 % without the last row, 76 % without the last two
(`python -m validation.oracle_smoke`). The numbers are powers of two so that no sum is rounded; of
how they were found no command is left.
"""

import math
from collections import Counter
from functools import partial

from refquant.oracle.build import Built
from refquant.oracle.judge import first_failure
from refquant.oracle.op import Op
from refquant.oracle.pack import pack
from refquant.oracle.registry import ops, variants
from refquant.oracle.tiers import FORMATS

MAX_BYTES = 100_000
LENGTHS = (1, 4, 8, 16, 32)  # of vectors, tiles and warps, and the axis that squeezing loses
Shows = dict[str, frozenset[str]]


def smoke(families: list[list[Built]]) -> list[str]:
    """Return the ids of the chosen cases, of the cases of each op, in the order of the corpus."""
    chosen = choose([Shelf(cases) for cases in families if cases])
    return [item.case.id for cases in families for item in cases if item.case.id in chosen]


def choose(shelves: list["Shelf"]) -> set[str]:
    """Return the ids of the cases that are taken from the shelves until none fits any more."""
    used, chosen = 0, set[str]()
    while fits := [s for s in shelves if s.best(MAX_BYTES - used) is not None]:
        used += max(fits, key=lambda s: s.worth).take(chosen)
    return chosen


class Shelf:
    """The cases of one op, what each catches and shows, and what the chosen ones do.

    Attributes
    ----------
    worth : float
        Of the best case that fits, for each of its bytes.
    """

    def __init__(self, cases: list[Built]) -> None:
        op = ops()[cases[0].case.op]
        self.left = [item.case.id for item in cases]
        self.catches: Shows = {item.case.id: catches(op, item) for item in cases}
        self.shows: Shows = {item.case.id: shows(op, item) for item in cases}
        self.sizes: Shows = {item.case.id: sizes(item) for item in cases}
        whole = len(pack(op.name, cases))
        self.size = {item.case.id: len(pack(op.name, [*cases, item])) - whole for item in cases}
        self.names = whole - sum(self.size.values())  # of inputs and outputs, once
        self.caught, self.shown = Counter[str](), set[str]()
        self.worth, self._best = 0.0, ""

    def bytes_of(self, case: str) -> int:
        """How much larger the tier becomes."""
        return self.size[case] + (0 if self.shown else self.names)

    def value(self, case: str) -> float:
        """See the table above."""
        found = sum(math.ldexp(1.0, -6 * self.caught[variant]) for variant in self.catches[case])
        shows, sizes = (len(seen[case] - self.shown) for seen in (self.shows, self.sizes))
        return found + shows / 4 + sizes / 16

    def best(self, room: int) -> str | None:
        """Return the case worth most for its bytes of those that fit; None if none does."""
        if not self._best or self.bytes_of(self._best) > room:
            fits = [case for case in self.left if self.bytes_of(case) <= room]
            if not fits:
                return None
            self._best = max(fits, key=lambda case: self.value(case) / self.bytes_of(case))
            self.worth = self.value(self._best) / self.bytes_of(self._best)
        return self._best

    def take(self, chosen: set[str]) -> int:
        """Move the best case among the chosen ones; return its bytes."""
        case, size = self._best, self.bytes_of(self._best)
        chosen.add(case)
        self.left.remove(case)
        self.caught.update(self.catches[case])
        self.shown |= self.shows[case] | self.sizes[case]
        self._best = ""
        return size


def catches(op: Op, item: Built) -> frozenset[str]:
    """Return the ids of the variants that fail a case."""
    form = FORMATS["float64"]
    return frozenset(
        variant.id
        for variant in variants()
        if variant.op == op.name
        and not variant.equivalent
        and first_failure(op, [item], partial(op.plain, exchanged=variant.parts), form)
    )


def shows(op: Op, item: Built) -> frozenset[str]:
    """Return what a case is an example of."""
    attrs = op.resolve(item.case.attrs)
    values = [f"{attr.name}={attrs[attr.name]}" for attr in op.attrs if attr.choices]
    inputs = [f"{t.name}: {t.name in item.case.inputs}" for t in op.inputs if t.optional]
    return frozenset((item.case.tier, *item.case.clauses, *values, *inputs))


def sizes(item: Built) -> frozenset[str]:
    """Return what the shapes of a case's inputs are examples of."""
    found = set[str]()
    for name, value in item.case.inputs.items():
        found.add(f"{name}: {value.ndim} axes")
        for axis, size in enumerate(value.shape):
            reached = [length for length in LENGTHS if size >= length]
            found |= {f"{name}, axis {axis}: {'=' if size == n else '>'} {n}" for n in reached}
        if value.ndim > 1 and value.shape[-1] == value.shape[-2] > 1:
            found.add(f"{name}: square")
    return frozenset(found)
