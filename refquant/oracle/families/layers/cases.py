"""All cases of the family."""

from collections.abc import Iterator

from refquant.oracle.case import Case
from refquant.oracle.families.layers import cases_conv, cases_dense, cases_pool


def cases() -> Iterator[Case]:
    """Yield them, in the order of the operations."""
    yield from cases_conv.cases()
    yield from cases_dense.cases()
    yield from cases_pool.cases()
