"""No property without a test, and no row of the committed page that is not true."""

import re

import pytest

from oracle_tests.properties import PAGE, PROPERTIES, SECTIONS, marked

TESTS = marked()
ROW = re.compile(r"^\| P(\d\d) \| (.+) \| (`.+`) \|$", re.MULTILINE)


def test_every_number_stands_in_one_section() -> None:
    """Those of methods.md 20, each once."""
    numbers = [number for part in SECTIONS.values() for number in part]
    assert sorted(numbers) == list(range(1, 91)) and len(PROPERTIES) == 90


@pytest.mark.parametrize("number", PROPERTIES, ids=lambda n: f"P{n:02d}")
def test_every_property_is_held_by_a_test(number: int) -> None:
    """Some test's docstring names it."""
    assert TESTS[number], f"no test names P{number:02d} in its docstring"


def test_the_page_is_true() -> None:
    """Each row's tests exist and name the property; tests added since may be missing there."""
    rows = {int(number): tests for number, _, tests in ROW.findall(PAGE.read_text("utf-8"))}
    assert rows.keys() == PROPERTIES.keys(), "run python -m oracle_tests.properties"
    for number, tests in rows.items():
        assert {*re.findall(r"`([^`]+)`", tests)} <= {*TESTS[number]}, f"P{number:02d} is stale"
