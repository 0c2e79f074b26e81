"""Inputs for the operations of AdaRound."""

from collections.abc import Iterator

from refquant.oracle.case import Case
from refquant.oracle.families.adaround import (
    cases_schedule,
    cases_sigmoid,
    cases_step,
    cases_weight,
)


def cases() -> Iterator[Case]:
    """Yield the cases of the family."""
    yield from cases_sigmoid.cases()
    yield from cases_weight.cases()
    yield from cases_schedule.cases()
    yield from cases_step.cases()
