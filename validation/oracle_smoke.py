"""How many unknown bugs does the smoke tier catch? Measured on known ones that it does not see.

The tier is chosen by a random half of the variants, as `refquant.oracle.smoke` chooses it by all;
counted is what it catches of the other half. Eight halves, by all rows of its table
and by fewer::

    python -m validation.oracle_smoke
"""

from collections.abc import Iterator
from copy import deepcopy

import numpy as np

from refquant.oracle import corpus
from refquant.oracle.registry import ops
from refquant.oracle.smoke import Shelf, choose

HALVES = 8


def main() -> None:
    """Print the three shares."""
    shelves = [Shelf(list(corpus.load(op))) for op in ops()]
    print(f"by all rows of the table: {share(shelves):.1%} of the other half")
    for shelf in shelves:
        shelf.sizes = dict.fromkeys(shelf.sizes, frozenset())
    print(f"without shapes: {share(shelves):.1%}")
    for shelf in shelves:  # one thing that every case shows: the op has a case
        shelf.shows = dict.fromkeys(shelf.shows, frozenset({shelf.left[0]}))
    print(f"by bugs alone: {share(shelves):.1%}")


def share(shelves: list[Shelf]) -> float:
    """Return which share of the variants of the other halves is caught, over all halves."""
    caught, unseen = 0, 0
    for seen in halves(shelves):
        known = deepcopy(shelves)
        for shelf in known:
            shelf.catches = {case: found & seen for case, found in shelf.catches.items()}
        chosen = choose(known)
        caught += len({bug for bug in bugs(shelves, chosen) if bug not in seen})
        unseen += len({bug for bug in bugs(shelves) if bug not in seen})
    return caught / unseen


def bugs(shelves: list[Shelf], chosen: set[str] | None = None) -> set[str]:
    """Return the variants that some cases catch, by default all cases."""
    pairs = (pair for shelf in shelves for pair in shelf.catches.items())
    return {bug for case, found in pairs if chosen is None or case in chosen for bug in found}


def halves(shelves: list[Shelf]) -> Iterator[frozenset[str]]:
    """Yield random halves of the variants, each from a generator of its own."""
    names = sorted(bugs(shelves))
    for seed in range(HALVES):
        order = np.random.default_rng(seed).permutation(len(names))
        yield frozenset(names[i] for i in order[: len(names) // 2])


if __name__ == "__main__":
    main()
