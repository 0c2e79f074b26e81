"""Inputs for the ops of AQuant."""

from collections.abc import Iterator

from refquant.oracle.case import Case
from refquant.oracle.families.aquant.cases_border import border_cases
from refquant.oracle.families.aquant.cases_published import published_cases
from refquant.oracle.families.aquant.cases_quant import quant_cases
from refquant.oracle.families.aquant.cases_rounding import rounding_cases
from refquant.oracle.families.aquant.cases_step import step_cases


def cases() -> Iterator[Case]:
    """Yield the cases of the family."""
    yield from border_cases()
    yield from quant_cases()
    yield from published_cases()
    yield from rounding_cases()
    yield from step_cases()
