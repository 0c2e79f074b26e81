"""Patterns of what is wrong: named where they hold, silent where they may be chance."""

from typing import Any

import numpy as np
import pytest

from oracle_tests.wrong_samples import OP, RIGHT, SHAPE, at, case, mismatch
from refquant._types import Array
from refquant.oracle.digits import beside
from refquant.oracle.pattern import indices, ordinal, pattern
from refquant.oracle.report_steps import histogram


def said(mask: Array, inputs: dict[str, Any] | None = None) -> str:
    """Return the pattern where the elements of a mask are wrong in no common way."""
    mask = np.asarray(mask, bool)
    right = 1.0 + np.arange(mask.size).reshape(mask.shape)
    value = right + mask * (1 + right**2)
    return pattern(OP, case(**(inputs or {})), mismatch(right, value))


@pytest.mark.parametrize(
    ("index", "text"),
    [
        ((..., -1), "exactly at index 3 (the last) of w"),
        ((..., 0, slice(None)), "exactly at index 0 (the first) of h"),
        ((slice(None), slice(3, None, 4)), "exactly at every 4th index, from 3, of c"),
        ((0, 3), "only at index 3 of c"),
        ((slice(None), slice(2, 5)), "exactly at indices 2 to 4 of c"),
        ((slice(None), slice(5, None)), "exactly at the last 3 indices of c"),
        ((slice(None), slice(0, 2)), "exactly at the first 2 indices of c"),
        ((slice(None), 3, slice(None), slice(0, None, 2)), "only at index 3 of c"),
    ],
)
def test_a_place_is_named(index: Any, text: str) -> None:
    """In the words of the op's axes; (0, 3) is half of channel 3, so it is the smaller place."""
    assert said(at(*index)) == text


def test_places_in_memory_and_in_the_plane() -> None:
    """The tail of a loop over all elements, every fifth of them, the rim, a triangle."""
    flat = np.arange(192).reshape(SHAPE)
    assert said(flat >= 187) == "exactly at the last 5 indices of the elements in C order"
    every = "exactly at every 5th index, from 2, of the elements in C order"
    assert said(flat % 5 == 2) == every
    assert said(np.arange(40) % 4 == 3) == "exactly at every 4th index, from 3"
    assert "C order" not in said((flat >= 100) & (flat < 105))  # a run in the middle
    rim = np.ones((5, 6), bool)
    rim[1:-1, 1:-1] = False
    assert said(rim) == "exactly on the rim of axis -2 and axis -1"
    rows, columns = np.indices((6, 6))
    for text, mask in (
        ("on", rows == columns),
        ("off", rows != columns),
        ("above", rows < columns),
        ("below", rows > columns),
    ):
        assert said(mask) == f"exactly {text} the diagonal of axis -2 and axis -1"


X = np.array([-2.5, -1.0, 0.5, 0.75, 3.0, 3.5, -0.5, 8.0, np.inf, np.nan, 4.5, 0.0, 6.0, 1.0, 2.0])
TIES = np.isin(X, [-2.5, 0.5, 3.5, -0.5, 4.5])


@pytest.mark.parametrize(
    ("mask", "step", "text"),
    [
        (TIES, 3.0, "exactly where x is a tie"),
        (np.isin(X, [-1.0, 3.0, 1.0]), 2.0, "exactly where x / s is a tie"),
        (~np.isfinite(X), 1.0, "exactly where x is NaN or infinite"),
        (X < 0, 1.0, "exactly where x < 0"),
        (X > 3.25, 1.0, "exactly where x >= 3.5"),
        (X < -0.75, 1.0, "exactly where x <= -1"),
    ],
)
def test_a_place_is_named_by_the_numbers_there(mask: Array, step: float, text: str) -> None:
    """Ties of x or of x over the step, special values, signs, thresholds."""
    assert text in said(mask, {"x": X, "s": step}).split("; ")


def test_what_may_be_chance_is_not_said() -> None:
    """One element, two of the same row of two, scattered ones."""
    assert said(np.arange(200) == 7) == ""
    assert said(np.array([[1, 1, 0], [0, 0, 0]])) == ""
    scattered = np.zeros(40, bool)
    scattered[[1, 2, 9, 20, 33]] = True
    assert said(scattered) == ""


def test_everything_wrong_is_said_so() -> None:
    """Without a place."""
    assert said(np.ones((3, 4))) == "every element"
    assert said(np.arange(12).reshape(3, 4) != 5) == ""


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda y: y - 1, "each is 1 too low"),
        (lambda y: y + 0.5, "each is 0.5 too high"),
        (lambda y: 2 * y, "each is 2 times the right one"),
        (lambda y: -y, "each has the wrong sign"),
        (lambda y: 0 * y, "each is 0"),
        (lambda y: y * np.nan, "each is NaN"),
        (lambda y: y + y**2, ""),
        (lambda y: np.where(y < 9, np.nan, y + 1), ""),
        (lambda y: y * (1 + 2.0**-30), ""),
    ],
)
def test_what_was_done_to_each_is_said(change: Any, text: str) -> None:
    """If it is the same everywhere; a factor that prints as 1 says nothing."""
    found = pattern(OP, case(), mismatch(RIGHT, change(RIGHT)))
    assert found == "; ".join(filter(None, ["every element", text]))


def test_a_constant_that_is_off_is_off_by_a_step() -> None:
    """Rather than of one value, where the right value is one too."""
    assert pattern(OP, case(), mismatch(np.ones(9), np.full(9, 2.0))).endswith("each is 1 too high")


def test_infinities_and_overflow_raise_no_warning() -> None:
    """Of the arithmetic on wrong numbers."""
    right, value = np.array([1e-300, 1.0, 2.0]), np.array([1e300, 2.0, -np.inf])
    found = mismatch(right, value)
    assert pattern(OP, case(x=right), found) == "every element"
    assert found.elements and "2 not finite" in histogram(found.elements, "float64")


def test_runs_of_indices_have_names() -> None:
    """All of them have none, nor has a list."""
    assert indices([0, 1, 2], 3) == "" and indices([0, 1, 3], 9) == ""
    assert indices([4, 6], 8) == ""  # 0 and 2 are missing
    assert indices([0, 4], 8) == "every 4th index, from 0," and indices([0, 7], 9) == ""
    said = " ".join(ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 112))
    assert said == "1st 2nd 3rd 4th 11th 12th 13th 21st 112th"


def test_the_inputs_beside_a_wrong_element_are_shown() -> None:
    """Those of the output's shape."""
    value = RIGHT.copy()
    value[1, 0, 2, 3] += 1
    found = beside(case(x=-RIGHT, s=2.0), mismatch(RIGHT, value))
    assert found == "x = -108.0"  # 1 + 96 + 0 + 2 * 4 + 3
