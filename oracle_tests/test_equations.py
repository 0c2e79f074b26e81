"""The equation index has no gap: every number has a function that exists and a test that exists."""

import ast
import importlib
from pathlib import Path

import pytest

from oracle_tests.equations import EQUATIONS, PAGE, page

TESTS = Path(__file__).parent
AQUANT = (
    "AQ Def 2.1",
    *(f"AQ eq.{n}" for n in range(1, 11)),
    *(f"AQ app. eq.{n}" for n in range(1, 5)),
)
ADAQTRANSFORM = tuple(f"AT eq.{n}" for n in range(1, 14))


def test_every_number_is_listed_once() -> None:
    """methods.md 19, without a gap."""
    assert tuple(e.number for e in EQUATIONS) == AQUANT + ADAQTRANSFORM


@pytest.mark.parametrize("equation", EQUATIONS, ids=lambda e: e.number)
def test_function_and_test_exist(equation) -> None:
    """The function can be imported and is documented; the test stands in its file."""
    module, name = equation.function.split(":")
    function = getattr(importlib.import_module(module), name)
    assert function.__doc__
    file, test = equation.test.split("::")
    tree = ast.parse((TESTS / f"{file}.py").read_text(encoding="utf-8"))
    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_page_is_up_to_date() -> None:
    """`python -m oracle_tests.equations` writes it."""
    assert PAGE.read_text(encoding="utf-8") == page()
