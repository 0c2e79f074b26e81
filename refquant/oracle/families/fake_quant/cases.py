"""The cases of the family."""

from collections.abc import Iterator

from refquant.oracle.case import Case
from refquant.oracle.families.fake_quant import (
    cases_adaquant,
    cases_dialects,
    cases_gradient,
    cases_log_sqrt2,
    cases_lsq_plus,
    cases_range,
    cases_uniform,
)


def cases() -> Iterator[Case]:
    """Yield the cases of the family."""
    yield from cases_uniform.cases()
    yield from cases_gradient.cases()
    yield from cases_dialects.cases()
    yield from cases_lsq_plus.cases()
    yield from cases_adaquant.cases()
    yield from cases_log_sqrt2.cases()
    yield from cases_range.cases()
