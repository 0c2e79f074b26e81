"""Inputs for the ops of AdaQTransform."""

from collections.abc import Iterator

from refquant.oracle.case import Case
from refquant.oracle.families.adaqtransform.cases_closed import closed_cases
from refquant.oracle.families.adaqtransform.cases_layer import layer_cases
from refquant.oracle.families.adaqtransform.cases_step import step_cases


def cases() -> Iterator[Case]:
    """Yield the cases of the family."""
    yield from layer_cases()
    yield from closed_cases()
    yield from step_cases()
