"""All cases of the family."""

from collections.abc import Iterator

from refquant.oracle.case import Case
from refquant.oracle.families.calibrate import cases_kl, cases_range, cases_search


def cases() -> Iterator[Case]:
    """Yield them, in the order of the operations."""
    yield from cases_range.cases()
    yield from cases_search.cases()
    yield from cases_kl.cases()
