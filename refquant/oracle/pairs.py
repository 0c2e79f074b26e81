"""Two bugs at once: which two candidates together give what a backend gave?

Alone, each of them may explain nothing, because both act on the same numbers. So all pairs that
change different things go through a sieve: on one failing case after the other, the smallest first,
those drop out that miss a number. Where none is left, the nearest single ones are paired.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from refquant._types import Array
from refquant.oracle.build import Built
from refquant.oracle.gallery import Candidate, Gallery, both, compatible

NEAREST = 14
Given = Sequence[tuple[Built, Mapping[str, Array]]]  # cases, and what the backend gave


def best_pair(gallery: Gallery, given: Given, failing: Given) -> tuple[Candidate | None, float]:
    """Return the pair that explains most, and its share; (None, 0) where there is no pair.

    Parameters
    ----------
    gallery : Gallery
        Of single candidates.
    given, failing : sequences of (Built, outputs)
        All cases, and those that are wrong.
    """
    shares = gallery.shares(given)
    ranked = [gallery.candidates[i] for i in np.argsort(-shares, kind="stable")]
    near = ranked[: min(NEAREST, int(np.count_nonzero(shares)))]
    exact = _sieve(gallery, _pairs(ranked), failing)
    for pairs, least in ((exact, 1.0), (_pairs(near), 0.0)):
        together = Gallery(gallery.op, gallery.form, pairs).shares(given)
        if pairs and together.max() >= least:
            best = int(np.argmax(together))
            return pairs[best], float(together[best])
    return None, 0.0


def _pairs(candidates: Sequence[Candidate]) -> list[Candidate]:
    return [both(a, b) for a, b in combinations(candidates, 2) if compatible(a, b)]


def _sieve(gallery: Gallery, pairs: list[Candidate], failing: Given) -> list[Candidate]:
    """Return the pairs that give everything that is wrong, in all of the failing cases."""
    for case in sorted(failing, key=lambda case: sum(v.size for v in case[0].case.inputs.values())):
        if case[1] and pairs:
            shares = Gallery(gallery.op, gallery.form, pairs).shares([case])
            pairs = [pair for pair, share in zip(pairs, shares, strict=True) if share == 1.0]
    return pairs
