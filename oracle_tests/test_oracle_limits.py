"""Limits of tracked numbers, which are never in doubt, and operations at zero."""

import math
from fractions import Fraction

import pytest

from refquant.oracle.exact.real import clip, larger, smaller, sqrt
from refquant.oracle.exact.tracked import Ledger, Tracked

U = Fraction(1, 2**24)


def tracked(value, error=0):
    return Tracked(Ledger(), Fraction(value), Fraction(error))


@pytest.mark.parametrize(
    ("x", "value", "error"),
    [
        (tracked(2, 1), 1, 0),  # far beyond the end: the end itself
        (tracked(Fraction(1, 4), 3), Fraction(1, 4), 3),  # inside: what it was
        (tracked(1 + U, 3), 1, 2),  # one u beyond, with an error of three: two are left
        (tracked(-2 * U, 3), 0, 1),
        (tracked(1 + 4 * U, 3), 1, 0),
    ],
)
def test_clip_keeps_what_is_left_of_the_error(x, value, error):
    """clip(x, 0, 1): an end takes the error that reaches back over it."""
    found = clip(x, 0, 1)
    assert x.ledger.doubts == 0
    left = found.error if isinstance(found, Tracked) else 0
    assert (getattr(found, "value", found), round(left, 2)) == (value, error)


def test_larger_takes_the_worse_error_of_two_near_numbers():
    """max(1 +- 0, 1 - u +- 4 u) may be as large as 1 + 3 u."""
    found = larger(tracked(1), tracked(1 - U, 4))
    assert (found.value, round(found.error)) == (1, 3)
    found = smaller(tracked(1), tracked(1 + U, 4))
    assert (found.value, round(found.error)) == (1, 3)


def test_plain_numbers_and_infinities():
    """Everything that is not tracked goes through the comparisons of Python."""
    assert larger(Fraction(1, 2), 0) == Fraction(1, 2)
    assert clip(2.5, 0.0, 1.0) == 1.0
    assert larger(tracked(3), math.inf) == math.inf
    assert smaller(tracked(3), math.inf).value == 3


def test_quotients_by_zero_are_those_of_ieee():
    """0 / 0 is NaN, anything else over 0 an infinity of its sign."""
    assert math.isnan(tracked(0) / tracked(0))
    assert tracked(-3) / tracked(0) == -math.inf


def test_the_root_of_noise_is_large():
    """sqrt of 0 within 4 u is 0 within 2 sqrt(u), and that is 2 / sqrt(u) units."""
    found = sqrt(tracked(0, 4))
    assert (found.value, found.error) == (0, 2 * 2**12)
    assert sqrt(tracked(0)).error == 0
