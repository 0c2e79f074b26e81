"""Constants and correctly rounded quotients of tracked numbers."""

from fractions import Fraction

import pytest

from refquant.oracle.exact.real import constant, quotient
from refquant.oracle.exact.tracked import Ledger, Tracked


def tracked(value, error=0):
    return Tracked(Ledger(), Fraction(value), Fraction(error))


@pytest.mark.parametrize(
    ("value", "error"), [(100000, 0), (Fraction(3, 8), 0), (Fraction(1, 10), Fraction(1, 10))]
)
def test_a_constant_is_rounded_unless_it_fits(value, error):
    found = constant(Fraction(value), tracked(1))
    assert (found.value, found.error) == (value, error)
    assert constant(Fraction(1, 3), 1.0) == Fraction(1, 3)


def test_a_quotient_is_exact_where_it_fits():
    """15/4 / 15 is 1/4 by a division, but need not be by a reciprocal; 1/3 is rounded once."""
    by_division, by_reciprocal = (
        quotient(tracked(Fraction(15, 4)), 15),
        tracked(Fraction(15, 4)) / 15,
    )
    assert by_division.value == by_reciprocal.value == Fraction(1, 4)
    assert (by_division.error, by_reciprocal.error) == (0, Fraction(1, 2))
    assert quotient(tracked(1), 3).error == Fraction(1, 3)
    assert quotient(tracked(15, 1), 5).error > 1 / 5
    assert quotient(3.0, 2) == 1.5
