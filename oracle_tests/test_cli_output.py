"""Tables, JSON and progress: what may stand on which stream."""

import json

import pytest

from refquant.cli.output import facts, finite, percent, print_json, table

INF, NAN = float("inf"), float("nan")


def test_table_aligns_its_columns() -> None:
    """First columns to the left, numbers to the right, no blanks at the end of a line."""
    text = table(["name", "n"], [["a", "1"], ["longer", "100"]])
    assert text == "name      n\n------  ---\na         1\nlonger  100"
    text = table(["name", "what"], [["a", "x"], ["longer", ""]], left=2)
    assert text == "name    what\n------  ----\na       x\nlonger"


def test_table_without_rows_is_its_header() -> None:
    """Nothing to show is no error."""
    assert table(["name", "n"], []) == "name  n\n----  -"


def test_json_holds_no_infinities(capsys: pytest.CaptureFixture[str]) -> None:
    """NaN and infinities become null at any depth; JSON has no word for them."""
    print_json({"a": INF, "b": [-INF, NAN, 1.5], "c": {"d": (NAN, "x", 2, True, None)}})
    printed = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert printed == {"a": None, "b": [None, None, 1.5], "c": {"d": [None, "x", 2, True, None]}}


def test_finite_leaves_the_rest_alone() -> None:
    """Integers beyond floats, booleans and text pass through."""
    assert finite({"n": 2**80, "t": True, "s": "nan"}) == {"n": 2**80, "t": True, "s": "nan"}


def test_percent_and_facts() -> None:
    """Two decimals of a share; names in one column."""
    assert percent(0.98765) == "98.77 %"
    assert percent(1.0) == "100.00 %"
    assert facts({"a": 1, "bcd": "x"}) == "a    1\nbcd  x"
