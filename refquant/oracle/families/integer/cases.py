"""The cases of the family."""

from collections.abc import Iterator

from refquant.oracle.case import Case
from refquant.oracle.families.integer import cases_conv, cases_requantize


def cases() -> Iterator[Case]:
    """Yield the cases of the family."""
    yield from cases_conv.cases()
    yield from cases_requantize.cases()
