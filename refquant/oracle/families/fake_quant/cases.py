"""The cases of the family."""

from collections.abc import Iterator

from refquant.oracle.case import Case
from refquant.oracle.families.fake_quant import (
    cases_adaquant,
    cases_gradient,
    cases_lsq_plus,
    cases_uniform,
)


def cases() -> Iterator[Case]:
    """Yield the cases of the family."""
    for part in (cases_uniform, cases_gradient, cases_lsq_plus, cases_adaquant):
        yield from part.cases()
